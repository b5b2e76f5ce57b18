"""From a name, a folder or a file to a model."""

from __future__ import annotations

import os
from pathlib import Path

from pyqtf import bundled
from pyqtf.formats import FormatError, open_folder, read_gguf
from pyqtf.model import Model
from pyqtf.models import gguf
from pyqtf.models.decoder import Decoder
from pyqtf.models.registry import read_config
from pyqtf.models.saved import open_saved
from pyqtf.models.weights import full_names, load_weights, resolve_tied
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._files import tokenizer_json
from pyqtf.tokenizer._gguf import read_vocabulary

_QUANTS = ("q8", "f32")


def load(name_or_path: str | os.PathLike[str], *, quant: str | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path-like
        The name of a model that comes with pyqtf (`pyqtf.bundled.names`); a local Hugging Face
        folder with ``config.json``, ``tokenizer.json`` and safetensors files; a ``.gguf`` file; or
        a file that `Model.save` wrote.
    quant : {"q8", "f32"}, optional
        How its matrices are stored: 8-bit integers with a scale for every 128 weights, or float32,
        four times as large. By default "q8", or what a saved file holds. A GGUF file's Q8_0 keeps
        its own scales in q8 and loses nothing; its other types are rounded once more.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError
        There is no such name, folder or file, or the folder lacks one.
    pyqtf.formats.FormatError
        A file breaks its format, the model is of a kind that pyqtf doesn't know, or its weights
        don't fit its config.
    ValueError
        `quant` is neither of the two, or not what a saved file holds.
    MemoryError
        The model won't fit into the memory that is free.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> model.quant
    'q8'
    """
    if quant not in (None, *_QUANTS):
        raise ValueError(f"quant must be one of {', '.join(_QUANTS)}, got {quant!r}")
    path = Path(name_or_path)
    if path.is_file() and name_or_path not in bundled.names():
        load_file = _load_gguf if path.suffix == ".gguf" else _load_saved
        return load_file(path, quant)
    folder, tokenizer_folder = find_folders(name_or_path)
    source = str(name_or_path if folder != tokenizer_folder else folder)
    return _load_folder(folder, tokenizer_folder, source, quant or "q8")


def find_folders(name_or_path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the folders of a model's weights and of its tokenizer.

    Raises
    ------
    FileNotFoundError
        There is no bundled model of this name, and no such folder.
    """
    if name_or_path in bundled.names():
        folder = bundled.path(str(name_or_path))
        return folder, folder.parent
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder.resolve(), folder.resolve()
    raise FileNotFoundError(
        f"{str(name_or_path)!r} is neither a folder or file nor a model that comes with pyqtf "
        f"({', '.join(bundled.names())})"
    )


def _load_folder(folder: Path, tokenizer_folder: Path, source: str, quant: str) -> Model:
    config = read_config(folder)
    tokenizer = Tokenizer.from_file(tokenizer_folder)
    tensors = full_names(open_folder(folder), config)
    config = resolve_tied(tensors, config)
    return Model(
        Decoder(config, load_weights(tensors, config, quant)),
        tokenizer,
        name=folder.name,
        quant=quant,
        source=source,
        tokenizer_json=lambda: tokenizer_json(tokenizer_folder),
    )


def _load_gguf(path: Path, quant: str | None) -> Model:
    quant = quant or "q8"
    file = read_gguf(path)
    config = gguf.read_config(file)
    try:
        vocabulary = read_vocabulary(file.metadata)
        tokenizer = Tokenizer.from_json(vocabulary.json, **vocabulary.special)
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from None
    weights = load_weights(gguf.named_tensors(file, config), config, quant)
    return Model(
        Decoder(config, weights),
        tokenizer,
        name=path.stem,
        quant=quant,
        source=str(path.resolve()),
        tokenizer_json=lambda: vocabulary.json,
    )


def _load_saved(path: Path, quant: str | None) -> Model:
    saved = open_saved(path)
    if quant not in (None, saved.quant):
        raise ValueError(
            f"{path} holds a model in {saved.quant}; load the original weights for {quant}"
        )
    tokenizer = Tokenizer.from_json(saved.tokenizer.tobytes(), **saved.special)
    return Model(
        Decoder(saved.config, saved.weights),
        tokenizer,
        name=saved.name,
        quant=saved.quant,
        source=str(path.resolve()),
        tokenizer_json=saved.tokenizer.tobytes,
    )


def reload(source: str, quant: str) -> Model:
    """Load a model again; for unpickling."""
    return load(source, quant=quant)
