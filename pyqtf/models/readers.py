"""How each family's ``config.json`` reads: from its fields and the family's key to a config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pyqtf.formats import FormatError
from pyqtf.models.config import FULL, SLIDING, ModelConfig
from pyqtf.models.fields import Fields
from pyqtf.models.rope_scaling import RopeScaling, read_partial_rotary, read_rope, read_rope_by_type

# The base and the scaling, as `read_rope` returns them.
_Rope = tuple[float, RopeScaling | None]

# transformers' names for GELU and for its tanh form -> ModelConfig's.
_GELU = {
    "gelu": "gelu_erf",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_pytorch_tanh": "gelu",
}


def common(fields: Fields, family: str, *, default_theta: float | None = None) -> ModelConfig:
    """Read what the families have in common, under the names that they share."""
    fields.each("layer_types", FULL)
    return _common(fields, family, default_theta)


def _common(fields: Fields, family: str, default_theta: float | None = None) -> ModelConfig:
    """As `common`, with what slides left to be read."""
    fields.require("hidden_act", "silu")
    fields.require("attention_bias", False)
    fields.require("mlp_bias", False)
    return _sizes(
        fields,
        family,
        read_rope(fields, default_theta),
        n_kv_heads=fields.n_kv_heads(),
        head_dim=fields.head_dim(),
        rms_norm_eps=fields.number("rms_norm_eps"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", False),
    )


def _sizes(fields: Fields, family: str, rope: _Rope, **others: Any) -> ModelConfig:
    """Read the sizes under names that all but GPT-2 share, and add what was read before."""
    return ModelConfig(
        family=family,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=fields.integer("hidden_size"),
        n_layers=fields.integer("num_hidden_layers"),
        n_heads=fields.integer("num_attention_heads"),
        intermediate_size=fields.integer("intermediate_size"),
        max_position_embeddings=fields.integer("max_position_embeddings"),
        rope_theta=rope[0],
        rope_scaling=rope[1],
        **others,
    )


def qwen(fields: Fields, family: str) -> ModelConfig:
    """Read Qwen2 or Qwen3; layers from ``max_window_layers`` on slide, if any do."""
    fields.require("use_mrope", False)
    config = _common(fields, family)
    window = None
    if fields.flag("use_sliding_window", False):
        window = fields.integer_or("sliding_window", 4096)
    first = config.n_layers if window is None else fields.integer_or("max_window_layers", 28) or 0
    types = fields.each("layer_types", FULL, SLIDING)
    return _with_windows(config, types or _slide(config, lambda i: i >= first), window)


def _slide(config: ModelConfig, slides: Callable[[int], bool]) -> tuple[str, ...]:
    """Return the types of layers that slide as their numbers say."""
    return tuple(SLIDING if slides(i) else FULL for i in range(config.n_layers))


def _with_windows(config: ModelConfig, types: tuple[str, ...], window: int | None) -> ModelConfig:
    if SLIDING not in types:
        types, window = (), 0
    return replace(config, layer_types=types, sliding_window=window or 0)


def llama(fields: Fields, family: str) -> ModelConfig:
    """Read Llama, whose first configs don't say their rope_theta."""
    return common(fields, family, default_theta=10000.0)


def mistral(fields: Fields, family: str) -> ModelConfig:
    """Read Mistral, of which all layers slide or none."""
    config = _common(fields, family, 10000.0)
    window = fields.integer_or("sliding_window", 4096)
    kind = FULL if window is None else SLIDING
    fields.each("layer_types", kind)
    return _with_windows(config, (kind,) * config.n_layers, window)


def gpt2(fields: Fields, family: str) -> ModelConfig:
    """Read GPT-2, which has names of its own."""
    fields.require("scale_attn_weights", True)
    fields.require("scale_attn_by_inverse_layer_idx", False)
    fields.require("add_cross_attention", False)
    hidden_size, n_heads = fields.integer("n_embd"), fields.integer("n_head")
    return ModelConfig(
        family=family,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=hidden_size,
        n_layers=fields.integer("n_layer"),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=fields.per_head("n_embd", "n_head"),
        intermediate_size=fields.integer_or("n_inner", None) or 4 * hidden_size,
        rope_theta=None,
        rms_norm_eps=fields.number("layer_norm_epsilon"),
        max_position_embeddings=fields.integer("n_positions"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        activation=fields.choose("activation_function", _GELU, "gelu_new"),
    )


def gpt_neox(fields: Fields, family: str) -> ModelConfig:
    """Read what Pythia and GPT-NeoX have in common."""
    fields.require("attention_bias", True)
    head_dim = fields.per_head("hidden_size")
    fields.require("head_dim", head_dim)
    return _sizes(
        fields,
        family,
        read_rope(fields, 10000.0, name="rotary_emb_base", partial=True),
        n_kv_heads=fields.integer("num_attention_heads"),
        head_dim=head_dim,
        partial_rotary_factor=read_partial_rotary(fields, "rotary_pct", 0.25),
        rms_norm_eps=fields.number("layer_norm_eps"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", False),
        activation=fields.choose("hidden_act", _GELU, "gelu"),
        parallel_residual=fields.flag("use_parallel_residual", True),
    )


def phi(fields: Fields, family: str) -> ModelConfig:
    """Read Phi-1, 1.5 and 2."""
    fields.require("qk_layernorm", False)
    n_heads = fields.integer("num_attention_heads")
    return _sizes(
        fields,
        family,
        read_rope(fields, 10000.0, partial=True),
        n_kv_heads=fields.integer_or("num_key_value_heads", n_heads) or n_heads,
        head_dim=fields.head_dim(),
        partial_rotary_factor=read_partial_rotary(fields, "partial_rotary_factor", 0.5),
        rms_norm_eps=fields.number("layer_norm_eps"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", False),
        activation=fields.choose("hidden_act", _GELU, "gelu_new"),
        parallel_residual=True,
    )


def gemma2(fields: Fields, family: str) -> ModelConfig:
    """Read Gemma 2, of which every other layer slides, the first one included."""
    config = _gemma(
        fields,
        family,
        read_rope(fields, 10000.0),
        attn_logit_softcapping=_cap(fields, "attn_logit_softcapping", 50.0),
        final_logit_softcapping=_cap(fields, "final_logit_softcapping", 30.0),
    )
    return _gemma_windows(fields, config, 2)


def gemma3(fields: Fields, family: str) -> ModelConfig:
    """Read the text models of Gemma 3, of which every sixth layer does not slide."""
    fields.require("attn_logit_softcapping")
    theta, scaling, local_theta = read_rope_by_type(fields, 1e6, 1e4)
    config = _gemma(
        fields,
        family,
        (theta, scaling),
        local_rope_theta=local_theta,
        final_logit_softcapping=_cap(fields, "final_logit_softcapping", None),
    )
    return _gemma_windows(fields, config, fields.integer_or("sliding_window_pattern", 6) or 0)


def _gemma(fields: Fields, family: str, rope: _Rope, **others: Any) -> ModelConfig:
    fields.require("hidden_activation", "gelu_pytorch_tanh")
    fields.require("attention_bias", False)
    fields.require("use_bidirectional_attention", False)
    return _sizes(
        fields,
        family,
        rope,
        n_kv_heads=fields.n_kv_heads(),
        head_dim=fields.integer("head_dim") if fields.has("head_dim") else 256,
        rms_norm_eps=fields.number("rms_norm_eps"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        activation="geglu",
        query_pre_attn_scalar=fields.number_or("query_pre_attn_scalar", 256.0) or 256.0,
        scaled_embeddings=True,
        **others,
    )


def _gemma_windows(fields: Fields, config: ModelConfig, pattern: int) -> ModelConfig:
    """Let all layers slide but every `pattern`-th, unless the config tells each one's type."""
    if pattern < 1:
        raise FormatError(f"{fields.where}: sliding_window_pattern must be above 0, got {pattern}")
    types = fields.each("layer_types", FULL, SLIDING)
    types = types or _slide(config, lambda i: (i + 1) % pattern != 0)
    return _with_windows(config, types, fields.integer_or("sliding_window", 4096))


def _cap(fields: Fields, name: str, default: float | None) -> float:
    """Return a soft cap, 0 for none, which a config says by null."""
    cap = fields.number_or(name, default)
    if cap == 0:
        raise FormatError(f"{fields.where}: {name} must be above 0, or null for none, got 0")
    return cap or 0.0
