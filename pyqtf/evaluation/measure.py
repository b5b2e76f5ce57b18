"""The perplexity that a tool would print, with a receipt."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.batches import batches
from pyqtf.evaluation.calibrated import warn_if_calibrated_with
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.protocol import Protocol, Window, get_protocol
from pyqtf.evaluation.receipt import Receipt, make_receipt
from pyqtf.evaluation.score import encode, exp

# What lm-evaluation-harness counts words by.
WHITE_SPACE = re.compile(r"\s+")

_MANY_TEXTS = ("per-story", "lm-eval")


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model read and what it lost on the way.

    Attributes
    ----------
    passes : list of (int32 [w], float64 [w - 1])
        What was read at once, and the loss of each token after the first.
    sequences : list of int32 [T]
        The tokens of each text, without any added one.
    n_words, n_bytes : int
        Of all texts: runs between white space, as lm-evaluation-harness counts them, and UTF-8
        bytes.
    limit : int
        The most tokens that the model can read at once.
    prefix_ids : dict of str to int or None
        The tokens "bos" and "eos".
    """

    passes: list[tuple[NDArray[np.int32], NDArray[np.float64]]]
    sequences: list[NDArray[np.int32]]
    n_words: int
    n_bytes: int
    limit: int
    prefix_ids: dict[str, int | None]

    def windows(self, protocol: Protocol) -> list[Window]:
        """Cut the texts; raises as `Protocol.windows`."""
        prefix_id = self.prefix_ids.get(protocol.prefix)
        return [
            window
            for ids in self.sequences
            for window in protocol.windows(ids, limit=self.limit, prefix_id=prefix_id)
        ]


@dataclass(frozen=True, eq=False)
class Measurement:
    """One perplexity by one protocol.

    Attributes
    ----------
    perplexity : float
        As the protocol averages.
    error : float
        Its standard error as llama-perplexity prints it (tokens taken as independent, which makes
        it too small); NaN for other protocols.
    word_perplexity, byte_perplexity, bits_per_byte : float
        exp of the summed loss by words (runs of text between white space) and bytes of the text,
        as lm-evaluation-harness prints them; NaN for other protocols.
    nll : float
        Sum over the scored tokens, in nats.
    n_tokens, n_scored, n_windows : int
        Tokens of the text, scored tokens, windows.
    receipt : Receipt
        What the number depends on.
    reading : Reading
        Every loss behind it, from which `pyqtf.convert` derives other tools' figures.
    """

    perplexity: float
    error: float
    word_perplexity: float
    byte_perplexity: float
    bits_per_byte: float
    nll: float
    n_tokens: int
    n_scored: int
    n_windows: int
    receipt: Receipt
    reading: Reading

    def __repr__(self) -> str:
        return (
            f"Measurement({self.receipt.protocol['protocol']}: perplexity {self.perplexity:.6g}, "
            f"{self.n_scored} of {self.n_tokens} tokens scored in {self.n_windows} windows)"
        )


def measure(
    model: LanguageModel,
    text: str | Sequence[str],
    protocol: str | Protocol = "per-story",
    *,
    window: int | None = None,
    stride: int | None = None,
    prefix: str | None = None,
) -> Measurement:
    """Perplexity of a text as a certain tool would print it.

    Parameters
    ----------
    model : LanguageModel
        For instance what `pyqtf.load` returns.
    text : str or list of str
        The text. "per-story" and "lm-eval" take several, each on its own; the others take one, as
        their tools do.
    protocol : str or Protocol
        "per-story", "hf-stride", "gptq-2048", "llama.cpp" or "lm-eval"; see
        `pyqtf.evaluation.protocol`.
    window, stride, prefix
        Changes to the protocol: tokens in a window, how far it moves, and the token before the
        text ("none", "bos", "eos").

    Returns
    -------
    Measurement

    Raises
    ------
    ValueError
        There is no such protocol; the window is larger than the model can read; the text is too
        short for it; the tokenizer lacks the prefix token; several texts where one is expected.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> text = " ".join(story["text"] for story in pyqtf.bundled.stories()[:9])
    >>> measure(model, text, "gptq-2048", window=256).n_windows > 1
    True
    """
    chosen = get_protocol(protocol).change(window=window, stride=stride, prefix=prefix)
    texts = [text] if isinstance(text, str) else list(text)
    if not texts:
        raise ValueError("no text given; expected at least one")
    if len(texts) > 1 and chosen.name not in _MANY_TEXTS:
        raise ValueError(
            f"protocol {chosen.name} takes one text, got {len(texts)}; join them, for instance "
            "with '\\n\\n'.join(texts)"
        )
    reading = Reading(
        passes=[],
        sequences=[encode(model.tokenizer, one, "text") for one in texts],
        n_words=sum(len(WHITE_SPACE.split(one)) for one in texts),
        n_bytes=sum(len(one.encode("utf-8")) for one in texts),
        limit=model.config.max_position_embeddings,
        prefix_ids={
            name: getattr(model.tokenizer, f"{name}_token_id", None) for name in ("bos", "eos")
        },
    )
    warn_if_calibrated_with(model, reading.sequences)
    windows = reading.windows(chosen)
    lengths = [len(window.ids) for window in windows]
    for batch in batches(range(len(windows)), lengths):
        losses = model.token_losses([windows[i].ids for i in batch])
        reading.passes.extend(
            (windows[i].ids, one.nll) for i, one in zip(batch, losses, strict=True)
        )
    scored = [
        nll[window.first - 1 :] for window, (_, nll) in zip(windows, reading.passes, strict=True)
    ]
    receipt = make_receipt(model, texts, reading.sequences, chosen)
    return averaged(chosen, windows, scored, reading, receipt)


def averaged(
    protocol: Protocol,
    windows: Sequence[Window],
    losses: Sequence[NDArray[np.float64]],
    reading: Reading,
    receipt: Receipt,
) -> Measurement:
    """The figures of a protocol from the losses of each window's scored tokens."""
    weights = [window.weight for window in windows]
    means = [math.fsum(nll) / len(nll) for nll in losses]
    mean = math.fsum(w * m for w, m in zip(weights, means, strict=True)) / math.fsum(weights)
    nll = math.fsum(math.fsum(one) for one in losses)
    by_text = protocol.name == "lm-eval"
    return Measurement(
        perplexity=exp(mean),
        error=_error(losses) * exp(mean) if protocol.name == "llama.cpp" else math.nan,
        word_perplexity=exp(nll / reading.n_words) if by_text else math.nan,
        byte_perplexity=exp(nll / reading.n_bytes) if by_text else math.nan,
        bits_per_byte=nll / reading.n_bytes / math.log(2) if by_text else math.nan,
        nll=nll,
        n_tokens=sum(map(len, reading.sequences)),
        n_scored=sum(window.n_scored for window in windows),
        n_windows=len(windows),
        receipt=receipt,
        reading=reading,
    )


def _error(losses: Sequence[np.ndarray]) -> float:
    nll = np.concatenate(losses)
    return float(nll.std() / math.sqrt(len(nll) - 1)) if len(nll) > 1 else math.nan
