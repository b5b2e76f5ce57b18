"""The kernels on NumPy arrays: what the models are built of, one function each.

Results are ``float32``. Work is shared by ``PYQTF_NUM_THREADS`` threads and never depends on their
number: the same input gives the same bits.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqtf import _core
from pyqtf._core import Matrix

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

_F32 = NDArray[np.float32]


def quantize(w: NDArray[Any], quant: str = "q8", *, group: int = 128) -> Matrix:
    """Pack a weight matrix for :func:`matmul`.

    With ``"q8"`` each run of `group` weights of a row becomes integers from -127 to 127 and one
    scale, their largest magnitude divided by 127: about 8.25 bits a weight for groups of 128.
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
    x: NDArray[np.float32],
    w: Matrix | NDArray[np.float32],
    bias: NDArray[np.float32] | None = None,
    *,
    residual: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Multiply rows by a weight matrix: ``x @ w.T + bias + residual``, a linear layer.

    For a matrix in q8 or q4 the rows of `x` are quantised too, each run of ``w.group`` values
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


def _f32(array: ArrayLike, name: str, ndim: int | None = None) -> _F32:
    """Return `array` as C-contiguous float32, or raise naming the argument."""
    given = np.asarray(array)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected real numbers, got an array of {given.dtype}")
    if ndim is not None and given.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got shape {given.shape}")
    return np.asarray(given, dtype=np.float32, order="C")


def rms_norm(x: ArrayLike, weight: ArrayLike, eps: float = 1e-6) -> _F32:
    """Scale each row to a root mean square of 1, then by `weight`.

    ``y = x / sqrt(mean(x**2) + eps) * weight`` (Zhang and Sennrich, 2019, "Root Mean Square Layer
    Normalization").

    Parameters
    ----------
    x : array of shape [..., d]
    weight : array of shape [d]
    eps : float
        Keeps rows of zeros from dividing by zero.

    Returns
    -------
    numpy.ndarray
        float32, of x's shape.

    Raises
    ------
    ValueError
        If `weight` does not have one number for each column of `x`, or `eps` is negative.

    Examples
    --------
    >>> from pyqtf import ops
    >>> ops.rms_norm([3.0, 4.0], weight=[1.0, 10.0], eps=0.0).round(4)
    array([ 0.8485, 11.3137], dtype=float32)
    """
    rows = _f32(x, "x")
    if rows.ndim == 0:
        raise ValueError("x: expected at least one dimension, got a single number")
    flat = rows.reshape(-1, rows.shape[-1])
    return _core.rms_norm(flat, _f32(weight, "weight", 1), eps).reshape(rows.shape)


def rope(x: ArrayLike, positions: ArrayLike | None = None, *, theta: float = 10000.0) -> _F32:
    """Turn queries or keys by angles that grow with their position (rotary embedding).

    The pair ``(x[j], x[j + head_dim/2])`` of position p is turned by the angle
    ``p * theta ** (-2 j / head_dim)`` (Su et al., 2021, "RoFormer"; pairs as in Hugging Face's
    ``rotate_half``). A dot product of two turned vectors depends on the difference of their
    positions alone.

    Parameters
    ----------
    x : array of shape [n_heads, T, head_dim]
        head_dim is even.
    positions : array of T whole numbers, 0 or above, optional
        ``0, 1, ..., T - 1`` unless given.
    theta : float
        The base of the angles, above 0 (``rope_theta`` in a model's config).

    Returns
    -------
    numpy.ndarray
        float32, of x's shape.

    Raises
    ------
    ValueError
        If a shape, a position or `theta` is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> ops.rope(np.array([[[1.0, 0.0], [1.0, 0.0]]])).round(4)
    array([[[1.    , 0.    ],
            [0.5403, 0.8415]]], dtype=float32)
    """
    heads = _f32(x, "x", 3)
    n_heads, length, head_dim = heads.shape
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"x: expected an even head_dim, got shape {heads.shape}")
    if not 0.0 < theta < np.inf:
        raise ValueError(f"theta: expected a number above 0, got {theta}")
    where = np.arange(length) if positions is None else np.asarray(positions)
    if where.shape != (length,) or (length and where.dtype.kind not in "iu"):
        raise ValueError(
            f"positions: expected {length} whole numbers, got {where.dtype} of shape {where.shape}"
        )
    if length and where.min() < 0:
        raise ValueError(f"positions: expected 0 or above, got {where.min()}")
    angles = where[:, None] * theta ** (-np.arange(0, head_dim, 2) / head_dim)
    rows = heads.transpose(1, 0, 2).reshape(length, n_heads * head_dim).copy()
    _core.rope(
        rows,
        np.cos(angles).astype(np.float32),
        np.sin(angles).astype(np.float32),
        np.arange(length),
        n_heads,
    )
    return np.ascontiguousarray(rows.reshape(length, n_heads, head_dim).transpose(1, 0, 2))


def swiglu(gate: ArrayLike, up: ArrayLike) -> _F32:
    """Gate one half of a feed-forward layer by the other: ``silu(gate) * up``.

    ``silu(z) = z / (1 + exp(-z))`` (Shazeer, 2020, "GLU Variants Improve Transformer").

    Parameters
    ----------
    gate, up : arrays of one shape [..., f]

    Returns
    -------
    numpy.ndarray
        float32, of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from pyqtf import ops
    >>> ops.swiglu([0.0, 1.0], [5.0, 2.0]).round(4)
    array([0.    , 1.4621], dtype=float32)
    """
    a, b = _f32(gate, "gate"), _f32(up, "up")
    if a.shape != b.shape:
        raise ValueError(f"up: expected gate's shape {a.shape}, got {b.shape}")
    if a.size == 0:
        return np.empty_like(a)
    return _core.swiglu(np.concatenate([a.reshape(1, -1), b.reshape(1, -1)], axis=1)).reshape(
        a.shape
    )


@overload
def attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    causal: bool = True,
    scale: float | None = None,
    window: int | None = None,
    softcap: float | None = None,
    return_weights: Literal[False] = False,
) -> _F32: ...
@overload
def attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    causal: bool = True,
    scale: float | None = None,
    window: int | None = None,
    softcap: float | None = None,
    return_weights: Literal[True],
) -> tuple[_F32, _F32]: ...
def attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    causal: bool = True,
    scale: float | None = None,
    window: int | None = None,
    softcap: float | None = None,
    return_weights: bool = False,
) -> _F32 | tuple[_F32, _F32]:
    """Scaled dot-product attention of one sequence, ``softmax(scale * q kᵀ + mask) v``.

    Axes come in PyTorch's order, heads first (Vaswani et al., 2017, "Attention Is All You Need").
    With fewer key heads than query heads, neighbouring query heads share one (Ainslie et al., 2023,
    "GQA"): query head h uses key head ``h // (n_heads // n_kv_heads)``.

    Without a mask and weights to return, keys are taken tile by tile and the matrix of weights is
    never in memory; tiles that a window hides from all queries cost nothing.

    Parameters
    ----------
    q : array of shape [n_heads, Tq, head_dim]
    k, v : arrays of shape [n_kv_heads, Tk, head_dim]
        n_heads is a multiple of n_kv_heads.
    mask : array that broadcasts to [n_heads, Tq, Tk], optional
        Boolean: True where a query may look at a key. Numbers: added to the scores. A query that
        may look nowhere gets zeros.
    causal : bool
        Query i sees keys 0 to Tk - Tq + i only: the last query sees all. A mask comes on top.
    scale : float, optional
        ``1 / sqrt(head_dim)`` unless given.
    window : int, optional
        Of the keys that a causal query sees, only the last `window` (Beltagy et al., 2020,
        "Longformer").
    softcap : float, optional
        A score s becomes ``softcap * tanh(s / softcap)`` (Gemma Team, 2024, "Gemma 2").
    return_weights : bool
        Return the weights as well.

    Returns
    -------
    out : numpy.ndarray
        float32 [n_heads, Tq, head_dim].
    weights : numpy.ndarray
        float32 [n_heads, Tq, Tk], rows sum to 1; only with ``return_weights=True``.

    Raises
    ------
    ValueError
        If the shapes do not fit, a causal query would see no key, or `window` or `softcap` is out
        of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> q = k = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> v = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> out, weights = ops.attention(q, k, v, scale=1.0, return_weights=True)
    >>> weights.round(4)
    array([[[1.    , 0.    ],
            [0.2689, 0.7311]]], dtype=float32)
    >>> np.allclose(out, ops.attention(q, k, v, scale=1.0))
    True
    """
    queries, keys, values = _f32(q, "q", 3), _f32(k, "k", 3), _f32(v, "v", 3)
    n_heads, n_queries, head_dim = queries.shape
    n_kv_heads, n_keys, _ = keys.shape
    if keys.shape != values.shape:
        raise ValueError(f"v: expected k's shape {keys.shape}, got {values.shape}")
    factor = 1.0 / float(np.sqrt(max(head_dim, 1))) if scale is None else scale
    if window is not None and window < 1:
        raise ValueError(f"window: expected 1 or more keys, got {window}")
    if softcap is not None and not softcap > 0:
        raise ValueError(f"softcap: expected a number above 0, got {softcap}")
    if mask is None and not return_weights:
        out = _core.attention(
            np.ascontiguousarray(queries.transpose(1, 0, 2)),
            np.ascontiguousarray(keys.transpose(1, 0, 2)),
            np.ascontiguousarray(values.transpose(1, 0, 2)),
            np.array([0, n_queries]),
            np.array([0, n_keys]),
            factor,
            causal,
            window=window or 0,
            softcap=softcap or 0.0,
        )
        return np.ascontiguousarray(out.transpose(1, 0, 2))
    added = None if mask is None else _additive(mask, (n_heads, n_queries, n_keys))
    weights = _core.attention_weights(
        queries, keys, factor, causal, added, window or 0, softcap or 0.0
    )
    rows = weights.reshape(n_kv_heads, -1, n_keys)
    out = np.matmul(rows, values).reshape(queries.shape)
    return (out, weights) if return_weights else out


def _additive(mask: ArrayLike, shape: tuple[int, int, int]) -> _F32:
    """Return a boolean or additive mask as float32 numbers of `shape` to add to scores."""
    given = np.asarray(mask)
    if given.dtype == np.bool_:
        given = np.where(given, np.float32(0.0), np.float32(-np.inf))
    numbers = _f32(given, "mask")
    try:
        return np.ascontiguousarray(np.broadcast_to(numbers, shape))
    except ValueError:
        raise ValueError(
            f"mask: expected a shape that broadcasts to {shape}, got {numbers.shape}"
        ) from None


class CrossEntropy(NamedTuple):
    """What T hidden states say about their next tokens; see :func:`cross_entropy`."""

    nll: NDArray[np.float64]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]


def cross_entropy(
    hidden: ArrayLike, head: Matrix | ArrayLike, targets: ArrayLike, *, top_k: int = 0
) -> CrossEntropy:
    """Score the next token of each row without keeping the logits.

    ``logits = hidden @ head.T`` are computed tile by tile over the vocabulary. The negative log
    likelihood is ``log(sum(exp(logits))) - logits[target]``.

    Parameters
    ----------
    hidden : array of shape [T, d]
        Hidden states, normalised as the model's last layer leaves them.
    head : Matrix or array of shape [V, d]
        The output embedding, one row for each token of the vocabulary; pack it once with
        :func:`quantize` when it is used again.
    targets : array of T whole numbers from 0 to V - 1
        The tokens that came.
    top_k : int
        How many of the most likely tokens to name, 0 to V.

    Returns
    -------
    CrossEntropy
        A named tuple of

        - nll : float64 [T], in nats;
        - rank : int64 [T], 1 + the number of tokens with a logit above the target's;
        - entropy : float64 [T], of the predicted distribution, in nats;
        - top_ids : int64 [T, top_k], the most likely tokens first, equal ones by ascending id;
        - top_logprobs : float32 [T, top_k], their log probabilities, in nats.

    Raises
    ------
    TypeError
        If `targets` are not whole numbers.
    ValueError
        If shapes do not fit, a target or `top_k` is out of range, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> result = ops.cross_entropy([[0.0, 1.0]], np.eye(2), [1], top_k=1)
    >>> result.nll.round(4), result.rank, result.top_ids
    (array([0.3133]), array([1]), array([[1]]))
    """
    packed = head if isinstance(head, Matrix) else _core.pack([_f32(head, "head", 2)], "f32")
    ids = np.asarray(targets)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"targets: expected whole numbers, got an array of {ids.dtype}")
    return CrossEntropy(*_core.loss(_f32(hidden, "hidden", 2), packed, ids.astype(np.int64), top_k))
