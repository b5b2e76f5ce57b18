"""Quantised blocks of GGUF to float32.

Layouts follow https://github.com/ggml-org/ggml; bytes and bits are counted from the lowest, numbers
are little-endian, scales `d`, `dmin` and `m` are float16. Products of a scale, an integer scale and
a weight are exact in float32, so a weight is rounded at most once, where an offset is added: every
reader that follows the formulas gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats.gguf_types import READABLE

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Integers = NDArray[np.uint8] | NDArray[np.int8]

_IQ4_NL = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
# Shifts that bring each of four 2-bit fields of a byte to the bottom, and each of eight bits.
_PAIRS = np.array([0, 2, 4, 6], np.uint8)[:, None]
_BITS = np.arange(8, dtype=np.uint8)[:, None]


def dequantize(dtype: str, blocks: Bytes) -> Floats:
    """Return the weights of some blocks.

    Parameters
    ----------
    dtype : str
        A quantised type, such as ``"Q4_K"``.
    blocks : uint8 [n, block_bytes]
        The blocks, one a row.

    Returns
    -------
    float32 [n, block_size]
        Not finite where a block's scales are not.

    Raises
    ------
    ValueError
        `dtype` is no quantised type, or `blocks` has another shape.

    Examples
    --------
    A scale of 0.5 (0x3800 in float16) and the weights 8 - 8 and 15 - 8:

    >>> block = np.array([[0x00, 0x38] + [0x8F] * 16], np.uint8)
    >>> dequantize("Q4_0", block)[0, [0, 16]]
    array([3.5, 0. ], dtype=float32)
    """
    if dtype not in _DEQUANTIZERS:
        raise ValueError(f"dtype must be one of {', '.join(_DEQUANTIZERS)}, got {dtype!r}")
    kind = READABLE[dtype]
    if blocks.dtype != np.uint8 or blocks.ndim != 2 or blocks.shape[1] != kind.block_bytes:
        raise ValueError(
            f"blocks must be uint8 [n, {kind.block_bytes}] for {dtype}, "
            f"got {blocks.dtype} {list(blocks.shape)}"
        )
    # Infinite scales are the file's, and found where the weights are checked.
    with np.errstate(invalid="ignore", over="ignore"):
        return _DEQUANTIZERS[dtype](blocks).reshape(len(blocks), kind.block_size)


def _scale(blocks: Bytes, at: int) -> Floats:
    """Return the float16 at byte `at` of each block, as float32 [n, 1]."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Bytes) -> Bytes:
    """Return low halves, then high halves, of [..., k] as [..., 2 k]."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _fields(packed: Bytes, shifts: Bytes, mask: int) -> Bytes:
    """Cut each byte of [..., k] into fields: those at the first shift, then at the next, ..."""
    fields = (packed[..., None, :] >> shifts) & np.uint8(mask)
    return fields.reshape(*packed.shape[:-1], -1)


def _scaled(scales: Floats, weights: Integers) -> Floats:
    """Multiply [n, groups] by integer weights [n, groups * size], each scale for its group."""
    values = weights.reshape(*scales.shape, -1).astype(np.float32)
    values *= scales[..., None]
    return values


def _q8_0(blocks: Bytes) -> Floats:
    """``d[2] q[32]``, q signed: ``x = d * q``."""
    return _scaled(_scale(blocks, 0), blocks[:, 2:].view(np.int8))


def _q4_0(blocks: Bytes) -> Floats:
    """``d[2] q[16]``: ``x = d * (q - 8)``; weight j is in the low half of byte j, j + 16 above."""
    return _scaled(_scale(blocks, 0), _nibbles(blocks[:, 2:]).view(np.int8) - np.int8(8))


def _q4_1(blocks: Bytes) -> Floats:
    """``d[2] m[2] q[16]``: ``x = d * q + m``, q as in Q4_0."""
    values = _scaled(_scale(blocks, 0), _nibbles(blocks[:, 4:]))
    values += _scale(blocks, 2)[..., None]
    return values


def _five_bits(high: Bytes, low: Bytes) -> Bytes:
    """Bit j of the four bytes of high is the fifth bit of weight j."""
    fifth = np.unpackbits(np.ascontiguousarray(high), axis=1, bitorder="little")
    fifth <<= 4
    fifth |= _nibbles(low)
    return fifth


def _q5_0(blocks: Bytes) -> Floats:
    """``d[2] high[4] q[16]``: ``x = d * (q - 16)``."""
    q = _five_bits(blocks[:, 2:6], blocks[:, 6:]).view(np.int8) - np.int8(16)
    return _scaled(_scale(blocks, 0), q)


def _q5_1(blocks: Bytes) -> Floats:
    """``d[2] m[2] high[4] q[16]``: ``x = d * q + m``."""
    values = _scaled(_scale(blocks, 0), _five_bits(blocks[:, 4:8], blocks[:, 8:]))
    values += _scale(blocks, 2)[..., None]
    return values


def _iq4_nl(blocks: Bytes) -> Floats:
    """``d[2] q[16]``: ``x = d * table[q]``, q as in Q4_0; the table has 16 uneven steps."""
    return _IQ4_NL[_nibbles(blocks[:, 2:])] * _scale(blocks, 0)


def _q2_k(blocks: Bytes) -> Floats:
    """``s[16] q[64] d[2] dmin[2]``: ``x = d * (s & 15) * q - dmin * (s >> 4)``.

    Each s serves 16 weights. The first 128 weights are in the first 32 bytes of q: 32 of them in
    the lowest two bits, the next 32 in the two bits above, and so on; the other 128 follow.
    """
    s = blocks[:, :16]
    q = _fields(blocks[:, 16:80].reshape(-1, 2, 32), _PAIRS, 3)
    values = _scaled(_scale(blocks, 80) * (s & 15), q)
    values -= (_scale(blocks, 82) * (s >> 4))[..., None]
    return values


def _q3_k(blocks: Bytes) -> Floats:
    """``high[32] q[64] s[12] d[2]``: ``x = d * (s - 32) * (q - 4)``.

    The lower two bits of q lie as in Q2_K; bit i of high[l] is the third bit of weight 32 i + l.
    Each of 16 s serves 16 weights. Its lower four bits: s 0-7 in the low halves of the first eight
    bytes, s 8-15 in the high halves. Its upper two: s 0-3 in the lowest bits of the last four
    bytes, s 4-7 in the bits above, and so on.
    """
    packed = blocks[:, 96:108]
    s = _nibbles(packed[:, :8]) | _fields(packed[:, 8:], _PAIRS, 3) << 4
    q = _fields(blocks[:, 32:96].reshape(-1, 2, 32), _PAIRS, 3).reshape(-1, 256)
    q |= _fields(blocks[:, :32], _BITS, 1) << 2
    scales = _scale(blocks, 108) * (s.view(np.int8) - np.int8(32))
    return _scaled(scales, q.view(np.int8) - np.int8(4))


def _scales_and_mins(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Unpack eight 6-bit scales and eight 6-bit offsets from the 12 bytes of Q4_K and Q5_K.

    The lower six bits of bytes 0-3 are scales 0-3, of bytes 4-7 offsets 0-3. Scales 4-7 take their
    lower four bits from the low halves of bytes 8-11, offsets 4-7 from the high halves, and their
    upper two bits from the top of bytes 0-3 and 4-7.
    """
    a, b, c = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([a & 63, c & 15 | a >> 6 << 4], axis=1)
    mins = np.concatenate([b & 63, c >> 4 | b >> 6 << 4], axis=1)
    return scales, mins


def _k_offset(blocks: Bytes, q: Bytes) -> Floats:
    """``d[2] dmin[2] packed[12]`` and q: ``x = d * s * q - dmin * m`` with s, m for 32 weights."""
    s, m = _scales_and_mins(blocks[:, 4:16])
    values = _scaled(_scale(blocks, 0) * s, q)
    values -= (_scale(blocks, 2) * m)[..., None]
    return values


def _q4_k(blocks: Bytes) -> Floats:
    """``d[2] dmin[2] packed[12] q[128]``: ``x = d * s * q - dmin * m``.

    Of every 32 bytes of q the low halves are 32 weights, the high halves the next 32.
    """
    return _k_offset(blocks, _nibbles(blocks[:, 16:].reshape(-1, 4, 32)))


def _q5_k(blocks: Bytes) -> Floats:
    """``d[2] dmin[2] packed[12] high[32] q[128]``: as Q4_K, with a fifth bit.

    Bit i of high[l] is the fifth bit of weight 32 i + l.
    """
    q = _nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 256)
    q |= _fields(blocks[:, 16:48], _BITS, 1) << 4
    return _k_offset(blocks, q)


def _q6_k(blocks: Bytes) -> Floats:
    """``low[128] high[64] s[16] d[2]``, s signed: ``x = d * s * (q - 32)``, s for 16 weights.

    For each 128 weights there are 64 bytes of low, whose low halves are the first 64 weights and
    whose high halves are the rest, and 32 bytes of high, whose lowest two bits belong to the first
    32 weights, the next two to the next 32, and so on.
    """
    q = _nibbles(blocks[:, :128].reshape(-1, 2, 64))
    q |= _fields(blocks[:, 128:192].reshape(-1, 2, 32), _PAIRS, 3) << 4
    scales = _scale(blocks, 208) * blocks[:, 192:208].view(np.int8)
    return _scaled(scales, q.view(np.int8) - np.int8(32))


_DEQUANTIZERS: dict[str, Callable[[Bytes], Floats]] = {
    "Q8_0": _q8_0,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "IQ4_NL": _iq4_nl,
}
