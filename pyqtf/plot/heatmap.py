"""Tokens of a text coloured by their loss, as HTML that needs nothing else.

Colours and hints are inline, because saved notebooks are often shown without style sheets and
scripts, and only such styles are used as Jupyter keeps in a notebook that it doesn't trust. The
background is one hue with an alpha and the text keeps the page's own colour, so that it reads on
light and dark pages, without colour vision, and in grey print.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pyqtf.evaluation.score import Score, show_piece
from pyqtf.plot.table import quoted

_HUE = "213,94,0"
_BETTER = "0,114,178"
_UNDERLINE = ";text-decoration:underline"
# Bits at which the colour is full: one in 1,024.
_FULL = 10.0
_FULL_DIFFERENCE = 5.0
_FULL_ALPHA = 0.7


class Html(str):
    """HTML as a str that a notebook shows as what it means."""

    def _repr_html_(self) -> str:
        return self


def tokens(score: Score, *, title: bool = True) -> Html:
    """A text with every token coloured by its loss: the darker, the less expected.

    Hovering over a token shows its loss, rank and, if the score has them, the alternatives.

    Parameters
    ----------
    score : Score
        What ``model.score(text, top_k=5)`` returns.
    title : bool
        Put a line with the model and its perplexity above the text.

    Returns
    -------
    Html
        A str of self-contained HTML that notebooks display.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> page = tokens(model.score("Once upon a time there was a cat.", top_k=3))
    >>> page.startswith("<div") and "title=" in page
    True
    """
    _check(score)
    head = (
        f"<b>{html.escape(score.model_name)}</b>: perplexity {score.perplexity:.4g}, "
        f"{score.bits_per_byte:.3g} bits per byte, {score.n_scored} tokens scored {_legend()}"
    )
    spans = []
    for text, scored in _characters(score):
        bits = _bits(score, scored)
        hint = "\n".join(_hint(score, i) for i in scored)
        spans.append(_span(text, hint, _HUE, bits / _FULL if scored else None))
    return _page(head if title else "", spans)


def _check(score: object) -> None:
    if not isinstance(score, Score):
        raise TypeError(
            f"a {type(score).__name__} is no score; expected what model.score(text) returns"
        )


def compare(a: Score, b: Score) -> Html:
    """A text coloured by how differently two models predict it.

    Blue where the second model predicts better, orange where it predicts worse, and underlined
    from half a bit on, for grey print. Hovering over a token shows its bits under both.

    Parameters
    ----------
    a, b : Score
        Scores of the same tokens behind the same context, for instance under a small and a large
        model.

    Returns
    -------
    Html
        A str of self-contained HTML that notebooks display.

    Raises
    ------
    ValueError
        The scores are of different tokens, or by different protocols.

    Examples
    --------
    >>> import pyqtf
    >>> small, large = (pyqtf.load(pyqtf.bundled.names()[i]) for i in (0, -1))
    >>> text = "Once upon a time there was a cat."
    >>> compare(small.score(text), large.score(text)).startswith("<div")
    True
    """
    _check(a)
    _check(b)
    if a.n_context != b.n_context or not np.array_equal(a.ids, b.ids):
        raise ValueError(
            f"{a.model_name} and {b.model_name} scored different tokens ({len(a.ids)} and "
            f"{len(b.ids)} ids); compare scores of one text under models of one tokenizer"
        )
    a.receipt.check_comparable(b.receipt)
    names = [html.escape(score.model_name) for score in (a, b)]
    head = (
        f"<b>{names[0]}</b> perplexity {a.perplexity:.4g}, <b>{names[1]}</b> {b.perplexity:.4g} "
        + _legend_of(
            (f"{names[1]} better", _tint(_BETTER, 1)),
            (f"{names[1]} worse", _tint(_HUE, 1) + _UNDERLINE),
        )
    )
    spans = []
    for text, scored in _characters(a):
        gain = _bits(a, scored) - _bits(b, scored)
        hint = "\n".join(
            f"{quoted(show_piece(a.pieces[i + a.n_tokens - a.n_scored]))}: "
            f"{a.losses.nll[i] / math.log(2):.2f} bits under {a.model_name}, "
            f"{b.losses.nll[i] / math.log(2):.2f} under {b.model_name}"
            for i in scored
        )
        strength = abs(gain) / _FULL_DIFFERENCE if scored else None
        spans.append(_span(text, hint, _BETTER if gain > 0 else _HUE, strength, gain < -0.5))
    return _page(head, spans)


def _page(head: str, spans: Iterable[str]) -> Html:
    above = f'<div style="margin-bottom:0.4em">{head}</div>' if head else ""
    return Html(
        f'<div style="font-family:inherit;line-height:1.7">{above}'
        f'<div style="white-space:pre-wrap;overflow-wrap:break-word">{"".join(spans)}</div></div>'
    )


def _characters(score: Score) -> Iterator[tuple[str, list[int]]]:
    """Whole characters with their scored tokens, by place in the losses; mostly one token each."""
    n_unscored = score.n_tokens - score.n_scored
    run: list[int] = []
    for index in range(score.n_tokens):
        run.append(index)
        data = b"".join(score.pieces[i] for i in run)
        if index == score.n_tokens - 1 or _is_whole(data):
            scored = [i - n_unscored for i in run if i >= n_unscored]
            yield data.decode("utf-8", errors="replace"), scored
            run = []


def _bits(score: Score, scored: Sequence[int]) -> float:
    return math.fsum(score.losses.nll[i] for i in scored) / math.log(2)


def _is_whole(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Bytes that no continuation can mend are shown as they are rather than gathered.
        return error.reason != "unexpected end of data"
    return True


def _hint(score: Score, scored: int) -> str:
    losses = score.losses
    nll = float(losses.nll[scored])
    piece = score.pieces[scored + score.n_tokens - score.n_scored]
    lines = [
        f"{quoted(show_piece(piece))}: {nll / math.log(2):.2f} bits, "
        f"probability {_percent(math.exp(-nll))}",
        f"rank {losses.rank[scored]}, expected {losses.entropy[scored] / math.log(2):.2f} bits",
    ]
    if score.top_tokens[scored]:
        lines.append(
            "most likely: "
            + ", ".join(
                f"{quoted(name)} {_percent(math.exp(logprob))}"
                for name, logprob in zip(
                    score.top_tokens[scored], losses.top_logprobs[scored], strict=True
                )
            )
        )
    return "\n".join(lines)


def _span(text: str, hint: str, hue: str, strength: float | None, underlined: bool = False) -> str:
    """Characters with their hint, coloured by a strength from 0 to 1; None means not scored."""
    # A line break has no width, so a sign stands in for what carries the colour.
    shown = html.escape(text).replace("\n", "\u21b5\n")
    if strength is None:
        title, style = "not scored: nothing stands before it", "opacity:0.6"
    else:
        title, style = html.escape(hint, quote=True).replace("\n", "&#10;"), _tint(hue, strength)
        style += _UNDERLINE if underlined else ""
    return f'<span title="{title}" style="{style}">{shown}</span>'


def _tint(hue: str, strength: float) -> str:
    alpha = _FULL_ALPHA * min(max(strength, 0.0), 1.0)
    return f"background-color:rgba({hue},{alpha:.2f});border-radius:2px"


def _legend() -> str:
    steps = "".join(
        f'<span style="{_tint(_HUE, bits / _FULL)};padding:0 0.35em">{label}</span>'
        for bits, label in ((0, "0"), (2.5, ""), (5, "5"), (7.5, ""), (_FULL, "10+"))
    )
    return f'<span style="white-space:nowrap;font-size:85%">&nbsp;{steps} bits</span>'


def _legend_of(*entries: tuple[str, str]) -> str:
    return " ".join(
        f'<span style="{style};padding:0 0.35em;font-size:85%">{label}</span>'
        for label, style in entries
    )


def _percent(p: float) -> str:
    return f"{100 * p:.1f} %" if p >= 0.001 else f"{100 * p:.1e} %"
