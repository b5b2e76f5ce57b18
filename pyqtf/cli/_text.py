"""Arguments that are a text, or a file that holds one or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyqtf.evaluation.stories import Story

SETS = ("generated", "handwritten")

# One word that ends like this is a file, there or not.
_ENDINGS = (".txt", ".md")


def named_file(argument: str) -> Path | None:
    """Return the file that an argument names; None where it is a text itself.

    Raises
    ------
    FileNotFoundError
        It looks like a file's name, and there is no such file.
    IsADirectoryError
        It names a folder.

    Examples
    --------
    >>> named_file("A cat sat.") is None
    True
    """
    path = Path(argument)
    try:
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return None
    if not argument or not there:
        if len(argument.split()) == 1 and path.suffix.lower() in _ENDINGS:
            raise FileNotFoundError(f"the file {argument} does not exist")
        return None
    if folder:
        raise IsADirectoryError(
            f"{argument} is a folder; expected a text, or a file that holds one"
        )
    return path


def named_stories(argument: str) -> list[Story]:
    """Return the stories of a file, or of a set that comes with pyqtf.

    Raises
    ------
    FileNotFoundError, ValueError
        As `pyqtf.read_stories`.

    Examples
    --------
    >>> len(named_stories("handwritten"))
    50
    """
    import pyqtf

    if argument in SETS:
        return list(pyqtf.bundled.stories(argument))
    return pyqtf.read_stories(argument)
