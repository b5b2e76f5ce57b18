"""The parts that a model's weights consist of: their shapes, their memory, and which files fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._memory import available_memory
from pyqtf._quants import group_of, matrix_bytes, part_quant
from pyqtf.formats import FormatError, Tensor
from pyqtf.formats.float8 import FLOAT8
from pyqtf.formats.gguf_types import READABLE
from pyqtf.models.config import ModelConfig
from pyqtf.models.family import Family, TensorTable
from pyqtf.models.registry import FAMILIES, IGNORED, tensor_shapes

# What packing and scoring take beside the weights.
_WORKING_BYTES = 100_000_000


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one decoder layer; what its family doesn't have is None.

    Vectors are float32, matrices packed [out, in].
    """

    attn_norm: NDArray[np.float32] | None  # [hidden_size]
    attn_norm_bias: NDArray[np.float32] | None  # [hidden_size]; with it the norm is LayerNorm
    qkv: _core.Matrix  # [q_size + 2 kv_size, hidden_size]: q, k, v one below the other
    qkv_bias: NDArray[np.float32] | None  # [q_size + 2 kv_size]
    q_norm: NDArray[np.float32] | None  # [head_dim] for each head, or [q_size] for all together
    k_norm: NDArray[np.float32] | None  # [head_dim] or [kv_size]
    o: _core.Matrix  # [hidden_size, q_size]
    o_bias: NDArray[np.float32] | None  # [hidden_size]
    attn_post_norm: NDArray[np.float32] | None  # [hidden_size], behind o
    ffn_norm: NDArray[np.float32] | None  # [hidden_size]
    ffn_norm_bias: NDArray[np.float32] | None  # [hidden_size]
    gate_up: _core.Matrix  # [2 intermediate_size, hidden_size]: gate, then up; or up alone
    gate_up_bias: NDArray[np.float32] | None  # [intermediate_size]
    down: _core.Matrix  # [hidden_size, intermediate_size]
    down_bias: NDArray[np.float32] | None  # [hidden_size]
    ffn_post_norm: NDArray[np.float32] | None  # [hidden_size], behind down


# Field of LayerWeights -> roles of the family's table that it stacks, one below the other.
_STACKS: dict[str, tuple[str, ...]] = {field.name: (field.name,) for field in fields(LayerWeights)}
_STACKS |= {
    "qkv": ("q", "k", "v"),
    "qkv_bias": ("q_bias", "k_bias", "v_bias"),
    "gate_up": ("gate", "up"),
}

# Endings of tensors that belong to scaled 8-bit weights.
_SCALES = ("_scale", "_scale_inv", "_scale_2", ".scales")


def roles_of(family: Family) -> dict[str, tuple[str, ...]]:
    """Return what each field of LayerWeights is made of: itself, where a file has it whole."""
    return {f: (f,) if f in family.layer else stack for f, stack in _STACKS.items()}


@dataclass(frozen=True)
class Weights:
    """All weights of a model; with tied embeddings `head` is `embed` itself."""

    embed: _core.Matrix  # [vocab_size, hidden_size]
    layers: tuple[LayerWeights, ...]
    positions: _core.Matrix | None  # [max_position_embeddings, hidden_size], always f32
    norm: NDArray[np.float32]  # [hidden_size]
    norm_bias: NDArray[np.float32] | None  # [hidden_size]
    head: _core.Matrix  # [vocab_size, hidden_size]
    head_bias: NDArray[np.float32] | None  # [vocab_size]
    fingerprint: str  # of the config and of all that was read, before quantisation


def full_names(tensors: Mapping[str, Tensor], config: ModelConfig) -> Mapping[str, Tensor]:
    """Return a file's tensors under the family's names, which some files cut short."""
    family = FAMILIES[config.family]
    embed = family.model["embed"][0]
    if embed in tensors or embed.removeprefix(family.prefix) not in tensors:
        return tensors
    names = {n: n if n == family.model["head"][0] else family.prefix + n for n in tensors}
    return {names[n]: replace(tensor, name=names[n]) for n, tensor in tensors.items()}


def resolve_tied(tensors: Mapping[str, Tensor], config: ModelConfig) -> ModelConfig:
    """Return the config that fits the file where it says tied and a head of its own is there.

    As in transformers 5: an equal head is the embedding; a different one is used, with a warning.
    """
    embed, head = (tensors.get(FAMILIES[config.family].model[r][0]) for r in ("embed", "head"))
    if not config.tie_word_embeddings or embed is None or head is None:
        return config
    if (embed.dtype, embed.shape) == (head.dtype, head.shape):
        # A block of rows at a time, so that the comparison keeps few pages.
        blocks = range(0, embed.shape[0] if embed.shape else 0, 4096)
        a, b = embed.array(), head.array()
        equal = all(np.array_equal(a[i : i + 4096], b[i : i + 4096]) for i in blocks)
        embed.release()
        head.release()
        if equal:
            return config
    warnings.warn(
        f"the config ties {head.name} to {embed.name}, but the file has both and they differ: "
        "each is used as it is",
        stacklevel=2,
    )
    return replace(config, tie_word_embeddings=False)


def check_tensors(tensors: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Refuse tensors that are missing, unexpected, of another shape or of an unknown dtype.

    Raises
    ------
    FormatError
        The message names the tensor, what was found and what was expected.
    """
    family = FAMILIES[config.family]
    expected = tensor_shapes(config)
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise FormatError(f"{_some(missing)} missing, which the config asks for")
    ignored = {family.model["head"][0]} if config.tie_word_embeddings else set()
    unexpected = [
        name
        for name in tensors
        if name not in expected and name not in ignored and not name.endswith(IGNORED)
    ]
    scales = [name for name in unexpected if name.endswith(_SCALES)]
    if scales:
        raise FormatError(
            f"{_some(scales)} weights that are to be multiplied by scales are not read; load this "
            "model from a folder with unscaled weights, such as BF16"
        )
    if unexpected:
        raise FormatError(f"{_some(unexpected)} unexpected: the config has no place for it")
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise FormatError(
                f"{tensor.file.path}: tensor {name!r} has shape {list(tensor.shape)}, "
                f"but the config asks for {list(shape)}"
            )
        if tensor.dtype not in (*READABLE, *FLOAT8):
            raise FormatError(
                f"{tensor.file.path}: tensor {name!r} is {tensor.dtype}; "
                f"weights are read from {', '.join((*READABLE, *FLOAT8))}"
            )


def part_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every part of a model's weights, such as ``layers.0.qkv``."""
    family = FAMILIES[config.family]

    def shape(table: TensorTable, roles: tuple[str, ...]) -> tuple[int, ...]:
        dims = [[int(getattr(config, dim)) for dim in table[role][1]] for role in roles]
        return (sum(first for first, *_ in dims), *dims[0][1:])

    roles = [role for role in family.model if not (role == "head" and config.tie_word_embeddings)]
    shapes = {role: shape(family.model, (role,)) for role in roles}
    for i in range(config.n_layers):
        for field, stack in roles_of(family).items():
            if stack[0] in family.layer:
                dims = shape(family.layer, stack)
                shapes[f"layers.{i}.{field}"] = dims[::-1] if family.transposed else dims
    return shapes


def packed_bytes(config: ModelConfig, quant: str) -> int:
    """Return how much memory a model's weights take.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 96, 1, 4, 2, 24, 80, 1e4, 1e-6, 512, True)
    >>> packed_bytes(config, "q8") < packed_bytes(config, "f32") / 2
    True
    """
    total = 0
    for name, shape in part_shapes(config).items():
        kind = part_quant(name, shape[-1], quant)
        group = group_of(shape[-1], kind)
        total += 4 * shape[0] if len(shape) == 1 else matrix_bytes(shape, kind, group)
    return total


def needed_bytes(config: ModelConfig, quant: str) -> int:
    """Return how much memory must be free to load a model and score with it."""
    return packed_bytes(config, quant) + _WORKING_BYTES


def check_memory(config: ModelConfig, quant: str, *, extra: int = 0) -> None:
    """Raise MemoryError, which says what would fit, when the model and `extra` bytes won't."""
    needed, free = needed_bytes(config, quant) + extra, available_memory()
    if needed > free:
        fits = next((q for q in ("q8", "q4") if needed_bytes(config, q) <= free), None)
        raise MemoryError(
            f"the model in {quant} needs {needed / 1e9:.2g} GB, and {free / 1e9:.2g} GB are free; "
            f"{f'{fits} would fit' if fits else 'choose a smaller model'}"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"tensors {', '.join(map(repr, names[:3]))}{more}:"


def assemble(parts: Mapping[str, Any], config: ModelConfig, fingerprint: str) -> Weights:
    """Return the weights that consist of these parts, named as in `part_shapes`."""
    names = [field.name for field in fields(LayerWeights)]
    layers: list[dict[str, Any]] = [
        {name: parts.get(f"layers.{i}.{name}") for name in names} for i in range(config.n_layers)
    ]
    return Weights(
        embed=parts["embed"],
        layers=tuple(LayerWeights(**layer) for layer in layers),
        positions=parts.get("positions"),
        norm=parts["norm"],
        norm_bias=parts.get("norm_bias"),
        head=parts["embed" if config.tie_word_embeddings else "head"],
        head_bias=parts.get("head_bias"),
        fingerprint=fingerprint,
    )
