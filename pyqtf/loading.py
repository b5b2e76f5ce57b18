"""From a name, a folder or a file to a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pyqtf._quants import QUANTS, check_calibrated
from pyqtf.formats import GGUF, FormatError, Tensor, is_gguf, open_folder, read_gguf
from pyqtf.model import Model
from pyqtf.models import gguf
from pyqtf.models.calibrate import load_calibrated
from pyqtf.models.config import ModelConfig
from pyqtf.models.decoder import Decoder
from pyqtf.models.generation_config import read_eos_ids
from pyqtf.models.gguf_tensors import named_tensors
from pyqtf.models.loader import load_weights
from pyqtf.models.registry import read_config
from pyqtf.models.saved import open_saved
from pyqtf.models.weights import full_names, resolve_tied
from pyqtf.sources import Source, find_source
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._files import tokenizer_json
from pyqtf.tokenizer._gguf import read_vocabulary

if TYPE_CHECKING:
    from pyqtf.calibration import Calibration, Texts


def load(
    name_or_path: str | os.PathLike[str],
    *,
    quant: str | None = None,
    revision: str | None = None,
    calibration: Texts | None = None,
    progress: bool = True,
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
        as in the smallest bundled models, always stay float32. Behind quantised weights attention
        multiplies in bfloat16. By default "q8", or what a saved file holds. A GGUF file's Q8_0
        keeps its own scales in q8 and loses nothing; its other types are rounded once more.
    revision : str, optional
        A branch, tag or commit of a model on the hub; by default its main branch.
    calibration : list of str, of dict with "text" or of ids; or DataFrame with "text"; optional
        Texts like those that the model is to read, but not those that it will be scored on: q4
        weights are then rounded so that these texts' activations stay what they were, which takes
        minutes for a large model and halves what q4 costs. A hundred short stories are good, a
        few thousand tokens enough. The same texts give the same weights on every processor with
        AVX2, AVX-512 or on 64-bit ARM; `Model.save` keeps them. Only with ``quant="q4"``.
    progress : bool
        Show a progress bar while calibrating.

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
        `quant` is none of these, or not what a saved file holds; `revision` is given for a model
        that isn't on the hub; or `calibration` is empty, too short, has ids outside the vocabulary,
        or is given for another quant than q4 or for a saved file.
    TypeError
        `calibration` is a single text, or no list of texts.
    MemoryError
        The model won't fit into the memory that is free.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> model.quant
    'q8'
    >>> texts = pyqtf.bundled.stories("handwritten")
    >>> model = pyqtf.load("stories-500k", quant="q4", calibration=texts, progress=False)
    >>> model.calibration[:8]
    '50 texts'
    """
    if quant not in (None, *QUANTS):
        raise ValueError(f"quant must be one of {', '.join(QUANTS)}, got {quant!r}")
    if calibration is not None:
        check_calibrated(quant)
    source = find_source(name_or_path, revision)
    if source.is_file and not is_gguf(source.path):
        if calibration is not None:
            raise ValueError(
                f"{source.path} holds weights that are rounded already; calibrate the original ones"
            )
        return _load_saved(source, quant)
    read = _read_gguf if source.is_file else _read_folder
    original = read(source)
    checked = None
    if calibration is not None:
        # Not before it is needed: pandas, which reads texts, is 70 MB.
        from pyqtf.calibration import read_calibration

        checked = read_calibration(calibration, original.tokenizer, original.config)
    return original.model(source, quant or "q8", checked, progress)


@dataclass(frozen=True)
class _Original:
    """A model in the files that others wrote, before its weights are read."""

    config: ModelConfig
    tokenizer: Tokenizer
    tensors: Mapping[str, Tensor]
    tokenizer_json: Callable[[], bytes]
    eos_token_ids: Sequence[int] = ()

    def model(
        self, source: Source, quant: str, calibration: Calibration | None, progress: bool
    ) -> Model:
        """Read the weights."""
        if calibration is None:
            weights = load_weights(self.tensors, self.config, quant)
        else:
            weights = load_calibrated(self.tensors, self.config, calibration.ids, progress=progress)
        return Model(
            Decoder(self.config, weights),
            self.tokenizer,
            name=source.name,
            quant=quant,
            # Nobody else has the texts.
            source=source.origin if calibration is None else None,
            tokenizer_json=self.tokenizer_json,
            eos_token_ids=self.eos_token_ids,
            calibration=None if calibration is None else str(calibration),
        )


def _read_folder(source: Source) -> _Original:
    config = read_config(source.path)
    tokenizer = Tokenizer.from_file(source.tokenizer)
    tensors = full_names(open_folder(source.path), config)
    config = resolve_tied(tensors, config)
    text = partial(tokenizer_json, source.tokenizer)
    return _Original(config, tokenizer, tensors, text, read_eos_ids(source.path))


def _read_gguf(source: Source) -> _Original:
    file = read_gguf(source.path)
    config = gguf.read_config(file)
    tokenizer, text = read_gguf_tokenizer(file)
    return _Original(config, tokenizer, named_tensors(file, config), lambda: text)


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
        calibration=saved.calibration,
    )


def reload(source: str, quant: str, name: str, fingerprint: str, calibration: str | None) -> Model:
    """Load a model again; for unpickling.

    Raises
    ------
    ValueError
        Other weights are there by now.
    """
    model = load(source, quant=quant)
    if (model.fingerprint, model.calibration) != (fingerprint, calibration):
        raise ValueError(
            f"{source} holds other weights than when {name} was loaded from there and pickled; "
            "load it again"
        )
    model.name = name
    return model
