"""What a model gains from the sentences before: its own, or those of another story as a control."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation.batches import batches
from pyqtf.evaluation.columns import require_columns
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.score import Text, check_ids, encode, exp, join
from pyqtf.evaluation.statistics import clustered_mean
from pyqtf.evaluation.stories import as_stories

# A context: its name, how many sentences it is, and what stands before the text.
Condition = tuple[str, int, Text]
# A text with its story's index and what to put before it, one after the other.
Item = tuple[int, str, list[Condition]]

# A sentence ends at . ! or ? with the quotes and brackets that close behind it.
_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*(?=\s)")


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences; the pieces put together are the text again.

    White space goes to the sentence behind it, as tokenizers that put a space before a word do.
    It is a plain rule: "Mr. Fox" counts as two.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str

    Examples
    --------
    >>> split_sentences('The cat sat. "Oh!" said Tom. It ran.')
    ['The cat sat.', ' "Oh!"', ' said Tom.', ' It ran.']
    """
    cuts = [match.end() for match in _END.finditer(text)]
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [piece for piece in pieces if piece]


def evaluate_contexts(
    model: LanguageModel,
    stories: Iterable[str | Mapping[str, Any]] | pd.DataFrame,
    *,
    sentences: Sequence[int] = (1, 2, 4, 8),
    control: bool = True,
) -> pd.DataFrame:
    """Loss of the second half of each story behind nothing, its own sentences, or another's.

    The second half of a story's sentences is scored again and again: alone, behind the 1, 2, 4, ...
    sentences before it, and as a control behind as many sentences from the same place in the next
    story. Always the same tokens count: all of the half but its first, which has nothing before it
    when it stands alone. Context and half are encoded separately; see `pyqtf.evaluation.score`.

    Parameters
    ----------
    model : LanguageModel
        For instance what `pyqtf.load` returns.
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        At least two, of which those with one sentence are left out.
    sentences : sequence of int
        How many sentences of context; a story with fewer before its half gives those it has.
    control : bool
        Score behind another story's sentences too.

    Returns
    -------
    DataFrame
        One row per story and context: ``model_name``, ``story_idx``, ``context`` ("none", "own"
        or "other"), ``n_sentences`` (asked for), ``n_context`` (its tokens), ``n_scored``,
        ``nll`` (sum, nats), ``perplexity``.

    Raises
    ------
    ValueError
        Fewer than two stories have two sentences; a half and its context are longer than the model
        can read; a number of sentences is below 1.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> df = evaluate_contexts(model, pyqtf.bundled.stories()[:3], sentences=[1])
    >>> df["context"].tolist()[:3]
    ['none', 'own', 'other']
    """
    if any(n < 1 for n in sentences):
        raise ValueError(f"sentences is {list(sentences)}; expected numbers of 1 or more")
    cut = [(i, split_sentences(s["text"])) for i, s in enumerate(as_stories(stories))]
    halves = [(i, s[: len(s) // 2], "".join(s[len(s) // 2 :])) for i, s in cut if len(s) > 1]
    if len(halves) < 2:
        raise ValueError(
            f"{len(halves)} of the stories have two sentences or more; a comparison of contexts "
            "needs at least two"
        )
    items: list[Item] = []
    for place, (index, before, half) in enumerate(halves):
        other = halves[(place + 1) % len(halves)][1]
        conditions: list[Condition] = [("none", 0, "")]
        for n in sentences:
            conditions.append(("own", n, "".join(before[-n:])))
            if control:
                conditions.append(("other", n, "".join(other[-n:])))
        items.append((index, half, conditions))
    return score_behind(model, items)


def score_behind(model: LanguageModel, items: Sequence[Item]) -> pd.DataFrame:
    """Score each text behind each of its contexts, over the same tokens.

    Parameters
    ----------
    model : LanguageModel
        What scores.
    items : list of (story_idx, text, list of (context, n_sentences, what stands before))
        The text's first token is left out everywhere, as nothing is before it where it stands
        alone.

    Returns
    -------
    DataFrame
        As `evaluate_contexts`.

    Raises
    ------
    ValueError
        A text and its context are longer than the model can read; a text is a single token.
    """
    rows: list[dict[str, Any]] = []
    jobs: list[tuple[NDArray[np.int32], int, str]] = []
    for index, text, conditions in items:
        ids = encode(model.tokenizer, text, "text")
        for name, n, context in conditions:
            context_ids = encode(model.tokenizer, context, "context")
            whole = np.concatenate([context_ids, ids])
            try:
                # Alone as well, so that a token is left when the first is not counted.
                check_ids(model, ids, 0)
                check_ids(model, whole, len(context_ids))
            except ValueError as error:
                raise ValueError(f"story {index}: {error}") from None
            jobs.append((whole, len(context_ids), text))
            rows.append(
                {
                    "model_name": model.name,
                    "story_idx": index,
                    "context": name,
                    "n_sentences": n,
                    "n_context": len(context_ids),
                }
            )
    for row, (n_scored, nll) in zip(rows, _losses(model, jobs), strict=True):
        row |= {"n_scored": n_scored, "nll": nll, "perplexity": exp(nll / n_scored)}
    return pd.DataFrame(rows)


def summarise_contexts(
    results: pd.DataFrame, *, level: float = 0.95, reference: str | None = None
) -> pd.DataFrame:
    """What each context brings, paired story by story.

    Parameters
    ----------
    results : DataFrame
        What `evaluate_contexts` or `evaluate_chat` returns.
    level : float
        Confidence level of the intervals.
    reference : str, optional
        Model whose loss without context everything is held against; by default each model is held
        against itself.

    Returns
    -------
    DataFrame
        One row per model and context: ``model_name``, ``context``, ``n_sentences``,
        ``perplexity``, and against no context on the same tokens: ``difference`` (nats per token,
        below 0 where the context helps) with ``low`` and ``high``, its interval clustered by
        story.

    Raises
    ------
    ValueError
        A column is missing; a story lacks one of the contexts; models read different tokens; no
        model is named `reference`.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "story_idx": [0, 0, 1, 1], "n_sentences": [0, 1] * 2,
    ...     "context": ["none", "own"] * 2, "n_context": [0, 9] * 2, "n_scored": 10,
    ...     "nll": [30.0, 20.0, 26.0, 20.0], "perplexity": 1.0})
    >>> summarise_contexts(df)["difference"].tolist()
    [0.0, -0.8]
    """
    keys = ["model_name", "context", "n_sentences"]
    expected = "expected what pyqtf.evaluate_contexts or pyqtf.evaluate_chat returns"
    require_columns(results, (*keys, "story_idx", "n_scored", "nll"), "the results have", expected)
    if not len(results):
        raise ValueError(f"the results have no rows; {expected}")
    nll = results.pivot(index="story_idx", columns=keys, values="nll")
    models = list(dict.fromkeys(results["model_name"]))
    bare = [(model, "none", 0) for model in models]
    if nll.isna().any(axis=None) or not set(bare) <= set(nll.columns):
        raise ValueError("a story lacks one of the contexts; expected what evaluate_contexts gives")
    sizes = results.groupby("story_idx")["n_scored"]
    if (sizes.nunique() > 1).any():
        raise ValueError(
            f"{' and '.join(models)} read different tokens; a context is compared over identical "
            "ones, so the models need one tokenizer"
        )
    if reference not in (None, *models):
        raise ValueError(f"no model is named {reference!r}; there are: {', '.join(models)}")
    scored = sizes.first()
    rows = []
    for model, name, n in results[keys].drop_duplicates().itertuples(index=False):
        one = nll[(model, name, n)]
        mean = clustered_mean(one, scored, level=level)
        against = nll[(reference or model, "none", 0)]
        difference = clustered_mean(one - against, scored, level=level)
        rows.append(
            {
                "model_name": model,
                "context": name,
                "n_sentences": n,
                "perplexity": exp(mean.value),
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
            }
        )
    return pd.DataFrame(rows)


def _losses(
    model: LanguageModel, jobs: Sequence[tuple[NDArray[np.int32], int, str]]
) -> list[tuple[int, float]]:
    """Number and sum of the losses of each half, its first token left out."""
    found = []
    for batch in batches(range(len(jobs)), [len(ids) for ids, _, _ in jobs]):
        for i, losses in zip(batch, model.token_losses([jobs[i][0] for i in batch]), strict=True):
            ids, n_context, half = jobs[i]
            score = join(model, model.tokenizer, half, ids, n_context, losses)
            kept = score.losses.after(score.n_scored - score.n_tokens + 1)
            found.append((len(kept), float(kept.nll.sum())))
    return found
