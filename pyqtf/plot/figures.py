"""Matplotlib figures of an experiment.

Every function returns a Figure made without pyplot: nothing is shown, no window or global state
is touched, and it works where there is no display. A notebook shows what a cell returns.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from pyqtf.evaluation.scaling_law import FORMULAS, ScalingFit
from pyqtf.evaluation.statistics import concerns, labels, summary_of
from pyqtf.plot.table import parameters, shorten

_BLUE = "#0072B2"  # Okabe and Ito's palette, distinct without colour vision
_GREY = "#555555"
_LABEL_ANGLE = 35.0
_LABEL_SPACING = 12.0  # points between the baselines of two labels


class NotebookFigure(Figure):
    """A Figure that notebooks display although pyplot never saw it."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, *, dpi: int = 144) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def scaling(results: pd.DataFrame, *, level: float = 0.95) -> Figure:
    """Perplexity against the number of parameters, on linear and on logarithmic axes.

    On linear axes one sees the diminishing return, on logarithmic ones a power law would be a
    straight line. Bars are the intervals of `pyqtf.summarise`: they say how sure each perplexity
    is, not whether two models differ; for that see `pyqtf.paired_differences`.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns.
    level : float
        Confidence level of the bars.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        A column is missing; see `pyqtf.summarise`.

    Examples
    --------
    >>> import pyqtf
    >>> df = pyqtf.evaluate(pyqtf.bundled.names()[:2], ["A cat sat.", "A dog ran."],
    ...     progress=False)
    >>> len(scaling(df).axes)
    2
    """
    summary = summary_of(results, level=level)
    figure = _figure(9.0, 4.3)
    linear, logarithmic = figure.subplots(1, 2)
    for axes in (linear, logarithmic):
        _points(axes, summary)
        axes.set_xlabel("parameters, embeddings included")
        axes.set_ylabel("perplexity")
        axes.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    linear.set_title("linear axes", fontsize=10, loc="right")
    linear.set_xlim(left=0)
    linear.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    linear.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))
    logarithmic.set_title("logarithmic axes", fontsize=10, loc="right")
    logarithmic.set_xscale("log")
    logarithmic.set_yscale("log")
    _log_ticks(logarithmic, summary)
    n_stories = int(summary["n_stories"].iloc[0])
    stories = f"{n_stories} stor{'y' if n_stories == 1 else 'ies'}"
    bars = f"bars: {100 * level:g} % intervals" if summary["mean_nll_se"].notna().any() else ""
    figure.supxlabel(
        "\n".join(["; ".join(filter(None, [stories, bars])), *concerns(results)]),
        fontsize=8,
        color=_GREY,
        wrap=True,
    )
    _label_points(figure, logarithmic, labels(summary), summary)
    return figure


def stories(results: pd.DataFrame) -> Figure:
    """Loss of every story under every model: one thin line a story, a thick one for all tokens.

    Lines that fall together say that size helps everywhere; lines that cross say that it helps
    some stories only.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        A column is missing; see `pyqtf.summarise`.

    Examples
    --------
    >>> import pyqtf
    >>> df = pyqtf.evaluate(pyqtf.bundled.names()[:2], ["A cat sat.", "A dog ran."],
    ...     progress=False)
    >>> len(stories(df).axes)
    1
    """
    summary = summary_of(results)
    figure = _figure(6.5, 4.0)
    axes = figure.subplots()
    order = summary.set_index(["model_name", "quant"]).index
    table = results.assign(mean=results["nll"] / results["n_scored"]).pivot(
        index="story_idx", columns=["model_name", "quant"], values="mean"
    )[order]
    x = summary["n_params"].to_numpy(np.float64)
    axes.plot(x, table.T.to_numpy(), color=_GREY, linewidth=0.7, alpha=0.45)
    axes.plot(x, summary["mean_nll"], "o-", color=_BLUE, linewidth=2.2, label="all tokens")
    axes.set_xscale("log")
    _log_x(axes, x)
    axes.set_xlabel("parameters, embeddings included")
    axes.set_ylabel("loss, nats per token")
    axes.set_title(f"one thin line a story ({len(table)})", fontsize=10)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


_FORM_COLORS = {
    "law": _BLUE,
    "power": "#D55E00",
    "logarithmic": "#009E73",
    "linear": "#555555",
}


def scaling_law(fit: ScalingFit, *, reach: float = 10.0) -> Figure:
    """Four fitted forms through the models, and what each says of larger ones.

    Beyond the largest model nothing was measured: lines are dashed, the ground is grey. The blue
    band holds the laws whose alpha lies in its interval; there is none for three models.

    Parameters
    ----------
    fit : ScalingFit
        What `pyqtf.fit_scaling_law` returns.
    reach : float
        How far to extrapolate, as a multiple of the largest model.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from pyqtf.evaluation.scaling_law import fit_scaling_law
    >>> figure = scaling_law(fit_scaling_law(pd.DataFrame({"model_name": list("abcd"),
    ...     "quant": "f32", "n_params": [1e5, 1e6, 1e7, 1e8], "mean_nll": [3, 2.2, 1.8, 1.6]})))
    >>> len(figure.axes[0].get_legend().texts)
    5
    """
    figure = _figure(6.5, 4.2)
    axes = figure.subplots()
    low, high = float(fit.sizes.min()), float(fit.sizes.max())
    inside = np.geomspace(low / 1.3, high, 120)
    outside = np.geomspace(high, high * reach, 120)
    # Named from top to bottom as they leave the picture, which reads without colour too.
    for form in sorted(_FORM_COLORS, key=lambda form: -float(fit.predict(outside[-1], form=form))):
        color = _FORM_COLORS[form]
        axes.plot(inside, fit.predict(inside, form=form), color=color, label=FORMULAS[form])
        beyond = fit.predict(outside, form=form)
        # A straight line soon promises a loss below 0; it ends where it leaves the picture.
        beyond[beyond < 0.5 * float(fit.losses.min())] = math.nan
        axes.plot(outside, beyond, color=color, linestyle=(0, (4, 3)))
    everywhere = np.append(inside, outside)
    if not math.isnan(fit.alpha_low):
        axes.fill_between(everywhere, *fit.band(everywhere), color=_BLUE, alpha=0.18, linewidth=0)
    axes.plot(fit.sizes, fit.losses, "o", color="black", markersize=5.5, label="models")
    axes.axvspan(high, high * reach, color="#999999", alpha=0.12, linewidth=0)
    axes.text(
        math.sqrt(high * high * reach), 0.98, "extrapolated", fontsize=8.5, color=_GREY,
        ha="center", va="top", transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * reach)
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))
    axes.set_xlabel(fit.axis_label)
    axes.set_ylabel("loss, nats per token")
    axes.legend(frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _points(axes: Axes, summary: pd.DataFrame) -> None:
    y = summary["perplexity"].to_numpy(np.float64)
    reach = np.array([y - summary["perplexity_low"], summary["perplexity_high"] - y])
    axes.errorbar(
        summary["n_params"],
        y,
        yerr=np.nan_to_num(reach),
        fmt="o-",
        color=_BLUE,
        ecolor=_GREY,
        elinewidth=1.2,
        capsize=3,
        markersize=5.5,
        linewidth=1.2,
    )


def _log_ticks(axes: Axes, summary: pd.DataFrame) -> None:
    ends = summary[["perplexity", "perplexity_low", "perplexity_high"]].to_numpy(np.float64)
    low, high = np.nanmin(ends), np.nanmax(ends)
    _log_x(axes, summary["n_params"].to_numpy(np.float64))
    # Less than one power of ten holds too few of a logarithmic axis's usual ticks.
    if high / low < 8:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    pad = (high / low) ** 0.08 if high > low else 1.1
    axes.set_ylim(low / pad, high * pad**3)  # room for the names


def _log_x(axes: Axes, n_params: np.ndarray) -> None:
    low, high = n_params.min(), n_params.max()
    pad = (high / low) ** 0.08 if high > low else 2.0
    axes.set_xlim(low / pad, high * pad)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 30 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))


def _label_points(figure: Figure, axes: Axes, names: Sequence[str], summary: pd.DataFrame) -> None:
    """Slanted names above the points, where a falling curve leaves the room free."""
    top = summary["perplexity_high"].fillna(summary["perplexity"])
    anchors = np.column_stack([summary["n_params"], top])
    texts = [
        axes.annotate(
            shorten(name, 26),
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            rotation=_LABEL_ANGLE,
            rotation_mode="anchor",
            fontsize=8.5,
            color="#222222",
            arrowprops={"arrowstyle": "-", "color": _GREY, "linewidth": 0.6},
        )
        for name, (x, y) in zip(names, anchors, strict=True)
    ]
    slope = math.radians(_LABEL_ANGLE)
    across = np.array([math.sin(slope), -math.cos(slope)])
    # Where the points lie depends on the room the names take, and the other way round.
    for _ in range(3):
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
        points = axes.transData.transform(anchors) * 72 / figure.dpi
        last, moved = -math.inf, False
        for i in np.argsort(points @ across, kind="stable"):
            place = points[i] @ across
            shift = max(0.0, last + _LABEL_SPACING - place) / math.sin(slope)
            last = max(place, last + _LABEL_SPACING)
            texts[i].xyann = (3 + shift, 4)
            if (arrow := texts[i].arrow_patch) is not None:
                arrow.set_visible(shift > 0)
            moved = moved or shift > 0
        if not moved:
            break
