"""The figures of an experiment as short strings, and as tables in plain text and HTML."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import pandas as pd

from pyqtf.evaluation.scaling_law import ScalingFit
from pyqtf.evaluation.score import Score
from pyqtf.evaluation.statistics import labels, paired_differences


@dataclass(frozen=True)
class Table:
    """Cells as strings. The first column is text, the others are aligned to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_text(self, width: int = 80) -> str:
        """Lines of at most `width` characters; a name too long for its column gets its own line."""
        table = [self.header, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(1, len(self.header))]
        room = max(width - sum(widths) - 2 * len(widths), len(self.header[0]))
        widths.insert(0, max(len(row[0]) for row in table if len(row[0]) <= room))
        lines = []
        for name, *cells in table:
            if len(name) > room:
                lines.append(shorten(name, width))
                name = ""
            aligned = (cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True))
            lines.append("  ".join([name.ljust(widths[0]), *aligned]).rstrip())
        lines.insert(1, "-" * (sum(widths) + 2 * len(cells)))
        return "\n".join(lines)

    def to_html(self) -> str:
        """A ``<table>``, every cell escaped."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "\n".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def summary_table(summary: pd.DataFrame) -> Table:
    """Model, parameters, perplexity with its interval, bits per byte and speed.

    Parameters
    ----------
    summary : DataFrame
        What `pyqtf.summarise` returns.
    """
    return Table(
        ("model", "parameters", "perplexity", "95 % interval", "bits/byte", "tokens/s"),
        tuple(
            (
                label,
                parameters(row["n_params"]),
                number(row["perplexity"]),
                interval(row["perplexity_low"], row["perplexity_high"]),
                number(row["bits_per_byte"]),
                rate(row["tokens_per_second"]),
            )
            for label, (_, row) in zip(labels(summary), summary.iterrows(), strict=True)
        ),
    )


def differences_table(differences: pd.DataFrame) -> Table:
    """Pairs of models: how much lower the larger one's perplexity is, story by story.

    Parameters
    ----------
    differences : DataFrame
        What `pyqtf.paired_differences` returns.
    """
    return Table(
        ("from -> to", "perplexity", "95 % interval", "p (Holm)", "won"),
        tuple(
            (
                f"{row['smaller']} -> {row['larger']}",
                change(row["perplexity_ratio"]),
                change_interval(row["ratio_low"], row["ratio_high"]),
                p_value(row["p_holm"]),
                f"{row['n_better']} of {row['n_stories']}",
            )
            for _, row in differences.iterrows()
        ),
    )


def ends_text(results: pd.DataFrame) -> str:
    """The smallest model against the largest, in one sentence; empty for fewer than three.

    One comparison of its own, so its interval needs no correction for the number of pairs.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns.
    """
    names = labels(results)
    if len(names) < 3:
        return ""
    row = paired_differences(results, pairs=[(names[0], names[-1])]).iloc[0]
    interval = change_interval(row["ratio_low"], row["ratio_high"])
    return (
        f"From the smallest to the largest, {row['smaller']} to {row['larger']}: "
        f"{change(row['perplexity_ratio'])} (95 % interval {interval}), "
        f"{row['n_better']} of {row['n_stories']} stories won."
    )


def forms_table(fit: ScalingFit) -> Table:
    """The four forms of a scaling fit: what they cost, how close they come, what they promise.

    Parameters
    ----------
    fit : ScalingFit
        What `pyqtf.fit_scaling_law` returns.
    """
    return Table(
        ("form", "degrees of freedom", "scatter", "largest from the others", "twice as large"),
        tuple(
            (
                str(row["formula"]),
                str(row["degrees_of_freedom"]),
                percent(row["scatter"]),
                percent(row["largest_error"], signed=True),
                change(math.exp(-row["gain_per_doubling"])),
            )
            for _, row in fit.to_frame().iterrows()
        ),
    )


def score_text(score: Score, *, top: int = 10, width: int = 80) -> str:
    """What a text scores, and its `top` costliest tokens.

    Parameters
    ----------
    score : Score
        What ``model.score(text)`` returns.
    top : int
        How many tokens to list.
    width : int
        Longest line, in characters.
    """
    head = (
        f"{score.model_name}: perplexity {number(score.perplexity)}, "
        f"{number(score.bits_per_byte)} bits per byte, {score.n_scored} of {score.n_tokens} "
        f"tokens scored"
    )
    calibration = score.receipt.provenance.get("calibration", "none")
    if calibration != "none":
        head += f"\ncalibrated with {calibration}"
    if top <= 0:
        return head
    costly = score.to_frame().nlargest(top, "nll")
    table = Table(
        ("token", "position", "bits", "probability", "rank"),
        tuple(
            (
                quoted(row["token"]),
                str(row["position"]),
                f"{row['nll'] / math.log(2):.2f}",
                f"{math.exp(-row['nll']):.2g}",
                str(row["rank"]),
            )
            for _, row in costly.iterrows()
        ),
    )
    return f"{head}\n\nThe costliest tokens:\n\n{table.to_text(width)}"


def parameters(n: float) -> str:
    """A number of parameters in at most three digits.

    Examples
    --------
    >>> [parameters(n) for n in (950, 31_488, 2_999_000, 494_032_768, 1_543_714_304)]
    ['950', '31.5 k', '3 M', '494 M', '1.54 B']
    """
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if n >= 0.9995 * size:
            return f"{n / size:.3g}{unit}"
    return f"{n:.0f}"


def number(x: float) -> str:
    """Four digits.

    Examples
    --------
    >>> [number(x) for x in (9.26543, 13.0703, 0.71, 123456.0, math.nan)]
    ['9.265', '13.07', '0.7100', '123456', '-']
    """
    if not math.isfinite(x):
        return "-" if math.isnan(x) else "infinite"
    digits = 3 - math.floor(math.log10(abs(x))) if x else 3
    return f"{x:.{min(max(digits, 0), 4)}f}" if abs(x) < 1e7 else f"{x:.3e}"


def interval(low: float, high: float) -> str:
    """Both ends, or a dash where there is no interval.

    Examples
    --------
    >>> interval(9.1, 9.9), interval(math.nan, math.nan)
    ('9.100 to 9.900', '-')
    """
    return "-" if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def change(ratio: float) -> str:
    """A ratio as a change in per cent.

    Examples
    --------
    >>> [change(r) for r in (0.887, 1.02, 0.9996, 1.0)]
    ['-11.3 %', '+2.0 %', '-0.04 %', '0 %']
    """
    percent = 100 * (ratio - 1)
    if not math.isfinite(percent) or percent == 0:
        return "0 %" if percent == 0 else "-"
    return f"{percent:+.{1 if abs(percent) >= 0.1 else 2}f} %"


def change_interval(low: float, high: float) -> str:
    """Both ends as changes in per cent, or a dash where there is no interval.

    Examples
    --------
    >>> change_interval(0.887, 0.912), change_interval(math.nan, math.nan)
    ('-11.3 to -8.8 %', '-')
    """
    if math.isnan(low) or math.isnan(high):
        return "-"
    return f"{change(low).removesuffix(' %')} to {change(high)}"


def percent(x: float, *, signed: bool = False) -> str:
    """A share in per cent, or a dash.

    Examples
    --------
    >>> percent(0.0123), percent(0.0123, signed=True), percent(math.nan)
    ('1.23 %', '+1.23 %', '-')
    """
    if not math.isfinite(x):
        return "-"
    return f"{100 * x:{'+' if signed else ''}.2f} %"


def p_value(p: float) -> str:
    """A p-value, bounded below where more digits say nothing.

    Examples
    --------
    >>> [p_value(p) for p in (0.0312, 1e-9, math.nan)]
    ['0.031', '< 0.001', '-']
    """
    if math.isnan(p):
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def rate(per_second: float) -> str:
    """Tokens per second in three digits: more would not be there the next time.

    Examples
    --------
    >>> rate(12345.6), rate(677.2), rate(0.53)
    ('12300', '677', '0.53')
    """
    if not math.isfinite(per_second):
        return "-"
    return f"{float(f'{per_second:.3g}'):.0f}" if per_second >= 10 else f"{per_second:.2g}"


def quoted(token: str) -> str:
    r"""A token between quotes, its line breaks visible.

    Examples
    --------
    >>> print(quoted(" cat"), quoted("\n"))
    " cat" "\n"
    """
    return '"' + token.replace("\n", "\\n") + '"'


def shorten(name: str, width: int) -> str:
    """A name cut in its middle to `width` characters.

    Examples
    --------
    >>> shorten("Qwen2.5-0.5B-Instruct", 12)
    'Qwen2....uct'
    """
    if len(name) <= width:
        return name
    tail = (width - 2) // 3
    return f"{name[: width - 3 - tail]}...{name[len(name) - tail :]}"
