"""The few calls behind which peers.py sees every tool; a tool is imported when it is loaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

Ids = np.ndarray


class Tool:
    """What a tool can do; what it can't raises NotMeasuredError.

    Parameters
    ----------
    folder : Path
        The Hugging Face folder.
    own : Path
        What `prepare` made of it.
    threads : int
        Threads to use.
    tokens : int
        The longest text to come.
    kind : str
        Which of the tool's formats.
    """

    module = ""

    def __init__(self, folder: Path, own: Path, threads: int, tokens: int, kind: str) -> None:
        self.folder, self.own, self.threads = folder, own, threads
        self.tokens, self.kind = tokens, kind
        self.load()

    @classmethod
    def prepare(cls, folder: Path, own: Path, kind: str) -> None:
        """Write the tool's own form of the model, where it has one."""

    def load(self) -> None:
        """Load the model."""
        raise NotImplementedError

    def version(self) -> str:
        """Return the tool's version."""
        return str(importlib.import_module(self.module).__version__)

    def check_isa(self, isa: str) -> None:
        """Raise NotMeasuredError where the tool would take more instructions than `isa`."""

    def score(self, ids: Ids) -> Ids | None:
        """Return the loss of every token but the first, None from a tool that has none."""
        raise NotImplementedError

    def prefill(self, ids: Ids) -> None:
        """Compute the logits behind the last token alone, and what continuing the text needs."""
        raise NotImplementedError

    def decode(self, ids: Ids, n: int) -> float:
        """Return the seconds of n steps of one token each, behind a text that isn't timed."""
        raise NotMeasuredError("its trace has no cache to write tokens with")


class NotMeasuredError(Exception):
    """Says why there is no figure."""
