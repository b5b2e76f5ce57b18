"""The families that pyqtf knows: for each a table of facts.

A family is how its ``config.json`` reads and how its tensors are called. The decoder knows only the
roles, so a family whose facts fit needs no code of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyqtf.formats import FormatError
from pyqtf.formats.strict_json import read_object
from pyqtf.models.config import Fields, ModelConfig
from pyqtf.models.rope import read_rope

# Role -> (name in the file, its dimensions as attributes of ModelConfig).
TensorTable = Mapping[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Family:
    """The facts of one family.

    Attributes
    ----------
    architecture : str
        Its name under ``architectures`` in ``config.json``.
    read : callable
        From the fields of a ``config.json`` and the family's key to a ModelConfig.
    model, layer : mapping
        Tensors of the model and of each layer; ``{}`` stands for the layer's number. A role is a
        field of Weights or LayerWeights, or one that the loader stacks into such a field.
    transposed : bool
        Whether the matrices of the layers lie as [in, out].
    prefix : str
        What the names of some files lack.
    """

    architecture: str
    read: Callable[[Fields, str], ModelConfig]
    model: TensorTable
    layer: TensorTable
    transposed: bool = False
    prefix: str = ""


def _read(fields: Fields, family: str, *, default_theta: float | None = None) -> ModelConfig:
    """Read what the families have in common, under the names that they share."""
    fields.require("hidden_act", "silu")
    fields.require("attention_bias", False)
    fields.require("mlp_bias", False)
    fields.require_each("layer_types", "full_attention")
    rope_theta, rope_scaling = read_rope(fields, default_theta)
    return ModelConfig(
        family=family,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=fields.integer("hidden_size"),
        n_layers=fields.integer("num_hidden_layers"),
        n_heads=fields.integer("num_attention_heads"),
        n_kv_heads=fields.n_kv_heads(),
        head_dim=fields.head_dim(),
        intermediate_size=fields.integer("intermediate_size"),
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        rms_norm_eps=fields.number("rms_norm_eps"),
        max_position_embeddings=fields.integer("max_position_embeddings"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", False),
    )


def _read_qwen(fields: Fields, family: str) -> ModelConfig:
    fields.require("use_sliding_window", False)
    fields.require("use_mrope", False)
    return _read(fields, family)


def _read_llama(fields: Fields, family: str) -> ModelConfig:
    # The first Llama configs don't say it.
    return _read(fields, family, default_theta=10000.0)


def _read_mistral(fields: Fields, family: str) -> ModelConfig:
    config = _read(fields, family, default_theta=10000.0)
    # Up to the window's length a sliding window hides nothing: longer texts are refused.
    window = fields.integer_or("sliding_window", 4096)
    longest = min(config.max_position_embeddings, window or config.max_position_embeddings)
    return replace(config, max_position_embeddings=longest)


def _read_gpt2(fields: Fields, family: str) -> ModelConfig:
    fields.require("activation_function", "gelu_new")
    fields.require("scale_attn_weights", True)
    fields.require("scale_attn_by_inverse_layer_idx", False)
    fields.require("add_cross_attention", False)
    hidden_size, n_heads = fields.integer("n_embd"), fields.integer("n_head")
    if n_heads < 1 or hidden_size % n_heads:
        raise FormatError(f"{fields.where}: n_embd {hidden_size} can't be cut into {n_heads} heads")
    return ModelConfig(
        family=family,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=hidden_size,
        n_layers=fields.integer("n_layer"),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=hidden_size // n_heads,
        intermediate_size=fields.integer_or("n_inner", None) or 4 * hidden_size,
        rope_theta=None,
        rms_norm_eps=fields.number("layer_norm_epsilon"),
        max_position_embeddings=fields.integer("n_positions"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        activation="gelu_new",
    )


_MODEL: TensorTable = {
    "embed": ("model.embed_tokens.weight", ("vocab_size", "hidden_size")),
    "norm": ("model.norm.weight", ("hidden_size",)),
    "head": ("lm_head.weight", ("vocab_size", "hidden_size")),
}
_LAYER: TensorTable = {
    "q": ("model.layers.{}.self_attn.q_proj.weight", ("q_size", "hidden_size")),
    "k": ("model.layers.{}.self_attn.k_proj.weight", ("kv_size", "hidden_size")),
    "v": ("model.layers.{}.self_attn.v_proj.weight", ("kv_size", "hidden_size")),
    "o": ("model.layers.{}.self_attn.o_proj.weight", ("hidden_size", "q_size")),
    "gate": ("model.layers.{}.mlp.gate_proj.weight", ("intermediate_size", "hidden_size")),
    "up": ("model.layers.{}.mlp.up_proj.weight", ("intermediate_size", "hidden_size")),
    "down": ("model.layers.{}.mlp.down_proj.weight", ("hidden_size", "intermediate_size")),
}
_PRE_NORMS: TensorTable = {
    "attn_norm": ("model.layers.{}.input_layernorm.weight", ("hidden_size",)),
    "ffn_norm": ("model.layers.{}.post_attention_layernorm.weight", ("hidden_size",)),
}
_POST_NORMS: TensorTable = {
    "attn_post_norm": ("model.layers.{}.post_attention_layernorm.weight", ("hidden_size",)),
    "ffn_post_norm": ("model.layers.{}.post_feedforward_layernorm.weight", ("hidden_size",)),
}
_QKV_BIAS: TensorTable = {
    "q_bias": ("model.layers.{}.self_attn.q_proj.bias", ("q_size",)),
    "k_bias": ("model.layers.{}.self_attn.k_proj.bias", ("kv_size",)),
    "v_bias": ("model.layers.{}.self_attn.v_proj.bias", ("kv_size",)),
}


def _qk_norm(q: str, k: str) -> TensorTable:
    return {
        "q_norm": ("model.layers.{}.self_attn.q_norm.weight", (q,)),
        "k_norm": ("model.layers.{}.self_attn.k_norm.weight", (k,)),
    }


_GPT2_MODEL: TensorTable = {
    "embed": ("transformer.wte.weight", ("vocab_size", "hidden_size")),
    "positions": ("transformer.wpe.weight", ("max_position_embeddings", "hidden_size")),
    "norm": ("transformer.ln_f.weight", ("hidden_size",)),
    "norm_bias": ("transformer.ln_f.bias", ("hidden_size",)),
    "head": ("lm_head.weight", ("vocab_size", "hidden_size")),
}
_GPT2_LAYER: TensorTable = {
    "attn_norm": ("transformer.h.{}.ln_1.weight", ("hidden_size",)),
    "attn_norm_bias": ("transformer.h.{}.ln_1.bias", ("hidden_size",)),
    "qkv": ("transformer.h.{}.attn.c_attn.weight", ("hidden_size", "qkv_size")),
    "qkv_bias": ("transformer.h.{}.attn.c_attn.bias", ("qkv_size",)),
    "o": ("transformer.h.{}.attn.c_proj.weight", ("q_size", "hidden_size")),
    "o_bias": ("transformer.h.{}.attn.c_proj.bias", ("hidden_size",)),
    "ffn_norm": ("transformer.h.{}.ln_2.weight", ("hidden_size",)),
    "ffn_norm_bias": ("transformer.h.{}.ln_2.bias", ("hidden_size",)),
    "gate_up": ("transformer.h.{}.mlp.c_fc.weight", ("hidden_size", "intermediate_size")),
    "gate_up_bias": ("transformer.h.{}.mlp.c_fc.bias", ("intermediate_size",)),
    "down": ("transformer.h.{}.mlp.c_proj.weight", ("intermediate_size", "hidden_size")),
    "down_bias": ("transformer.h.{}.mlp.c_proj.bias", ("hidden_size",)),
}


FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(
        architecture="Qwen2ForCausalLM",
        read=_read_qwen,
        model=_MODEL,
        layer={**_LAYER, **_PRE_NORMS, **_QKV_BIAS},
    ),
    # One norm for every head.
    "qwen3": Family(
        architecture="Qwen3ForCausalLM",
        read=_read_qwen,
        model=_MODEL,
        layer={**_LAYER, **_PRE_NORMS, **_qk_norm("head_dim", "head_dim")},
    ),
    "llama": Family(
        architecture="LlamaForCausalLM",
        read=_read_llama,
        model=_MODEL,
        layer={**_LAYER, **_PRE_NORMS},
    ),
    "mistral": Family(
        architecture="MistralForCausalLM",
        read=_read_mistral,
        model=_MODEL,
        layer={**_LAYER, **_PRE_NORMS},
    ),
    # One norm over all heads together; the norms of a layer stand behind its blocks.
    "olmo2": Family(
        architecture="Olmo2ForCausalLM",
        read=_read,
        model=_MODEL,
        layer={**_LAYER, **_POST_NORMS, **_qk_norm("q_size", "kv_size")},
    ),
    "gpt2": Family(
        architecture="GPT2LMHeadModel",
        read=_read_gpt2,
        model=_GPT2_MODEL,
        layer=_GPT2_LAYER,
        transposed=True,
        prefix="transformer.",
    ),
}

# Endings of tensors that old checkpoints hold and no one needs: angles and causal masks.
IGNORED = ("rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")


def read_config(path: str | os.PathLike[str]) -> ModelConfig:
    """Read the ``config.json`` of a Hugging Face folder.

    Parameters
    ----------
    path : path-like
        The folder.

    Raises
    ------
    FileNotFoundError
        The folder or its ``config.json`` is not there.
    FormatError
        The file is no JSON object, lacks a field, has one of a wrong type, names a family that
        pyqtf doesn't know, or asks for something that it doesn't compute.
    """
    file = Path(path) / "config.json"
    return parse_config(read_object(file), str(file))


def parse_config(values: Mapping[str, Any], where: str = "config.json") -> ModelConfig:
    """Turn a parsed ``config.json`` into a ModelConfig.

    Examples
    --------
    >>> parse_config({"architectures": ["BertModel"]})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    pyqtf.formats.errors.FormatError: config.json: architecture 'BertModel' is not supported; ...
    """
    fields = Fields(values, where)
    names = values.get("architectures")
    if not (isinstance(names, list) and len(names) == 1):
        raise FormatError(f"{where}: 'architectures' must name one architecture, got {names!r:.80}")
    for key, family in FAMILIES.items():
        if family.architecture == names[0]:
            if fields.has("quantization_config"):
                raise FormatError(
                    f"{where}: the weights are quantised already (quantization_config); pyqtf "
                    "quantises by itself and reads F32, F16 and BF16 weights"
                )
            return family.read(fields, key)
    known = ", ".join(family.architecture for family in FAMILIES.values())
    raise FormatError(
        f"{where}: architecture {names[0]!r:.80} is not supported; supported: {known}"
    )


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor that a model of this shape has, tied ones once.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> tensor_shapes(config)["model.layers.0.self_attn.k_proj.weight"]
    (16, 32)
    """
    family = FAMILIES[config.family]

    def shape(dims: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(getattr(config, dim) for dim in dims)

    shapes = {
        name: shape(dims)
        for role, (name, dims) in family.model.items()
        if not (role == "head" and config.tie_word_embeddings)
    }
    for i in range(config.n_layers):
        shapes |= {name.format(i): shape(dims) for name, dims in family.layer.values()}
    return shapes
