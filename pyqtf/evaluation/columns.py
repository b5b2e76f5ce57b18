"""The check that a table has the columns that are asked of it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def require_columns(
    frame: pd.DataFrame, names: Iterable[str], subject: str, expected: str = ""
) -> None:
    """Raise ValueError for the first of `names` that is no column of `frame`.

    TypeError where `frame` is no DataFrame.

    Examples
    --------
    >>> require_columns(pd.DataFrame({"a": [1]}), ["a", "b"], "the table has", "ask for it")
    Traceback (most recent call last):
        ...
    ValueError: the table has no column 'b'; ask for it
    """
    if not isinstance(frame, pd.DataFrame):
        message = f"a {type(frame).__name__} is no DataFrame"
        raise TypeError(f"{message}; {expected}" if expected else message)
    for name in names:
        if name not in frame.columns:
            message = f"{subject} no column {name!r}"
            raise ValueError(f"{message}; {expected}" if expected else message)


def column_names(frame: pd.DataFrame) -> str:
    """Return the names of the columns for a message; what it is where it is no DataFrame."""
    if not isinstance(frame, pd.DataFrame):
        return type(frame).__name__
    return ", ".join(map(str, frame.columns)) or "no columns"
