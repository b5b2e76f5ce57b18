"""Check a student's compute_perplexity by its numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.interface import LanguageModel, Tokenizer
from pyqtf.evaluation.score import check_model, exp, score_with

_TEXTS = (
    "Once upon a time there was a little fox. It lived in a den under an old oak.",
    "The rain fell all night. In the morning the garden was wet.",
)
_CONTEXT = "Tom had a red kite. "
# float32 arithmetic by hand stays below this; the mistakes named here lie far above.
_TOLERANCE = 1e-4


class LogitModel(LanguageModel, Protocol):
    """A language model that shows its logits."""

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits [T, vocab_size]."""


Function = Callable[[Any, Any, str, str], Any]


@dataclass(frozen=True)
class Check:
    """What a check found; true if it passed, and shown as its message.

    Attributes
    ----------
    passed : bool
        The numbers are right.
    message : str
        What to say to the student.
    """

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{'Right' if self.passed else 'Not yet'}: {self.message}"

    def _repr_html_(self) -> str:
        # Blue and orange differ without colour vision, and the first word says it too.
        colour = "0,114,178" if self.passed else "213,94,0"
        return (
            f'<div style="border-left:4px solid rgb({colour});background:rgba({colour},0.08);'
            f'padding:0.5em 0.9em;max-width:46em">{html.escape(repr(self))}</div>'
        )


def check_perplexity(function: Function, model: LogitModel, *, context: bool = False) -> Check:
    """Compare a student's function with pyqtf's own on two texts, and name the likely mistake.

    Parameters
    ----------
    function : callable
        ``compute_perplexity(model, tokenizer, text, context="")``.
    model : model
        What `pyqtf.load` returns.
    context : bool
        Check it with a context put before the text.

    Returns
    -------
    Check
        Never raises what the student's function raises: the message says it.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> check_perplexity(pyqtf.compute_perplexity, model).passed
    True
    >>> check_perplexity(lambda model, tokenizer, text, context="": None, model)
    Not yet: the function returns nothing so far. Write it, then run this cell again.
    """
    check_model(model)
    if not callable(function):
        return Check(
            False,
            f"a {type(function).__name__} was given in place of a function. Write only its name, "
            "compute_perplexity: it is called here.",
        )
    before, tokenizer = _CONTEXT if context else "", model.tokenizer
    # Known before the function runs, which might change the model.
    rights = [score_with(model, tokenizer, text, context=before).perplexity for text in _TEXTS]
    for text, right in zip(_TEXTS, rights, strict=True):
        try:
            given = function(model, tokenizer, text, *([before] if context else []))
        except NotImplementedError:
            given = None
        except (Exception, SystemExit) as error:
            return Check(False, _raised(error, context))
        if given is None or given is ...:
            return Check(
                False, "the function returns nothing so far. Write it, then run this cell again."
            )
        if (number := _number(given)) is None:
            return Check(
                False, f"the function returns a {type(given).__name__}; expected one number."
            )
        if message := _judge(number, right, model, text, before):
            return Check(False, message)
    return Check(
        True,
        "behind a context your numbers are pyqtf's, too."
        if context
        else "your numbers are pyqtf's, on two texts.",
    )


def _number(given: Any) -> float | None:
    """What was returned as a float; None where it is no number. Digits in a text are none."""
    try:
        return None if isinstance(given, str | bytes) else float(given)
    except (TypeError, ValueError, OverflowError):
        return None


def _judge(number: float, right: float, model: LogitModel, text: str, context: str) -> str:
    """What is wrong with a number; nothing if it is right."""
    if math.isnan(number):
        return (
            "the function returns NaN. exp of a large logit overflows; subtract each row's "
            "maximum from its logits before you take exp."
        )
    if _same(number, right):
        return ""
    found = f"for {text[:24]!r}... the function returns {number:.6g}, expected {right:.6g}."
    for wrong, name in _mistakes(model, model.tokenizer, text, context):
        if _same(number, wrong):
            return f"{found} That number comes out if {name}."
    return (
        f"{found} Look at the shapes: which row of logits predicts which token, and over how many "
        "tokens is the mean?"
    )


def _mistakes(
    model: LogitModel, tokenizer: Tokenizer, text: str, context: str
) -> Iterator[tuple[float, str]]:
    """Numbers that known mistakes lead to, with what was done."""
    text_ids, before = tokenizer.encode(text), tokenizer.encode(context)
    ids, first = np.concatenate([before, text_ids]), len(before)
    logp = _log_softmax(model.logits(ids))
    if first:
        yield from _context_mistakes(model, logp, ids, text_ids, first)
    loss = -logp[np.arange(len(ids) - 1), ids[1:]][max(first - 1, 0) :]
    mean, here = float(loss.mean()), np.arange(first, len(ids))
    yield (
        exp(-float(logp[here, ids[here]].mean())),
        "the logits at position i are taken for token i. They have read it already: they predict "
        "token i + 1",
    )
    yield (
        exp(-float(logp[here[:-2], ids[here[2:]]].mean())),
        "the logits are two places away from the token they are taken for",
    )
    yield (
        exp(-float(logp[here[1:], ids[here[:-1]]].mean())),
        "the shift goes the wrong way: every row of logits is taken for the token before it",
    )
    n = len(here)
    yield exp(float(loss.sum()) / n), "the sum of T - 1 losses is divided by T"
    rolled = float(loss.sum()) - float(logp[-1, ids[0]])
    yield (
        exp(rolled / n),
        "the last row of logits is taken for the first token, which nothing predicts",
    )
    yield exp(mean / math.log(2)), "log base 2 goes with exp base e; take 2 ** mean, or log base e"
    yield exp(mean / math.log(10)), "log base 10 goes with exp base e; take log base e"
    yield 2.0**mean, "log base e goes with 2 ** mean; take exp"
    yield mean, "exp is missing: this is the mean loss"
    yield float(loss.sum()), "mean and exp are missing: this is the sum of the losses"
    yield exp(float(loss.sum())), "the losses are summed, not averaged"
    yield exp(-mean), "the sign is missing: this is 1 / perplexity"
    yield float(np.exp(loss).mean()), "1 / p is averaged; average -log p, then take exp"
    yield 1 / float(np.exp(-loss).mean()), "p is averaged; average -log p, then take exp"


def _context_mistakes(
    model: LogitModel,
    logp: NDArray[np.float64],
    ids: NDArray[np.int32],
    text_ids: NDArray[np.int32],
    first: int,
) -> Iterator[tuple[float, str]]:
    loss = -logp[np.arange(len(ids) - 1), ids[1:]]
    yield exp(float(loss.mean())), "the context's own tokens are scored with the text's"
    yield (
        exp(float(loss[first:].mean())),
        "the text's first token is left out. Behind a context it has something before it, so it "
        "is scored",
    )
    alone = _log_softmax(model.logits(text_ids))
    loss_alone = -alone[np.arange(len(text_ids) - 1), text_ids[1:]]
    yield exp(float(loss_alone.mean())), "the context is not read at all"


def _raised(error: BaseException, context: bool) -> str:
    said = f"the function raises {type(error).__name__}: {error}"
    if context and isinstance(error, TypeError) and "argument" in str(error):
        said += '. It is called as compute_perplexity(model, tokenizer, text, "a context")'
    return said.rstrip(".") + "."


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


def _same(a: float, b: float) -> bool:
    return a == b or math.isclose(a, b, rel_tol=_TOLERANCE)
