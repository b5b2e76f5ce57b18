"""The models and stories that come with pyqtf.

A family of small models of the Qwen2 architecture with one shared vocabulary, and two sets of 50
stories that none of them was trained on. `README.md` beside this file is their model card;
``tools/train_family.py`` in the source repository makes them.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["names", "path", "stories"]

_STORIES = {"generated": "stories.json", "handwritten": "stories_handwritten.json"}


def _folder() -> Path:
    return Path(str(resources.files(__name__)))


def names() -> list[str]:
    """Return the names of the bundled models, the smallest first.

    Returns
    -------
    list of str
        Names that `path` and `pyqtf.load` take.

    Examples
    --------
    >>> import pyqtf.bundled
    >>> pyqtf.bundled.names()[0]
    'stories-30k'
    """
    weights = _folder().glob("*/model.safetensors")
    return [file.parent.name for file in sorted(weights, key=lambda file: file.stat().st_size)]


def path(name: str) -> Path:
    """Return the folder of a bundled model: ``config.json`` and ``model.safetensors``.

    The vocabulary, ``tokenizer.json``, is shared and lies in the parent folder.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pathlib.Path
        The model's folder.

    Raises
    ------
    ValueError
        No bundled model has that name; the message lists those there are.

    Examples
    --------
    >>> import pyqtf.bundled
    >>> sorted(file.name for file in pyqtf.bundled.path("stories-30k").iterdir())
    ['config.json', 'model.safetensors']
    """
    if name not in names():
        raise ValueError(f"no bundled model is called {name!r}; there are {', '.join(names())}")
    return _folder() / name


def stories(which: str = "generated") -> list[dict[str, Any]]:
    """Return 50 stories that no bundled model was trained on.

    Parameters
    ----------
    which : {"generated", "handwritten"}
        "generated": by the program that wrote the training stories, from another seed, and with
        pairings of plot and hero that the training stories do not have. "handwritten": written
        one by one in the manner of simple children's stories, a distribution no model has seen.

    Returns
    -------
    list of dict
        Each has ``text``; generated ones also ``plot``, ``hero``, ``hero_kind`` and ``moral``,
        hand-written ones ``title``.

    Raises
    ------
    ValueError
        There is no such set.

    Examples
    --------
    >>> import pyqtf.bundled
    >>> len(pyqtf.bundled.stories("handwritten"))
    50
    """
    if which not in _STORIES:
        raise ValueError(f"no bundled set of stories is called {which!r}; there are "
                         f"{', '.join(_STORIES)}")  # fmt: skip
    found: list[dict[str, Any]] = json.loads((_folder() / _STORIES[which]).read_text("utf-8"))
    return found
