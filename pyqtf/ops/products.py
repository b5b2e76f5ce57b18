"""Weight matrices and products with them."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from pyqtf import _core
from pyqtf._core import Matrix
from pyqtf.ops._arrays import Floats, as_float32


def quantize(w: NDArray[Any], quant: str = "q8", *, group: int = 128) -> Matrix:
    """Pack a weight matrix for :func:`matmul`.

    With ``"q8"`` each run of `group` weights of a row becomes integers from -127 to 127 and one
    scale, their largest magnitude divided by 127: about 8.25 bits a weight for groups of 128. From
    groups of 128 on it is the largest sum of two neighbours' magnitudes that is divided, so that
    products of two pairs fit the 16 bits that processors with AVX2 add them up in.
    With ``"q4"`` each run of 32 weights of a row becomes codes from 0 to 15, a scale and an offset,
    searched for the least squared error; the scales and offsets are whole multiples of one number
    for every 128 weights: 4.625 bits a weight. ``"f32"`` keeps the values and only orders them for
    the kernels.

    Parameters
    ----------
    w : ndarray, shape (n, k)
        Weights as ``float32``, ``float16``, or ``uint16`` words that hold bfloat16; one row for
        each output feature, as in ``torch.nn.Linear.weight``.
    quant : {"q8", "q4", "f32"}
        How to store them.
    group : int
        Weights of a row that share a scale in q8: a multiple of 4, at most 4096. q4 always has 128.

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
    x: ArrayLike,
    w: Matrix | ArrayLike,
    bias: ArrayLike | None = None,
    *,
    residual: ArrayLike | None = None,
    out: Floats | None = None,
) -> Floats:
    """Multiply rows by a weight matrix: ``x @ w.T + bias + residual``, a linear layer.

    For a matrix in q8 or q4 the rows of `x` are quantised too, each run of ``w.group`` values
    with a scale of its own, and the products of a run are added exactly, as integers. A row's
    result doesn't depend on the other rows in the call.

    Parameters
    ----------
    x : array of shape [rows, k]
        Activations.
    w : Matrix or array of shape [n, k]
        Weights from :func:`quantize`; an array is packed as ``"f32"`` for this one call.
    bias : array of shape [n], optional
        Added to each row.
    residual : array of shape [rows, n], optional
        Added to the result; may be `out` itself.
    out : float32 array of shape [rows, n], optional
        Where to write the result.

    Returns
    -------
    numpy.ndarray
        float32 [rows, n]; `out` where it was given.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers, or `out` is not an array of float32.
    ValueError
        If shapes don't fit, if `out` shares memory with `x` or `bias`, or if `w` is quantised and
        `x` holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> x = [[1.0, 2.0]]
    >>> w = np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=np.float32)
    >>> ops.matmul(x, w).tolist()
    [[11.0, 17.0, 23.0]]
    >>> ops.matmul(x, ops.quantize(w)).round().tolist()
    [[11.0, 17.0, 23.0]]
    """
    packed = w if isinstance(w, Matrix) else _core.pack([as_float32(w, "w", 2)], "f32")
    return _core.matmul(
        as_float32(x, "x", 2),
        packed,
        None if bias is None else as_float32(bias, "bias", 1),
        None if residual is None else as_float32(residual, "residual", 2),
        out,
    )
