"""From tensors in files to packed matrices, one layer at a time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._memory import Arena, available_memory
from pyqtf._quants import group_of, matrix_bytes, part_quant
from pyqtf.formats import FormatError, Tensor
from pyqtf.formats.digest import Digest
from pyqtf.formats.float8 import FLOAT8
from pyqtf.formats.gguf_types import READABLE
from pyqtf.models.config import ModelConfig
from pyqtf.models.equalise import column_scales
from pyqtf.models.family import Family, TensorTable
from pyqtf.models.registry import FAMILIES, IGNORED, tensor_shapes

# How matrices can be stored.
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

# Matrix -> the norm whose output it takes, where it has one.
_NORM_BEFORE = {"qkv": "attn_norm", "gate_up": "ffn_norm"}
# Types whose rows can be looked at in place.
_PLAIN = ("F32", "F16", "BF16")
# Endings of tensors that belong to scaled 8-bit weights.
_SCALES = ("_scale", "_scale_inv", "_scale_2", ".scales")


def _roles(family: Family) -> dict[str, tuple[str, ...]]:
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
        for field, stack in _roles(family).items():
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


def _check_memory(config: ModelConfig, quant: str) -> None:
    needed, free = needed_bytes(config, quant), available_memory()
    if needed > free:
        fits = next((q for q in ("q8", "q4") if needed_bytes(config, q) <= free), None)
        raise MemoryError(
            f"the model in {quant} needs {needed / 1e9:.2g} GB, and {free / 1e9:.2g} GB are free; "
            f"{f'{fits} would fit' if fits else 'choose a smaller model'}"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"tensors {', '.join(map(repr, names[:3]))}{more}:"


def load_weights(tensors: Mapping[str, Tensor], config: ModelConfig, quant: str = "q8") -> Weights:
    """Pack the weights of a model, giving back the file's pages layer by layer.

    Parameters
    ----------
    tensors : mapping
        From `pyqtf.formats.open_folder`.
    config : ModelConfig
        From `resolve_tied`.
    quant : {"q8", "q4", "f32"}
        How matrices are stored.

    Raises
    ------
    FormatError
        As `check_tensors`, or a weight is NaN or infinite.
    MemoryError
        The packed weights won't fit into the memory that is free: said before any is read.
    """
    check_tensors(tensors, config)
    _check_memory(config, quant)
    loader = _Loader(tensors, config, quant)
    embed = loader.matrix("embed")
    roles = FAMILIES[config.family].model
    return Weights(
        embed=embed,
        positions=loader.matrix("positions") if "positions" in roles else None,
        head=embed if config.tie_word_embeddings else loader.matrix("head"),
        norm=loader.vector("norm"),
        norm_bias=loader.vector("norm_bias") if "norm_bias" in roles else None,
        head_bias=loader.vector("head_bias") if "head_bias" in roles else None,
        layers=tuple(loader.layer(i) for i in range(config.n_layers)),
        fingerprint=loader.digest.hexdigest(),
    )


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


class _Loader:
    def __init__(self, tensors: Mapping[str, Tensor], config: ModelConfig, quant: str) -> None:
        self._tensors = tensors
        self._config = config
        self._family = FAMILIES[config.family]
        self._quant = quant
        self._arena = Arena()
        self.digest = Digest()
        self.digest.add_text(json.dumps(asdict(config), sort_keys=True))

    def layer(self, i: int) -> LayerWeights:
        """Pack layer i; what the family doesn't have is None."""
        facts = self._family.layer
        parts: dict[str, Any] = {}
        scales: dict[str, NDArray[np.float32]] = {}
        for field, roles in _roles(self._family).items():
            if roles[0] not in facts:
                parts[field] = None
            elif len(facts[roles[0]][1]) == 1:
                parts[field] = self.vector(*roles, i=i)
            else:
                norm = _NORM_BEFORE.get(field, "")
                even = self._even(parts.get(norm), parts.get(f"{norm}_bias"), roles, i)
                if even is not None:
                    scales[_NORM_BEFORE[field]] = even
                parts[field] = self.matrix(
                    *roles, i=i, transposed=self._family.transposed, column_scales=even
                )
        for field, even in scales.items():
            for name in (field, f"{field}_bias"):
                parts[name] = None if parts[name] is None else parts[name] / even
        return LayerWeights(**parts)

    def _even(
        self,
        norm: NDArray[np.float32] | None,
        bias: NDArray[np.float32] | None,
        roles: Sequence[str],
        i: int,
    ) -> NDArray[np.float32] | None:
        """Return scales that move outlier channels from a norm into the matrices behind it."""
        tensors = [self._find(role, i) for role in roles]
        # The columns of [in, out] matrices are another axis: left alone.
        if norm is None or self._family.transposed:
            return None
        if part_quant(roles[0], tensors[0].shape[1], self._quant) == "f32":
            return None
        if any(tensor.dtype not in _PLAIN for tensor in tensors):
            return None
        sizes = norm if bias is None else np.hypot(norm, bias)
        return column_scales(sizes, [tensor.array() for tensor in tensors])

    def _find(self, role: str, i: int) -> Tensor:
        name, _ = self._family.layer.get(role) or self._family.model[role]
        return self._tensors[name.format(i)]

    def _rows(self, role: str, part: Tensor) -> Iterable[NDArray[Any]]:
        """Yield the rows of a tensor in the decoder's order."""
        if not (self._family.qkv_by_head and role in ("qkv", "qkv_bias")):
            return part.row_blocks()
        c = self._config
        starts = np.arange(0, c.qkv_size, c.head_dim).reshape(c.n_heads, 3).T
        return (part.rows(int(start), int(start) + c.head_dim) for start in starts.flat)

    def matrix(
        self,
        *roles: str,
        i: int = 0,
        transposed: bool = False,
        column_scales: NDArray[np.float32] | None = None,
    ) -> _core.Matrix:
        """Pack one or more tensors one below the other."""
        parts = [self._find(role, i) for role in roles]
        try:
            for part in parts:
                self.digest.add(part.name, part.stored())
            rows: Iterable[NDArray[Any]] = chain.from_iterable(map(self._rows, roles, parts))
            shape = (sum(part.shape[0] for part in parts), parts[0].shape[1])
            if transposed:
                rows = turned = [np.ascontiguousarray(part.array().T) for part in parts]
                shape = (sum(map(len, turned)), turned[0].shape[1])
            quant = part_quant(roles[0], shape[1], self._quant)
            group = _group(parts, quant, shape[1])
            memory = self._arena.take(matrix_bytes(shape, quant, group))
            return _core.pack(rows, quant, group, shape, column_scales, memory=memory)
        except ValueError:
            for part in parts:
                _check_finite(part)
            raise
        finally:
            for part in parts:
                part.release()

    def vector(self, *roles: str, i: int = 0) -> NDArray[np.float32]:
        """Widen one or more vectors to float32, one after the other."""
        parts = [self._find(role, i) for role in roles]
        for part in parts:
            _check_finite(part)
            self.digest.add(part.name, part.stored())
        blocks = chain.from_iterable(map(self._rows, roles, parts))
        values = np.concatenate([_widen(block).ravel() for block in blocks])
        if roles[0].endswith("norm"):
            values += np.float32(self._family.norm_offset)
        return values


def _widen(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32; uint16 holds bfloat16, the upper half of a float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def _group(parts: Sequence[Tensor], quant: str, columns: int) -> int:
    """Return how many weights share a scale: in q8 as in the file, if that is 8-bit already."""
    if quant == "q8" and all(part.dtype == "Q8_0" for part in parts):
        return 32
    return group_of(columns, quant)


def _check_finite(tensor: Tensor) -> None:
    done = 0
    for rows in tensor.row_blocks():
        flat = rows.reshape(-1)
        for start in range(0, flat.size, 2**20):
            block = _widen(flat[start : start + 2**20])
            bad = np.flatnonzero(~np.isfinite(block))
            if bad.size:
                at = np.unravel_index(done + start + int(bad[0]), tensor.shape)
                raise FormatError(
                    f"{tensor.file.path}: tensor {tensor.name!r} holds {block[bad[0]]} at "
                    f"{[int(n) for n in at]}; weights must be finite"
                )
        done += flat.size
