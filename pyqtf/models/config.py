"""The shape of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyqtf.formats import FormatError
from pyqtf.models.rope_scaling import RopeScaling

_MAX_SIZE = 2**31 - 1
_MAX_LAYERS = 10_000
_MAX_CAP = 1e6

# Members of ModelConfig.layer_types.
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class ModelConfig:
    """What the decoder needs to know of a model, under the field's usual names.

    Attributes
    ----------
    family : str
        The key of the family's table of facts, such as ``"qwen2"``.
    vocab_size : int
        Rows of the embedding; may exceed the tokenizer's vocabulary.
    hidden_size, n_layers, intermediate_size : int
        Width, depth, and width of the feed-forward network.
    n_heads, n_kv_heads, head_dim : int
        Query heads, the key and value heads that groups of them share, and the width of each.
    rope_theta : float or None
        Base of the rotary frequencies; None where positions are learned vectors instead.
    rms_norm_eps : float
        Added to the mean square in RMSNorm, or to the variance in LayerNorm.
    max_position_embeddings : int
        The longest text, in tokens.
    tie_word_embeddings : bool
        Whether the embedding serves as the output head.
    rope_scaling : RopeScaling, optional
        How the rotary embedding is stretched to long texts.
    activation : {"swiglu", "geglu", "gelu", "gelu_erf"}
        Of the feed-forward network: SwiGLU or GEGLU (in GELU's tanh form) with a gate; GELU's tanh
        form or GELU itself without.
    partial_rotary_factor : float
        The part of each head that the rotary embedding turns.
    parallel_residual : bool
        Whether attention and feed-forward network of a layer read the same residual stream, rather
        than one what the other has added to.
    layer_types : tuple of {"full_attention", "sliding_attention"}
        For each layer, whether its queries see all tokens before them; empty where all do.
    sliding_window : int
        How many tokens a query of a sliding layer sees, itself included; 0 where no layer slides.
    local_rope_theta : float or None
        Base of the rotary frequencies of sliding layers, which are not scaled; None where it is
        that of all layers.
    query_pre_attn_scalar : float or None
        What scores are divided by the root of; None where it is head_dim.
    attn_logit_softcapping, final_logit_softcapping : float
        What ``cap * tanh(x / cap)`` keeps scores and logits within; 0 for none.
    scaled_embeddings : bool
        Whether embeddings are multiplied by the root of hidden_size, rounded to float32, before
        the first layer.

    Raises
    ------
    FormatError
        A size is no positive whole number, or sizes don't fit each other.
    """

    family: str
    vocab_size: int
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate_size: int
    rope_theta: float | None
    rms_norm_eps: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    rope_scaling: RopeScaling | None = None
    activation: str = "swiglu"
    partial_rotary_factor: float = 1.0
    parallel_residual: bool = False
    layer_types: tuple[str, ...] = ()
    sliding_window: int = 0
    local_rope_theta: float | None = None
    query_pre_attn_scalar: float | None = None
    attn_logit_softcapping: float = 0.0
    final_logit_softcapping: float = 0.0
    scaled_embeddings: bool = False

    def __post_init__(self) -> None:
        for name in (
            "vocab_size", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "head_dim",
            "intermediate_size", "max_position_embeddings",
        ):  # fmt: skip
            limit = _MAX_LAYERS if name == "n_layers" else _MAX_SIZE
            if not 1 <= getattr(self, name) <= limit:
                raise FormatError(
                    f"config: {name} must be from 1 to {limit}, got {getattr(self, name)}"
                )
        for name in ("rms_norm_eps", "rope_theta", "local_rope_theta", "query_pre_attn_scalar"):
            value = getattr(self, name)
            if value is None and name != "rms_norm_eps":
                continue
            if not (math.isfinite(value) and value > 0):
                raise FormatError(f"config: {name} must be a positive number, got {value}")
        for name in ("attn_logit_softcapping", "final_logit_softcapping"):
            if not 0 <= getattr(self, name) <= _MAX_CAP:
                raise FormatError(
                    f"config: {name} must be from 0 to {_MAX_CAP}, got {getattr(self, name)}"
                )
        if self.n_heads % self.n_kv_heads:
            raise FormatError(
                f"config: {self.n_heads} attention heads can't share {self.n_kv_heads} key-value "
                "heads evenly"
            )
        if self.activation not in ("swiglu", "geglu", "gelu", "gelu_erf"):
            raise FormatError(f"config: unknown activation {self.activation!r:.80}")
        if not 0 < self.partial_rotary_factor <= 1:
            raise FormatError(
                "config: partial_rotary_factor must be above 0 and at most 1, got "
                f"{self.partial_rotary_factor}"
            )
        if self.rope_theta is not None and (self.rotary_dim % 2 or not self.rotary_dim):
            raise FormatError(
                "config: the part of head_dim that rotary embeddings turn must be even, got "
                f"{self.rotary_dim} of {self.head_dim}"
            )
        if self.layer_types and len(self.layer_types) != self.n_layers:
            raise FormatError(
                f"config: layer_types must have one for each of {self.n_layers} layers, got "
                f"{len(self.layer_types)}"
            )
        if SLIDING in self.layer_types and not 1 <= self.sliding_window <= _MAX_SIZE:
            raise FormatError(
                f"config: sliding_window must be from 1 to {_MAX_SIZE} where a layer slides, got "
                f"{self.sliding_window}"
            )

    def window(self, layer: int) -> int:
        """How many tokens a query of a layer sees, itself included; 0 for all."""
        slides = self.layer_types and self.layer_types[layer] == SLIDING
        return self.sliding_window if slides else 0

    @property
    def attention_scale(self) -> float:
        """What scores are multiplied by."""
        return 1 / math.sqrt(self.query_pre_attn_scalar or self.head_dim)

    @property
    def rotary_dim(self) -> int:
        """How many numbers of each head the rotary embedding turns: the first ones."""
        return int(self.head_dim * self.partial_rotary_factor)

    @property
    def q_size(self) -> int:
        """Width of all query heads together."""
        return self.n_heads * self.head_dim

    @property
    def qkv_size(self) -> int:
        """Width of queries, keys and values together."""
        return self.q_size + 2 * self.kv_size

    @property
    def kv_size(self) -> int:
        """Width of all key heads together, which is that of the value heads."""
        return self.n_kv_heads * self.head_dim
