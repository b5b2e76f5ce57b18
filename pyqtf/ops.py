"""The kernels on NumPy arrays: what the models are built of, one function each.

Arrays are ``float32``. Work is shared by ``PYQTF_NUM_THREADS`` threads and never depends on their
number: the same input gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._core import Matrix

__all__ = ["Matrix", "matmul", "quantize"]


def quantize(w: NDArray[Any], quant: str = "q8", *, group: int = 128) -> Matrix:
    """Pack a weight matrix for :func:`matmul`.

    With ``"q8"`` each run of `group` weights of a row becomes integers from -127 to 127 and one
    scale, their largest magnitude divided by 127: about 8.25 bits a weight for groups of 128.
    ``"f32"`` keeps the values and only orders them for the kernels.

    Parameters
    ----------
    w : ndarray, shape (n, k)
        Weights as ``float32``, ``float16``, or ``uint16`` words that hold bfloat16; one row for
        each output feature, as in ``torch.nn.Linear.weight``.
    quant : {"q8", "f32"}
        How to store them.
    group : int
        Weights of a row that share a scale: a multiple of 4, at most 4096. Ignored for ``"f32"``.

    Returns
    -------
    Matrix
        The packed matrix, with ``shape``, ``quant``, ``group``, ``nbytes``, ``rows(ids)`` and
        ``dequantize()``.

    Raises
    ------
    TypeError
        If `w` is not an array of one of the three dtypes.
    ValueError
        If `w` is not a matrix with at least one row and column, holds a NaN or an infinity, or if
        `quant` or `group` is none of the choices.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> w = np.array([[1.0, -0.5, 0.25], [0.0, 2.0, 4.0]], dtype=np.float32)
    >>> packed = ops.quantize(w)
    >>> packed.shape
    (2, 3)
    >>> bool(np.abs(packed.dequantize() - w).max() <= 0.5 * 4.0 / 127)
    True
    """
    return _core.pack([w], quant, group)


def matmul(
    x: NDArray[np.float32],
    w: Matrix | NDArray[np.float32],
    bias: NDArray[np.float32] | None = None,
    *,
    residual: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Multiply rows by a weight matrix: ``x @ w.T + bias + residual``, a linear layer.

    For a matrix quantised to q8 the rows of `x` are quantised too, each run of ``w.group`` values
    with a scale of its own, and the products of a run are added exactly, as integers. A row's
    result doesn't depend on the other rows in the call.

    Parameters
    ----------
    x : ndarray of float32, shape (rows, k)
        Activations.
    w : Matrix or ndarray of float32, shape (n, k)
        Weights from :func:`quantize`; an array is packed as ``"f32"`` for this one call.
    bias : ndarray of float32, shape (n,), optional
        Added to each row.
    residual : ndarray of float32, shape (rows, n), optional
        Added to the result; may be `out` itself.
    out : ndarray of float32, shape (rows, n), optional
        Where to write the result.

    Returns
    -------
    ndarray of float32, shape (rows, n)
        The result; `out` where it was given.

    Raises
    ------
    TypeError
        If an argument is not an array of float32.
    ValueError
        If shapes don't fit, if `out` shares memory with `x` or `bias`, or if `w` is quantised and
        `x` holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> x = np.array([[1.0, 2.0]], dtype=np.float32)
    >>> w = np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=np.float32)
    >>> ops.matmul(x, w).tolist()
    [[11.0, 17.0, 23.0]]
    >>> ops.matmul(x, ops.quantize(w)).round(1).tolist()
    [[11.0, 17.0, 23.0]]
    """
    if isinstance(w, np.ndarray):
        if w.dtype != np.float32:
            raise TypeError(f"w: expected dtype float32 or a Matrix from quantize, got {w.dtype}")
        w = _core.pack([w], "f32")
    return _core.matmul(x, w, bias, residual, out)
