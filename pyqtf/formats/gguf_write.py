"""Writing GGUF files that llama.cpp loads."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyqtf._files import atomic_write
from pyqtf.formats.errors import FormatError
from pyqtf.formats.gguf import DEFAULT_ALIGNMENT, MAGIC
from pyqtf.formats.gguf_quantize import quantize
from pyqtf.formats.gguf_types import READABLE
from pyqtf.formats.gguf_values import encode_string, encode_value
from pyqtf.formats.mapped import widen

WRITABLE = ("F32", "F16", "BF16", "Q8_0", "Q4_0")

_VERSION = 3
# Weights converted at once, so that what lies in memory stays small beside the tensors.
_STEP = 2**20


class Rows(Protocol):
    """Where a tensor's rows come from: a NumPy array, or anything that is cut like one.

    Slices are arrays of float32, of float16, or of uint16, which holds the bits of bfloat16.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows along the first dimension."""


def save_gguf(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    tensors: Mapping[str, tuple[str, Rows]],
) -> None:
    """Write one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    metadata : mapping of str to value
        ``general.architecture``, sizes, the vocabulary, ... A value may be a str, a bool, a NumPy
        scalar, an int (written as uint32), a float (as float32), a NumPy array of one dimension, or
        a list of str. ``general.alignment`` is left out: files have the default.
    tensors : mapping of str to (str, rows)
        For each name its type, one of F32, F16, BF16, Q8_0 and Q4_0, and its weights, with one to
        four dimensions. Quantised types need a last dimension that is a multiple of 32. They are
        taken a few rows at a time.

    Raises
    ------
    FormatError
        GGUF can't hold a value or tensor, or a weight is not finite or too large for its type; the
        message names it.
    OSError
        The folder is missing or can't be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.gguf"
    >>> save_gguf(path, {"general.name": "small"}, {"w": ("F16", np.ones((2, 3), np.float32))})
    >>> path.read_bytes()[:4]
    b'GGUF'
    """
    values = {key: value for key, value in metadata.items() if key != "general.alignment"}
    table, offset = b"", 0
    for name, (dtype, rows) in tensors.items():
        table += _entry(name, dtype, rows.shape, offset)
        offset += _padded(_size(dtype, rows.shape))
    head = MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(values))
    head += b"".join(encode_string(k) + encode_value(k, v) for k, v in values.items()) + table
    with atomic_write(path) as out:
        out.write(head.ljust(_padded(len(head)), b"\0"))
        for name, (dtype, rows) in tensors.items():
            for data in _encode(name, dtype, rows):
                out.write(data)
            size = _size(dtype, rows.shape)
            out.write(bytes(_padded(size) - size))


def _padded(size: int) -> int:
    return -(-size // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    kind = READABLE[dtype]
    return math.prod(shape) // kind.block_size * kind.block_bytes


def _entry(name: str, dtype: str, shape: tuple[int, ...], offset: int) -> bytes:
    """Check a tensor and return its line of the tensor table."""
    if dtype not in WRITABLE:
        raise FormatError(f"tensor {name!r}: can't write {dtype!r}; known: {', '.join(WRITABLE)}")
    if not 1 <= len(shape) <= 4 or 0 in shape:
        raise FormatError(
            f"tensor {name!r}: expected one to four dimensions of at least 1, got {list(shape)}"
        )
    if len(encoded := encode_string(name)) > 8 + 63:
        raise FormatError(f"tensor {name!r}: llama.cpp reads names of at most 63 bytes")
    block_size = READABLE[dtype].block_size
    if shape[-1] % block_size:
        raise FormatError(
            f"tensor {name!r}: rows of {shape[-1]} weights can't be {dtype}, which has blocks of "
            f"{block_size}; write it as F16"
        )
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return encoded + sizes + struct.pack("<IQ", READABLE[dtype].number, offset)


def _encode(name: str, dtype: str, rows: Rows) -> Iterator[bytes]:
    """Convert the rows a few at a time."""
    n_rows, width = rows.shape[0], math.prod(rows.shape[1:])
    step = max(1, _STEP // width)
    for start in range(0, n_rows, step):
        block = np.ascontiguousarray(rows[start : start + step])
        values = _widen(name, block)
        if values.shape != (min(step, n_rows - start), *rows.shape[1:]):
            raise FormatError(
                f"tensor {name!r}: rows {start} to {start + step} have shape {list(values.shape)}, "
                f"which doesn't fit {list(rows.shape)}"
            )
        if not np.isfinite(values).all():
            raise FormatError(f"tensor {name!r}: weights must be finite")
        yield _convert(name, dtype, values)


def _widen(name: str, block: NDArray[Any]) -> NDArray[np.float32]:
    if block.dtype not in (np.float32, np.float16, np.uint16):
        raise FormatError(
            f"tensor {name!r}: expected float32, float16, or uint16 with the bits of bfloat16, "
            f"got {block.dtype}"
        )
    return widen(block)


def _convert(name: str, dtype: str, values: NDArray[np.float32]) -> bytes:
    """Return the bytes of finite weights in another type."""
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "BF16":
        # To the nearest, ties to even: what is cut off carries into what is kept.
        bits = values.view(np.uint32)
        words = (bits + (0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
        fits = bool((words & 0x7F80 != 0x7F80).all())
        data = words.tobytes()
    elif dtype == "F16":
        with np.errstate(over="ignore"):
            halves = values.astype("<f2")
        fits, data = bool(np.isfinite(halves).all()), halves.tobytes()
    else:
        blocks = quantize(dtype, values.reshape(-1))
        scales = np.ascontiguousarray(blocks[:, :2]).view("<f2")
        fits, data = bool(np.isfinite(scales).all()), blocks.tobytes()
    if not fits:
        raise FormatError(f"tensor {name!r}: holds weights too large for {dtype}")
    return data
