"""Tensors of a model in GGUF: llama.cpp's names, and its order of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats import GGUF, FormatError, Tensor
from pyqtf.formats.gguf_write import Rows
from pyqtf.formats.mapped import widen
from pyqtf.models.config import ModelConfig
from pyqtf.models.registry import FAMILIES, tensor_shapes

EMBED, HEAD = "token_embd.weight", "output.weight"
ROPE_FACTORS = "rope_freqs.weight"

# Role -> name in the file, as in the registry's tables.
_NAMES = {
    "embed": EMBED,
    "positions": "position_embd.weight",
    "norm": "output_norm.weight",
    "norm_bias": "output_norm.bias",
    "head": HEAD,
    "head_bias": "output.bias",
    "attn_norm": "blk.{}.attn_norm.weight",
    "attn_norm_bias": "blk.{}.attn_norm.bias",
    "qkv": "blk.{}.attn_qkv.weight",
    "qkv_bias": "blk.{}.attn_qkv.bias",
    "q": "blk.{}.attn_q.weight",
    "k": "blk.{}.attn_k.weight",
    "v": "blk.{}.attn_v.weight",
    "q_bias": "blk.{}.attn_q.bias",
    "k_bias": "blk.{}.attn_k.bias",
    "v_bias": "blk.{}.attn_v.bias",
    "q_norm": "blk.{}.attn_q_norm.weight",
    "k_norm": "blk.{}.attn_k_norm.weight",
    "o": "blk.{}.attn_output.weight",
    "o_bias": "blk.{}.attn_output.bias",
    "attn_post_norm": "blk.{}.post_attention_norm.weight",
    "ffn_norm": "blk.{}.ffn_norm.weight",
    "ffn_norm_bias": "blk.{}.ffn_norm.bias",
    "gate": "blk.{}.ffn_gate.weight",
    "up": "blk.{}.ffn_up.weight",
    "gate_up": "blk.{}.ffn_up.weight",
    "gate_up_bias": "blk.{}.ffn_up.bias",
    "down": "blk.{}.ffn_down.weight",
    "down_bias": "blk.{}.ffn_down.bias",
    "ffn_post_norm": "blk.{}.post_ffw_norm.weight",
}
# Families of which llama.cpp turns neighbouring rows of a head as a pair, not rows half a head
# apart, and their roles that are turned.
_INTERLEAVED = ("llama", "mistral")
_TURNED = ("q", "k", "q_bias", "k_bias")


@dataclass(frozen=True)
class _Reordered(Tensor):
    """A tensor whose rows are put back in the order of safetensors files, some at a time."""

    source: Tensor
    inverse: NDArray[np.int64]  # row i here is row inverse[i] of the file
    step: int  # rows that lie together in the file

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows ``[start, stop)``."""
        wanted = self.inverse[start:stop]
        low = int(wanted.min())
        rows: NDArray[Any] = self.source.rows(low, int(wanted.max()) + 1)[wanted - low]
        return rows

    def row_blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the rows in order."""
        for start in range(0, self.shape[0], self.step):
            yield self.rows(start, start + self.step)

    def array(self) -> NDArray[Any]:
        """Return all rows. This is no view."""
        return np.concatenate([*self.row_blocks()])

    def stored(self) -> NDArray[Any]:
        """Return what the file holds."""
        return self.source.stored()


@dataclass(frozen=True)
class _Transposed(Tensor):
    """A matrix that lies as [in, out] in safetensors files and as [out, in] in GGUF."""

    source: Tensor

    def array(self) -> NDArray[Any]:
        """Return the matrix."""
        return self.source.array().T

    def stored(self) -> NDArray[Any]:
        """Return what the file holds."""
        return self.source.stored()


@dataclass(frozen=True)
class _Lowered(Tensor):
    """Weights of a norm that are differences from an offset in safetensors files.

    The offset is added again when they are loaded: to the bit what the file holds, if float32
    weights plus the offset, rounded to float32, is how it was made.
    """

    source: Tensor
    offset: float

    def array(self) -> NDArray[Any]:
        """Return the differences."""
        return widen(self.source.array()) - np.float32(self.offset)

    def stored(self) -> NDArray[Any]:
        """Return what the file holds."""
        return self.source.stored()


def named_tensors(file: GGUF, config: ModelConfig) -> dict[str, Tensor]:
    """Return a file's tensors under their Hugging Face names; unknown ones keep theirs.

    Raises
    ------
    FormatError
        A tensor that the config asks for is missing.
    """
    names = gguf_names(config)
    for name in names.values():
        if name not in file.tensors:
            raise FormatError(f"{file.path}: tensor {name!r} missing, which the metadata ask for")
    ours = {theirs: name for name, theirs in names.items()}
    tensors = {
        ours.get(name, name): replace(tensor, name=ours.get(name, name))
        for name, tensor in file.tensors.items()
        if name != ROPE_FACTORS
    }
    shapes, family = tensor_shapes(config), FAMILIES[config.family]
    for name in _shifted_norms(config):
        tensor = tensors[name]
        tensors[name] = _Lowered(**_fields(tensor), source=tensor, offset=family.norm_offset)
    for name, role in _layer_roles(config).items():
        tensor = tensors[name]
        own = _fields(tensor)
        order = _file_order(config, role, shapes[name][0])
        if order is not None and tensor.shape == shapes[name]:
            inverse = np.argsort(order)
            tensors[name] = _Reordered(**own, source=tensor, inverse=inverse, step=config.head_dim)
        elif family.transposed and len(tensor.shape) == 2:
            own["shape"] = tensor.shape[::-1]
            tensors[name] = _Transposed(**own, source=tensor)
    return tensors


def _fields(tensor: Tensor) -> dict[str, Any]:
    return {field.name: getattr(tensor, field.name) for field in fields(Tensor)}


def file_rows(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Rows]:
    """Return the rows of a model's tensors as a GGUF file has them, under llama.cpp's names."""
    roles, family = _layer_roles(config), FAMILIES[config.family]
    shifted = _shifted_norms(config)
    rows: dict[str, Rows] = {}
    for name, theirs in gguf_names(config).items():
        array = tensors[name].array()
        order = _file_order(config, roles.get(name, ""), array.shape[0])
        if order is not None:
            rows[theirs] = _Gathered(array, order)
        elif name in shifted:
            rows[theirs] = widen(array) + np.float32(family.norm_offset)
        else:
            rows[theirs] = array.T if family.transposed and name in roles else array
    return rows


@dataclass(frozen=True)
class _Gathered:
    """The rows of an array in another order."""

    array: NDArray[Any]
    order: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return self.array.shape

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return some rows."""
        found: NDArray[Any] = self.array[self.order[rows]]
        return found


def gguf_names(config: ModelConfig) -> dict[str, str]:
    """Return llama.cpp's name for each Hugging Face name of a model's tensors.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> gguf_names(config)["model.layers.0.self_attn.k_proj.weight"]
    'blk.0.attn_k.weight'
    """
    roles = {name: role for role, (name, _) in FAMILIES[config.family].model.items()}
    names = {name: _NAMES[role] for name, role in roles.items()}
    for i in range(config.n_layers):
        names |= {name.format(i): _NAMES[role].format(i) for name, role in _layer(config).items()}
    return {name: names[name] for name in tensor_shapes(config)}


def _layer_roles(config: ModelConfig) -> dict[str, str]:
    """Return what each layer's tensors are there for, by their Hugging Face names."""
    layer = _layer(config).items()
    return {name.format(i): role for name, role in layer for i in range(config.n_layers)}


def _shifted_norms(config: ModelConfig) -> set[str]:
    """Return the norms that a GGUF file holds with their offset added."""
    family = FAMILIES[config.family]
    roles = {name: role for role, (name, _) in family.model.items()} | _layer_roles(config)
    return {name for name, role in roles.items() if role.endswith("norm") and family.norm_offset}


def _layer(config: ModelConfig) -> dict[str, str]:
    """Return the role of each name in the table of a layer, the first where it has more."""
    table = FAMILIES[config.family].layer.items()
    return {name: role for role, (name, _) in reversed([*table])}


def _file_order(config: ModelConfig, role: str, n_rows: int) -> NDArray[np.int64] | None:
    """Return which row of a safetensors file each row of a GGUF file is; None where it is its own.

    A row is told by its head, then by its half of the head and its place there; llama.cpp has the
    rows of a pair side by side. Where queries, keys and values lie head by head, it has all
    queries first.
    """
    rows, d = np.arange(n_rows), config.head_dim
    if config.family in _INTERLEAVED and role in _TURNED:
        return rows.reshape(-1, 2, d // 2).swapaxes(1, 2).ravel()
    if FAMILIES[config.family].qkv_by_head and role in ("qkv", "qkv_bias"):
        return rows.reshape(-1, 3, d).swapaxes(0, 1).ravel()
    return None
