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
from pyqtf.formats import FormatError, Tensor, save_safetensors
from pyqtf.formats.digest import Digest
from pyqtf.formats.safetensors import read_with_metadata
from pyqtf.formats.strict_json import parse_object
from pyqtf.models.config import ModelConfig
from pyqtf.models.rope import RopeScaling
from pyqtf.models.weights import LayerWeights, Weights, part_shapes

# Changes with the layout of packed matrices: a file of another layout would give wrong numbers.
_FORMAT = "pyqtf 1"

_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class SavedModel:
    """What a saved model's file holds.

    Attributes
    ----------
    name, quant : str
        The model's name, and how its matrices are stored.
    config : ModelConfig
        Its shape.
    weights : Weights
        Its weights, matrices as views of the file.
    tokenizer : uint8 array
        The bytes of its ``tokenizer.json``.
    special : dict
        ``bos_token``, ``eos_token`` and ``chat_template``, None where there is none.
    """

    name: str
    quant: str
    config: ModelConfig
    weights: Weights
    tokenizer: NDArray[np.uint8]
    special: dict[str, Any]


def write_saved(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Write a model into one file, whole or not at all.

    Raises
    ------
    OSError
        The folder is missing or can't be written.
    """
    groups: dict[str, int] = {}
    matrices: dict[str, NDArray[Any]] = {}
    vectors: dict[str, NDArray[Any]] = {}
    for name, part in _parts(model.weights):
        if isinstance(part, _core.Matrix):
            groups[name] = part.group
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
        "groups": groups,
        "special": model.special,
        "fingerprint": model.weights.fingerprint,
    }
    text = json.dumps(facts)
    save_safetensors(path, tensors, metadata={"pyqtf": text, "digest": _digest(text, tensors)})


def _parts(weights: Weights) -> Iterator[tuple[str, Any]]:
    """Name every part of the weights that is there, a tied head once."""
    for name in ("embed", "positions", "norm", "norm_bias", "head"):
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
    metadata, tensors = read_with_metadata(path)
    if "pyqtf" not in metadata:
        raise FormatError(f"{path}: expected a file that model.save wrote")
    text = metadata["pyqtf"]
    facts = parse_object(text.encode(), f"{path}: metadata")
    if facts.get("format") != _FORMAT:
        raise FormatError(
            f"{path}: the format is {facts.get('format')!r:.80}, but this version of pyqtf reads "
            f"{_FORMAT!r}; load the original weights and save them again"
        )
    if _digest(text, {name: tensor.array() for name, tensor in tensors.items()}) != metadata.get(
        "digest"
    ):
        raise FormatError(f"{path}: the contents don't fit the hash in the header: damaged")
    try:
        return _assemble(facts, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not a whole model: {error}") from None


def _assemble(facts: dict[str, Any], tensors: dict[str, Tensor]) -> SavedModel:
    """Make the model from its checked header and tensors; any misfit raises."""
    config, quant, groups = _config(facts["config"]), facts["quant"], facts["groups"]
    if quant not in ("q8", "f32"):
        raise FormatError(f"quant is {quant!r:.80}, expected 'q8' or 'f32'")
    parts: dict[str, Any] = {}
    for name, shape in part_shapes(config).items():
        if len(shape) == 1:
            parts[name] = tensors[name].array()
            if parts[name].shape != shape or parts[name].dtype != np.float32:
                raise FormatError(f"{name} has shape {parts[name].shape}, expected {shape}")
        else:
            data, scales = tensors[f"{name}.data"].array(), tensors[f"{name}.scales"].array()
            # A matrix without groups is f32 whatever the others are.
            kind = quant if groups[name] else "f32"
            parts[name] = _core.from_packed(data, scales, (shape[0], shape[1]), kind, groups[name])
    names = [field.name for field in fields(LayerWeights)]
    layers: list[dict[str, Any]] = [
        {name: parts.get(f"layers.{i}.{name}") for name in names} for i in range(config.n_layers)
    ]
    weights = Weights(
        embed=parts["embed"],
        layers=tuple(LayerWeights(**layer) for layer in layers),
        positions=parts.get("positions"),
        norm=parts["norm"],
        norm_bias=parts.get("norm_bias"),
        head=parts["embed" if config.tie_word_embeddings else "head"],
        fingerprint=facts["fingerprint"],
    )
    tokenizer = tensors[_TOKENIZER].array()
    return SavedModel(facts["name"], quant, config, weights, tokenizer, facts["special"])


def _config(values: dict[str, Any]) -> ModelConfig:
    scaling = values["rope_scaling"]
    return ModelConfig(**{**values, "rope_scaling": scaling and RopeScaling(**scaling)})
