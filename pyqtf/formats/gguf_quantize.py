"""Float32 to the quantised blocks that pyqtf writes into GGUF files: Q8_0 and Q4_0.

The arithmetic is llama.cpp's, so that the same weights give the same bytes; the layouts are in
`pyqtf.formats.gguf_blocks`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIZE = 32

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def quantize(dtype: str, values: Floats) -> Bytes:
    """Round weights to blocks.

    Parameters
    ----------
    dtype : {"Q8_0", "Q4_0"}
        The type.
    values : float32 [n]
        Finite weights; n is a multiple of 32.

    Returns
    -------
    uint8 [n / 32, block_bytes]
        A scale is infinite where a weight is too large for it: from 8.3 million (Q8_0) or 524
        thousand (Q4_0) on.

    Examples
    --------
    >>> quantize("Q8_0", np.linspace(-127, 127, 32, dtype=np.float32))[0, :6].view(np.int8)
    array([   0,   60, -127, -119, -111, -102], dtype=int8)
    """
    blocks = values.reshape(-1, _SIZE)
    with np.errstate(over="ignore", divide="ignore"):
        return _q8_0(blocks) if dtype == "Q8_0" else _q4_0(blocks)


def _inverse(scale: Floats) -> Floats:
    """1 / scale, or 0 where all weights are so small that they become 0."""
    inverse = np.float32(1) / scale
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def _q8_0(blocks: Floats) -> Bytes:
    """The largest magnitude becomes 127; halves are rounded away from zero."""
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scale)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    return _join(scale, rounded.astype(np.int8).view(np.uint8))


def _q4_0(blocks: Floats) -> Bytes:
    """The weight of the largest magnitude becomes -8; others that would be 8 are cut to 7."""
    at = np.abs(blocks).argmax(axis=1)[:, None]
    scale = np.take_along_axis(blocks, at, axis=1) / np.float32(-8)
    # Rounded once, as the fused multiply-add that llama.cpp compiles to.
    shifted = (blocks.astype(np.float64) * _inverse(scale) + 8.5).astype(np.float32)
    q = np.minimum(shifted, np.float32(15)).astype(np.uint8)
    return _join(scale, q[:, :16] | q[:, 16:] << np.uint8(4))


def _join(scale: Floats, q: Bytes) -> Bytes:
    return np.concatenate([scale.astype("<f2").view(np.uint8), q], axis=1)
