"""The shape of a model, read from a Hugging Face ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyqtf.formats import FormatError
from pyqtf.models.rope import RopeScaling

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


class Fields:
    """Typed access to the fields of a ``config.json``, with errors that name the field.

    Parameters
    ----------
    values : mapping
        The parsed JSON object.
    where : str
        The file, for messages.

    Examples
    --------
    >>> Fields({"hidden_size": 8}, "config.json").integer("hidden_size")
    8
    >>> Fields({}, "config.json").integer("hidden_size")
    Traceback (most recent call last):
        ...
    pyqtf.formats.errors.FormatError: config.json: the field 'hidden_size' is missing
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise FormatError(f"{self.where}: the field {name!r} is missing")
        return self._values[name]

    def _wrong(self, name: str, expected: str, value: object) -> FormatError:
        return FormatError(f"{self.where}: {name!r} must be {expected}, got {value!r:.80}")

    def integer(self, name: str) -> int:
        """Return a whole number."""
        value = self._get(name)
        if type(value) is not int:
            raise self._wrong(name, "a whole number", value)
        return value

    def number(self, name: str) -> float:
        """Return a number."""
        value = self._get(name)
        if type(value) not in (int, float) or abs(value) > 1e300:
            raise self._wrong(name, "a number", value)
        return float(value)

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._get(name)
        if type(value) is not str:
            raise self._wrong(name, "a text", value)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._values.get(name, default)
        if type(value) is not bool:
            raise self._wrong(name, "true or false", value)
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def section(self, name: str) -> Fields:
        """Return the fields of an object inside this one."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Fields(value, f"{self.where}: {name}")

    def require(self, name: str, *allowed: object) -> None:
        """Refuse a field that is there with a value that pyqtf doesn't compute."""
        if self.has(name) and self._values[name] not in allowed:
            known = " or ".join(repr(value) for value in allowed) or "nothing"
            raise FormatError(
                f"{self.where}: {name} = {self._values[name]!r:.80} is not supported; "
                f"pyqtf computes {known} only"
            )

    def each(self, name: str, *allowed: str) -> tuple[str, ...]:
        """Return a list, empty where it isn't there, and refuse one with other members."""
        values = self._values[name] if self.has(name) else []
        if not isinstance(values, list):
            raise self._wrong(name, "a list", values)
        for value in values:
            Fields({name: value}, self.where).require(name, *allowed)
        return tuple(values)

    def head_dim(self) -> int:
        """Return ``head_dim``, or what the width leaves to each head."""
        return self.integer("head_dim") if self.has("head_dim") else self.per_head("hidden_size")

    def per_head(self, size: str, heads: str = "num_attention_heads") -> int:
        """Return the quotient of two fields, which must be whole."""
        width, n_heads = self.integer(size), self.integer(heads)
        if n_heads < 1 or width % n_heads:
            raise FormatError(
                f"{self.where}: {size} {width} can't be cut into {n_heads} attention heads"
            )
        return width // n_heads

    def choose(self, name: str, choices: Mapping[str, str], default: str) -> str:
        """Return what a text field stands for, and refuse one that stands for nothing."""
        self.require(name, *choices)
        return choices[self.text(name) if self.has(name) else default]

    def n_kv_heads(self) -> int:
        """Return ``num_key_value_heads``; null means one for each attention head."""
        shared = self._get("num_key_value_heads") is not None
        return self.integer("num_key_value_heads" if shared else "num_attention_heads")

    def number_or(self, name: str, default: float | None) -> float | None:
        """Return a number, None for null, and a default where the field is missing."""
        if name not in self._values:
            return default
        return self.number(name) if self.has(name) else None

    def integer_or(self, name: str, default: int | None) -> int | None:
        """Return a whole number, None for null, and a default where the field is missing."""
        if name not in self._values:
            return default
        return self.integer(name) if self.has(name) else None
