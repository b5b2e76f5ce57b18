"""Attention of one sequence."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from pyqtf import _core
from pyqtf.ops._arrays import Floats, as_float32


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
) -> Floats: ...
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
) -> tuple[Floats, Floats]: ...
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
) -> Floats | tuple[Floats, Floats]:
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
    queries, keys, values = as_float32(q, "q", 3), as_float32(k, "k", 3), as_float32(v, "v", 3)
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


def _additive(mask: ArrayLike, shape: tuple[int, int, int]) -> Floats:
    """Return a boolean or additive mask as float32 numbers of `shape` to add to scores."""
    given = np.asarray(mask)
    if given.dtype == np.bool_:
        given = np.where(given, np.float32(0.0), np.float32(-np.inf))
    numbers = as_float32(given, "mask")
    try:
        return np.ascontiguousarray(np.broadcast_to(numbers, shape))
    except ValueError:
        raise ValueError(
            f"mask: expected a shape that broadcasts to {shape}, got {numbers.shape}"
        ) from None
