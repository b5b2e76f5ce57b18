"""Matplotlib figures of an experiment.

Every function returns a Figure made without pyplot: nothing is shown, no window or global state
is touched, and it works where there is no display. A notebook shows what a cell returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pyqtf.evaluation.scaling_law import FORMULAS, ScalingFit
from pyqtf.evaluation.statistics import concerns, labels, summary_of
from pyqtf.plot._style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    grid,
    log_parameters,
    new_figure,
    open_frame,
)
from pyqtf.plot.table import parameters, shorten

_LABEL_ANGLE = 35.0
_LABEL_SPACING = 12.0  # points between the baselines of two labels
# The signs tell the lines apart in grey print.
_FORMS = {"law": (BLUE, ""), "power": (ORANGE, "s"), "logarithmic": (GREEN, "^"),
          "linear": (GREY, "D")}  # fmt: skip
_DASHES = (0, (4, 3))

Array = np.ndarray


def scaling(
    results: pd.DataFrame,
    *,
    fit: ScalingFit | None = None,
    reach: float = 3.0,
    level: float = 0.95,
) -> Figure:
    """Perplexity against the number of parameters, on linear and on logarithmic axes.

    On linear axes one sees the diminishing return; on logarithmic ones a straight line would be a
    power law of the perplexity. Bars are the intervals of `pyqtf.summarise`: they say how sure each
    perplexity is, not whether two models differ; for that see `pyqtf.paired_differences`.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns.
    fit : ScalingFit, optional
        What `pyqtf.fit_scaling_law` returns for these results: its four forms are drawn instead of
        a line from model to model. Beyond the largest model nothing was measured: there the forms
        are dashed, with the band of the laws whose alpha lies in its interval.
    reach : float
        How far to extrapolate, as a multiple of the largest model.
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
    axis = "n_params" if fit is None else fit.axis
    sizes = summary[axis].to_numpy(np.float64)
    figure = new_figure(9.0, 4.3)
    linear, logarithmic = figure.subplots(1, 2)
    for axes in (linear, logarithmic):
        if fit is not None:
            _forms(axes, fit, reach, np.exp)
        _points(axes, sizes, summary, joined=fit is None)
        axes.set_xlabel("parameters, embeddings included" if fit is None else fit.axis_label)
        axes.set_ylabel("perplexity")
        grid(axes)
        open_frame(axes)
    linear.set_title("linear axes", fontsize=10, loc="right")
    linear.set_xlim(left=0)
    linear.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    linear.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))
    logarithmic.set_title("logarithmic axes", fontsize=10, loc="right")
    log_parameters(logarithmic, sizes.min(), sizes.max() * (1 if fit is None else reach))
    _log_perplexity(logarithmic, summary)
    if fit is not None:
        linear.set_ylim(0, logarithmic.get_ylim()[1])  # some forms leave for infinity
        promised = math.exp(fit.predict(fit.sizes.max() * reach))
        logarithmic.set_ylim(bottom=min(logarithmic.get_ylim()[0], 0.95 * promised))
        linear.legend(frameon=False, fontsize=9, loc="upper right")
    n_stories = int(summary["n_stories"].iloc[0])
    stories = f"{n_stories} stor{'y' if n_stories == 1 else 'ies'}"
    bars = f"bars: {100 * level:g} % intervals" if summary["mean_nll_se"].notna().any() else ""
    dashes = "dashed: extrapolated" if fit is not None else ""
    figure.supxlabel(
        "\n".join(["; ".join(filter(None, [stories, bars, dashes])), *concerns(results)]),
        fontsize=8,
        color=GREY,
        wrap=True,
    )
    top = summary["perplexity_high"].fillna(summary["perplexity"]).to_numpy(np.float64)
    _label_points(figure, logarithmic, labels(summary), np.column_stack([sizes, top]))
    return figure


def stories(results: pd.DataFrame) -> Figure:
    """Loss of every story under every model, and how steeply each story's loss falls with size.

    Left one thin line a story and a thick one for all tokens. Lines that fall together say that
    size helps everywhere; lines that cross say that it helps some stories only. Right the slope of
    each line, by least squares: nats per token for twice the parameters.

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
    2
    """
    summary = summary_of(results)
    figure = new_figure(9.0, 4.0)
    lines, slopes = figure.subplots(1, 2, width_ratios=(3, 2))
    order = summary.set_index(["model_name", "quant"]).index
    table = results.assign(mean=results["nll"] / results["n_scored"]).pivot(
        index="story_idx", columns=["model_name", "quant"], values="mean"
    )[order]
    x = summary["n_params"].to_numpy(np.float64)
    lines.plot(x, table.T.to_numpy(), color=GREY, linewidth=0.7, alpha=0.45)
    lines.plot(x, summary["mean_nll"], "o-", color=BLUE, linewidth=2.2, label="all tokens")
    log_parameters(lines, x.min(), x.max())
    lines.set_xlabel("parameters, embeddings included")
    lines.set_ylabel("loss, nats per token")
    lines.set_title(f"one thin line a story ({len(table)})", fontsize=10)
    lines.legend(frameon=False)
    each = np.sort(_slopes(x, table.to_numpy(np.float64)))
    slopes.axvline(0, color=GREY, linewidth=0.8)
    slopes.plot(each, np.arange(1, len(each) + 1), "o", color=GREY, markersize=4, alpha=0.7)
    mean = _slopes(x, summary["mean_nll"].to_numpy(np.float64)[None])[0]
    slopes.axvline(mean, color=BLUE, linewidth=2.2, label="all tokens")
    slopes.set_xlabel("change of loss, nats per token, per doubling")
    slopes.set_ylabel("stories, steepest first")
    slopes.set_title("slope of each story", fontsize=10)
    slopes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axes in (lines, slopes):
        open_frame(axes)
    return figure


def scaling_law(fit: ScalingFit, *, reach: float = 10.0) -> Figure:
    """Four fitted forms of the loss through the models, and what each says of larger ones.

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
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    high = float(fit.sizes.max())
    _forms(axes, fit, reach, lambda loss: loss)
    axes.plot(fit.sizes, fit.losses, "o", color="black", markersize=5.5, label="models")
    axes.axvspan(high, high * reach, color="#999999", alpha=0.12, linewidth=0)
    axes.text(
        math.sqrt(high * high * reach), 0.98, "extrapolated", fontsize=8.5, color=GREY,
        ha="center", va="top", transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(float(fit.sizes.min()) / 1.3, high * reach)
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))
    axes.set_xlabel(fit.axis_label)
    axes.set_ylabel("loss, nats per token")
    axes.legend(frameon=False, fontsize=9)
    open_frame(axes)
    return figure


def _forms(axes: Axes, fit: ScalingFit, reach: float, scale: Callable[[Array], Array]) -> None:
    """Lines of the four forms, dashed beyond the models, and the law's band; y = scale(loss)."""
    low, high = float(fit.sizes.min()), float(fit.sizes.max())
    inside = np.geomspace(low / 1.3, high, 160)
    outside = np.geomspace(high, high * reach, 120)
    # Named from top to bottom as they leave the picture, which reads without colour too.
    for form in sorted(_FORMS, key=lambda form: -float(fit.predict(outside[-1], form=form))):
        color, marker = _FORMS[form]
        axes.plot(
            inside, scale(fit.predict(inside, form=form)), color=color, label=FORMULAS[form],
            marker=marker, markevery=(10, 28), markersize=4,
        )  # fmt: skip
        beyond = fit.predict(outside, form=form)
        # A straight line soon promises a loss below 0; it ends where it leaves the picture.
        beyond[beyond < 0.5 * float(fit.losses.min())] = math.nan
        axes.plot(outside, scale(beyond), color=color, linestyle=_DASHES)
    if not math.isnan(fit.alpha_low):
        everywhere = np.append(inside, outside)
        below, above = map(scale, fit.band(everywhere))
        axes.fill_between(everywhere, below, above, color=BLUE, alpha=0.18, linewidth=0)


def _slopes(n_params: Array, losses: Array) -> Array:
    """Least-squares slopes of losses [n, K] over log2 of the parameters [K]; NaN for one size."""
    x = np.log2(n_params) - np.log2(n_params).mean()
    with np.errstate(invalid="ignore"):
        return np.asarray(losses @ x / (x @ x))


def _points(axes: Axes, sizes: Array, summary: pd.DataFrame, *, joined: bool) -> None:
    y = summary["perplexity"].to_numpy(np.float64)
    reach = np.array([y - summary["perplexity_low"], summary["perplexity_high"] - y])
    axes.errorbar(
        sizes,
        y,
        yerr=np.nan_to_num(reach),
        fmt="o-" if joined else "o",
        color=BLUE if joined else "black",
        ecolor=GREY,
        elinewidth=1.2,
        capsize=3,
        markersize=5.5,
        linewidth=1.2,
        zorder=3,
    )


def _log_perplexity(axes: Axes, summary: pd.DataFrame) -> None:
    ends = summary[["perplexity", "perplexity_low", "perplexity_high"]].to_numpy(np.float64)
    low, high = np.nanmin(ends), np.nanmax(ends)
    axes.set_yscale("log")
    # Less than one power of ten holds too few of a logarithmic axis's usual ticks.
    if high / low < 8:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    pad = (high / low) ** 0.08 if high > low else 1.1
    axes.set_ylim(low / pad, high * pad**3)  # room for the names


def _label_points(figure: Figure, axes: Axes, names: Sequence[str], anchors: Array) -> None:
    """Slanted names above the points, where a falling curve leaves the room free."""
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
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
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
