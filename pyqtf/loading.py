"""From a name, a folder or a file to a model."""

from __future__ import annotations

import os

from pyqtf._quants import QUANTS
from pyqtf.formats import GGUF, FormatError, is_gguf, open_folder, read_gguf
from pyqtf.model import Model
from pyqtf.models import gguf
from pyqtf.models.decoder import Decoder
from pyqtf.models.generation_config import read_eos_ids
from pyqtf.models.gguf_tensors import named_tensors
from pyqtf.models.registry import read_config
from pyqtf.models.saved import open_saved
from pyqtf.models.weights import full_names, load_weights, resolve_tied
from pyqtf.sources import Source, find_source
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._files import tokenizer_json
from pyqtf.tokenizer._gguf import read_vocabulary


def load(
    name_or_path: str | os.PathLike[str],
    *,
    quant: str | None = None,
    revision: str | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path-like
        The name of a model that comes with pyqtf (`pyqtf.bundled.names`); a local Hugging Face
        folder with ``config.json``, ``tokenizer.json`` and safetensors files; a ``.gguf`` file; a
        file that `Model.save` wrote; or a model on the Hugging Face hub: ``owner/name``, with
        ``@revision`` behind it or without, or one of its files as ``owner/name/file.gguf``. What is
        downloaded stays in huggingface_hub's cache, and with it the model loads without a network.
    quant : {"q8", "q4", "f32"}, optional
        How its matrices are stored: as 8-bit integers with a scale for every 128 weights; as 4-bit
        ones with a scale and an offset for every 32, but for the embedding and the head, which keep
        8 bits; or as float32, four times as large as q8. Matrices with rows of at most 64 weights,
        as in the smallest bundled models, always stay float32. By default "q8", or what a saved
        file holds. A GGUF file's Q8_0 keeps its own scales in q8 and loses nothing; its other types
        are rounded once more.
    revision : str, optional
        A branch, tag or commit of a model on the hub; by default its main branch.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError
        There is no such name, folder, file, or model or revision on the hub; or a folder lacks a
        file.
    PermissionError
        The hub asks to log in, or to apply for access, first.
    ConnectionError
        The hub can't be reached, and its cache doesn't hold the model.
    pyqtf.formats.FormatError
        A file breaks its format, the model is of a kind that pyqtf doesn't know, or its weights
        don't fit its config. A repository that has its weights only as pickles is one.
    ValueError
        `quant` is none of these, or not what a saved file holds; or `revision` is given for a
        model that isn't on the hub.
    MemoryError
        The model won't fit into the memory that is free.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> model.quant
    'q8'
    """
    if quant not in (None, *QUANTS):
        raise ValueError(f"quant must be one of {', '.join(QUANTS)}, got {quant!r}")
    source = find_source(name_or_path, revision)
    if not source.is_file:
        return _load_folder(source, quant)
    return (_load_gguf if is_gguf(source.path) else _load_saved)(source, quant)


def _load_folder(source: Source, quant: str | None) -> Model:
    quant = quant or "q8"
    config = read_config(source.path)
    tokenizer = Tokenizer.from_file(source.tokenizer)
    tensors = full_names(open_folder(source.path), config)
    config = resolve_tied(tensors, config)
    return Model(
        Decoder(config, load_weights(tensors, config, quant)),
        tokenizer,
        name=source.name,
        quant=quant,
        source=source.origin,
        tokenizer_json=lambda: tokenizer_json(source.tokenizer),
        eos_token_ids=read_eos_ids(source.path),
    )


def _load_gguf(source: Source, quant: str | None) -> Model:
    quant = quant or "q8"
    file = read_gguf(source.path)
    config = gguf.read_config(file)
    tokenizer, text = read_gguf_tokenizer(file)
    weights = load_weights(named_tensors(file, config), config, quant)
    return Model(
        Decoder(config, weights),
        tokenizer,
        name=source.name,
        quant=quant,
        source=source.origin,
        tokenizer_json=lambda: text,
    )


def read_gguf_tokenizer(file: GGUF) -> tuple[Tokenizer, bytes]:
    """Return the tokenizer in a GGUF file, and the same as a ``tokenizer.json``.

    Raises
    ------
    FormatError
        There is none, or one that pyqtf doesn't read.
    """
    try:
        vocabulary = read_vocabulary(file.metadata)
        return Tokenizer.from_json(vocabulary.json, **vocabulary.special), vocabulary.json
    except ValueError as error:
        raise FormatError(f"{file.path}: {error}") from None


def _load_saved(source: Source, quant: str | None) -> Model:
    saved = open_saved(source.path)
    if quant not in (None, saved.quant):
        raise ValueError(
            f"{source.path} holds a model in {saved.quant}; load the original weights for {quant}"
        )
    tokenizer = Tokenizer.from_json(saved.tokenizer.tobytes(), **saved.special)
    return Model(
        Decoder(saved.config, saved.weights),
        tokenizer,
        name=saved.name,
        quant=saved.quant,
        source=source.origin,
        tokenizer_json=saved.tokenizer.tobytes,
        eos_token_ids=saved.eos_token_ids,
    )


def reload(source: str, quant: str, name: str) -> Model:
    """Load a model again; for unpickling."""
    model = load(source, quant=quant)
    model.name = name
    return model
