"""JSON from files that nobody vouches for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from pyqtf.formats.errors import FormatError

_MAX_FILE_BYTES = 50_000_000


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object that a file must hold.

    Parameters
    ----------
    data : bytes
        UTF-8 text.
    where : str
        The file, for messages.

    Raises
    ------
    FormatError
        Not UTF-8, not JSON, nested too deeply, a key given twice, NaN or an infinity, or another
        value than an object.

    Examples
    --------
    >>> parse_object(b'{"vocab_size": 10}', "config.json")
    {'vocab_size': 10}
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            raise FormatError(f"{where}: the key {counts.most_common(1)[0][0]!r} is there twice")
        return result

    def no_constant(name: str) -> NoReturn:
        raise FormatError(f"{where}: {name} is not a JSON number")

    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constant
        )
    except FormatError:
        raise
    except RecursionError:
        raise FormatError(f"{where}: JSON is nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"{where}: expected JSON in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Parse a whole file as one JSON object.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        As `parse_object`, or the file is larger than 50 MB.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise FormatError(f"{path}: {size} bytes; expected at most {_MAX_FILE_BYTES} of JSON")
    return parse_object(path.read_bytes(), str(path))
