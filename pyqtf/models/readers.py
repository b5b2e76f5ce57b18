"""How each family's ``config.json`` reads: from its fields and the family's key to a config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyqtf.models.config import FULL, SLIDING, Fields, ModelConfig
from pyqtf.models.rope import read_partial_rotary, read_rope

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
    n_heads, head_dim = fields.integer("num_attention_heads"), fields.per_head("hidden_size")
    fields.require("head_dim", head_dim)
    rope_theta, rope_scaling = read_rope(fields, 10000.0, name="rotary_emb_base", partial=True)
    return ModelConfig(
        family=family,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=fields.integer("hidden_size"),
        n_layers=fields.integer("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=head_dim,
        intermediate_size=fields.integer("intermediate_size"),
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        partial_rotary_factor=read_partial_rotary(fields, "rotary_pct", 0.25),
        rms_norm_eps=fields.number("layer_norm_eps"),
        max_position_embeddings=fields.integer("max_position_embeddings"),
        tie_word_embeddings=fields.flag("tie_word_embeddings", False),
        activation=fields.choose("hidden_act", _GELU, "gelu"),
        parallel_residual=fields.flag("use_parallel_residual", True),
    )
