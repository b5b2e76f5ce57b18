"""What perplexity misses, as a figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from pyqtf.evaluation.columns import require_columns
from pyqtf.evaluation.spoiled import VERSIONS
from pyqtf.plot._style import (
    BLUE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PINK,
    grid,
    log_parameters,
    new_figure,
    open_frame,
)

_NEEDED = (
    "n_params", "version", "ratio", "ratio_low", "ratio_high",
    "accuracy", "accuracy_low", "accuracy_high",
)  # fmt: skip
_COLOURS = dict(zip(VERSIONS, (ORANGE, BLUE, GREEN, PINK, "black"), strict=True))
# Ratios that a logarithmic axis may name; those in its range are.
_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100)


def spoiled(summary: pd.DataFrame) -> Figure:
    """Spoiled stories against the originals: their perplexity, and which one a model would choose.

    Left the change of perplexity from the originals to each version: below 0 % the model finds the
    spoiled stories easier. Right the share of stories whose original it holds for the more
    probable text; half of them is chance. Bars are 95 % intervals, or as `summary` was made.

    Parameters
    ----------
    summary : DataFrame
        What `pyqtf.summarise_spoiled` returns.

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
    >>> df = pyqtf.evaluate(pyqtf.bundled.names()[0],
    ...     pyqtf.spoil_stories(pyqtf.bundled.stories()[:3]), progress=False)
    >>> len(spoiled(pyqtf.summarise_spoiled(df)).axes)
    2
    """
    expected = "expected what pyqtf.summarise_spoiled returns"
    require_columns(summary, _NEEDED, "the summary has", expected)
    figure = new_figure(9.5, 4.0)
    left, right = figure.subplots(1, 2)
    sizes = summary["n_params"].to_numpy(np.float64)
    _lines(left, summary, "ratio")
    left.axhline(1, color=GREY, linewidth=0.8, zorder=0)
    left.set_yscale("log")
    ends = summary[["ratio", "ratio_low", "ratio_high"]].to_numpy(np.float64)
    low, high = np.nanmin(ends) / 1.1, np.nanmax(ends) * 1.1
    left.set_ylim(low, high)
    left.yaxis.set_major_locator(FixedLocator([r for r in _RATIOS if low <= r <= high]))
    left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter(FuncFormatter(_change))
    left.set_ylabel("perplexity, against the original stories")
    _lines(right, summary, "accuracy")
    right.axhline(0.5, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    right.text(
        0.99, 0.5, "chance", color=GREY, fontsize=8, ha="right", va="bottom",
        transform=right.get_yaxis_transform(),
    )  # fmt: skip
    right.set_ylim(-0.03, 1.05)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    right.set_ylabel("original more probable, share of stories")
    right.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in (left, right):
        log_parameters(axes, sizes.min(), sizes.max())
        axes.set_xlabel("parameters, embeddings included")
        grid(axes)
        open_frame(axes)
    return figure


def _lines(axes: Axes, summary: pd.DataFrame, value: str) -> None:
    for i, (version, colour) in enumerate(_COLOURS.items()):
        rows = summary[summary["version"] == version]
        y = rows[value].to_numpy(np.float64)
        bars = np.array([y - rows[f"{value}_low"], rows[f"{value}_high"] - y])
        # A little apart, so that no bar hides another.
        x = rows["n_params"].to_numpy(np.float64) * 1.03 ** (i - 2)
        axes.errorbar(
            x, y, yerr=np.maximum(np.nan_to_num(bars), 0), color=colour, marker=MARKERS[i],
            markersize=5, linewidth=1.3, elinewidth=1.0, label=version,
        )  # fmt: skip


def _change(ratio: float, _: object) -> str:
    return f"{100 * (ratio - 1):+.0f} %" if ratio != 1 else "0 %"
