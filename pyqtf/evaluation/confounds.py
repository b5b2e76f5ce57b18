"""What goes with a token's loss besides the model: place, kind, rarity, dialogue, repetition."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from pyqtf.evaluation.columns import require_columns

TERMS = (
    "log_length",
    "place",
    "log_frequency",
    "kind",
    "starts_word",
    "dialogue",
    "repeated",
)
_LETTER = re.compile(r"[^\W\d_]")
_QUOTES = re.compile('["“”]')


def token_features(tokens: pd.DataFrame) -> pd.DataFrame:
    """Describe every token of `pyqtf.evaluate_tokens` by what may explain its loss.

    A token begins a word if white space or punctuation stands before it; the tokens that continue
    a word share its kind. A name is a word with a capital letter that some story also writes with
    one in the middle of a sentence. These are plain rules for English stories, and now and then
    they err.

    Parameters
    ----------
    tokens : DataFrame
        What `pyqtf.evaluate_tokens` returns, or tokens.csv read with ``keep_default_na=False``.

    Returns
    -------
    DataFrame
        The same rows with the columns ``kind`` ("word", "name", "number", "punctuation" or
        "space"), ``starts_word``, ``place`` (0 at the story's first scored token, 1 at its last),
        ``log_length`` (log of the story's scored tokens), ``log_frequency`` (log of how often the
        token occurs in these stories), ``dialogue`` (inside quotation marks) and ``repeated`` (a
        name that this story had before).

    Raises
    ------
    ValueError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "story_idx": 0, "position": range(1, 7),
    ...     "token": [" saw", " Tom", ".", " Tom", " ran", "."], "nll": 1.0})
    >>> token_features(df)[["kind", "repeated"]].values.tolist()[1:4]
    [['name', False], ['punctuation', False], ['name', True]]
    """
    needed = ("model_name", "story_idx", "position", "token")
    expected = "expected what pyqtf.evaluate_tokens returns"
    require_columns(tokens, needed, "the tokens have", expected)
    frame = tokens.sort_values(["model_name", "story_idx", "position"]).reset_index(drop=True)
    one_model = frame[frame["model_name"] == frame["model_name"].iloc[0]]
    stories = [list(group) for _, group in one_model.groupby("story_idx")["token"]]
    names = {name for story in stories for name in _names(story)}
    count = one_model["token"].value_counts()
    columns: dict[str, list[object]] = {"kind": [], "starts_word": [], "dialogue": [],
                                        "repeated": []}  # fmt: skip
    for _, story in frame.groupby(["model_name", "story_idx"], sort=False)["token"]:
        for name, values in _describe(list(story), names).items():
            columns[name] += values
    by_story = frame.groupby(["model_name", "story_idx"], sort=False)["position"]
    length = by_story.transform("size")
    return frame.assign(
        **{name: np.array(values) for name, values in columns.items()},
        place=by_story.cumcount() / np.maximum(length - 1, 1),
        log_length=np.log(length),
        log_frequency=np.log(frame["token"].map(count).fillna(1)),
    )


def regress_loss(
    features: pd.DataFrame,
    terms: Sequence[str] = TERMS,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Least squares of the loss of tokens on their features, errors clustered by story.

    Each coefficient is what goes with one feature while the others stay the same: an association,
    not a cause. The covariance is that of Liang and Zeger with the usual small-sample factor
    n/(n-1) (N-1)/(N-k), and t has n - 1 degrees of freedom for n stories.

    Parameters
    ----------
    features : DataFrame
        What `token_features` returns, of one model; it may carry further columns to use as terms.
    terms : sequence of str
        Columns. Numbers and truth values enter as they are, text as one indicator for every value
        but its most frequent one.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per coefficient: ``term`` ("kind: name" for values of text columns), ``estimate``
        (nats per unit of the term), ``se``, ``low``, ``high``, ``p``.

    Raises
    ------
    ValueError
        A column is missing; there are several models or fewer than two stories; the terms say the
        same twice.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "story_idx": [0, 0, 1, 1, 2, 2],
    ...     "nll": [1.0, 3.0, 1.5, 3.5, 0.5, 2.5], "dialogue": [False, True] * 3})
    >>> regress_loss(df, ["dialogue"])["estimate"].round(6).tolist()
    [1.0, 2.0]
    """
    require_columns(features, ("model_name", "story_idx", "nll", *terms), "the features have")
    if features["model_name"].nunique() != 1:
        raise ValueError("these are the tokens of several models; choose one of them")
    story = pd.factorize(features["story_idx"])[0]
    n = int(story.max()) + 1
    if n < 2:
        raise ValueError("there is one story; errors clustered by story need at least two")
    names, design = _design(features, terms)
    y = features["nll"].to_numpy(np.float64)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(
            f"the terms {', '.join(terms)} say the same twice, or one of them never changes here"
        )
    bread = np.linalg.inv(design.T @ design)
    estimate = bread @ (design.T @ y)
    moments = design * (y - design @ estimate)[:, None]
    by_story = np.zeros((n, design.shape[1]))
    np.add.at(by_story, story, moments)
    factor = n / (n - 1) * (len(y) - 1) / (len(y) - design.shape[1])
    covariance = factor * bread @ (by_story.T @ by_story) @ bread
    se = np.sqrt(np.diag(covariance))
    reach = stdtrit(n - 1, 0.5 + level / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(n - 1, -np.abs(estimate) / se)
    return pd.DataFrame(
        {
            "term": names,
            "estimate": estimate,
            "se": se,
            "low": estimate - reach,
            "high": estimate + reach,
            "p": p,
        }
    )


def _design(features: pd.DataFrame, terms: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    names = ["intercept"]
    columns: list[NDArray[np.float64]] = [np.ones(len(features))]
    for term in terms:
        column = features[term]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            names.append(term)
            columns.append(column.to_numpy(np.float64))
            continue
        values = column.astype(str)
        for value in sorted(set(values) - {values.mode()[0]}):
            names.append(f"{term}: {value}")
            columns.append(np.asarray(values == value, dtype=np.float64))
    return names, np.column_stack(columns)


def _describe(story: Sequence[str], names: set[str]) -> dict[str, list[object]]:
    """Kind, word start, dialogue and repetition of each token of a story."""
    kinds: list[object] = []
    starts: list[object] = []
    dialogue: list[object] = []
    repeated: list[object] = []
    inside, seen = False, set[str]()
    for word in _words(story):
        text = "".join(word).strip()
        kind = _kind(text, names)
        for i, token in enumerate(word):
            quotes = len(_QUOTES.findall(token))
            kinds.append(kind)
            starts.append(i == 0)
            dialogue.append(inside or quotes > 0)
            repeated.append(kind == "name" and text in seen)
            inside ^= quotes % 2 == 1
        seen.add(text)
        if "\n" in "".join(word):
            inside = False  # a quotation left open ends with its paragraph
    return {"kind": kinds, "starts_word": starts, "dialogue": dialogue, "repeated": repeated}


def _words(story: Sequence[str]) -> list[list[str]]:
    """Tokens gathered into words; punctuation and white space stand alone."""
    words: list[list[str]] = []
    for token in story:
        core = token.strip()
        joins = bool(core) and token[0] == core[0] and core[0].isalnum()
        if joins and words and words[-1][-1].strip()[-1:].isalnum():
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _kind(word: str, names: set[str]) -> str:
    if not word:
        return "space"
    if word in names:
        return "name"
    if _LETTER.search(word):
        return "word"
    return "number" if any(letter.isdigit() for letter in word) else "punctuation"


def _names(story: Sequence[str]) -> set[str]:
    """Words with a capital letter in the middle of a sentence."""
    found: set[str] = set()
    middle = False
    for word in _words(story):
        text = "".join(word).strip()
        if middle and text[:1].isupper() and len(text) > 1:
            found.add(text)
        middle = bool(text) and (text[-1].isalnum() or text[-1] in ",;:'’-")
    return found
