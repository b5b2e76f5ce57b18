"""Pictures: matplotlib figures, coloured tokens, the report."""

from pyqtf.plot.figures import png, scaling, scaling_law, stories
from pyqtf.plot.heatmap import compare, tokens
from pyqtf.plot.report import report

__all__ = ["compare", "png", "report", "scaling", "scaling_law", "stories", "tokens"]
