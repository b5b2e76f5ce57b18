"""The metadata values of GGUF: from bytes and back.

A value keeps the type that the file gives it: numbers are NumPy scalars, arrays of numbers are
NumPy arrays, strings and bools are Python's own, arrays of strings or of arrays are lists.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats.errors import FormatError
from pyqtf.formats.mapped import MappedFile

_BOOL, _STRING, _ARRAY = 7, 8, 9
_NUMBERS: dict[int, np.dtype[Any]] = {
    0: np.dtype("u1"), 1: np.dtype("i1"), 2: np.dtype("<u2"), 3: np.dtype("<i2"),
    4: np.dtype("<u4"), 5: np.dtype("<i4"), 6: np.dtype("<f4"),
    10: np.dtype("<u8"), 11: np.dtype("<i8"), 12: np.dtype("<f8"),
}  # fmt: skip
_NUMBER_TYPES = {dtype: number for number, dtype in _NUMBERS.items()}
# Bytes that an element takes at least; a count that can't be true is refused before it is believed.
_MIN_BYTES = {_BOOL: 1, _STRING: 8, _ARRAY: 12} | {t: d.itemsize for t, d in _NUMBERS.items()}
_MAX_DEPTH = 4


class Cursor:
    """Reads forward through a mapped file, never past its end.

    Parameters
    ----------
    file : MappedFile
        The file.
    at : int
        The byte to begin at.
    """

    def __init__(self, file: MappedFile, at: int = 0) -> None:
        self.file = file
        self.at = at

    @property
    def left(self) -> int:
        """Bytes that follow."""
        return self.file.size - self.at

    def take(self, count: int, what: str) -> int:
        """Step over `count` bytes and return where they begin.

        Raises
        ------
        FormatError
            The file ends before; `what` names what they should hold.
        """
        if count > self.left:
            raise FormatError(
                f"{self.file.path}: {what} takes {count} bytes, but {self.left} are left: "
                "truncated, or not a GGUF file"
            )
        start, self.at = self.at, self.at + count
        return start

    def integer(self, size: int, what: str) -> int:
        """Read an unsigned integer of `size` bytes."""
        start = self.take(size, what)
        return int.from_bytes(self.file.bytes(start, start + size), "little")

    def string(self, what: str) -> str:
        """Read a string: eight bytes of length, then UTF-8."""
        length = self.integer(8, what)
        start = self.take(length, what)
        try:
            return self.file.bytes(start, start + length).decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError(f"{self.file.path}: {what} is not UTF-8") from None

    def value(self, kind: int, what: str, depth: int = 0) -> Any:
        """Read a value of the type that the number `kind` stands for.

        Raises
        ------
        FormatError
            The type is unknown, arrays are nested too deeply, or the value breaks the format.
        """
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            return self._array(what, depth)
        return self._numbers(kind, 1, what)[0] if kind != _BOOL else bool(self._bools(1, what)[0])

    def _array(self, what: str, depth: int) -> Any:
        kind, count = self.integer(4, what), self.integer(8, what)
        if kind not in _MIN_BYTES:
            raise self._unknown(kind, what)
        if count * _MIN_BYTES[kind] > self.left:
            raise FormatError(
                f"{self.file.path}: {what} claims {count} elements, but {self.left} bytes are "
                "left: truncated, or not a GGUF file"
            )
        if kind == _BOOL:
            return self._bools(count, what)
        if kind == _STRING:
            return self._strings(count, what)
        if kind != _ARRAY:
            return self._numbers(kind, count, what)
        if depth + 1 >= _MAX_DEPTH:
            raise FormatError(f"{self.file.path}: {what} nests arrays deeper than {_MAX_DEPTH}")
        return [self._array(f"{what}[{i}]", depth + 1) for i in range(count)]

    def _numbers(self, kind: int, count: int, what: str) -> NDArray[Any]:
        if kind not in _NUMBERS:
            raise self._unknown(kind, what)
        dtype = _NUMBERS[kind]
        start = self.take(count * dtype.itemsize, what)
        # A copy: places in the file are not aligned.
        return np.frombuffer(self.file.bytes(start, self.at), dtype)

    def _bools(self, count: int, what: str) -> NDArray[np.bool_]:
        start = self.take(count, what)
        data = np.frombuffer(self.file.bytes(start, self.at), np.uint8)
        if data.size and data.max() > 1:
            raise FormatError(f"{self.file.path}: {what}: a bool is {data.max()}; expected 0 or 1")
        return data.view(np.bool_)

    def _strings(self, count: int, what: str) -> list[str]:
        """Read many strings: a vocabulary has hundreds of thousands."""
        read, size, at = self.file.bytes, self.file.size, self.at
        strings = []
        for i in range(count):
            start = at + 8
            at = start + int.from_bytes(read(at, start), "little")
            if start > size or at > size:
                raise FormatError(
                    f"{self.file.path}: {what}[{i}] is a string of {at - start} bytes that begins "
                    f"at {start}, but the file has {size}: truncated, or not a GGUF file"
                )
            try:
                strings.append(read(start, at).decode("utf-8"))
            except UnicodeDecodeError:
                raise FormatError(f"{self.file.path}: {what}[{i}] is not UTF-8") from None
        self.at = at
        return strings

    def _unknown(self, kind: int, what: str) -> FormatError:
        return FormatError(
            f"{self.file.path}: {what} has type {kind}; GGUF's types are 0 to {max(_NUMBERS)}"
        )


def encode_string(text: str) -> bytes:
    r"""Return a string as it stands in a file.

    Raises
    ------
    FormatError
        It holds half a surrogate pair.

    Examples
    --------
    >>> encode_string("ab")
    b'\x02\x00\x00\x00\x00\x00\x00\x00ab'
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{text!r:.80} can't be written as UTF-8: {error}") from None
    return struct.pack("<Q", len(data)) + data


def encode_value(key: str, value: object) -> bytes:
    r"""Return the type and the bytes of a value.

    Parameters
    ----------
    key : str
        What it is for, for messages.
    value : object
        A str; a bool; a NumPy scalar, or an int (written as uint32, which is what llama.cpp expects
        of a size) or a float (as float32); a NumPy array of one dimension; or a list of str.

    Raises
    ------
    FormatError
        GGUF can't hold the value.

    Examples
    --------
    >>> encode_value("llama.block_count", 2)
    b'\x04\x00\x00\x00\x02\x00\x00\x00'
    """
    if isinstance(value, (bool, np.bool_)):
        return struct.pack("<IB", _BOOL, bool(value))
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + encode_string(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        head = struct.pack("<IIQ", _ARRAY, _STRING, len(value))
        return head + b"".join(map(encode_string, value))
    if isinstance(value, int) and 0 <= value < 2**32:
        value = np.uint32(value)
    elif type(value) is float:  # np.float64 is a float too, and is written as such
        value = np.float32(value)
    if isinstance(value, np.generic) and value.dtype in _NUMBER_TYPES:
        return struct.pack("<I", _NUMBER_TYPES[value.dtype]) + value.tobytes()
    if isinstance(value, np.ndarray) and value.ndim == 1:
        kind = _BOOL if value.dtype == np.bool_ else _NUMBER_TYPES.get(value.dtype)
        if kind is not None:
            return struct.pack("<IIQ", _ARRAY, kind, len(value)) + value.tobytes()
    raise FormatError(
        f"metadata {key!r}: GGUF can't hold {value!r:.80}; expected a str, a bool, a NumPy number, "
        "an int from 0 to 2^32 - 1, a float, a NumPy array of one dimension, or a list of str"
    )
