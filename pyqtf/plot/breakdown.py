"""Figures of where in a text, and on what kind of token, the loss falls."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter

from pyqtf.evaluation.breakdown import loss_by, position_bins, token_classes
from pyqtf.plot._style import BLUE, MARKERS, grid, new_figure, open_frame, shades
from pyqtf.plot.table import shorten

_PARTS = 10


def positions(tokens: pd.DataFrame, *, level: float = 0.95) -> Figure:
    """Mean loss by distance from the beginning, and by tenth of the story, for every model.

    Left, every bin of positions is twice as wide as the one before; a bin counts if at least half
    of the stories reach it, because late positions are those of long stories only. Right, every
    story is cut into tenths of equal length. Bars are intervals clustered by story; larger models
    are darker.

    Parameters
    ----------
    tokens : DataFrame
        What `pyqtf.evaluate_tokens` returns; models in the order to show them.
    level : float
        Confidence level of the bars.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        A column is missing.

    Examples
    --------
    >>> import pyqtf
    >>> tokens = pyqtf.evaluate_tokens(pyqtf.bundled.names()[:2], pyqtf.bundled.stories()[:3],
    ...     progress=False)
    >>> len(positions(tokens).axes)
    2
    """
    features = token_classes(tokens)
    features = features.assign(
        position_bin=position_bins(features["position"].to_numpy()),
        part=np.minimum((features["place"] * _PARTS).astype(int), _PARTS - 1),
    )
    n_stories = features["story_idx"].nunique()
    distance = loss_by(features, "position_bin", level=level)
    distance = distance[2 * distance["n_stories"] >= n_stories]
    figure = new_figure(9.5, 3.8)
    left, right = figure.subplots(1, 2, sharey=True)
    _lines(left, distance, "position_bin", _models(tokens))
    _lines(right, loss_by(features, "part", level=level), "part", _models(tokens))
    left.set_xscale("log", base=2)
    bins = sorted(distance["position_bin"].unique())
    left.set_xticks(bins, [_bin_name(first) for first in bins], fontsize=8)
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel("position of the token in its story")
    left.set_ylabel("loss, nats per token")
    right.set_xticks(range(_PARTS), [str(part + 1) for part in range(_PARTS)])
    right.set_xlabel("tenth of the story")
    right.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in (left, right):
        axes.set_ylim(bottom=0)
    return figure


def classes(tokens: pd.DataFrame, *, level: float = 0.95) -> Figure:
    """Mean loss of each class of tokens for every model, and what it adds to the whole.

    Left the mean loss with intervals clustered by story; larger models are darker. Right, for the
    last model, the class's share of all tokens and of all loss. The rules for classes are those of
    `pyqtf.token_classes`.

    Parameters
    ----------
    tokens : DataFrame
        What `pyqtf.evaluate_tokens` returns; models in the order to show them.
    level : float
        Confidence level of the bars.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        A column is missing.

    Examples
    --------
    >>> import pyqtf
    >>> tokens = pyqtf.evaluate_tokens(pyqtf.bundled.names()[:2], pyqtf.bundled.stories()[:3],
    ...     progress=False)
    >>> classes(tokens).axes[0].get_yticklabels()[-1].get_text()
    'name again'
    """
    table = loss_by(token_classes(tokens), "token_class", level=level)
    models = _models(tokens)
    last = table[table["model_name"] == models[-1]].set_index("token_class")
    order = last["mean_nll"].sort_values().index
    figure = new_figure(9.0, 0.42 * len(order) + 1.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    y = np.arange(len(order), dtype=np.float64)
    for i, (name, colour) in enumerate(zip(models, shades(len(models)), strict=True)):
        rows = table[table["model_name"] == name].set_index("token_class").loc[order]
        # Side by side, as on one line the bars would hide one another.
        shift = 0.12 * ((len(models) - 1) / 2 - i)
        left.errorbar(
            rows["mean_nll"], y + shift, xerr=_bars(rows), color=colour, linestyle="none",
            marker=MARKERS[i % len(MARKERS)], markersize=4.5, elinewidth=1.0,
            label=shorten(name, 26),
        )  # fmt: skip
    left.set_yticks(y, order)
    left.set_xlim(left=0)
    left.set_xlabel("loss, nats per token")
    left.legend(frameon=False, fontsize=8.5, loc="lower right")
    share = last.loc[order]
    right.barh(y, share["share_of_loss"], height=0.55, color=BLUE)
    right.plot(share["share_of_tokens"], y, "D", color="white", markeredgecolor="black")
    right.set_xlabel(f"share, {shorten(models[-1], 26)}")
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    right.legend(
        handles=[
            Line2D([], [], color=BLUE, linewidth=7, label="of the loss"),
            Line2D([], [], color="white", marker="D", markeredgecolor="black", label="of tokens"),
        ],
        frameon=False,
        fontsize=8.5,
        loc="lower right",
    )
    for axes in (left, right):
        grid(axes)
        axes.grid(False, axis="y")
        open_frame(axes)
    return figure


def _models(tokens: pd.DataFrame) -> list[str]:
    return list(tokens["model_name"].unique())


def _lines(axes: Axes, table: pd.DataFrame, by: str, models: list[str]) -> None:
    """One line per model over the values of a column."""
    for i, (name, colour) in enumerate(zip(models, shades(len(models)), strict=True)):
        rows = table[table["model_name"] == name]
        axes.errorbar(
            rows[by], rows["mean_nll"], yerr=_bars(rows), color=colour, elinewidth=1.0,
            marker=MARKERS[i % len(MARKERS)], markersize=4.5, linewidth=1.3,
            label=shorten(name, 26),
        )  # fmt: skip
    grid(axes)
    open_frame(axes)


def _bars(rows: pd.DataFrame) -> np.ndarray:
    ends = np.array([rows["mean_nll"] - rows["low"], rows["high"] - rows["mean_nll"]])
    return np.asarray(np.nan_to_num(ends))


def _bin_name(first: int) -> str:
    return str(first) if first < 2 else f"{first}–{2 * first - 1}"
