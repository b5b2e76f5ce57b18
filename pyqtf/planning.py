"""What an experiment will take on this machine, in time and memory, before it starts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyqtf import costs
from pyqtf._memory import available_memory
from pyqtf._quants import QUANTS, check_calibrated
from pyqtf.bench.estimate import estimate_seconds
from pyqtf.calibration import hold_texts, read_calibration
from pyqtf.describe import duration, inspect_model, size
from pyqtf.evaluation.models import Models, as_models
from pyqtf.evaluation.stories import Stories, as_stories
from pyqtf.model import Model
from pyqtf.models.calibrate import working_bytes
from pyqtf.models.weights import needed_bytes
from pyqtf.plot.table import Table

if TYPE_CHECKING:
    from pyqtf.calibration import Texts
    from pyqtf.evaluation.interface import LanguageModel
    from pyqtf.evaluation.stories import Story
    from pyqtf.models import ModelConfig

# An experiment of fewer operations is over before an estimate is read.
_SHORT = 3e12
# What a notebook should take at most: above it, faster storage is proposed.
_PATIENCE = 300.0


@dataclass(frozen=True)
class Need:
    """What one model takes.

    Attributes
    ----------
    name, quant : str
        The model, and how its weights are to be stored: ``"calibrated q4"`` is one way.
    n_tokens : int
        Tokens of all stories.
    n_bytes : int
        Memory that must be free to load it and score; 0 for a model that is loaded already.
    seconds : float
        For scoring, without loading; 0.0 where it does not fit or was not timed.
    smaller : str or None
        The first storage in which it fits, where it doesn't fit as asked.
    fits : bool
        Whether its memory is free now.
    """

    name: str
    quant: str
    n_tokens: int
    n_bytes: int
    seconds: float
    smaller: str | None
    fits: bool


@dataclass(frozen=True)
class Estimate:
    """What an experiment takes: models are loaded and scored one after the other.

    Attributes
    ----------
    needs : tuple of Need
        One for each model.
    free : int
        Bytes of memory that are free now.
    faster : tuple of str and float, or None
        For an experiment of more than five minutes, a storage that takes less time, and the
        seconds it takes.
    """

    needs: tuple[Need, ...]
    free: int
    faster: tuple[str, float] | None = None

    @property
    def seconds(self) -> float:
        """For scoring everything, without loading and downloading."""
        return sum(need.seconds for need in self.needs)

    def problems(self) -> list[str]:
        """Sentences on models that don't fit, and what to do."""
        return [
            f"{need.name} in {need.quant} needs {size(need.n_bytes)}, and {size(self.free)} are "
            "free: " + (f"it fits in {need.smaller}" if need.smaller else "choose a smaller model")
            for need in self.needs
            if not need.fits
        ]

    def to_text(self, width: int = 80) -> str:
        """A table with a line for each model, the sum, and what to do about it."""
        rows = [
            (
                need.name,
                need.quant,
                f"{need.n_tokens:,}",
                size(need.n_bytes) if need.n_bytes else "loaded",
                duration(need.seconds) if need.fits else "-",
            )
            for need in self.needs
        ]
        table = Table(("model", "stored as", "tokens", "memory", "about"), tuple(rows))
        lines = [
            table.to_text(width),
            f"Scoring takes about {duration(self.seconds)} on this machine when nothing else "
            f"runs; {size(self.free)} of memory are free.",
            *(f"{problem}." for problem in self.problems()),
        ]
        if self.faster:
            quant, seconds = self.faster
            lines.append(f'With quant="{quant}" it takes about {duration(seconds)}.')
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text()


def estimate(
    models: Models,
    stories: Stories,
    *,
    quant: str | None = None,
    calibration: Texts | None = None,
) -> Estimate:
    """Estimate the time and memory that `pyqtf.evaluate` takes.

    A layer of each model's shape and a part of its head are timed here with random weights; no
    weights are read or downloaded.

    Parameters
    ----------
    models, stories, quant, calibration
        As `pyqtf.evaluate` takes them. Calibrating takes memory, too; its time is not counted.

    Returns
    -------
    Estimate
        Shows itself as a table.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError, pyqtf.formats.FormatError
        A model is not there or can't be read.
    ValueError, TypeError
        As `pyqtf.evaluate`.

    Examples
    --------
    >>> import pyqtf
    >>> found = estimate("stories-80k", ["A cat sat.", "A dog ran."])
    >>> found.seconds > 0, found.needs[0].fits
    (True, True)
    """
    items = as_stories(stories)
    texts = None if calibration is None else hold_texts(calibration)
    plans = [_plan(given, items, quant, texts) for given in as_models(models)]
    found = _estimate(plans)
    if found.seconds <= _PATIENCE or not all(need.fits for need in found.needs):
        return found
    times = {
        other: _estimate([replace(plan, quant=other) for plan in plans]).seconds
        for other in QUANTS
        if all(plan.can_shrink_to(other) for plan in plans)
    }
    faster = min(times.items(), key=lambda item: item[1], default=None)
    worth_it = faster is not None and faster[1] < 0.9 * found.seconds
    return replace(found, faster=faster if worth_it else None)


def announce(models: Sequence[LanguageModel | str | Path], stories: Sequence[Story],
             quant: str | None, calibration: list[Any] | None = None) -> None:  # fmt: skip
    """Print the estimate of an experiment that is about to start, if it is a long one.

    Raises
    ------
    MemoryError
        A model that is still to be loaded won't fit; said before anything is scored.
    """
    if not all(isinstance(given, str | Path | Model) for given in models):
        return
    plans = [_plan(given, stories, quant, calibration) for given in models]
    problems = _estimate(plans, timed=False).problems()
    if problems:
        raise MemoryError("; ".join(problems))
    if sum(plan.flops for plan in plans) > _SHORT:
        found = estimate(list(models), stories, quant=quant, calibration=calibration)
        print(found.to_text(), file=sys.stderr)


@dataclass(frozen=True)
class _Plan:
    """One model and the lengths of the stories in its tokens."""

    name: str
    quant: str
    quants: tuple[str, ...]
    config: ModelConfig
    lengths: list[int]
    loaded: bool
    calibrating: int = 0  # bytes that it takes beside the weights

    @property
    def flops(self) -> float:
        n_tokens = sum(self.lengths)
        return n_tokens * costs.flops_per_token(self.config, n_tokens / len(self.lengths) / 2)

    def can_shrink_to(self, quant: str) -> bool:
        """Whether the model can be loaded in this storage, and is smaller then."""
        return (
            not self.loaded
            and quant in self.quants
            and needed_bytes(self.config, quant) < needed_bytes(self.config, self.quant)
        )


def _plan(
    given: object, stories: Sequence[Story], quant: str | None, calibration: list[Any] | None
) -> _Plan:
    texts = [story["text"] for story in stories]
    if isinstance(given, Model):
        lengths = [len(ids) for ids in given.tokenizer.encode_batch(texts)]
        return _Plan(given.name, given.quant, (given.quant,), given.config, lengths, True)
    if not isinstance(given, str | Path):
        raise TypeError(f"{given!r} is no model of pyqtf; expected a name, a path or pyqtf.Model")
    info = inspect_model(given)
    lengths = [len(ids) for ids in info.tokenizer.encode_batch(texts)]
    calibrating = 0
    if calibration is not None:
        check_calibrated(quant)
        ids = read_calibration(calibration, info.tokenizer, info.config).ids
        calibrating = working_bytes(info.config, sum(map(len, ids)))
    quant = quant or info.quants[0]
    return _Plan(info.name, quant, info.quants, info.config, lengths, False, calibrating)


def _estimate(plans: Sequence[_Plan], *, timed: bool = True) -> Estimate:
    free = available_memory()
    needs = []
    for plan in plans:
        n_bytes = 0
        if not plan.loaded:
            n_bytes = needed_bytes(plan.config, plan.quant) + plan.calibrating
        fits = n_bytes <= free
        smaller = None
        if not fits:
            sizes = {quant: needed_bytes(plan.config, quant) for quant in plan.quants}
            fitting = [quant for quant in plan.quants if sizes[quant] <= free]
            # The largest that fits is the most exact.
            smaller = max(fitting, key=lambda quant: sizes[quant], default=None)
        seconds = estimate_seconds(plan.config, plan.quant, plan.lengths) if fits and timed else 0.0
        stored = f"calibrated {plan.quant}" if plan.calibrating else plan.quant
        needs.append(Need(plan.name, stored, sum(plan.lengths), n_bytes, seconds, smaller, fits))
    return Estimate(tuple(needs), free)
