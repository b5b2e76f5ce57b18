"""What all figures share: a Figure without pyplot, colours, axes of parameters."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pyqtf.plot.table import parameters

# Okabe and Ito's palette, distinct without colour vision.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
GREY = "#555555"
MARKERS = "osD^vPX*"


class NotebookFigure(Figure):
    """A Figure that notebooks display although pyplot never saw it."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        # More pixels than its size on the page asks for, so that it is sharp on any screen.
        width, height = self.get_size_inches()
        return png(self), {"width": round(96 * width), "height": round(96 * height)}


def png(figure: Figure, *, dpi: int = 144) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, on white also where the page is dark."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def shades(n: int) -> list[tuple[float, float, float, float]]:
    """Colours for n models from small to large: ever darker, so that they keep in grey print."""
    colours = matplotlib.colormaps["viridis"](np.linspace(0.82, 0.0, n))
    return [tuple(colour) for colour in colours]


def open_frame(axes: Axes) -> None:
    """Leave out the lines above and to the right, which carry nothing."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def grid(axes: Axes) -> None:
    """Faint lines behind the data."""
    axes.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def log_parameters(axes: Axes, low: float, high: float) -> None:
    """Make x a logarithmic axis of parameters from `low` to `high`, with a little room."""
    pad = (high / low) ** 0.08 if high > low else 2.0
    axes.set_xscale("log")
    axes.set_xlim(low / pad, high * pad)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 30 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: parameters(n)))
