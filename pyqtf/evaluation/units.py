"""Words and sentences of a score: which tokens each is made of, and what they cost together."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd

from pyqtf.evaluation.context import split_sentences
from pyqtf.evaluation.score import Score, show_piece

# A word takes the white space before it, as tokens do; the last one takes what is left.
_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")


def words(score: Score) -> pd.DataFrame:
    """One row per word (what stands between white space); see `Score.words`."""
    return _frame(score, "word", _WORD.findall(_text(score)))


def sentences(score: Score) -> pd.DataFrame:
    """One row per sentence; see `Score.sentences`."""
    return _frame(score, "sentence", split_sentences(_text(score)))


def _frame(score: Score, name: str, units: Sequence[str]) -> pd.DataFrame:
    ends = list(accumulate(len(_bytes(unit)) for unit in units))
    n_unscored = score.n_tokens - score.n_scored
    tokens: dict[int, list[int]] = {}
    start = 0
    for index, piece in enumerate(score.pieces):
        # A token belongs to the unit of its first byte that is no space.
        place = start + len(piece) - len(piece.lstrip())
        start += len(piece)
        unit = int(np.searchsorted(ends, min(place, start - 1), side="right"))
        tokens.setdefault(min(unit, len(units) - 1), []).append(index)
    rows = []
    for members in tokens.values():
        scored = [i for i in members if i >= n_unscored]
        if scored:
            rows.append(
                {
                    "position": members[0],
                    name: show_piece(b"".join(score.pieces[i] for i in members)).strip(),
                    "n_tokens": len(members),
                    "n_scored": len(scored),
                    "n_bytes": sum(len(score.pieces[i]) for i in scored),
                    "nll": math.fsum(score.losses.nll[i - n_unscored] for i in scored),
                }
            )
    return pd.DataFrame(rows, columns=["position", name, "n_tokens", "n_scored", "n_bytes", "nll"])


def _text(score: Score) -> str:
    """The tokens as text: what was scored, even where the text was normalised or given as ids."""
    return b"".join(score.pieces).decode("utf-8", errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")
