"""The metadata that tell a model's shape in a GGUF file."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqtf.formats import GGUF, FormatError

# What llama.cpp takes for a key that is missing in any architecture: another key, or a number.
_DEFAULTS: dict[str, str | float] = {
    "attention.head_count_kv": "attention.head_count",
    "rope.freq_base": 10000.0,
}


class Keys:
    """Metadata of one architecture, with errors that name the key.

    Parameters
    ----------
    file : GGUF
        The file.
    architecture : str
        What stands before each key, such as ``"qwen2"``.

    Attributes
    ----------
    where : Path
        The file, for messages.
    """

    def __init__(self, file: GGUF, architecture: str) -> None:
        self._values = file.metadata
        self.where = file.path
        self._prefix = architecture

    def number(self, key: str, default: float | None = None) -> int | float:
        """Return a number; without a default, a key that llama.cpp needs must be there."""
        full = f"{self._prefix}.{key}"
        if full not in self._values:
            if default is not None:
                return default
            known = _DEFAULTS.get(key)
            if known is None:
                raise FormatError(f"{self.where}: metadata {full!r} is missing")
            return self.number(known) if isinstance(known, str) else known
        value = self._values[full]
        if not isinstance(value, (np.integer, np.floating)):
            raise self.wrong(key, "a number")
        # The shortest decimal that rounds to it: 1e-6, as in config.json, not 9.9999999e-07.
        return int(value) if isinstance(value, np.integer) else float(str(value))

    def integer(self, key: str, default: int) -> int:
        """Return a whole number."""
        value = self.number(key, default)
        if not isinstance(value, int):
            raise self.wrong(key, "a whole number")
        return value

    def get(self, key: str, default: object) -> Any:
        """Return what the file has, or the default."""
        return self._values.get(f"{self._prefix}.{key}", default)

    def wrong(self, key: str, expected: str) -> FormatError:
        """Return the error for a key with a value that is not what was expected."""
        value = _shown(self.get(key, None))
        return FormatError(
            f"{self.where}: metadata '{self._prefix}.{key}' must be {expected}, got {value}"
        )

    def refuse_unless(self, key: str, expected: int | str) -> None:
        """Refuse a key that is there with another value: the model would be computed wrongly."""
        value = self.get(key, expected)
        if not np.array_equal(value, expected):
            raise FormatError(
                f"{self.where}: metadata '{self._prefix}.{key}' = {_shown(value)} is not "
                f"supported; pyqtf computes {expected!r} only"
            )


def _shown(value: object) -> str:
    return f"{value.item() if isinstance(value, np.generic) else value!r:.80}"
