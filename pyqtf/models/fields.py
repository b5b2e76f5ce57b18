"""The fields of a ``config.json``, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyqtf.formats import FormatError


class Fields:
    """Typed access to the fields of a ``config.json``, with errors that name the field.

    Parameters
    ----------
    values : mapping
        The parsed JSON object.
    where : str
        The file, for messages.

    Examples
    --------
    >>> Fields({"hidden_size": 8}, "config.json").integer("hidden_size")
    8
    >>> Fields({}, "config.json").integer("hidden_size")
    Traceback (most recent call last):
        ...
    pyqtf.formats.errors.FormatError: config.json: the field 'hidden_size' is missing
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise FormatError(f"{self.where}: the field {name!r} is missing")
        return self._values[name]

    def _wrong(self, name: str, expected: str, value: object) -> FormatError:
        return FormatError(f"{self.where}: {name!r} must be {expected}, got {value!r:.80}")

    def integer(self, name: str) -> int:
        """Return a whole number."""
        value = self._get(name)
        if type(value) is not int:
            raise self._wrong(name, "a whole number", value)
        return value

    def number(self, name: str) -> float:
        """Return a number."""
        value = self._get(name)
        if type(value) not in (int, float) or abs(value) > 1e300:
            raise self._wrong(name, "a number", value)
        return float(value)

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._get(name)
        if type(value) is not str:
            raise self._wrong(name, "a text", value)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._values.get(name, default)
        if type(value) is not bool:
            raise self._wrong(name, "true or false", value)
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def section(self, name: str) -> Fields:
        """Return the fields of an object inside this one."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Fields(value, f"{self.where}: {name}")

    def require(self, name: str, *allowed: object) -> None:
        """Refuse a field that is there with a value that pyqtf doesn't compute."""
        if self.has(name) and self._values[name] not in allowed:
            known = " or ".join(repr(value) for value in allowed) or "nothing"
            raise FormatError(
                f"{self.where}: {name} = {self._values[name]!r:.80} is not supported; "
                f"pyqtf computes {known} only"
            )

    def each(self, name: str, *allowed: str) -> tuple[str, ...]:
        """Return a list, empty where it isn't there, and refuse one with other members."""
        values = self._values[name] if self.has(name) else []
        if not isinstance(values, list):
            raise self._wrong(name, "a list", values)
        for value in values:
            Fields({name: value}, self.where).require(name, *allowed)
        return tuple(values)

    def head_dim(self) -> int:
        """Return ``head_dim``, or what the width leaves to each head."""
        return self.integer("head_dim") if self.has("head_dim") else self.per_head("hidden_size")

    def per_head(self, size: str, heads: str = "num_attention_heads") -> int:
        """Return the quotient of two fields, which must be whole."""
        width, n_heads = self.integer(size), self.integer(heads)
        if n_heads < 1 or width % n_heads:
            raise FormatError(
                f"{self.where}: {size} {width} can't be cut into {n_heads} attention heads"
            )
        return width // n_heads

    def choose(self, name: str, choices: Mapping[str, str], default: str) -> str:
        """Return what a text field stands for, and refuse one that stands for nothing."""
        self.require(name, *choices)
        return choices[self.text(name) if self.has(name) else default]

    def n_kv_heads(self) -> int:
        """Return ``num_key_value_heads``; null means one for each attention head."""
        shared = self._get("num_key_value_heads") is not None
        return self.integer("num_key_value_heads" if shared else "num_attention_heads")

    def number_or(self, name: str, default: float | None) -> float | None:
        """Return a number, None for null, and a default where the field is missing."""
        if name not in self._values:
            return default
        return self.number(name) if self.has(name) else None

    def integer_or(self, name: str, default: int | None) -> int | None:
        """Return a whole number, None for null, and a default where the field is missing."""
        if name not in self._values:
            return default
        return self.integer(name) if self.has(name) else None
