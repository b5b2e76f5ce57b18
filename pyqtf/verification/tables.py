"""What was verified, as tables for people."""

from __future__ import annotations

import pandas as pd

from pyqtf.plot.table import Table


def figures_table(found: pd.DataFrame) -> Table:
    """Table of `verify_figures`."""
    rows = [
        (
            str(row["model_name"]),
            str(row["tool"]),
            str(row["protocol"]),
            f"{row['public']:g}",
            f"{row['measured']:.3f}",
            f"{100 * row['difference']:+.2f} %",
            "yes" if row["agrees"] else "NO",
        )
        for row in found.to_dict("records")
    ]
    return Table(
        ("model", "public figure of", "protocol", "public", "pyqtf", "difference", "agrees"),
        tuple(rows),
    )


def against_table(found: pd.DataFrame) -> Table:
    """Table of `verify_against_transformers`."""
    rows = [
        (
            str(row["model_name"]),
            str(row["story_idx"]),
            _tokens(row["n_read"], row["n_tokens"], row["same_tokens"]),
            f"{row['pyqtf']:#.8g}",
            f"{row['transformers']:#.8g}",
            f"{row['difference']:+.1e}",
            "yes" if row["agrees"] else "NO",
        )
        for row in found.to_dict("records")
    ]
    return Table(
        ("model", "story", "tokens", "pyqtf", "transformers", "difference", "agrees"), tuple(rows)
    )


def _tokens(n_read: int, n_tokens: int, same: bool) -> str:
    """How many tokens a story has, how many of them were read, and whether both tools see them."""
    cut = "" if n_read == n_tokens else f" of {n_tokens}"
    return f"{n_read}{cut}{'' if same else ' (others)'}"
