"""Stories from files, lists and DataFrames, in one shape: a list of dicts with a "text"."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

Story = dict[str, Any]
Stories = Iterable[str | Mapping[str, Any]] | pd.DataFrame

_END_OF_STORY = "<|endoftext|>"


def read_stories(path: str | os.PathLike[str]) -> list[Story]:
    r"""Read stories from a file; its ending says how.

    ========== ==============================================================================
    .txt       Stories end with ``<|endoftext|>`` where the file has it, otherwise with blank
               lines. White space around a story is dropped.
    .json      A list of strings, or of objects with a ``text``.
    .jsonl     One such string or object a line.
    .csv       A column ``text``; other columns are carried along.
    .parquet   The same (needs pyarrow).
    ========== ==============================================================================

    Parameters
    ----------
    path : path
        The file, in UTF-8 unless it is .parquet.

    Returns
    -------
    list of dict
        Each with ``"text"`` and whatever else the file says of that story.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The ending is another one; the file isn't UTF-8 or isn't what its ending says; it has two
        columns ``text``; a story has no text or an empty one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "two.txt"
    ...     _ = file.write_text("A cat sat.\n\nA dog ran.\n")
    ...     read_stories(file)
    [{'text': 'A cat sat.'}, {'text': 'A dog ran.'}]
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], list[Any] | pd.DataFrame]] = {
        ".txt": _from_txt,
        ".json": _from_json,
        ".jsonl": _from_jsonl,
        ".csv": _from_csv,
        ".parquet": _from_parquet,
    }
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"the stories file {path} {what}")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise ValueError(f"{path} {ending}; expected one of {', '.join(readers)}")
    return as_stories(reader(path), where=str(path))


def as_stories(stories: Stories, *, where: str = "stories") -> list[Story]:
    """Bring a list of strings, a list of dicts or a DataFrame into one shape, checked.

    Parameters
    ----------
    stories : list of str, list of dict, or DataFrame
        Dicts and DataFrames name the text ``text``.
    where : str
        What to call the stories in errors.

    Returns
    -------
    list of dict

    Raises
    ------
    TypeError
        Neither of the three.
    ValueError
        No stories, a story without ``text``, or one that is empty; a DataFrame with two columns
        ``text``.

    Examples
    --------
    >>> as_stories(["A cat sat."])
    [{'text': 'A cat sat.'}]
    """
    if isinstance(stories, str | bytes | Mapping):
        raise TypeError(
            f"{where} is a {type(stories).__name__}; expected a list of stories: put it in [ ]"
        )
    if isinstance(stories, pd.DataFrame):
        if "text" not in stories.columns:
            raise ValueError(f"{where} has no column 'text'; its columns are: {_named(stories)}")
        _check_once(stories.columns, where)
        items: list[Any] = [
            {str(name): value for name, value in row.items()}
            for row in stories.to_dict(orient="records")
        ]
    elif isinstance(stories, Iterable):
        items = list(stories)
    else:
        raise TypeError(
            f"{where} is a {type(stories).__name__}; expected a list of str or of dicts with a "
            "'text', or a DataFrame with a column 'text'"
        )
    if not items:
        raise ValueError(f"{where} holds no stories; expected at least one")
    return [_checked(item, index, where) for index, item in enumerate(items)]


def _checked(item: Any, index: int, where: str) -> Story:
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, Mapping):
        raise TypeError(
            f"story {index} of {where} is a {type(item).__name__}; expected str or a dict"
        )
    if "text" not in item:
        raise ValueError(f"story {index} of {where} has no 'text'; it has: {_named(item)}")
    text = item["text"]
    if not isinstance(text, str):
        raise TypeError(f"story {index} of {where} is {text!r}; expected a text")
    if not text.strip():
        raise ValueError(f"story {index} of {where} is empty (stories are counted from 0)")
    return {**item, "text": text}


def read_text(path: str | os.PathLike[str]) -> str:
    r"""A file as text, line ends as ``\n``; ValueError names the first byte that isn't UTF-8."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} "
            f"({error.reason}); save it as UTF-8"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _from_txt(path: Path) -> list[str]:
    text = read_text(path)
    if _END_OF_STORY in text:
        parts = text.split(_END_OF_STORY)
    else:
        parts = "\n".join(line if line.strip() else "" for line in text.split("\n")).split("\n\n")
    return [part.strip() for part in parts if part.strip()]


def _from_json(path: Path) -> list[Any]:
    try:
        stories = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(stories, list):
        raise ValueError(
            f"{path} holds a JSON {type(stories).__name__}; expected a list of strings, or of "
            "objects with a 'text'"
        )
    return stories


def _from_jsonl(path: Path) -> list[Any]:
    stories = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                stories.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} of {path} is not JSON: {error}") from None
    return stories


def _from_csv(path: Path) -> pd.DataFrame:
    content = read_text(path)
    try:
        with warnings.catch_warnings():
            # A row longer than the header: a text with a comma, not between quotes, is cut in two.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Or pandas takes the first of the fields of such rows for an index.
            frame = pd.read_csv(io.StringIO(content), index_col=False)
        # From the file: pandas calls the second column of a name otherwise.
        header = pd.read_csv(io.StringIO(content), header=None, nrows=1, dtype=str)
        _check_once(header.iloc[0], path)
        if "text" in frame:
            # Read again as it stands: pandas takes the story "NA" for a missing value.
            texts = pd.read_csv(
                io.StringIO(content),
                index_col=False,
                usecols=["text"],
                dtype=str,
                keep_default_na=False,
            )
            frame["text"] = texts["text"]
    except pd.errors.ParserWarning:
        raise ValueError(
            f"the rows of {path} have more fields than its first line; put each text between "
            'quotes ("), so that a comma in it does not end it'
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} is not CSV: {error}") from None
    return frame


def _from_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise ValueError(f"reading {path} needs pyarrow: pip install pyarrow") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a parquet file: {error}") from None


def _check_once(columns: Iterable[Any], where: str | Path) -> None:
    n = list(columns).count("text")
    if n > 1:
        raise ValueError(f"{where} has {n} columns 'text', expected one: rename the others")


def _named(columns: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in columns) or "none"
