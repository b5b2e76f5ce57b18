"""Texts that a model is scored on, held against those that it was calibrated with.

Weights that were rounded for a text predict it better than others: what rounding costs must be
measured on texts that it hasn't seen.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyqtf._quants import check_calibrated
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.receipt import calibration_of

if TYPE_CHECKING:
    from pyqtf.calibration import Texts


class CalibratedTextsWarning(UserWarning):
    """Texts that are scored are texts that weights were rounded for."""


_WORD = re.compile(r"\w+")
# Runs of this many words tell a text from others of its kind.
_RUN = 13
_ADVICE = (
    "weights that were rounded for a text predict it better than others, so quantising seems to "
    "cost less than it does; calibrate with other texts"
)


def texts_label(texts: Sequence[NDArray[np.integer]]) -> str:
    """Return what receipts say of calibration texts: their number, that of tokens, and a digest.

    Parameters
    ----------
    texts : sequence of integers [T]
        The ids of each text.

    Examples
    --------
    >>> texts_label([np.array([1, 2, 3]), np.array([4, 5])])
    '2 texts of 5 tokens 62dcb193ca27a9e69f8d'
    """
    hasher = hashlib.sha256()
    for ids in texts:
        hasher.update(len(ids).to_bytes(8, "little"))
        hasher.update(ids.astype("<i8").tobytes())
    noun = "text" if len(texts) == 1 else "texts"
    return f"{len(texts)} {noun} of {sum(map(len, texts))} tokens {hasher.hexdigest()[:20]}"


def shared_texts(texts: Iterable[str], others: Iterable[object]) -> list[int]:
    """Return the numbers of the texts of which half or more is also in the others.

    Counted are runs of 13 words, which are how test texts are found in training texts
    (https://arxiv.org/abs/2005.14165, appendix C); a shorter text must be there as a whole. Case
    and punctuation don't matter.

    Parameters
    ----------
    texts : iterable of str
        Texts to look for.
    others : iterable of str, of dict with "text" or of anything else
        Where to look; what has no text, such as ids, is passed over.

    Examples
    --------
    >>> shared_texts(["A cat sat.", "A dog ran."], ["a dog  ran", {"text": "A cow lay."}])
    [1]
    """
    known = {run for text in others for run in _runs(_text(text))}
    runs = [_runs(text) for text in texts]
    return [i for i, own in enumerate(runs) if own and 2 * len(own & known) >= len(own)]


def _text(given: Any) -> str:
    text = given.get("text") if isinstance(given, Mapping) else given
    return text if isinstance(text, str) else ""


def _runs(text: str) -> set[int]:
    words = _WORD.findall(text.lower())
    if not words:
        return set()
    return {hash(tuple(words[i : i + _RUN])) for i in range(max(1, len(words) - _RUN + 1))}


def checked_texts(calibration: Texts, quant: str | None, executor: Executor | None) -> list[Any]:
    """Return texts that models will be loaded with as a list.

    Raises
    ------
    TypeError, ValueError
        They are no list of texts, `quant` is none that is calibrated, or there is an executor.
    """
    from pyqtf.calibration import hold_texts  # above this layer, as loading is

    check_calibrated(quant)
    if executor is not None:
        raise ValueError(
            "calibration with an executor: each worker would calibrate for itself; save the "
            "calibrated model once (Model.save, or pyqtf save) and give the file's name"
        )
    return hold_texts(calibration)


def warn_of_shared(texts: Sequence[str], calibration: Iterable[object]) -> bool:
    """Warn where texts that will be scored are calibration texts; return whether some are."""
    shared = shared_texts(texts, calibration)
    if not shared:
        return False
    if len(texts) == 1:
        found = "the text that is scored is among the calibration texts"
    else:
        found = (
            f"{len(shared)} of the {len(texts)} texts that are scored are among the calibration "
            f"texts, the first is number {shared[0]}"
        )
    warnings.warn(f"{found}: {_ADVICE}", CalibratedTextsWarning, stacklevel=3)
    return True


def warn_if_calibrated_with(model: LanguageModel, sequences: Sequence[NDArray[np.integer]]) -> None:
    """Warn where a model, a saved one too, was calibrated with just the texts that it will read.

    A receipt tells only whether all are the same, in the same order.
    """
    label = calibration_of(model)
    if label != "none" and label == texts_label(sequences):
        warnings.warn(
            f"{model.name} was calibrated with the texts that it is scored on: {_ADVICE}",
            CalibratedTextsWarning,
            stacklevel=3,
        )
