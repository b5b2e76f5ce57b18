"""How far one model's predictions lie from another's, read in lockstep over the same stories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation.calibrated import warn_if_calibrated_with
from pyqtf.evaluation.evaluate import progress_bar
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.receipt import calibration_of, tokenizer_digest
from pyqtf.evaluation.score import check_ids, encode, exp
from pyqtf.evaluation.statistics import Estimate, clustered_mean
from pyqtf.evaluation.stories import as_stories

# Logits of each model that are held at once.
_BLOCK = 1 << 22


class LogitModel(LanguageModel, Protocol):
    """A language model that shows its logits, a few rows at a time."""

    def logit_blocks(self, ids: NDArray[np.int32], *, rows: int) -> Iterator[NDArray[np.float32]]:
        """Logits of every position in order, at most `rows` positions a block."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models on the same tokens; every interval is 95 %, clustered by story.

    Attributes
    ----------
    name_a, name_b : str
        The models, with their storage.
    stories : DataFrame
        One row per story: ``story_idx``, ``n_scored``, ``nll_a``, ``nll_b`` and ``kl`` (sums over
        the story, nats), ``n_agree`` (tokens before which both hold the same one most likely).
    """

    name_a: str
    name_b: str
    stories: pd.DataFrame

    @property
    def n_scored(self) -> int:
        """Scored tokens of all stories."""
        return int(self.stories["n_scored"].sum())

    @property
    def kl(self) -> Estimate:
        """KL(A || B): mean over tokens of the sum of p_A (log p_A - log p_B), in nats."""
        return self._mean(self.stories["kl"])

    @property
    def agreement(self) -> Estimate:
        """Share of tokens before which both models hold the same token most likely."""
        return self._mean(self.stories["n_agree"])

    @property
    def perplexity_a(self) -> float:
        """Exp of the mean loss of A over all tokens."""
        return exp(self._mean(self.stories["nll_a"]).value)

    @property
    def perplexity_b(self) -> float:
        """Exp of the mean loss of B over all tokens."""
        return exp(self._mean(self.stories["nll_b"]).value)

    @property
    def difference(self) -> Estimate:
        """Loss of B minus that of A in nats per token, paired as in `paired_differences`."""
        return self._mean(self.stories["nll_b"] - self.stories["nll_a"])

    @property
    def perplexity_ratio(self) -> tuple[float, float, float]:
        """Perplexity of B over that of A, and both ends of its interval."""
        d = self.difference
        return exp(d.value), exp(d.low), exp(d.high)

    def _mean(self, totals: pd.Series[float]) -> Estimate:
        return clustered_mean(totals, self.stories["n_scored"])

    def __repr__(self) -> str:
        return (
            f"Comparison({self.name_a} -> {self.name_b}: KL {self.kl.value:.3g} nats per token, "
            f"same top token {100 * self.agreement.value:.2f} %, "
            f"perplexity {100 * (self.perplexity_ratio[0] - 1):+.2g} %)"
        )


def compare_models(
    a: LogitModel,
    b: LogitModel,
    stories: Iterable[str | Mapping[str, Any]] | pd.DataFrame,
    *,
    progress: bool = False,
) -> Comparison:
    """Compare what two models with one tokenizer predict, token by token.

    Both read a story, and their logits are computed and compared a few rows at a time, in float64,
    so no more memory is needed than for the models themselves and two small blocks.

    Parameters
    ----------
    a, b : models
        What `pyqtf.load` returns; for instance one model in f32 and in q8. KL takes A as the truth.
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        Each is read alone; its first token is not scored.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        The models differ in their vocabulary or tokenizer; a story is empty, a single token or too
        long; a model gives a logit that is not finite.
    TypeError
        `a` or `b` is no loaded model.

    Examples
    --------
    >>> import pyqtf
    >>> name = pyqtf.bundled.names()[-1]
    >>> f32, q8 = pyqtf.load(name, quant="f32"), pyqtf.load(name, quant="q8")
    >>> 0 < compare_models(f32, q8, pyqtf.bundled.stories()[:2]).kl.value < 0.01
    True
    """
    _check_models(a, b)
    texts = [story["text"] for story in as_stories(stories)]
    # Everything is checked before the first story is read.
    sequences = [_encode(a, b, index, text) for index, text in enumerate(texts)]
    for model in (a, b):
        warn_if_calibrated_with(model, sequences)
    rows = []
    with progress_bar(len(sequences), progress) as bar:
        for index, ids in enumerate(sequences):
            try:
                rows.append({"story_idx": index, "n_scored": len(ids) - 1, **_story(a, b, ids)})
            except ValueError as error:
                raise ValueError(f"story {index}: {error}") from None
            if bar is not None:
                bar.update(1)
    return Comparison(_label(a), _label(b), pd.DataFrame(rows))


def _story(a: LogitModel, b: LogitModel, ids: NDArray[np.int32]) -> dict[str, float]:
    """Sums over the scored tokens of one story."""
    rows = max(1, _BLOCK // a.config.vocab_size)
    # The last token predicts nothing that is there.
    pairs = zip(
        a.logit_blocks(ids[:-1], rows=rows), b.logit_blocks(ids[:-1], rows=rows), strict=True
    )
    parts: dict[str, list[float]] = {"nll_a": [], "nll_b": [], "kl": []}
    n_agree, start = 0, 1
    for logits_a, logits_b in pairs:
        n_agree += int((logits_a.argmax(axis=1) == logits_b.argmax(axis=1)).sum())
        log_a, log_b = _log_softmax(logits_a, a), _log_softmax(logits_b, b)
        at = np.arange(len(log_a)), ids[start : start + len(log_a)]
        start += len(log_a)
        parts["nll_a"] += (-log_a[at]).tolist()
        parts["nll_b"] += (-log_b[at]).tolist()
        np.subtract(log_a, log_b, out=log_b)
        np.exp(log_a, out=log_a)
        parts["kl"] += np.einsum("ij,ij->i", log_a, log_b).tolist()
    return {name: math.fsum(values) for name, values in parts.items()} | {"n_agree": n_agree}


def _log_softmax(logits: NDArray[np.float32], model: LogitModel) -> NDArray[np.float64]:
    """Log-probabilities [rows, vocab_size]."""
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{_label(model)} gives a logit that is not finite; its weights are damaged"
        )
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    x -= np.log(np.exp(x).sum(axis=1, keepdims=True))
    return x


def _check_models(a: LogitModel, b: LogitModel) -> None:
    for model in (a, b):
        if not hasattr(model, "logit_blocks"):
            raise TypeError(f"{model!r} is no loaded model; expected what pyqtf.load returns")
    sizes = a.config.vocab_size, b.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{_label(a)} predicts one of {sizes[0]} tokens and {_label(b)} one of {sizes[1]}; "
            "predictions compare only over one vocabulary. Compare bits per byte (pyqtf.evaluate)"
        )
    if tokenizer_digest(a.tokenizer) != tokenizer_digest(b.tokenizer):
        raise ValueError(
            f"{_label(a)} and {_label(b)} have different tokenizers: the same id stands for "
            "different tokens. Compare bits per byte (pyqtf.evaluate)"
        )


def _encode(a: LogitModel, b: LogitModel, index: int, text: str) -> NDArray[np.int32]:
    ids = encode(a.tokenizer, text, "text")
    if not np.array_equal(ids, encode(b.tokenizer, text, "text")):
        raise ValueError(
            f"story {index}: {_label(a)} and {_label(b)} have different tokenizers, which cut it "
            "into different tokens. Compare bits per byte (pyqtf.evaluate)"
        )
    try:
        for model in (a, b):
            check_ids(model, ids, 0)
    except ValueError as error:
        raise ValueError(f"story {index}: {error}") from None
    return ids


def _label(model: LanguageModel) -> str:
    calibrated = "" if calibration_of(model) == "none" else ", calibrated"
    return f"{model.name} ({model.quant}{calibrated})"
