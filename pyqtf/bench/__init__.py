"""``pyqtf bench``: how fast this machine scores a model of a given shape, beside its own limits."""

from pyqtf.bench.limits import Limits, measure_limits
from pyqtf.bench.report import render
from pyqtf.bench.run import benchmark
from pyqtf.bench.shapes import SHAPES

__all__ = ["SHAPES", "Limits", "benchmark", "measure_limits", "render"]
