"""Choosing the next token, again and again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from pyqtf.models.cache import KVCache
from pyqtf.models.decoder import Decoder
from pyqtf.tokenizer import Tokenizer


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes
    ----------
    temperature : float
        What logits are divided by; 0 always takes the most likely token.
    top_k : int
        Choose among the k most likely tokens; 0 among all.
    top_p : float
        Choose among the most likely tokens that together have at least this probability
        (https://arxiv.org/abs/1904.09751).
    seed : int, optional
        The same seed gives the same text; None gives another one each time.

    Raises
    ------
    ValueError
        A value is out of its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        t, p = self.temperature, self.top_p
        if not (isinstance(t, Real) and t >= 0 and math.isfinite(t)):
            raise ValueError(f"temperature must be a finite number of 0 or more, got {t!r}")
        check_count("top_k", self.top_k)
        if not (isinstance(p, Real) and 0 < p <= 1):
            raise ValueError(f"top_p must be a number above 0 and at most 1, got {p!r}")
        if self.seed is not None:
            check_count("seed", self.seed)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distribution that the next token is drawn from.

        As in transformers: temperature first, then the k most likely (ties with the last one stay),
        then the smallest set of most likely ones that reaches `top_p`.

        Examples
        --------
        >>> logits = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
        >>> Sampling(temperature=1, top_p=0.6).probabilities(logits).round(3)
        array([0.667, 0.333, 0.   , 0.   ])
        """
        scaled = logits.astype(np.float64)
        if self.temperature == 0:
            certain: NDArray[np.float64] = np.eye(1, len(scaled), int(np.argmax(scaled)))[0]
            return certain
        with np.errstate(over="ignore"):  # near 0, -inf: no chance
            scaled = (scaled - scaled.max()) / self.temperature
        if 0 < self.top_k < len(scaled):
            scaled[scaled < np.partition(scaled, -self.top_k)[-self.top_k]] = -np.inf
        p: NDArray[np.float64] = np.exp(scaled)
        p /= p.sum()
        if self.top_p < 1:
            order = np.argsort(-p, kind="stable")
            before = np.concatenate([[0.0], np.cumsum(p[order])[:-1]])
            p[order[before >= self.top_p]] = 0
            p /= p.sum()
        return p

    def random(self) -> np.random.Generator:
        """Return the random numbers of one text."""
        return np.random.default_rng(self.seed)

    def choose(self, logits: NDArray[np.float32], random: np.random.Generator) -> int:
        """Draw the next token's id."""
        if self.temperature == 0:
            return int(np.argmax(logits))
        cumulative = np.cumsum(self.probabilities(logits))
        point = random.random() * cumulative[-1]
        return int(np.searchsorted(cumulative, point, side="right"))


class StopScanner:
    """Passes text on, up to a stop string.

    Examples
    --------
    >>> scanner = StopScanner(["END"])
    >>> [scanner.feed("It is the E"), scanner.feed("N"), scanner.feed("D of it")]
    ['It is the ', '', '']
    >>> scanner.stopped
    True
    """

    def __init__(self, stop: str | Sequence[str]) -> None:
        texts: object = (stop,) if isinstance(stop, str) else stop
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"stop: expected a text or a list of texts, got {stop!r}")
        if not all(texts):
            raise ValueError("stop: expected texts of at least one character, got an empty one")
        self._stop: tuple[str, ...] = tuple(texts)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Return what can't be a part of a stop string any more; nothing behind one."""
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._unsure())

    def finish(self) -> str:
        """Return what was held back when the text ends without a stop string."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _unsure(self) -> int:
        """How many characters at the end may begin a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for n in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-n:]) for stop in self._stop):
                return n
        return 0


def check_count(name: str, value: object) -> None:
    """Raise ValueError unless `value`, given as `name`, is a whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{name} must be a whole number of 0 or more, got {value!r}")


def new_ids(
    decoder: Decoder,
    ids: NDArray[np.int64],
    n_ids: int,
    sampling: Sampling,
    cache: KVCache | None = None,
) -> Iterator[int]:
    """Yield the ids that follow a text, without an end; the text is read once, into a cache.

    Parameters
    ----------
    decoder : Decoder
        The model.
    ids : int64 [T]
        The text so far.
    n_ids : int
        Only ids below are chosen.
    sampling : Sampling
        How.
    cache : KVCache, optional
        What was read before the text.

    Raises
    ------
    ValueError
        Something else was read into the cache, or it was truncated, before or between two ids.
    """
    cache = KVCache(decoder.config) if cache is None else cache
    return _new_ids(decoder, ids, n_ids, sampling, cache, len(cache))


def _new_ids(
    decoder: Decoder,
    ids: NDArray[np.int64],
    n_ids: int,
    sampling: Sampling,
    cache: KVCache,
    n_read: int,
) -> Iterator[int]:
    random = sampling.random()
    while True:
        if len(cache) != n_read:
            raise ValueError(
                f"the cache held {n_read} tokens of this text and holds {len(cache)} now: give "
                "each text that is being written a cache of its own"
            )
        hidden = decoder(ids, np.array([0, len(ids)]), cache)
        n_read = len(cache)
        logits = decoder.logits(hidden[-1:])[0, :n_ids]
        ids = np.array([sampling.choose(logits, random)])
        yield int(ids[0])


def text_of(
    tokenizer: Tokenizer, ids: Iterable[int], scanner: StopScanner, eos_ids: Sequence[int]
) -> Iterator[str]:
    """Yield the text of ids as they come, up to one that ends it or the first stop string."""
    decoder = tokenizer.stream(goes_on=True)
    for token_id in ids:
        if token_id in eos_ids:
            break
        yield from _some(scanner.feed(decoder.feed(token_id)))
        if scanner.stopped:
            return
    yield from _some(scanner.feed(decoder.finish()))
    yield from _some(scanner.finish())


def _some(text: str) -> list[str]:
    return [text] if text else []
