"""Where a model lies: from what a user calls it to files on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pyqtf import bundled
from pyqtf.formats import hub
from pyqtf.models.registry import read_config


@dataclass(frozen=True)
class Source:
    """A model's files.

    Attributes
    ----------
    path : Path
        A folder with ``config.json`` and safetensors, or one file.
    tokenizer : Path
        The folder of ``tokenizer.json``; for one file, the file itself.
    name : str
        What to call the model.
    origin : str
        What `find_source` finds it by again: of a model on the hub, its id with the commit.
    """

    path: Path
    tokenizer: Path
    name: str
    origin: str

    @property
    def is_file(self) -> bool:
        """Whether it is one file: GGUF, or what `Model.save` wrote."""
        return self.path.is_file()


def find_source(name_or_path: str | os.PathLike[str], revision: str | None = None) -> Source:
    """Find a model's files, downloading them if they are on the hub.

    A name of a bundled model comes first, then a folder or file, then an id on the hub.

    Parameters
    ----------
    name_or_path : str or path-like
        As `pyqtf.load` takes it.
    revision : str, optional
        Of a model on the hub; as ``owner/name@revision``.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError, pyqtf.formats.FormatError
        It is not there, or not to be had; see `pyqtf.formats.hub`.
    ValueError
        `revision` is given for a model that is not on the hub.

    Examples
    --------
    >>> find_source("stories-30k").path.name
    'stories-30k'
    """
    found = find_local(name_or_path)
    if found is not None:
        if revision is not None:
            raise ValueError(f"revision is for models on the hub, but {name_or_path} is here")
        return found
    model = find_on_hub(name_or_path, revision)
    if model.file is not None:
        return hub_source(model, hub.fetch_file(model))
    folder = hub.fetch_small(model)
    # What pyqtf can't run needs no gigabytes of weights.
    read_config(folder)
    hub.fetch_weights(model, folder)
    return hub_source(model, folder)


def find_local(name_or_path: str | os.PathLike[str]) -> Source | None:
    """Return a bundled model, a folder or a file; None if there is none.

    Raises
    ------
    TypeError
        It is neither a str nor a path.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(
            f"a model's name is a {type(name_or_path).__name__}; expected a name, a path or an id "
            "on the Hugging Face hub"
        )
    if name_or_path in bundled.names():
        folder = bundled.path(str(name_or_path))
        return Source(folder, folder.parent, folder.name, folder.name)
    path = Path(name_or_path)
    if not os.fspath(name_or_path):
        return None
    if path.is_dir():
        folder = path.resolve()
        return Source(folder, folder, folder.name, str(folder))
    if path.is_file():
        return Source(path, path, path.stem, str(path.resolve()))
    return None


def find_on_hub(name_or_path: str | os.PathLike[str], revision: str | None = None) -> hub.HubId:
    """Return what an id on the hub says, without asking the hub.

    Raises
    ------
    FileNotFoundError
        It can't be an id.
    ValueError
        It has another revision than `revision`.
    """
    text = name_or_path if isinstance(name_or_path, str) else ""
    model = hub.parse_id(text)
    if model is None:
        raise FileNotFoundError(
            f"{str(name_or_path)!r} is neither a folder or file, nor a model that comes with pyqtf "
            f"({', '.join(bundled.names())}), nor an id on the Hugging Face hub (owner/name)"
        )
    if revision is not None:
        if model.revision not in (None, revision):
            raise ValueError(f"{text!r} has a revision already, and revision is {revision!r}")
        model = replace(model, revision=revision)
    return model


def hub_source(model: hub.HubId, path: Path) -> Source:
    """Return the source of a model on the hub that lies at `path` in the cache."""
    commit = next(p.name for p in [path, *path.parents] if p.parent.name == "snapshots")
    name = path.stem if model.file else model.repo.split("/")[1]
    # Two revisions side by side are two models.
    name += f"@{model.revision}" if model.revision else ""
    return Source(path, path, name, str(replace(model, revision=commit)))
