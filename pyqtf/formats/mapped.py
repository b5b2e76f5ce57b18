"""Tensors as read-only views into memory-mapped files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyqtf.formats.errors import FormatError


class MappedFile:
    """A whole file, mapped for reading. Views into it keep the mapping alive.

    Parameters
    ----------
    path : path-like
        A regular file, or a link to one.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        The file is empty or no regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such file")
        if not self.path.is_file():
            raise FormatError(f"{self.path}: expected a regular file")
        with self.path.open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if self.size == 0:
                raise FormatError(f"{self.path}: the file is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def bytes(self, start: int, stop: int) -> bytes:
        """Copy ``[start, stop)``, which must lie within the file."""
        return self._map[start:stop]

    def view(self, dtype: npt.DTypeLike, shape: tuple[int, ...], start: int) -> npt.NDArray[Any]:
        """View a C-contiguous array that begins at byte `start`, without copying."""
        count = int(np.prod(shape, dtype=np.int64))
        if count == 0:
            return np.empty(shape, dtype)
        return np.frombuffer(self._map, dtype, count, start).reshape(shape)

    def release(self, start: int, stop: int) -> None:
        """Give the pages of ``[start, stop)`` back; they are read again when next used."""
        start -= start % mmap.PAGESIZE
        if stop > start:
            self._map.madvise(mmap.MADV_DONTNEED, start, stop - start)


@dataclass(frozen=True)
class Tensor:
    """A tensor in a mapped file.

    Attributes
    ----------
    name : str
        Its name in the file.
    dtype : str
        The element type as safetensors spells it: F32, F16, BF16, ...
    shape : tuple of int
        Its dimensions.
    file : MappedFile
        Where it lies.
    start, stop : int
        Its bytes in the file.
    storage : numpy.dtype
        The dtype of `array`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: MappedFile
    start: int
    stop: int
    storage: np.dtype[Any]

    def array(self) -> npt.NDArray[Any]:
        """Return a read-only view; BF16 as uint16, which holds its bits."""
        return self.file.view(self.storage, self.shape, self.start)

    def rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return rows ``[start, stop)`` of a tensor, as `array` returns it."""
        return self.array()[start:stop]

    def row_blocks(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the rows in order, some at a time; here all at once, as they cost no memory."""
        yield self.array()

    def packable(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the rows in order, some at a time, as `pyqtf._core.pack` takes them."""
        return self.row_blocks()

    def stored(self) -> npt.NDArray[Any]:
        """Return a read-only view of what the file holds, to tell it from other contents."""
        return self.array()

    def release(self) -> None:
        """Give the memory of the pages read back to the system."""
        self.file.release(self.start, self.stop)


def widen(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return weights as float32; uint16 holds bfloat16, the upper half of a float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)
