"""What sets Gemma 2 and 3 apart in GGUF files: windows, soft caps, a second rotary base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyqtf.formats import FormatError
from pyqtf.models.config import FULL, SLIDING, ModelConfig
from pyqtf.models.gguf_keys import Keys

_WINDOW, _PATTERN = "attention.sliding_window", "attention.sliding_window_pattern"
_LOCAL_THETA = "rope.freq_base_swa"


@dataclass(frozen=True)
class _Facts:
    """What llama.cpp takes where a file doesn't say it.

    Attributes
    ----------
    window : int
        Tokens that a query of a sliding layer sees; 0 where no layer slides.
    pattern : int
        Every how many-th layer doesn't slide.
    caps : mapping of str to float
        Soft caps, of which 0 is none; those that aren't here are none whatever a file says.
    local_theta : float or None
        Base of the rotary frequencies of sliding layers; None for that of all layers.
    largest : int
        Layers of the family's 27B model, whose scores are scaled otherwise.
    """

    window: int
    pattern: int
    caps: Mapping[str, float]
    local_theta: float | None
    largest: int


_CAPS = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
GEMMA: Mapping[str, _Facts] = {
    "gemma2": _Facts(4096, 2, _CAPS, None, 46),
    "gemma3": _Facts(0, 6, {"final_logit_softcapping": 0.0}, 1e4, 62),
}


def read_gemma(keys: Keys, config: ModelConfig) -> ModelConfig:
    """Return the config with what the file says of a Gemma.

    Raises
    ------
    FormatError
        Metadata are of a wrong type, or ask for something that pyqtf doesn't compute.
    """
    facts = GEMMA[config.family]
    for key in ("attention.key_length_swa", "attention.value_length_swa"):
        keys.refuse_unless(key, config.head_dim)
    keys.refuse_unless("rope.dimension_count_swa", config.rotary_dim)
    if config.rope_scaling is not None and config.rope_scaling.kind != "linear":
        raise FormatError(
            f"{keys.where}: {config.rope_scaling.kind} scaling is not supported in a "
            f"{config.family}; pyqtf computes linear scaling only"
        )
    local_theta = float(keys.number(_LOCAL_THETA, facts.local_theta or config.rope_theta))
    if facts.local_theta is None and local_theta != config.rope_theta:
        raise keys.wrong(_LOCAL_THETA, f"that of all layers, {config.rope_theta}")
    types, window = _read_windows(keys, config.n_layers, facts)
    caps: Any = {name: _read_cap(keys, name, default) for name, default in facts.caps.items()}
    return replace(
        config,
        layer_types=types,
        sliding_window=window,
        local_rope_theta=None if facts.local_theta is None else local_theta,
        query_pre_attn_scalar=_scalar(config),
        **caps,
    )


def _read_cap(keys: Keys, name: str, default: float) -> float:
    """Return a soft cap; where llama.cpp always divides by one, it can't be 0."""
    cap = float(keys.number(name, default))
    if default and not cap > 0:
        raise keys.wrong(name, "above 0")
    return cap


def _read_windows(keys: Keys, n_layers: int, facts: _Facts) -> tuple[tuple[str, ...], int]:
    """Return the layers' types, none where no layer slides, and the window."""
    window = keys.integer(_WINDOW, facts.window)
    if window == 0 == facts.window:
        return (), 0
    pattern = keys.get(_PATTERN, None)
    if isinstance(pattern, np.ndarray):
        if len(pattern) != n_layers or pattern.dtype.kind not in "biu":
            raise keys.wrong(_PATTERN, f"a number, or true or false for each of {n_layers} layers")
        types = tuple(SLIDING if slides else FULL for slides in pattern)
    else:
        every = keys.integer(_PATTERN, facts.pattern)
        if every < 0:
            raise keys.wrong(_PATTERN, "0 or more")
        types = _every(every, n_layers)
    return (types, window) if SLIDING in types else ((), 0)


def _every(pattern: int, n_layers: int) -> tuple[str, ...]:
    """Let all layers slide but every `pattern`-th; 0 means all."""
    return tuple(SLIDING if pattern == 0 or (i + 1) % pattern else FULL for i in range(n_layers))


def _scalar(config: ModelConfig) -> float:
    """What llama.cpp divides scores by the root of; no key tells it."""
    if config.n_layers == GEMMA[config.family].largest:
        return float(config.hidden_size // config.n_heads)
    return float(config.head_dim)


def gemma_metadata(config: ModelConfig) -> dict[str, Any]:
    """Return what llama.cpp must know of a Gemma beside the sizes.

    Raises
    ------
    FormatError
        llama.cpp would compute the model otherwise, and no key could tell it.
    """
    facts = GEMMA[config.family]
    scalar, scaling = _scalar(config), config.rope_scaling
    if config.query_pre_attn_scalar != scalar:
        raise FormatError(
            f"query_pre_attn_scalar is {config.query_pre_attn_scalar}, but llama.cpp takes "
            f"{scalar:g} for a {config.family} of {config.n_layers} layers and a GGUF file can't "
            "say otherwise"
        )
    if scaling is not None and scaling.kind != "linear":
        raise FormatError(f"a {config.family} with {scaling.kind} scaling can't be written")
    if config.family == "gemma2" and not config.tie_word_embeddings:
        raise FormatError("a gemma2 with an output head beside its embedding can't be written")
    values: dict[str, Any] = {}
    for name, default in facts.caps.items():
        cap = getattr(config, name)
        if default and not cap:
            raise FormatError(f"a {config.family} without {name} can't be written")
        if cap:
            values[name] = cap
    if facts.local_theta is not None:
        values[_LOCAL_THETA] = config.local_rope_theta
    if config.layer_types:
        values[_WINDOW] = config.sliding_window
        if config.layer_types != _every(facts.pattern, config.n_layers):
            values[_PATTERN] = np.array([kind == SLIDING for kind in config.layer_types])
    elif facts.window:
        # llama.cpp wants layers that slide: over a window that no text outgrows.
        values[_WINDOW] = config.max_position_embeddings
    return values
