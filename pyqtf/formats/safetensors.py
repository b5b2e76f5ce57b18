"""The safetensors format: eight bytes of header length, a JSON header, the tensors' bytes.

Written by hand because the safetensors library returns bfloat16, which most models are stored in,
only as torch tensors. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyqtf._files import atomic_write
from pyqtf.formats.errors import FormatError
from pyqtf.formats.float8 import FLOAT8, Float8Tensor
from pyqtf.formats.mapped import MappedFile, Tensor
from pyqtf.formats.strict_json import parse_object, read_object

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"

# The reference reader's limit.
_MAX_HEADER_BYTES = 100_000_000

_ALIGNMENT = 64

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as safetensors do: with the length of the JSON object that follows."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Map one file and return its tensors by name; no tensor's bytes are read yet.

    As `read_with_metadata`, for those who need the tensors alone.
    """
    return read_with_metadata(path)[1]


def read_with_metadata(
    path: str | os.PathLike[str],
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Map one file and return its metadata and its tensors by name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        The file breaks the format: the message names the file, the tensor, what was found and what
        was expected.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.safetensors"
    >>> save_safetensors(path, {"w": np.arange(6, dtype=np.float32).reshape(2, 3)})
    >>> read_safetensors(path)["w"].array()
    array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32)
    """
    file = MappedFile(path)
    if file.size < 8:
        raise FormatError(f"{file.path}: {file.size} bytes; a safetensors file has at least 8")
    length = int.from_bytes(file.bytes(0, 8), "little")
    if length > min(file.size - 8, _MAX_HEADER_BYTES):
        raise FormatError(
            f"{file.path}: the header claims {length} bytes, but the file has {file.size}: "
            "truncated, or not a safetensors file"
        )
    header = parse_object(file.bytes(8, 8 + length), f"{file.path}: header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(type(v) is str for v in metadata.values()):
        raise FormatError(f"{file.path}: __metadata__ must be an object of strings")
    base = 8 + length
    tensors = {name: read_entry(file, base, name, entry) for name, entry in header.items()}
    _check_layout(file, base, tensors)
    return metadata, tensors


def read_entry(file: MappedFile, base: int, name: str, entry: object) -> Tensor:
    """Check one header entry by itself; offsets count from byte `base`.

    Raises
    ------
    FormatError
        It breaks the format, or lies outside of the file.
    """
    where = f"{file.path}: tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{where}: expected exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise FormatError(f"{where}: unknown dtype {dtype!r}; known are {', '.join(_DTYPES)}")
    if not _is_sizes(shape) or len(shape) > 32:
        raise FormatError(f"{where}: shape must be a list of at most 32 sizes, got {shape!r:.80}")
    if not _is_sizes(offsets) or len(offsets) != 2:
        raise FormatError(f"{where}: data_offsets must be two positions, got {offsets!r:.80}")
    storage = np.dtype(_DTYPES[dtype])
    begin, end = offsets
    expected = math.prod(shape) * storage.itemsize
    if end - begin != expected:
        raise FormatError(
            f"{where}: {dtype} {shape} takes {expected} bytes, but data_offsets "
            f"{offsets} span {end - begin}"
        )
    # A size of 0 may stand beside sizes that no array can have.
    if math.prod(size or 1 for size in shape) * storage.itemsize >= 2**63:
        raise FormatError(f"{where}: no array can have the shape {shape}")
    if base + end > file.size:
        raise FormatError(
            f"{where}: ends at byte {base + end}, but the file has {file.size}: truncated"
        )
    kind = Float8Tensor if dtype in FLOAT8 else Tensor
    return kind(name, dtype, tuple(shape), file, base + begin, base + end, storage)


def _is_sizes(value: object) -> bool:
    """Whether value is a list of sizes or positions that a file can have."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_layout(file: MappedFile, base: int, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that overlap, and bytes that belong to none of them."""
    ordered = sorted(tensors.values(), key=lambda t: (t.start, t.stop))
    for a, b in pairwise(ordered):
        if b.start < a.stop:
            raise FormatError(f"{file.path}: tensors {a.name!r} and {b.name!r} overlap")
    used = sum(t.stop - t.start for t in ordered)
    if base + used != file.size:
        raise FormatError(
            f"{file.path}: the tensors take {used} bytes, but {file.size - base} follow the header"
        )


def open_folder(folder: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a Hugging Face folder: one ``model.safetensors``, or its shards.

    A folder with ``model.safetensors.index.json`` and no ``model.safetensors`` is sharded. Shards
    may be symbolic links, as they are in the hub's cache.

    Raises
    ------
    FileNotFoundError
        The folder holds no safetensors file, or lacks a shard.
    FormatError
        A file breaks the format, or the index doesn't say what the shards hold.
    """
    folder = Path(folder)
    if (folder / SINGLE_NAME).exists():
        return read_safetensors(folder / SINGLE_NAME)
    if not (folder / INDEX_NAME).exists():
        raise FileNotFoundError(f"{folder}: expected {SINGLE_NAME} or {INDEX_NAME} in this folder")
    index = folder / INDEX_NAME
    weight_map = read_index(index)
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(weight_map.values())):
        for name, tensor in read_safetensors(folder / shard).items():
            if weight_map.get(name) != shard:
                said = weight_map.get(name, "no file")
                raise FormatError(f"{index}: {name!r} is in {shard}, but the index says {said}")
            tensors[name] = tensor
    for name, shard in weight_map.items():
        if name not in tensors:
            raise FormatError(f"{index}: {name!r} should be in {shard}, but is not there")
    return tensors


def read_index(path: Path) -> dict[str, str]:
    """Return the file of each tensor that ``model.safetensors.index.json`` tells.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It has no ``weight_map``, or one that names anything but safetensors files beside it.
    """
    weight_map = read_object(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError(f"{path}: expected a weight_map from tensor names to files")
    for name, shard in weight_map.items():
        if not _is_shard_name(shard):
            raise FormatError(
                f"{path}: tensor {name!r} is said to be in {shard!r}; "
                "expected the name of a .safetensors file beside the index"
            )
    return weight_map


def _is_shard_name(name: object) -> bool:
    """Whether name is a plain file name; one with a path could point out of the folder."""
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and name.isprintable()
        and len(name.encode()) <= 255
        and not set("/\\") & set(name)
    )


def save_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, npt.NDArray[Any]],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    tensors : mapping of str to ndarray
        float32, float16, integer or bool arrays; uint16 holds the bits of bfloat16.
    metadata : mapping of str to str, optional
        Written as ``__metadata__``.

    Notes
    -----
    The first tensor begins on a cache line; the others follow without gaps, in the order given.
    """
    names = {np.dtype(v): k for k, v in _DTYPES.items() if k not in ("U16", *FLOAT8)}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, array in tensors.items():
        if array.dtype not in names:
            raise FormatError(f"tensor {name!r}: safetensors can't hold dtype {array.dtype}")
        end = offset + array.nbytes
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with atomic_write(path) as out:
        out.write(len(text).to_bytes(8, "little"))
        out.write(text)
        for array in tensors.values():
            out.write(np.ascontiguousarray(array).data)
