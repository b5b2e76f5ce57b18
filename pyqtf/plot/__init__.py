"""Pictures: matplotlib figures, coloured tokens, the report."""

from pyqtf.plot.figures import png, scaling, stories
from pyqtf.plot.heatmap import tokens
from pyqtf.plot.report import report

__all__ = ["png", "report", "scaling", "stories", "tokens"]
