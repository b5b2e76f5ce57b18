"""Batches scored here, or in the threads, processes and machines of an executor.

What travels is a ticket for the model and the ids of a batch; what comes back is losses. A worker
process opens the model of a ticket once and keeps it until it gets a ticket for another one, so
that it holds one model at a time.
"""

from __future__ import annotations

import gc
import hashlib
import pickle
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.interface import Config, LanguageModel
from pyqtf.evaluation.losses import TokenLosses

Sequences = Sequence[NDArray[np.int32]]

# Tasks that are handed out and not done: enough for a large cluster, and few to cancel.
_IN_FLIGHT = 256

_lock = threading.Lock()
_held: dict[str, tuple[LanguageModel, str]] = {}


class Ticket:
    """Stands for a model in a task: the model itself, or how another process gets it.

    Parameters
    ----------
    model : LanguageModel or str
        A loaded model, which is pickled if the task leaves the process; or a name or path, which
        the worker gives to `pyqtf.load`.
    quant : str, optional
        How to store the weights of a model given by name.
    """

    def __init__(self, model: LanguageModel | str, quant: str | None = None) -> None:
        self._model = None if isinstance(model, str) else model
        self._data = pickle.dumps((model, quant)) if isinstance(model, str) else b""
        self._probe = ""

    def __getstate__(self) -> dict[str, Any]:
        if not self._data:
            try:
                self._data = pickle.dumps((self._model, None))
            except Exception as error:
                name = cast(LanguageModel, self._model).name
                raise TypeError(
                    f"the model {name} can't be sent to another process ({error}); give its name "
                    "or path in its place"
                ) from error
        return {"_model": None, "_data": self._data, "_probe": ""}

    def open(self) -> tuple[LanguageModel, str]:
        """Return the model and its `probe`, from memory where this process has it."""
        if self._model is not None:
            self._probe = self._probe or probe(self._model)
            return self._model, self._probe
        key = hashlib.sha256(self._data).hexdigest()
        with _lock:
            if key not in _held:
                # The one before has to go before the next one comes.
                release()
                given, quant = pickle.loads(self._data)
                if isinstance(given, str):
                    import pyqtf  # the facade is above this layer; only names need it

                    given = pyqtf.load(given, quant=quant)
                _held[key] = given, probe(given)
            return _held[key]


def release() -> None:
    """Forget the model that this process keeps for tasks."""
    _held.clear()
    gc.collect()


@dataclass(frozen=True)
class _Card:
    """What a worker says of a model."""

    name: str
    n_params: int
    n_params_non_embedding: int
    quant: str
    config: Config
    fingerprint: str
    calibration: str | None
    isa: str
    probe: str
    tokenizer_json: bytes
    special: dict[str, Any]


class RemoteModel:
    """A model that only the workers hold; a `LanguageModel` like any other.

    Parameters
    ----------
    name : str
        Name or path, as the workers can open it.
    quant : str, optional
        How the workers store its weights.
    executor : Executor
        The workers.
    """

    def __init__(self, name: str, quant: str | None, executor: Executor) -> None:
        from pyqtf.tokenizer import Tokenizer

        self.ticket = Ticket(name, quant)
        self._executor = executor
        card = _result(executor.submit(_describe, self.ticket))
        self.name, self.quant = card.name, card.quant
        self.n_params, self.n_params_non_embedding = card.n_params, card.n_params_non_embedding
        self.config, self.fingerprint = card.config, card.fingerprint
        self.calibration = card.calibration
        self.isa, self.probe = card.isa, card.probe
        self.tokenizer = Tokenizer.from_json(card.tokenizer_json, **card.special)

    def token_losses(self, sequences: Sequences, *, top_k: int = 0) -> list[TokenLosses]:
        """Losses of each sequence, every one scored alone."""
        done: _Done = _result(self._executor.submit(_score, self.ticket, list(sequences), top_k))
        return done.losses


def scored_batches(
    model: LanguageModel,
    sequences: Sequences,
    batches: Iterable[list[int]],
    executor: Executor | None = None,
) -> Iterator[tuple[list[int], list[TokenLosses], float]]:
    """Yield each batch with its losses and the seconds they took, as they get done.

    Parameters
    ----------
    model : LanguageModel
        Scores here when there is no executor.
    sequences : sequence of int32 [T]
        Ids of all texts.
    batches : iterable of list of int
        Places in `sequences` to score together.
    executor : concurrent.futures.Executor, optional
        Where to score.

    Raises
    ------
    RuntimeError
        The executor's workers died, or one of them computes other bits than the rest.
    """
    if executor is None:
        for batch in batches:
            start = time.perf_counter()
            losses = model.token_losses([sequences[i] for i in batch])
            yield batch, losses, time.perf_counter() - start
        return
    if isinstance(model, RemoteModel):
        ticket, expected = model.ticket, model.probe
    else:
        ticket = Ticket(model)
        expected = ticket.open()[1]
    pending: dict[Future[_Done], list[int]] = {}
    try:
        for batch in batches:
            task = executor.submit(_score, ticket, [sequences[i] for i in batch])
            pending[task] = batch
            if len(pending) >= _IN_FLIGHT:
                yield from _finished(model, pending, expected)
        while pending:
            yield from _finished(model, pending, expected)
    finally:
        for task in pending:
            task.cancel()


def probe(model: LanguageModel) -> str:
    """Digest of the losses of a fixed sequence spread over the vocabulary.

    Every loss is normalised over the whole vocabulary, so nearly any change of weights shows, and
    so does arithmetic that rounds in another way.
    """
    n = min(32, model.config.max_position_embeddings, model.config.vocab_size)
    ids = (np.arange(n) * (model.config.vocab_size // n)).astype(np.int32)
    (losses,) = model.token_losses([ids])
    return hashlib.sha256(
        np.asarray(losses.nll, "<f8").tobytes() + np.asarray(losses.entropy, "<f8").tobytes()
    ).hexdigest()


@dataclass(frozen=True)
class _Done:
    """What a worker sends back."""

    losses: list[TokenLosses]
    seconds: float
    isa: str
    probe: str


def _finished(
    model: LanguageModel, pending: dict[Future[_Done], list[int]], expected: str
) -> Iterator[tuple[list[int], list[TokenLosses], float]]:
    for task in wait(pending, return_when=FIRST_COMPLETED).done:
        batch = pending.pop(task)
        done = _result(task)
        if done.probe != expected:
            raise RuntimeError(
                f"a worker ({done.isa}) computes other losses with {model.name} than the first "
                "one; all need the same weights, and processors that give the same bits: set "
                "PYQTF_ISA on every machine to one that all have"
            )
        yield batch, done.losses, done.seconds


def _result(task: Future[Any]) -> Any:
    try:
        return task.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            f"a worker of the executor died ({error}); with cache=, finished stories are kept, "
            "and the same call with a new executor goes on from there"
        ) from error


def _describe(ticket: Ticket) -> _Card:
    from pyqtf import _core

    model, its_probe = ticket.open()
    loaded = cast(Any, model)
    special = ("bos_token", "eos_token", "chat_template")
    return _Card(
        name=model.name,
        n_params=model.n_params,
        n_params_non_embedding=model.n_params_non_embedding,
        quant=model.quant,
        config=model.config,
        fingerprint=loaded.fingerprint,
        calibration=getattr(loaded, "calibration", None),
        isa=_core.cpu_info()["isa"],
        probe=its_probe,
        tokenizer_json=loaded.tokenizer_json(),
        special={name: getattr(loaded.tokenizer, name) for name in special},
    )


def _score(ticket: Ticket, sequences: Sequences, top_k: int = 0) -> _Done:
    from pyqtf import _core

    model, its_probe = ticket.open()
    start = time.perf_counter()
    losses = model.token_losses(sequences, top_k=top_k)
    seconds = time.perf_counter() - start
    return _Done(losses, seconds, _core.cpu_info()["isa"], its_probe)
