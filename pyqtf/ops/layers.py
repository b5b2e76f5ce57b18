"""The small layers between the products."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyqtf import _core
from pyqtf.ops._arrays import Floats, as_float32


def rms_norm(x: ArrayLike, weight: ArrayLike, eps: float = 1e-6) -> Floats:
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
    rows = as_float32(x, "x")
    if rows.ndim == 0:
        raise ValueError("x: expected at least one dimension, got a single number")
    flat = rows.reshape(-1, rows.shape[-1])
    return _core.rms_norm(flat, as_float32(weight, "weight", 1), eps).reshape(rows.shape)


def rope(x: ArrayLike, positions: ArrayLike | None = None, *, theta: float = 10000.0) -> Floats:
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
    heads = as_float32(x, "x", 3)
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


def swiglu(gate: ArrayLike, up: ArrayLike) -> Floats:
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
    a, b = as_float32(gate, "gate"), as_float32(up, "up")
    if a.shape != b.shape:
        raise ValueError(f"up: expected gate's shape {a.shape}, got {b.shape}")
    if a.size == 0:
        return np.empty_like(a)
    return _core.swiglu(np.concatenate([a.reshape(1, -1), b.reshape(1, -1)], axis=1)).reshape(
        a.shape
    )
