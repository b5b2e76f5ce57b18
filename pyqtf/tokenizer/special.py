"""The special tokens that have a name, such as ``eos_token``."""

from __future__ import annotations

from typing import Any


class SpecialToken:
    """An attribute that holds a token's spelling, or None; ValueError for unknown tokens."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: Any, owner: type | None = None) -> str | None:
        found: str | None = vars(tokenizer).get("_" + self._name)
        return found

    def __set__(self, tokenizer: Any, token: str | None) -> None:
        if token is not None and tokenizer._core.token_to_id(token) is None:
            raise ValueError(f"{self._name} is {token!r}, which is not in the vocabulary")
        vars(tokenizer)["_" + self._name] = token


class SpecialId:
    """The id of a `SpecialToken` with the same name less ``_id``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._token = name.removesuffix("_id")

    def __get__(self, tokenizer: Any, owner: type | None = None) -> int | None:
        token: str | None = getattr(tokenizer, self._token)
        return None if token is None else tokenizer._core.token_to_id(token)

    def __set__(self, tokenizer: Any, token_id: int | None) -> None:
        token = None if token_id is None else tokenizer._core.spelling(token_id)
        setattr(tokenizer, self._token, token)
