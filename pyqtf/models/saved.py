"""pyqtf's own format: packed weights, written once and mapped back without copying.

It is a safetensors file whose tensors are the memory of the packed matrices, as the kernels read
it, so that opening it takes no longer than reading it once for its hash.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._quants import QUANTS
from pyqtf.formats import FormatError, Tensor, save_safetensors
from pyqtf.formats.digest import Digest
from pyqtf.formats.safetensors import read_with_metadata
from pyqtf.formats.strict_json import parse_object
from pyqtf.models.config import ModelConfig
from pyqtf.models.rope_scaling import RopeScaling
from pyqtf.models.weights import Weights, assemble, part_shapes

# Changes with the layout of packed matrices: a file of another layout would give wrong numbers.
_FORMAT = "pyqtf 3"

_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class SavedHeader:
    """What a saved model's file says of it.

    Attributes
    ----------
    name, quant : str
        The model's name, and how its matrices are stored.
    config : ModelConfig
        Its shape.
    tokenizer : uint8 array
        The bytes of its ``tokenizer.json``.
    special : dict
        ``bos_token``, ``eos_token`` and ``chat_template``, None where there is none.
    eos_token_ids : tuple of int
        The tokens that end a generated text.
    calibration : str or None
        What its weights were calibrated with.
    """

    name: str
    quant: str
    config: ModelConfig
    tokenizer: NDArray[np.uint8]
    special: dict[str, Any]
    eos_token_ids: tuple[int, ...]
    calibration: str | None


@dataclass(frozen=True)
class SavedModel(SavedHeader):
    """What a saved model's file holds: as its header, and the weights as views of the file."""

    weights: Weights


def write_saved(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Write a model into one file, whole or not at all.

    Raises
    ------
    OSError
        The folder is missing or can't be written.
    """
    formats: dict[str, tuple[str, int]] = {}
    matrices: dict[str, NDArray[Any]] = {}
    vectors: dict[str, NDArray[Any]] = {}
    for name, part in _parts(model.weights):
        if isinstance(part, _core.Matrix):
            formats[name] = (part.quant, part.group)
            matrices[f"{name}.data"], matrices[f"{name}.scales"] = _core.packed(part)
        else:
            vectors[name] = part
    # Matrices first: their sizes are whole cache lines, so that each begins on one.
    tensors = {**matrices, **vectors, _TOKENIZER: model.tokenizer}
    facts = {
        "format": _FORMAT,
        "name": model.name,
        "quant": model.quant,
        "config": asdict(model.config),
        "matrices": formats,
        "special": model.special,
        "eos_token_ids": model.eos_token_ids,
        "calibration": model.calibration,
        "fingerprint": model.weights.fingerprint,
    }
    text = json.dumps(facts)
    save_safetensors(path, tensors, metadata={"pyqtf": text, "digest": _digest(text, tensors)})


def _parts(weights: Weights) -> Iterator[tuple[str, Any]]:
    """Name every part of the weights that is there, a tied head once."""
    for name in ("embed", "positions", "norm", "norm_bias", "head", "head_bias"):
        part = getattr(weights, name)
        if part is not None and not (name == "head" and part is weights.embed):
            yield name, part
    for i, layer in enumerate(weights.layers):
        for field in fields(layer):
            part = getattr(layer, field.name)
            if part is not None:
                yield f"layers.{i}.{field.name}", part


def _digest(text: str, tensors: dict[str, NDArray[Any]]) -> str:
    digest = Digest()
    digest.add_text(text)
    for name, array in sorted(tensors.items()):
        digest.add(name, array)
    return digest.hexdigest()


def open_saved(path: str | os.PathLike[str]) -> SavedModel:
    """Map a saved model back and check its hash.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        The file is no saved model, is of another version, or was damaged.
    """
    metadata, facts, tensors = _read_facts(path)
    arrays = {name: tensor.array() for name, tensor in tensors.items()}
    if _digest(metadata["pyqtf"], arrays) != metadata.get("digest"):
        raise FormatError(f"{path}: the contents don't fit the hash in the header: damaged")
    try:
        header = _header(facts, tensors)
        weights = _assemble(facts, header, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not a whole model: {error}") from None
    own = {field.name: getattr(header, field.name) for field in fields(header)}
    return SavedModel(**own, weights=weights)


def read_header(path: str | os.PathLike[str]) -> SavedHeader:
    """Read what a saved model is, without its weights, whose hash is not checked.

    Raises
    ------
    FileNotFoundError, FormatError
        As `open_saved`.
    """
    _, facts, tensors = _read_facts(path)
    try:
        return _header(facts, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not a whole model: {error}") from None


def _read_facts(
    path: str | os.PathLike[str],
) -> tuple[dict[str, str], dict[str, Any], dict[str, Tensor]]:
    """Return the file's metadata, the facts in them, and its tensors."""
    try:
        metadata, tensors = read_with_metadata(path)
    except FormatError as error:
        raise FormatError(
            f"{error}; a model is a folder, a GGUF file or a file that model.save wrote"
        ) from None
    if "pyqtf" not in metadata:
        raise FormatError(
            f"{path}: expected a file that model.save wrote; for other safetensors give the "
            "folder that holds them with their config.json"
        )
    facts = parse_object(metadata["pyqtf"].encode(), f"{path}: metadata")
    if facts.get("format") != _FORMAT:
        raise FormatError(
            f"{path}: the format is {facts.get('format')!r:.80}, but this version of pyqtf reads "
            f"{_FORMAT!r}; load the original weights and save them again"
        )
    return metadata, facts, tensors


def _header(facts: dict[str, Any], tensors: dict[str, Tensor]) -> SavedHeader:
    """Check the facts; any misfit raises."""
    quant = facts["quant"]
    if quant not in QUANTS:
        raise FormatError(f"quant is {quant!r:.80}, expected one of {', '.join(QUANTS)}")
    config = _config(facts["config"])
    tokenizer = tensors[_TOKENIZER].array()
    eos_ids = tuple(facts["eos_token_ids"])
    calibration = facts.get("calibration")  # files of earlier versions have none
    if not (calibration is None or isinstance(calibration, str)):
        raise FormatError(f"calibration is {calibration!r:.80}, expected a text")
    return SavedHeader(
        facts["name"], quant, config, tokenizer, facts["special"], eos_ids, calibration
    )


def _assemble(facts: dict[str, Any], header: SavedHeader, tensors: dict[str, Tensor]) -> Weights:
    """Make the weights from checked facts and tensors; any misfit raises."""
    formats = facts["matrices"]
    parts: dict[str, Any] = {}
    for name, shape in part_shapes(header.config).items():
        if len(shape) == 1:
            parts[name] = tensors[name].array()
            if parts[name].shape != shape or parts[name].dtype != np.float32:
                raise FormatError(f"{name} has shape {parts[name].shape}, expected {shape}")
        else:
            data, scales = tensors[f"{name}.data"].array(), tensors[f"{name}.scales"].array()
            parts[name] = _core.from_packed(data, scales, (shape[0], shape[1]), *formats[name])
    return assemble(parts, header.config, facts["fingerprint"])


def _config(values: dict[str, Any]) -> ModelConfig:
    scaling = values["rope_scaling"]
    made = {
        "rope_scaling": scaling and RopeScaling(**scaling),
        "layer_types": tuple(values["layer_types"]),
    }
    return ModelConfig(**{**values, **made})
