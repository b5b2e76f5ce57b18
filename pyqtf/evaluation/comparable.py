"""May these rows be compared? The receipts in the columns of results, held against each other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pyqtf.evaluation.receipt import ProtocolMismatchError, parse_line, unlike

_KEYS = ["model_name", "quant"]
_CUT = "text is cut into other tokens"
# Digests of text and ids by story.
_Texts = dict[Any, tuple[str, str]]
# Differ between any two models.
_OF_MODELS = ("model", "weights", "quant", "calibration", "chat_template")


def check_comparable(results: pd.DataFrame, *, unit: str = "token") -> None:
    """Refuse results whose numbers were made by different protocols.

    Every model must have read the same stories by the same protocol. Results without a column
    ``protocol`` (made by hand) are taken as they are.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns, several of them put together too.
    unit : {"token", "byte"}
        What the losses are counted by; by the byte, tokenizers may differ.

    Raises
    ------
    ProtocolMismatchError
        Names the models and every field that differs.
    ValueError
        `unit` is neither of the two.

    Examples
    --------
    >>> df = pd.DataFrame({"model_name": ["a", "b"], "quant": "q8", "story_idx": 0,
    ...     "protocol": ["protocol=gptq; window=2048", "protocol=gptq; window=512"]})
    >>> check_comparable(df)
    Traceback (most recent call last):
    ...
    pyqtf.evaluation.receipt.ProtocolMismatchError: a (q8) and b (q8) don't compare: window is \
2048 for one and 512 for the other
    """
    if unit not in ("token", "byte"):
        raise ValueError(f"unit is {unit!r}; expected 'token' or 'byte'")
    if "protocol" not in results.columns:
        return
    first: tuple[str, dict[str, str], _Texts] | None = None
    for (name, quant), group in results.groupby(_KEYS, sort=False):
        label = f"{name} ({quant})"
        way: dict[str, str] | None = None
        texts: _Texts = {}
        for story, line in zip(group["story_idx"], group["protocol"].astype(str), strict=True):
            fields = parse_line(line)
            texts[story] = fields.pop("text", ""), fields.pop("ids", "")
            if unit == "byte":
                fields.pop("tokenizer", None)
                texts[story] = texts[story][0], ""
            way = way or fields
            _refuse(f"the rows of {label}", unlike(way, fields))
        _refuse(f"the rows of {label}", _calibrations_unlike(group))
        first = first or (label, way or {}, texts)
        fields_unlike = unlike(first[1], way or {})
        _refuse(f"{first[0]} and {label}", [*fields_unlike, *_texts_unlike(first[2], texts)])


def _calibrations_unlike(group: pd.DataFrame) -> list[str]:
    """Rows of one name and storage are one model's, and not of several roundings of it."""
    if "provenance" not in group.columns:
        return []
    first, *others = [
        {"calibration": parse_line(line).get("calibration", "none")}
        for line in group["provenance"].astype(str).unique()
    ]
    return next(filter(None, (unlike(first, other) for other in others)), [])


def _texts_unlike(a: _Texts, b: _Texts) -> list[str]:
    if set(a) != set(b):
        return [f"they read different stories ({len(a)} and {len(b)} of them)"]
    for field, words in enumerate(("text is another one", _CUT)):
        others = [story for story in a if a[story][field] != b[story][field]]
        if others:
            return [f"{words} in {len(others)} of {len(a)} stories, first in story {others[0]}"]
    return []


def _refuse(who: str, differences: list[str]) -> None:
    if not differences:
        return
    advice = ""
    if any(words.startswith(("tokenizer is", _CUT)) for words in differences):
        advice = (
            ". Perplexities of different tokenizers don't compare; bits per byte do: "
            "pyqtf.summarise(results, unit='byte')"
        )
    raise ProtocolMismatchError(f"{who} don't compare: {'; '.join(differences)}{advice}")


def provenance_notes(results: pd.DataFrame) -> list[str]:
    """Sentences on machines and versions that differ between models; not an error.

    Examples
    --------
    >>> provenance_notes(pd.DataFrame({"model_name": ["a", "b"], "quant": "q8",
    ...     "provenance": ["model=a; isa=avx2", "model=b; isa=baseline"]}))
    ['Not all numbers were made alike: isa is avx2 for a (q8) and baseline for b (q8).']
    """
    if "provenance" not in results.columns:
        return []
    seen: dict[str, dict[str, str]] = {}
    for (name, quant), group in results.groupby(_KEYS, sort=False):
        for line in group["provenance"].astype(str).unique():
            for field, value in parse_line(line).items():
                if field not in _OF_MODELS:
                    seen.setdefault(field, {}).setdefault(value, f"{name} ({quant})")
    return [
        f"Not all numbers were made alike: {field} is "
        + " and ".join(f"{value} for {label}" for value, label in values.items())
        + "."
        for field, values in seen.items()
        if len(values) > 1
    ]


def span_notes(results: pd.DataFrame) -> list[str]:
    """A sentence where tokenizers make models score different bytes of one story.

    Examples
    --------
    >>> span_notes(pd.DataFrame({"model_name": ["a", "b"], "quant": "q8", "story_idx": 0,
    ...     "n_bytes": [95, 98]}))[0][:50]
    'In 1 of 1 stories the models scored different byte'
    """
    if not {"story_idx", "n_bytes"} <= set(results.columns):
        return []
    spans = results.groupby("story_idx")["n_bytes"].agg(["min", "max"])
    unlike_spans = spans[spans["min"] != spans["max"]]
    if not len(unlike_spans):
        return []
    most = int((spans["max"] - spans["min"]).max())
    return [
        f"In {len(unlike_spans)} of {len(spans)} stories the models scored different bytes (up to "
        f"{most} apart): a story's first token is not scored, and tokenizers differ in its length."
    ]
