"""Decoding ids as they come."""

from __future__ import annotations

import codecs

import numpy as np

from pyqtf import _core


class StreamDecoder:
    """Turns ids into text one at a time, never cutting a character.

    Made by :meth:`pyqtf.tokenizer.Tokenizer.stream`.
    """

    def __init__(
        self, core: _core.Tokenizer, skip_special_tokens: bool = False, goes_on: bool = False
    ) -> None:
        self._core = core
        self._skipped = frozenset(core.special_ids()) if skip_special_tokens else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[int] = []  # byte-fallback tokens: what they mean is known at their end
        self._strips = core.strips_space() and not goes_on

    def feed(self, token_id: int) -> str:
        """Return the text that this token completes; empty inside a character.

        Byte-fallback tokens, of which one that breaks UTF-8 spoils those around it, wait for the
        token behind them.

        Raises
        ------
        ValueError
            The id is not in the vocabulary.
        """
        is_byte = self._core.is_byte(int(token_id))
        if int(token_id) in self._skipped:
            return ""
        self._held.append(int(token_id))
        return "" if is_byte else self._release()

    def finish(self) -> str:
        """Return what is left: U+FFFD for a character that was never completed, or nothing."""
        return self._release() + self._decoder.decode(b"", final=True)

    def _release(self) -> str:
        data = self._core.decode(np.array(self._held, np.int64), False)
        self._held.clear()
        if self._strips and data:
            self._strips = False
            data = data.removeprefix(b" ")
        return self._decoder.decode(data)
