"""Tokens of a text coloured by their loss, as HTML that needs nothing else.

Colours and hints are inline, because saved notebooks are often shown without style sheets and
scripts. The background is one hue with an alpha and the text keeps the page's own colour, so that
it reads on light and dark pages, without colour vision, and in grey print.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass

from pyqtf.evaluation.score import Score, show_piece
from pyqtf.plot.table import quoted

_HUE = "213,94,0"
# Bits at which the colour is full: one in 1,024.
_FULL = 10.0
_FULL_ALPHA = 0.7


class Html(str):
    """HTML as a str that a notebook shows as what it means."""

    def _repr_html_(self) -> str:
        return self


@dataclass(frozen=True)
class _Span:
    text: str
    bits: float | None
    hint: str


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
    head = (
        f'<div style="margin-bottom:0.4em"><b>{html.escape(score.model_name)}</b>: perplexity '
        f"{score.perplexity:.4g}, {score.bits_per_byte:.3g} bits per byte, "
        f"{score.n_scored} tokens scored {_legend()}</div>"
    )
    body = "".join(_render(span) for span in _spans(score))
    return Html(
        '<div style="font-family:inherit;line-height:1.7">'
        f'{head if title else ""}<div style="white-space:pre-wrap;overflow-wrap:anywhere">'
        f"{body}</div></div>"
    )


def _spans(score: Score) -> Iterator[_Span]:
    """Runs of tokens that make up whole characters; mostly one token each."""
    n_unscored = score.n_tokens - score.n_scored
    run: list[int] = []
    for index in range(score.n_tokens):
        run.append(index)
        data = b"".join(score.pieces[i] for i in run)
        last = index == score.n_tokens - 1
        if not (last or _is_whole(data)):
            continue
        scored = [i - n_unscored for i in run if i >= n_unscored]
        bits = sum(score.losses.nll[i] for i in scored) / math.log(2) if scored else None
        hints = [_hint(score, i, i + n_unscored) for i in scored]
        yield _Span(
            data.decode("utf-8", errors="replace"),
            bits,
            "\n".join(hints) or "not scored: nothing stands before it",
        )
        run = []


def _is_whole(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Bytes that no continuation can mend are shown as they are rather than gathered.
        return error.reason != "unexpected end of data"
    return True


def _hint(score: Score, scored: int, token: int) -> str:
    losses = score.losses
    nll = float(losses.nll[scored])
    lines = [
        f"{quoted(show_piece(score.pieces[token]))}: {nll / math.log(2):.2f} bits, "
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


def _render(span: _Span) -> str:
    # A line break has no width, so a sign stands in for what carries the colour.
    text = html.escape(span.text).replace("\n", "\u21b5\n")
    hint = html.escape(span.hint, quote=True).replace("\n", "&#10;")
    if span.bits is None:
        return f'<span title="{hint}" style="opacity:0.6">{text}</span>'
    return f'<span title="{hint}" style="{_background(span.bits)}">{text}</span>'


def _background(bits: float) -> str:
    alpha = _FULL_ALPHA * min(max(bits, 0.0) / _FULL, 1.0)
    return f"background-color:rgba({_HUE},{alpha:.2f});border-radius:2px"


def _legend() -> str:
    steps = "".join(
        f'<span style="{_background(bits)};padding:0 0.35em">{label}</span>'
        for bits, label in ((0, "0"), (2.5, ""), (5, "5"), (7.5, ""), (_FULL, "10+"))
    )
    return f'<span style="white-space:nowrap;font-size:85%">&nbsp;{steps} bits</span>'


def _percent(p: float) -> str:
    return f"{100 * p:.1f} %" if p >= 0.001 else f"{100 * p:.1e} %"
