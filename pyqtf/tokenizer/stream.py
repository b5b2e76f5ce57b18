"""Decoding ids as they come."""

from __future__ import annotations

import codecs

from pyqtf import _core


class StreamDecoder:
    """Turns ids into text one at a time, never cutting a character.

    Made by :meth:`pyqtf.tokenizer.Tokenizer.stream`.
    """

    def __init__(self, core: _core.Tokenizer, skip_special_tokens: bool = False) -> None:
        self._core = core
        self._skipped = frozenset(core.special_ids()) if skip_special_tokens else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token_id: int) -> str:
        """Return the text that this token completes; empty inside a character.

        Raises
        ------
        ValueError
            The id is not in the vocabulary.
        """
        data = self._core.token_bytes(int(token_id))
        return "" if int(token_id) in self._skipped else self._decoder.decode(data)

    def finish(self) -> str:
        """Return what is left: U+FFFD for a character that was never completed, or nothing."""
        return self._decoder.decode(b"", final=True)
