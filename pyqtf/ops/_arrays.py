"""What is given as float32 for the kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def as_float32(array: ArrayLike, name: str, ndim: int | None = None) -> Floats:
    """Return `array` as C-contiguous float32, or raise naming the argument."""
    given = np.asarray(array)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected real numbers, got an array of {given.dtype}")
    if ndim is not None and given.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got shape {given.shape}")
    return np.asarray(given, dtype=np.float32, order="C")
