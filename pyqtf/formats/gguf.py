"""The GGUF format: metadata and tensors in one file, as llama.cpp reads and writes it.

``GGUF``, a version, the numbers of tensors and of metadata values, the metadata, the tensor table,
and the tensors' bytes, each at a multiple of the alignment. Written by hand because the gguf
library believes the lengths and offsets that a file claims, and dequantises whole tensors.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats.errors import FormatError
from pyqtf.formats.gguf_blocks import dequantize
from pyqtf.formats.gguf_types import READABLE, TYPE_NAMES
from pyqtf.formats.gguf_values import Cursor
from pyqtf.formats.mapped import MappedFile, Tensor

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
_MAX_DIMS = 4
_PLAIN: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
# Weights dequantised at once, so that the steps in between stay in the cache.
_STEP = 2**16
# Weights that a block of rows holds at most, unless one row is longer.
_ROWS = 2**20


@dataclass(frozen=True)
class BlockTensor(Tensor):
    """A tensor of quantised blocks in a mapped file; `dtype` is GGUF's name, such as Q4_K."""

    def array(self) -> NDArray[np.float32]:
        """Return all weights as float32. This is no view: it takes four bytes a weight."""
        return self.rows(0, math.prod(self.shape[:-1])).reshape(self.shape)

    def row_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the rows in order as float32 [n, shape[-1]], about four megabytes at a time."""
        n_rows, step = math.prod(self.shape[:-1]), max(1, _ROWS // self.shape[-1])
        for start in range(0, n_rows, step):
            yield self.rows(start, min(start + step, n_rows))

    def packable(self) -> Iterator[NDArray[Any]]:
        """Yield the rows of a matrix, in Q8_0 as the blocks they are: packing reads those."""
        if self.dtype == "Q8_0" and len(self.shape) == 2:
            return iter([self.stored().reshape(self.shape[0], -1)])
        return self.row_blocks()

    def stored(self) -> NDArray[np.uint8]:
        """Return a read-only view of the blocks' bytes [n_blocks, block_bytes]."""
        kind = READABLE[self.dtype]
        n_blocks = (self.stop - self.start) // kind.block_bytes
        return self.file.view("u1", (n_blocks, kind.block_bytes), self.start)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows ``[start, stop)`` as float32 [stop - start, shape[-1]].

        Rows run along the last dimension; the others count as one.

        Raises
        ------
        IndexError
            There are no such rows.
        """
        n_rows, width = math.prod(self.shape[:-1]), self.shape[-1]
        if not 0 <= start <= stop <= n_rows:
            raise IndexError(f"tensor {self.name!r} has {n_rows} rows, not {start} to {stop}")
        kind = READABLE[self.dtype]
        per_row = width // kind.block_size
        blocks = self.stored()[start * per_row : stop * per_row]
        out = np.empty((len(blocks), kind.block_size), np.float32)
        step = _STEP // kind.block_size
        for i in range(0, len(blocks), step):
            out[i : i + step] = dequantize(self.dtype, blocks[i : i + step])
        return out.reshape(stop - start, width)


@dataclass(frozen=True)
class GGUF:
    """What a GGUF file holds.

    Attributes
    ----------
    path : Path
        The file.
    version : int
        Of the format.
    metadata : mapping of str to value
        NumPy scalars and arrays of the file's types, str, bool, and lists of str or arrays.
    tensors : mapping of str to Tensor
        By name. Shapes are NumPy's: the dimension that is contiguous in the file comes last.
    """

    path: Path
    version: int
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def is_gguf(path: str | os.PathLike[str]) -> bool:
    """Whether a file is GGUF: by its name, or else by its first bytes."""
    path = Path(path)
    if path.suffix.lower() == ".gguf":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_gguf(path: str | os.PathLike[str]) -> GGUF:
    """Map one file and return its metadata and tensors; no tensor's bytes are read yet.

    Parameters
    ----------
    path : path-like
        A little-endian file of version 2 or 3.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        The file breaks the format, is big-endian, or holds a tensor of a type that pyqtf doesn't
        read: the message names the file, the value or tensor, what was found and what was expected.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from pyqtf.formats.gguf_write import save_gguf
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.gguf"
    >>> weights = np.arange(64, dtype=np.float32).reshape(2, 32)
    >>> save_gguf(path, {"general.name": "small"}, {"w": ("Q8_0", weights)})
    >>> file = read_gguf(path)
    >>> file.metadata["general.name"], file.tensors["w"].shape
    ('small', (2, 32))
    >>> bool(abs(file.tensors["w"].array() - weights).max() < 0.3)
    True
    """
    file = MappedFile(path)
    cursor = Cursor(file)
    version = _version(cursor)
    n_tensors, n_values = cursor.integer(8, "the header"), cursor.integer(8, "the header")
    # A value takes 13 bytes at least and an entry of the tensor table 24.
    if 13 * n_values + 24 * n_tensors > cursor.left:
        raise FormatError(
            f"{file.path}: the header claims {n_values} metadata values and {n_tensors} tensors, "
            f"but {cursor.left} bytes follow: truncated, or not a GGUF file"
        )
    metadata = _metadata(cursor, n_values)
    alignment = _alignment(file, metadata)
    entries = [_entry(cursor) for _ in range(n_tensors)]
    base = -(-cursor.at // alignment) * alignment
    tensors: dict[str, Tensor] = {}
    for name, kind, shape, offset in entries:
        if name in tensors:
            raise FormatError(f"{file.path}: the tensor {name!r} is there twice")
        tensors[name] = _tensor(file, name, kind, shape, base, offset, alignment)
    for a, b in pairwise(sorted(tensors.values(), key=lambda t: t.start)):
        if b.start < a.stop:
            raise FormatError(f"{file.path}: tensors {a.name!r} and {b.name!r} overlap")
    return GGUF(file.path, version, metadata, tensors)


def _version(cursor: Cursor) -> int:
    """Check the first eight bytes."""
    path = cursor.file.path
    magic = cursor.file.bytes(0, 4)
    if magic != MAGIC:
        raise FormatError(f"{path}: begins with {magic!r}, not {MAGIC!r}: not a GGUF file")
    cursor.take(4, "the header")
    version = cursor.integer(4, "the header")
    if version in (2, 3):
        return version
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    if swapped in (2, 3):
        raise FormatError(f"{path}: a big-endian GGUF file; pyqtf reads little-endian ones")
    raise FormatError(f"{path}: GGUF version {version}; pyqtf reads versions 2 and 3")


def _metadata(cursor: Cursor, n_values: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for i in range(n_values):
        key = cursor.string(f"the key of metadata value {i}")
        what = f"metadata {key!r:.200}"
        if key in metadata:
            raise FormatError(f"{cursor.file.path}: {what} is there twice")
        metadata[key] = cursor.value(cursor.integer(4, what), what)
    return metadata


def _alignment(file: MappedFile, metadata: Mapping[str, Any]) -> int:
    value = metadata.get("general.alignment", np.uint32(DEFAULT_ALIGNMENT))
    if not isinstance(value, np.uint32) or value == 0 or value % 8:
        raise FormatError(
            f"{file.path}: general.alignment must be a multiple of 8, as uint32; got {value!r:.80}"
        )
    return int(value)


def _entry(cursor: Cursor) -> tuple[str, int, tuple[int, ...], int]:
    """Read a line of the tensor table: name, type, shape and offset."""
    name = cursor.string("a tensor's name")
    what = f"tensor {name!r:.200}"
    n_dims = cursor.integer(4, what)
    if n_dims > _MAX_DIMS:
        raise FormatError(
            f"{cursor.file.path}: {what} has {n_dims} dimensions; expected at most {_MAX_DIMS}"
        )
    shape = [cursor.integer(8, what) for _ in range(n_dims)]
    kind = cursor.integer(4, what)
    return name, kind, tuple(reversed(shape)), cursor.integer(8, what)


def _tensor(
    file: MappedFile,
    name: str,
    number: int,
    shape: tuple[int, ...],
    base: int,
    offset: int,
    alignment: int,
) -> Tensor:
    """Check one entry by itself."""
    where = f"{file.path}: tensor {name!r:.200}"
    dtype = TYPE_NAMES.get(number, f"type {number}")
    if dtype not in READABLE:
        raise FormatError(f"{where} is {dtype}; pyqtf reads {', '.join(READABLE)}")
    kind = READABLE[dtype]
    if not all(1 <= n < 2**63 for n in shape):
        raise FormatError(f"{where}: sizes must be from 1 to 2^63 - 1, got {list(shape)}")
    width = shape[-1] if shape else 1
    if width % kind.block_size:
        raise FormatError(
            f"{where}: rows of {width} weights can't be {dtype}, "
            f"which has blocks of {kind.block_size}"
        )
    size = math.prod(shape) // kind.block_size * kind.block_bytes
    if offset % alignment:
        raise FormatError(f"{where}: offset {offset} is no multiple of the alignment {alignment}")
    start = base + offset
    if start + size > file.size:
        raise FormatError(
            f"{where}: {dtype} {list(shape)} takes {size} bytes from byte {start} on, "
            f"but the file has {file.size}: truncated"
        )
    if dtype in _PLAIN:
        return Tensor(name, dtype, shape, file, start, start + size, _PLAIN[dtype])
    return BlockTensor(name, dtype, shape, file, start, start + size, np.dtype(np.float32))
