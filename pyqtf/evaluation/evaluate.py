"""Score many stories under many models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation import workers
from pyqtf.evaluation.batches import TASK_TOKENS, batches
from pyqtf.evaluation.cache import Cache, Entry, key
from pyqtf.evaluation.calibrated import checked_texts, warn_if_calibrated_with, warn_of_shared
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.models import Models, as_models, open_model
from pyqtf.evaluation.protocol import PER_STORY
from pyqtf.evaluation.receipt import Receipt, make_receipt, to_line
from pyqtf.evaluation.score import Score, check_ids, encode, join
from pyqtf.evaluation.stories import Stories, Story, as_stories

if TYPE_CHECKING:
    from pyqtf.calibration import Texts

RESULT_COLUMNS = (
    "model_name",
    "n_params",
    "n_params_non_embedding",
    "quant",
    "story_idx",
    "n_tokens",
    "n_scored",
    "n_bytes",
    "nll",
    "perplexity",
    "bits_per_byte",
    "seconds",
    "protocol",
    "provenance",
)
TOKEN_COLUMNS = (
    "model_name",
    "story_idx",
    "position",
    "token_id",
    "token",
    "n_bytes",
    "nll",
    "rank",
    "entropy",
)

# How much work an interrupted run may lose.
_SAVE_EVERY_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Scored:
    """One story under one model."""

    model_name: str
    n_params: int
    n_params_non_embedding: int
    quant: str
    story_idx: int
    story: Story
    score: Score
    seconds: float
    receipt: Receipt

    def row(self) -> dict[str, Any]:
        """The row of this story in the results (`RESULT_COLUMNS`, then the story's own)."""
        score = self.score
        values = (
            self.model_name,
            self.n_params,
            self.n_params_non_embedding,
            self.quant,
            self.story_idx,
            score.n_tokens,
            score.n_scored,
            score.n_bytes,
            score.nll,
            score.perplexity,
            score.bits_per_byte,
            self.seconds,
            to_line(score.receipt.protocol),
            to_line(self.receipt.provenance),
        )
        extra = {name: value for name, value in self.story.items() if name != "text"}
        return {**dict(zip(RESULT_COLUMNS, values, strict=True)), **extra}

    def tokens(self) -> pd.DataFrame:
        """One row per scored token (`TOKEN_COLUMNS`)."""
        frame = self.score.to_frame()
        frame.insert(0, "story_idx", self.story_idx)
        frame.insert(0, "model_name", self.model_name)
        return frame[list(TOKEN_COLUMNS)]


def evaluate(
    models: Models,
    stories: Stories,
    *,
    quant: str | None = None,
    progress: bool = True,
    cache: str | Path | None = None,
    executor: Executor | None = None,
    calibration: Texts | None = None,
) -> pd.DataFrame:
    """Perplexity of every story under every model.

    Parameters
    ----------
    models : str, path or model, or a list of these
        Names and paths are opened with `pyqtf.load`, one at a time, so that only one model is in
        memory.
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        Other keys and columns (genre, source, ...) are carried to the result.
    quant : {"q8", "q4", "f32"}, optional
        How to store the weights of models given by name; by default as `pyqtf.load` does.
    progress : bool
        Show a progress bar, and before a long run an estimate of its time and memory
        (`pyqtf.estimate`).
    cache : path, optional
        Folder that keeps finished stories. The same call after an interruption goes on where it
        stopped and returns the same numbers.
    executor : concurrent.futures.Executor, optional
        Scores batches of stories in its threads, processes or machines; every number is the same
        to the bit. For several machines, ``client.get_executor()`` of a Dask client
        (``pip install 'pyqtf[cluster]'``). Models given by name are opened by the workers alone:
        each opens a model once and keeps one at a time.
    calibration : list of str, of dict with "text" or of ids; or DataFrame with "text"; optional
        Texts that models given by name are calibrated with, as `pyqtf.load` takes them; with
        ``quant="q4"`` and without an executor. A warning says if they are also scored.

    Returns
    -------
    DataFrame
        One row per model and story: ``model_name``, ``n_params``, ``n_params_non_embedding``,
        ``quant``, ``story_idx`` (from 0), ``n_tokens``, ``n_scored`` (one less: the first token
        has nothing before it), ``n_bytes`` (UTF-8, of the scored tokens), ``nll`` (sum over the
        story, in nats), ``perplexity``, ``bits_per_byte``, ``seconds``, the two halves of the
        receipt, ``protocol`` and ``provenance`` (see `pyqtf.evaluation.receipt`), then the
        stories' own columns.

    Raises
    ------
    ValueError
        No models or stories; a story that is empty, a single token or longer than a model can
        read; a story column with the name of a result column; two models with one name;
        `calibration` with another quant than q4, or with an executor.
    TypeError
        Models or stories of another type; a model that the executor can't send to its processes.
    RuntimeError
        The executor's workers died, or compute different bits.
    MemoryError
        A model won't fit; it says in which storage it would.

    Examples
    --------
    >>> import pyqtf
    >>> df = evaluate(pyqtf.bundled.names()[:2], ["A cat sat.", "A dog ran."], progress=False)
    >>> df[["story_idx", "perplexity"]].shape
    (4, 2)
    """
    done = iter_scores(
        models,
        stories,
        quant=quant,
        progress=progress,
        cache=cache,
        executor=executor,
        calibration=calibration,
    )
    return results_frame(scored.row() for scored in done)


def evaluate_tokens(
    models: Models,
    stories: Stories,
    *,
    quant: str | None = None,
    progress: bool = True,
    cache: str | Path | None = None,
    executor: Executor | None = None,
    calibration: Texts | None = None,
) -> pd.DataFrame:
    """Loss of every token of every story under every model.

    Takes and raises what `evaluate` does.

    Returns
    -------
    DataFrame
        One row per scored token: ``model_name``, ``story_idx``, ``position`` (in the story, from
        0), ``token_id``, ``token``, ``n_bytes``, ``nll`` (nats), ``rank`` (1 = most likely),
        ``entropy`` (nats).

    Examples
    --------
    >>> import pyqtf
    >>> df = evaluate_tokens(pyqtf.bundled.names()[0], ["A cat sat."], progress=False)
    >>> int(df["position"].iloc[0])
    1
    """
    done = iter_scores(
        models,
        stories,
        quant=quant,
        progress=progress,
        cache=cache,
        executor=executor,
        calibration=calibration,
    )
    return pd.concat([scored.tokens() for scored in done], ignore_index=True)


def results_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `Scored.row` as a DataFrame, columns in their documented order."""
    frame = pd.DataFrame(list(rows))
    extra = [name for name in frame.columns if name not in RESULT_COLUMNS]
    return frame[[*RESULT_COLUMNS, *extra]]


def iter_scores(
    models: Models,
    stories: Stories,
    *,
    quant: str | None = None,
    progress: bool = True,
    cache: str | Path | None = None,
    executor: Executor | None = None,
    calibration: Texts | None = None,
) -> Iterator[Scored]:
    """Score models one after the other and yield every story, in the order given.

    Takes and raises what `evaluate` does. Finished work is in the cache by the time an exception
    or Ctrl-C leaves this function.
    """
    items = as_stories(stories)
    _check_columns(items)
    wanted = as_models(models)
    if not hasattr(executor, "submit") and executor is not None:
        raise TypeError(
            f"executor is a {type(executor).__name__}; expected one of concurrent.futures"
        )
    if calibration is not None:
        calibration = checked_texts(calibration, quant, executor)
        warn_of_shared([item["text"] for item in items], calibration)
    seen: set[tuple[str, str]] = set()
    if progress and executor is None:
        from pyqtf.planning import announce  # above this layer, as loading is

        announce(wanted, items, quant, calibration)
    with progress_bar(len(wanted) * len(items), progress) as bar:
        for index, given in enumerate(wanted):
            wanted[index] = ""  # so that a model that was handed over can be freed when done
            model = open_model(given, quant, executor, calibration, progress=progress)
            if (model.name, model.quant) in seen:
                raise ValueError(
                    f"two models are named {model.name!r} ({model.quant}); give each a name of "
                    "its own, or leave one out"
                )
            seen.add((model.name, model.quant))
            if bar is not None:
                bar.set_description(model.name)
            advance = bar.update if bar is not None else None
            # Where the texts are at hand, it was said already.
            known = calibration is not None and isinstance(given, str | Path)
            yield from _score_model(model, items, cache, advance, executor, known=known)
            del model, given
            workers.release()


def _score_model(
    model: LanguageModel,
    items: Sequence[Story],
    cache: str | Path | None,
    advance: Callable[[int], object] | None,
    executor: Executor | None,
    *,
    known: bool,
) -> Iterator[Scored]:
    sequences = []
    for index, item in enumerate(items):
        try:
            ids = encode(model.tokenizer, item["text"], "text")
            check_ids(model, ids, 0)
        except ValueError as error:
            raise ValueError(f"story {index}: {error}") from None
        sequences.append(ids)
    if not known:
        warn_if_calibrated_with(model, sequences)
    receipt = make_receipt(model, [item["text"] for item in items], sequences, PER_STORY)
    entries = _losses(model, sequences, cache, advance, executor)
    for index, (item, ids, entry) in enumerate(zip(items, sequences, entries, strict=True)):
        yield Scored(
            model_name=model.name,
            n_params=model.n_params,
            n_params_non_embedding=model.n_params_non_embedding,
            quant=model.quant,
            story_idx=index,
            story=item,
            score=join(model, model.tokenizer, item["text"], ids, 0, entry.losses),
            seconds=entry.seconds,
            receipt=receipt,
        )


def _losses(
    model: LanguageModel,
    sequences: Sequence[NDArray[np.int32]],
    folder: str | Path | None,
    advance: Callable[[int], object] | None,
    executor: Executor | None,
) -> list[Entry]:
    """Entry of each sequence, from the cache or computed; saves as it goes."""
    cache = Cache(folder, model) if folder is not None else None
    found = {i: cache.get(ids) for i, ids in enumerate(sequences)} if cache is not None else {}
    entries = {i: entry for i, entry in found.items() if entry is not None}
    if advance is not None:
        advance(len(entries))
    missing = [i for i in range(len(sequences)) if i not in entries]
    unsaved: dict[str, Entry] = {}
    saved_at = time.monotonic()
    lengths = [len(ids) for ids in sequences]
    cut = batches(missing, lengths, limit=None if executor is None else TASK_TOKENS)
    try:
        for batch, losses, seconds in workers.scored_batches(model, sequences, cut, executor):
            n_tokens = sum(len(sequences[i]) for i in batch)
            for i, one in zip(batch, losses, strict=True):
                # A batch is timed as a whole; its stories share the time by their tokens.
                entries[i] = Entry(one, seconds * len(sequences[i]) / n_tokens)
                unsaved[key(sequences[i])] = entries[i]
            if cache is not None and time.monotonic() - saved_at > _SAVE_EVERY_SECONDS:
                cache.put(unsaved)
                unsaved.clear()
                saved_at = time.monotonic()
            if advance is not None:
                advance(len(batch))
    finally:
        if cache is not None and unsaved:
            cache.put(unsaved)
    return [entries[i] for i in range(len(sequences))]


def _check_columns(items: Sequence[Story]) -> None:
    clashes = sorted({name for item in items for name in item if name in RESULT_COLUMNS})
    if clashes:
        raise ValueError(
            f"the stories have columns that the results need themselves: {', '.join(clashes)}; "
            "rename them"
        )


def progress_bar(total: int, progress: bool) -> Any:
    """A bar that counts stories, or None in its place."""
    if not progress:
        return nullcontext()
    from tqdm.auto import tqdm

    return tqdm(total=total, unit="story", dynamic_ncols=True)
