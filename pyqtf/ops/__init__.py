"""The kernels on NumPy arrays: what the models are built of, one function each.

Numbers of any real type are taken and results are ``float32``. Work is shared by
``PYQTF_NUM_THREADS`` threads and never depends on their number: the same input gives the same bits.
"""

from pyqtf._core import Matrix
from pyqtf.ops.attention import attention
from pyqtf.ops.layers import rms_norm, rope, swiglu
from pyqtf.ops.loss import CrossEntropy, cross_entropy
from pyqtf.ops.products import matmul, quantize

__all__ = [
    "CrossEntropy",
    "Matrix",
    "attention",
    "cross_entropy",
    "matmul",
    "quantize",
    "rms_norm",
    "rope",
    "swiglu",
]
