"""Pictures: matplotlib figures, coloured tokens, the report."""

from pyqtf.plot._style import png
from pyqtf.plot.breakdown import classes, positions
from pyqtf.plot.figures import scaling, scaling_law, stories
from pyqtf.plot.heatmap import compare, tokens
from pyqtf.plot.report import report
from pyqtf.plot.spoiled import spoiled

__all__ = [
    "classes",
    "compare",
    "png",
    "positions",
    "report",
    "scaling",
    "scaling_law",
    "spoiled",
    "stories",
    "tokens",
]
