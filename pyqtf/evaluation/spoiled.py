"""What perplexity misses: stories spoiled in ways that every reader sees, beside the originals."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from pyqtf.evaluation.columns import require_columns
from pyqtf.evaluation.context import split_sentences
from pyqtf.evaluation.score import exp
from pyqtf.evaluation.statistics import check_results
from pyqtf.evaluation.stories import as_stories

VERSIONS = ("shuffled", "swapped names", "contradicted", "other ending", "looping")

# What turns the sense of an ending: the first of these words found there is replaced. No pair
# would want another article.
_OPPOSITES = {
    a: b
    for pair in (
        "happy sad", "happily sadly", "good bad", "better worse", "best worst", "always never",
        "friends enemies", "remembered forgot", "more less", "right wrong", "loved hated",
        "love hate", "smiled frowned", "smile frown", "laughed cried", "together apart",
        "proud ashamed", "wonderful terrible", "true false", "warm cold",
    )
    for a, b in (pair.split(), pair.split()[::-1])
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_VERB = re.compile(r"\b(was|were|is|are|had|could|would|will|can)\b(?! not)")
_NAME = re.compile(r"(?<=[a-z,;] )(?:(Mr|Mrs|Ms|Dr|Miss|Old)\b\.? ?)?([A-Z][a-z]+)?\b")
_DAYS = "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Christmas"
_FAMILY = "Mom", "Mommy", "Mother", "Dad", "Daddy", "Father", "Grandma", "Grandpa"
_NO_NAMES = frozenset({*_DAYS, *_FAMILY})


def spoil_stories(
    stories: Iterable[str | Mapping[str, Any]] | pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """Every story beside spoiled versions of itself.

    ============== ===============================================================================
    original       The story.
    shuffled       Its sentences in another order.
    swapped names  In the second half of its sentences two names are exchanged; a story with one
                   name takes the second from another story.
    contradicted   One word of the last three sentences is turned into its opposite, or negated.
    other ending   The last quarter of its sentences is that of another story, the one closest in
                   length, with this story's main name in it.
    looping        Its first two sentences again and again, until they are as long as the story.
    ============== ===============================================================================

    The rules are plain ones for English stories: names are words with a capital letter in the
    middle of a sentence. Where a rule finds nothing to change, the story lacks that version.

    Parameters
    ----------
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        A column ``hero`` names the main character; without it the name that occurs most is taken.
    seed : int
        Seed of the order of shuffled sentences.

    Returns
    -------
    DataFrame
        One row per story and version: the stories' own columns with the new ``text``, then
        ``version`` and ``of_story`` (number of the story, from 0). `pyqtf.evaluate` takes it as it
        is, and `summarise_spoiled` reads the result.

    Raises
    ------
    ValueError, TypeError
        As `pyqtf.evaluate` for its stories.

    Examples
    --------
    >>> frame = spoil_stories(["Once Tom met Ann. Tom ran away. And Tom was happy."])
    >>> frame.set_index("version")["text"]["contradicted"]
    'Once Tom met Ann. Tom ran away. And Tom was sad.'
    """
    items = as_stories(stories)
    sentences = [split_sentences(item["text"]) for item in items]
    names = [_names_of(item) for item in items]
    rows = []
    for index, item in enumerate(items):
        rng = np.random.default_rng([seed, index])
        spoiled = {
            "original": item["text"],
            "shuffled": _shuffle(sentences[index], rng),
            "swapped names": _swap_names(index, sentences, names),
            "contradicted": _contradict(sentences[index]),
            "other ending": _other_ending(index, sentences, names),
            "looping": _loop(sentences[index]),
        }
        rows += [
            {**item, "text": text, "version": version, "of_story": index}
            for version, text in spoiled.items()
            if version == "original" or (text and text != item["text"])
        ]
    return pd.DataFrame(rows)


def summarise_spoiled(results: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """How perplexity rates each spoiled version, and whether the model would choose the original.

    The perplexities of a version and of the originals are over all tokens of the stories that have
    it, and their ratio has an interval clustered by story: with m = sum(L) / sum(T) for either,
    u_s = (L_s - m T_s) / sum(T) and SE^2 = n / (n - 1) sum((u_version - u_original)^2).

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns for `spoil_stories`.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per model (smallest first) and version: ``model_name``, ``quant``, ``n_params``,
        ``version``, ``n_stories``, ``original`` and ``perplexity`` (of the originals and of the
        version), ``ratio`` with ``ratio_low`` and ``ratio_high`` (NaN for one story), and
        ``accuracy`` with ``accuracy_low`` and ``accuracy_high``: the share of stories whose
        original the model holds for the more probable text as a whole, with Wilson's interval.

    Raises
    ------
    ValueError
        A column is missing, or a version has no original beside it.

    Examples
    --------
    >>> import pyqtf
    >>> spoiled = spoil_stories(pyqtf.bundled.stories()[:5])
    >>> df = pyqtf.evaluate(pyqtf.bundled.names()[-1], spoiled, progress=False)
    >>> summary = summarise_spoiled(df).set_index("version")
    >>> bool(summary["ratio"]["shuffled"] > 2 > summary["ratio"]["swapped names"])
    True
    """
    check_results(results)
    expected = "expected what pyqtf.evaluate returns for pyqtf.spoil_stories"
    require_columns(results, ("version", "of_story"), "the results have", expected)
    rows = []
    for (name, quant), model in results.groupby(["model_name", "quant"], sort=False):
        originals = model[model["version"] == "original"].set_index("of_story")
        for version, group in model.groupby("version", sort=False):
            if version == "original":
                continue
            lone = sorted(set(group["of_story"]) - set(originals.index))
            if lone:
                raise ValueError(f"story {lone[0]} ({version}) has no original beside it")
            original = originals.loc[group["of_story"]]
            n_won = int((original["nll"].to_numpy() < group["nll"].to_numpy()).sum())
            rows.append(
                {
                    "model_name": name,
                    "quant": quant,
                    "n_params": int(group["n_params"].iloc[0]),
                    "version": version,
                    "n_stories": len(group),
                    **_ratio(original, group, level),
                    **_share(n_won, len(group), level),
                }
            )
    return pd.DataFrame(rows).sort_values("n_params", kind="stable", ignore_index=True)


def _ratio(original: pd.DataFrame, version: pd.DataFrame, level: float) -> dict[str, float]:
    mean_a, a = _influence(original)
    mean_b, b = _influence(version)
    n, difference = len(a), mean_b - mean_a
    reach = math.nan
    if n > 1:
        se = math.sqrt(n / (n - 1) * math.fsum((b - a) ** 2))
        reach = float(stdtrit(n - 1, 0.5 + level / 2)) * se
    return {
        "original": exp(mean_a),
        "perplexity": exp(mean_b),
        "ratio": exp(difference),
        "ratio_low": exp(difference - reach),
        "ratio_high": exp(difference + reach),
    }


def _influence(rows: pd.DataFrame) -> tuple[float, NDArray[np.float64]]:
    """Mean loss per token, and what each story adds to its error."""
    nll, scored = (rows[name].to_numpy(np.float64) for name in ("nll", "n_scored"))
    total = scored.sum()
    mean = math.fsum(nll) / total
    return mean, (nll - mean * scored) / total


def _share(n_won: int, n: int, level: float) -> dict[str, float]:
    """A share with Wilson's interval, which also holds for 0 of n and n of n."""
    z = float(stdtrit(math.inf, 0.5 + level / 2))
    p = n_won / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return {"accuracy": p, "accuracy_low": middle - reach, "accuracy_high": middle + reach}


def _shuffle(sentences: Sequence[str], rng: np.random.Generator) -> str | None:
    """White space stays where it is, sentences change places."""
    bodies = [sentence.lstrip() for sentence in sentences]
    gaps = [s[: len(s) - len(body)] for s, body in zip(sentences, bodies, strict=True)]
    if len(set(bodies)) < 2:
        return None
    order = rng.permutation(len(bodies))
    while (order == np.arange(len(order))).all():
        order = rng.permutation(len(bodies))
    return "".join(gap + bodies[i] for gap, i in zip(gaps, order, strict=True))


def _swap_names(
    index: int, sentences: Sequence[Sequence[str]], names: Sequence[Sequence[str]]
) -> str | None:
    own = names[index]
    if not own:
        return None
    others = [name for more in (*names[index:], *names[:index]) for name in more]
    second = next((name for name in (*own[1:], *others) if name not in own[:1]), None)
    half = len(sentences[index]) // 2
    before, after = "".join(sentences[index][:half]), "".join(sentences[index][half:])
    return before + _exchange(after, own[0], second) if second else None


def _contradict(sentences: Sequence[str], reach: int = 3) -> str | None:
    """Turn one word of the last sentences, from the last one backwards."""
    changed = list(sentences)
    for turn in (_turn_word, _negate):
        for i in range(len(changed) - 1, max(len(changed) - 1 - reach, -1), -1):
            if (turned := turn(changed[i])) is not None:
                changed[i] = turned
                return "".join(changed)
    return None


def _turn_word(sentence: str) -> str | None:
    for match in _WORD.finditer(sentence):
        if opposite := _OPPOSITES.get(match[0]):
            return sentence[: match.start()] + opposite + sentence[match.end() :]
    return None


def _negate(sentence: str) -> str | None:
    turned, n = _VERB.subn(r"\1 not", sentence, count=1)
    return turned if n else None


def _other_ending(
    index: int, sentences: Sequence[Sequence[str]], names: Sequence[Sequence[str]]
) -> str | None:
    endings = [_ending(each) for each in sentences]
    own = endings[index]
    others = [i for i in range(len(endings)) if i != index and endings[i] and endings[i] != own]
    if not own or not others:
        return None
    chosen = min(others, key=lambda i: abs(len(endings[i].encode()) - len(own.encode())))
    ending = endings[chosen].lstrip()
    if names[chosen] and names[index]:
        ending = _exchange(ending, names[chosen][0], names[index][0])
    gap = own[: len(own) - len(own.lstrip())]
    return "".join(sentences[index]).removesuffix(own) + gap + ending


def _ending(sentences: Sequence[str]) -> str:
    """The last quarter or more, not from within a quotation; nothing where that is the whole."""
    start = len(sentences) - max(1, len(sentences) // 4)
    while start > 0 and "".join(sentences[:start]).count('"') % 2:
        start -= 1
    return "".join(sentences[start:]) if start > 0 else ""


def _loop(sentences: Sequence[str]) -> str:
    text = "".join(sentences)
    start = "".join(sentences[:2]).strip()
    times = math.ceil((len(text.encode()) + 1) / (len(start.encode()) + 1))
    return " ".join([start] * times)


def _exchange(text: str, a: str, b: str) -> str:
    """Put each of two names where the other stands."""
    either = re.compile(rf"\b(?:{re.escape(a)}|{re.escape(b)})\b")
    return either.sub(lambda match: b if match[0] == a else a, text)


def _names_of(item: Mapping[str, Any]) -> list[str]:
    """Names in a story, the main character first, then by how often they occur."""
    text = item["text"]
    found = {name for title, name in _NAME.findall(text) if name and not title} - _NO_NAMES
    count = Counter({name: len(re.findall(rf"\b{name}\b", text)) for name in sorted(found)})
    names = [name for name, _ in count.most_common()]
    hero = item.get("hero")
    if isinstance(hero, str) and hero and hero in text:
        names = [hero, *(name for name in names if name != hero)]
    return names
