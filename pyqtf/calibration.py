"""From the texts that a user calibrates with to checked ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation.calibrated import texts_label
from pyqtf.evaluation.stories import as_stories
from pyqtf.models.config import ModelConfig
from pyqtf.tokenizer import Tokenizer

Text = str | Mapping[str, Any] | Sequence[int] | NDArray[np.integer]
Texts = Iterable[Text] | pd.DataFrame

# Fewer say too little of what a model is used for.
_LEAST = 100


@dataclass(frozen=True, eq=False)
class Calibration:
    """Checked texts.

    Attributes
    ----------
    ids : list of int64 [T]
        Of each text.
    """

    ids: list[NDArray[np.int64]]

    def __str__(self) -> str:
        """How many texts and tokens, and a digest of the ids; for receipts."""
        return texts_label(self.ids)


def hold_texts(texts: Texts) -> list[Any]:
    """Return texts as a list, which several models can read one after the other.

    Raises
    ------
    TypeError
        `texts` is a single text, or no list of texts.
    ValueError
        `texts` is a DataFrame without a column "text", or one that is empty.

    Examples
    --------
    >>> hold_texts(text for text in ["A cat sat.", "A dog ran."])
    ['A cat sat.', 'A dog ran.']
    """
    if isinstance(texts, str | bytes | Mapping):
        raise TypeError(
            f"calibration is a {type(texts).__name__}; expected a list of texts: put it in [ ]"
        )
    if isinstance(texts, pd.DataFrame):
        return as_stories(texts, where="calibration")
    if not isinstance(texts, Iterable):
        raise TypeError(
            f"calibration is a {type(texts).__name__}; expected a list of texts, as str, as dicts "
            "with a 'text' or as ids"
        )
    return list(texts)


def read_calibration(texts: Texts, tokenizer: Tokenizer, config: ModelConfig) -> Calibration:
    """Check what a model is to be calibrated with.

    Parameters
    ----------
    texts : list of str, of dict with "text" or of integers [T]; or DataFrame with a column "text"
        Texts, or their ids.
    tokenizer, config
        The model's.

    Raises
    ------
    TypeError
        `texts` is a single text, or no list of texts.
    ValueError
        There are no texts, one is empty or holds ids outside the vocabulary, or all together are
        too short.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load("stories-30k")
    >>> stories = pyqtf.bundled.stories()[:2]
    >>> str(read_calibration(stories, model.tokenizer, model.config))
    '2 texts of 378 tokens 70034dc8f4eb3ae3f95f'
    """
    ids = [_ids(i, text, tokenizer, config) for i, text in enumerate(hold_texts(texts))]
    if not ids:
        raise ValueError("calibration has no texts; expected a few thousand tokens or more")
    n_tokens = sum(map(len, ids))
    if n_tokens < _LEAST:
        raise ValueError(
            f"calibration has {n_tokens} tokens; expected at least {_LEAST}, and better a few "
            "thousand"
        )
    return Calibration(ids)


def _ids(i: int, text: Any, tokenizer: Tokenizer, config: ModelConfig) -> NDArray[np.int64]:
    """Return the ids of text number i, checked."""
    if isinstance(text, str | Mapping):
        (story,) = as_stories([text], where=f"calibration[{i}]")
        ids = np.asarray(tokenizer.encode(story["text"]))
    else:
        ids = np.asarray(text)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise TypeError(
            f"calibration[{i}] is a {type(text).__name__}; expected a text or a flat list of ids"
        )
    if not ids.size:
        raise ValueError(f"calibration[{i}] is empty")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= config.vocab_size:
        raise ValueError(
            f"calibration[{i}] holds token id {low if low < 0 else high}, outside the vocabulary: "
            f"expected 0 to {config.vocab_size - 1}"
        )
    return ids.astype(np.int64)
