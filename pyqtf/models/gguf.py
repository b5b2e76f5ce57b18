"""Models in GGUF files: llama.cpp's names for what ``config.json`` and safetensors files hold.

A GGUF file is turned into the fields of a ``config.json`` and tensors under their Hugging Face
names; `pyqtf.models.registry` reads on from there, and the other way round for writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats import GGUF, FormatError, Tensor
from pyqtf.models.config import ModelConfig
from pyqtf.models.registry import FAMILIES, parse_config, tensor_shapes
from pyqtf.models.rope import RopeScaling, rotary_frequencies

# A ModelConfig's field -> the field of config.json, and the metadata key behind "qwen2.".
_SIZES = {
    "hidden_size": ("hidden_size", "embedding_length"),
    "n_layers": ("num_hidden_layers", "block_count"),
    "intermediate_size": ("intermediate_size", "feed_forward_length"),
    "n_heads": ("num_attention_heads", "attention.head_count"),
    "n_kv_heads": ("num_key_value_heads", "attention.head_count_kv"),
    "head_dim": ("head_dim", "attention.key_length"),
    "max_position_embeddings": ("max_position_embeddings", "context_length"),
    "rope_theta": ("rope_theta", "rope.freq_base"),
    "rms_norm_eps": ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
}
# What llama.cpp takes for a key that is missing: another key, or a number.
_DEFAULTS: dict[str, str | float] = {
    "attention.head_count_kv": "attention.head_count",
    "rope.freq_base": 10000.0,
}
# Families that llama.cpp knows by the same names; it calls Mistral llama, too.
_ARCHITECTURES = ("qwen2", "qwen3", "llama", "olmo2")
# Those of which it turns neighbouring rows of a head as a pair, not rows half a head apart.
_INTERLEAVED = ("llama",)

_EMBED, _HEAD = "token_embd.weight", "output.weight"
_ROPE_FACTORS = "rope_freqs.weight"
# Role -> name in the file, as in the registry's tables.
_NAMES = {
    "embed": _EMBED,
    "norm": "output_norm.weight",
    "head": _HEAD,
    "attn_norm": "blk.{}.attn_norm.weight",
    "q": "blk.{}.attn_q.weight",
    "k": "blk.{}.attn_k.weight",
    "v": "blk.{}.attn_v.weight",
    "q_bias": "blk.{}.attn_q.bias",
    "k_bias": "blk.{}.attn_k.bias",
    "v_bias": "blk.{}.attn_v.bias",
    "q_norm": "blk.{}.attn_q_norm.weight",
    "k_norm": "blk.{}.attn_k_norm.weight",
    "o": "blk.{}.attn_output.weight",
    "attn_post_norm": "blk.{}.post_attention_norm.weight",
    "ffn_norm": "blk.{}.ffn_norm.weight",
    "gate": "blk.{}.ffn_gate.weight",
    "up": "blk.{}.ffn_up.weight",
    "down": "blk.{}.ffn_down.weight",
    "ffn_post_norm": "blk.{}.post_ffw_norm.weight",
}


@dataclass(frozen=True)
class _Halves(Tensor):
    """A tensor whose rows are put back in the order of safetensors files.

    Of a head's d rows, llama.cpp has the first of each half, then the second of each half, and so
    on: its row ``2 j + i`` is row ``i * d / 2 + j`` here.
    """

    source: Tensor
    head_dim: int

    @classmethod
    def of(cls, source: Tensor, head_dim: int) -> _Halves:
        """Wrap a tensor."""
        own = {field.name: getattr(source, field.name) for field in fields(Tensor)}
        return cls(**own, source=source, head_dim=head_dim)

    def row_blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the rows in order, a head at a time."""
        for start in range(0, self.shape[0], self.head_dim):
            rows = self.source.rows(start, start + self.head_dim)
            pairs = rows.reshape(self.head_dim // 2, 2, -1)
            yield np.concatenate([pairs[:, 0], pairs[:, 1]])

    def array(self) -> NDArray[Any]:
        """Return all rows. This is no view."""
        return np.concatenate([*self.row_blocks()])

    def stored(self) -> NDArray[Any]:
        """Return what the file holds."""
        return self.source.stored()


class _Metadata:
    """Metadata of one architecture, with errors that name the key."""

    def __init__(self, file: GGUF, architecture: str) -> None:
        self._values = file.metadata
        self._where = file.path
        self._prefix = architecture

    def number(self, key: str) -> int | float:
        full = f"{self._prefix}.{key}"
        if full not in self._values:
            default = _DEFAULTS.get(key)
            if default is None:
                raise FormatError(f"{self._where}: metadata {full!r} is missing")
            return self.number(default) if isinstance(default, str) else default
        value = self._values[full]
        if not isinstance(value, (np.integer, np.floating)):
            raise FormatError(
                f"{self._where}: metadata {full!r} must be a number, got {value!r:.80}"
            )
        # The shortest decimal that rounds to it: 1e-6, as in config.json, not 9.9999999e-07.
        return int(value) if isinstance(value, np.integer) else float(str(value))

    def get(self, key: str, default: object) -> Any:
        return self._values.get(f"{self._prefix}.{key}", default)

    def refuse_unless(self, key: str, expected: int | str) -> None:
        """Refuse a key that is there with another value: the model would be computed wrongly."""
        value = self.get(key, expected)
        if not np.array_equal(value, expected):
            raise FormatError(
                f"{self._where}: metadata '{self._prefix}.{key}' = {value!r:.80} is not supported; "
                f"pyqtf computes {expected!r} only"
            )


def read_config(file: GGUF) -> ModelConfig:
    """Return the shape of the model in a GGUF file.

    Raises
    ------
    FormatError
        The file holds no model, one of a family that pyqtf doesn't know, one part of a model, or
        metadata that are missing, of a wrong type, or ask for something that pyqtf doesn't compute.
    """
    architecture = file.metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in _ARCHITECTURES:
        raise FormatError(
            f"{file.path}: architecture {architecture!r:.80} is not supported; "
            f"supported: {', '.join(_ARCHITECTURES)}"
        )
    parts = file.metadata.get("split.count", 0)
    if not (np.array_equal(parts, 0) or np.array_equal(parts, 1)):
        raise FormatError(
            f"{file.path}: one of {parts!s:.80} parts of a model; join them with llama.cpp's "
            "'llama-gguf-split --merge' first"
        )
    if _EMBED not in file.tensors or len(file.tensors[_EMBED].shape) != 2:
        raise FormatError(f"{file.path}: expected a matrix {_EMBED!r}: not a whole model")
    metadata = _Metadata(file, architecture)
    values: dict[str, Any] = {
        name: metadata.number(key)
        for name, key in _SIZES.values()
        if key != "attention.key_length" or metadata.get(key, None) is not None
    }
    values |= {
        "architectures": [FAMILIES[architecture].architecture],
        "vocab_size": file.tensors[_EMBED].shape[0],
        "tie_word_embeddings": _HEAD not in file.tensors,
    }
    config = parse_config(values, str(file.path))
    if _ROPE_FACTORS in file.tensors:
        config = replace(config, rope_scaling=_llama3_scaling(file, config))
    metadata.refuse_unless("attention.value_length", config.head_dim)
    metadata.refuse_unless("rope.dimension_count", config.head_dim)
    metadata.refuse_unless("rope.scaling.type", "none")
    metadata.refuse_unless("attention.sliding_window", 0)
    metadata.refuse_unless("expert_count", 0)
    return config


def _llama3_scaling(file: GGUF, config: ModelConfig) -> RopeScaling:
    """Return the scaling whose result for each pair of a head is what the file holds.

    llama.cpp keeps no parameters. Of Llama 3.1 to 3.3 only the factor differs, by which the slowest
    pair is slowed.
    """
    tensor, theta = file.tensors[_ROPE_FACTORS], config.rope_theta
    found = tensor.array()
    if (
        theta is not None
        and found.shape == (config.head_dim // 2,)
        and tensor.dtype == "F32"
        and found.max() > 1
    ):
        scaling = RopeScaling("llama3", float(found.max()), 8192, fast=4.0, slow=1.0)
        scaled = rotary_frequencies(replace(config, rope_scaling=scaling), theta)
        if np.allclose(rotary_frequencies(config, theta) / scaled, found, rtol=1e-4, atol=0):
            return scaling
    raise FormatError(
        f"{file.path}: tensor {_ROPE_FACTORS!r} is not what Llama 3's rotary scaling comes to, "
        "which is the only one that pyqtf knows by its factors"
    )


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
        if name != _ROPE_FACTORS
    }
    if config.family in _INTERLEAVED:
        for role in ("q", "k"):
            for name in _role_names(config, role):
                tensors[name] = _Halves.of(tensors[name], config.head_dim)
    return tensors


def gguf_names(config: ModelConfig) -> dict[str, str]:
    """Return llama.cpp's name for each Hugging Face name of a model's tensors.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> gguf_names(config)["model.layers.0.self_attn.k_proj.weight"]
    'blk.0.attn_k.weight'
    """
    family = FAMILIES[config.family]
    names = {name: _NAMES[role] for role, (name, _) in family.model.items()}
    for role in family.layer:
        theirs = (_NAMES[role].format(i) for i in range(config.n_layers))
        names |= dict(zip(_role_names(config, role), theirs, strict=True))
    return {name: names[name] for name in tensor_shapes(config)}


def _role_names(config: ModelConfig, role: str) -> list[str]:
    """Return the Hugging Face names of what plays a role in each layer."""
    name, _ = FAMILIES[config.family].layer[role]
    return [name.format(i) for i in range(config.n_layers)]


def gguf_metadata(config: ModelConfig, name: str) -> Mapping[str, Any]:
    """Return what llama.cpp must know of a model's shape.

    Raises
    ------
    FormatError
        The family is not known to llama.cpp, or has its rows in another order there, or the
        model's rotary embedding is scaled, or its attention slides.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> gguf_metadata(config, "small")["qwen2.attention.head_count_kv"]
    2
    """
    family, known = config.family, [n for n in _ARCHITECTURES if n not in _INTERLEAVED]
    if family not in known:
        raise FormatError(
            f"a model of family {family!r} can't be written as GGUF; "
            f"families that can: {', '.join(known)}"
        )
    if config.rope_scaling is not None:
        raise FormatError("a model with a scaled rotary embedding can't be written as GGUF")
    if config.sliding_window:
        raise FormatError("a model with sliding windows can't be written as GGUF")
    values = {f"{family}.{key}": getattr(config, field) for field, (_, key) in _SIZES.items()}
    return {
        "general.architecture": family,
        "general.name": name,
        **values,
        f"{family}.attention.value_length": config.head_dim,
        f"{family}.rope.dimension_count": config.head_dim,
        f"{family}.vocab_size": config.vocab_size,
    }
