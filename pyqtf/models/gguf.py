"""Models in GGUF files: llama.cpp's metadata for what ``config.json`` holds.

A GGUF file is turned into the fields of a ``config.json``, which `pyqtf.models.registry` reads on
from there, and the other way round for writing; `pyqtf.models.gguf_tensors` does so for tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats import GGUF, FormatError
from pyqtf.models.config import ModelConfig
from pyqtf.models.gguf_gemma import GEMMA, gemma_metadata, read_gemma
from pyqtf.models.gguf_keys import Keys
from pyqtf.models.gguf_tensors import EMBED, HEAD, ROPE_FACTORS
from pyqtf.models.registry import FAMILIES, parse_config
from pyqtf.models.rope import rotary_frequencies
from pyqtf.models.rope_scaling import RopeScaling

# A ModelConfig's field -> the field of config.json, and the metadata key behind "qwen2.".
_Sizes = Mapping[str, tuple[str, str]]
_SIZES: _Sizes = {
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
_GPT2_SIZES: _Sizes = {
    "hidden_size": ("n_embd", "embedding_length"),
    "n_layers": ("n_layer", "block_count"),
    "intermediate_size": ("n_inner", "feed_forward_length"),
    "n_heads": ("n_head", "attention.head_count"),
    "max_position_embeddings": ("n_positions", "context_length"),
    "rms_norm_eps": ("layer_norm_epsilon", "attention.layer_norm_epsilon"),
}
_NEOX_SIZES: _Sizes = {
    **{name: _SIZES[name] for name in ("hidden_size", "n_layers", "intermediate_size", "n_heads")},
    "max_position_embeddings": _SIZES["max_position_embeddings"],
    "rope_theta": ("rotary_emb_base", "rope.freq_base"),
    "rms_norm_eps": ("layer_norm_eps", "attention.layer_norm_epsilon"),
}
_PHI_SIZES: _Sizes = {
    **_NEOX_SIZES,
    "n_kv_heads": _SIZES["n_kv_heads"],
    "rope_theta": _SIZES["rope_theta"],
}


@dataclass(frozen=True)
class _Architecture:
    """What llama.cpp calls a family, and how it tells its shape.

    Attributes
    ----------
    name : str
        Under ``general.architecture``, and before each key.
    sizes : mapping
        Its keys.
    fixed : mapping
        Fields of ``config.json`` that no key tells.
    """

    name: str
    sizes: _Sizes = field(default_factory=lambda: _SIZES)
    fixed: Mapping[str, Any] = field(default_factory=dict)


_ARCHITECTURES: Mapping[str, _Architecture] = {
    "qwen2": _Architecture("qwen2"),
    "qwen3": _Architecture("qwen3"),
    "llama": _Architecture("llama"),
    "olmo2": _Architecture("olmo2"),
    "gpt2": _Architecture("gpt2", _GPT2_SIZES, {"activation_function": "gelu_new"}),
    # Whichever GELU a GPT-NeoX has in its config.json, llama.cpp runs the tanh form.
    "gpt_neox": _Architecture("gptneox", _NEOX_SIZES, {"hidden_act": "gelu_new"}),
    "phi": _Architecture("phi2", _PHI_SIZES, {"hidden_act": "gelu_new"}),
    "gemma2": _Architecture("gemma2"),
    "gemma3": _Architecture("gemma3"),
    # Written only: what is called llama is read as the first of that name.
    "mistral": _Architecture("llama"),
}
# llama.cpp's names and families, of those that are read.
_FAMILIES = {kind.name: family for family, kind in reversed([*_ARCHITECTURES.items()])}
_SCALINGS = ("none", "linear", "yarn")


def read_config(file: GGUF) -> ModelConfig:
    """Return the shape of the model in a GGUF file.

    Raises
    ------
    FormatError
        The file holds no model, one of a family that pyqtf doesn't know, one part of a model, or
        metadata that are missing, of a wrong type, or ask for something that pyqtf doesn't compute.
    """
    name = file.metadata.get("general.architecture")
    if not isinstance(name, str) or name not in _FAMILIES:
        raise FormatError(
            f"{file.path}: architecture {name!r:.80} is not supported in GGUF files; "
            f"supported: {', '.join(_FAMILIES)}"
        )
    family = _FAMILIES[name]
    parts = file.metadata.get("split.count", 0)
    if not (np.array_equal(parts, 0) or np.array_equal(parts, 1)):
        raise FormatError(
            f"{file.path}: one of {parts!s:.80} parts of a model; join them with llama.cpp's "
            "'llama-gguf-split --merge' first"
        )
    if EMBED not in file.tensors or len(file.tensors[EMBED].shape) != 2:
        raise FormatError(f"{file.path}: expected a matrix {EMBED!r}: not a whole model")
    keys, known = Keys(file, name), _ARCHITECTURES[family]
    values: dict[str, Any] = {
        name: keys.number(key)
        for name, key in known.sizes.values()
        if key != "attention.key_length" or keys.get(key, None) is not None
    }
    values |= {
        "architectures": [FAMILIES[family].architecture],
        "vocab_size": file.tensors[EMBED].shape[0],
        "tie_word_embeddings": HEAD not in file.tensors,
        **known.fixed,
    }
    if family in ("gpt_neox", "phi"):
        values |= _partial_values(keys, values)
    if "rope_theta" in known.sizes:
        values["rope_scaling"] = _scaling_values(keys)
    if family in GEMMA and "head_dim" not in values:
        # What llama.cpp takes, which is not what a config.json without it means.
        values["head_dim"] = values["hidden_size"] // max(values["num_attention_heads"], 1)
    config = parse_config(values, str(file.path))
    if ROPE_FACTORS in file.tensors:
        config = replace(config, rope_scaling=_llama3_scaling(file, config))
    keys.refuse_unless("attention.value_length", config.head_dim)
    keys.refuse_unless("rope.dimension_count", config.rotary_dim)
    keys.refuse_unless("expert_count", 0)
    keys.refuse_unless("attention.causal", True)
    if family in GEMMA:
        return read_gemma(keys, config)
    window = keys.get("attention.sliding_window", 0)
    # One that no text outgrows changes nothing.
    if not (isinstance(window, np.integer) and window >= config.max_position_embeddings):
        keys.refuse_unless("attention.sliding_window", 0)
    return config


def _partial_values(keys: Keys, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of models that turn a part of each head, in both families' words."""
    width, n_heads = values["hidden_size"], values["num_attention_heads"]
    part = keys.number("rope.dimension_count") * n_heads / max(width, 1)
    return {
        "rotary_pct": part,
        "partial_rotary_factor": part,
        "use_parallel_residual": keys.get("use_parallel_residual", True),
    }


def _scaling_values(keys: Keys) -> dict[str, Any] | None:
    """Return ``rope_scaling`` as config.json has it."""
    keys.refuse_unless("rope.scale_linear", 1)  # the factor in files of 2023
    # As in llama.cpp, a factor alone is a linear one.
    told = keys.get("rope.scaling.factor", None) is not None
    kind = keys.get("rope.scaling.type", "linear" if told else "none")
    if not isinstance(kind, str) or kind not in _SCALINGS:
        keys.refuse_unless("rope.scaling.type", " or ".join(_SCALINGS))
    if kind == "none":
        return None
    values = {"rope_type": kind, "factor": keys.number("rope.scaling.factor")}
    if kind == "yarn":
        keys.refuse_unless("rope.scaling.attn_factor", 1)
        keys.refuse_unless("rope.scaling.yarn_attn_factor", 1)
        keys.refuse_unless("rope.scaling.yarn_ext_factor", 1)
        keys.refuse_unless("rope.scaling.yarn_log_multiplier", 0)
        length = keys.number("rope.scaling.original_context_length")
        values["original_max_position_embeddings"] = length
        for key in ("beta_fast", "beta_slow"):
            if keys.get(f"rope.scaling.yarn_{key}", None) is not None:
                values[key] = keys.number(f"rope.scaling.yarn_{key}")
    return values


def _llama3_scaling(file: GGUF, config: ModelConfig) -> RopeScaling:
    """Return the scaling whose result for each pair of a head is what the file holds.

    llama.cpp keeps no parameters. Of Llama 3.1 to 3.3 only the factor differs, by which the slowest
    pair is slowed.
    """
    tensor, theta = file.tensors[ROPE_FACTORS], config.rope_theta
    found = tensor.array()
    if (
        theta is not None
        and found.shape == (config.head_dim // 2,)
        and tensor.dtype == "F32"
        and found.max() > 1
    ):
        scaling = RopeScaling("llama3", float(found.max()), 8192, fast=4.0, slow=1.0)
        known = rope_factors(replace(config, rope_scaling=scaling))
        if known is not None and np.allclose(known, found, rtol=1e-4, atol=0):
            return scaling
    raise FormatError(
        f"{file.path}: tensor {ROPE_FACTORS!r} is not what Llama 3's rotary scaling comes to, "
        "which is the only one that pyqtf knows by its factors"
    )


def gguf_metadata(config: ModelConfig, name: str) -> Mapping[str, Any]:
    """Return what llama.cpp must know of a model's shape.

    Raises
    ------
    FormatError
        llama.cpp can't be told of the way in which the model's rotary embedding is scaled, or of
        what a Gemma computes unlike those that it knows.

    Notes
    -----
    But for Gemma, llama.cpp has no sliding windows. So the longest text is that which a window sees
    whole, where both compute the same.

    Examples
    --------
    >>> config = ModelConfig("qwen2", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> gguf_metadata(config, "small")["qwen2.attention.head_count_kv"]
    2
    """
    known = _ARCHITECTURES[config.family]
    values = {key: getattr(config, size) for size, (_, key) in known.sizes.items()}
    if config.family in GEMMA:
        values |= gemma_metadata(config)
    else:
        windows = (config.window(i) for i in range(config.n_layers))
        values["context_length"] = min([config.max_position_embeddings, *filter(None, windows)])
    values["vocab_size"] = config.vocab_size
    if "head_dim" in known.sizes:
        values["attention.value_length"] = config.head_dim
    if config.rope_theta is not None:
        values["rope.dimension_count"] = config.rotary_dim
        values |= _scaling_metadata(config.rope_scaling)
    if config.family == "gpt_neox":
        values["use_parallel_residual"] = config.parallel_residual
    own = {f"{known.name}.{key}": value for key, value in values.items()}
    return {"general.architecture": known.name, "general.name": name, **own}


def _scaling_metadata(scaling: RopeScaling | None) -> dict[str, Any]:
    # What Llama 3's scaling comes to is in a tensor.
    if scaling is None or scaling.kind == "llama3":
        return {}
    values: dict[str, Any] = {"type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "yarn":
        if not np.isclose(scaling.attention_factor, 0.1 * np.log(scaling.factor) + 1):
            raise FormatError("a yarn scaling with an attention factor of its own can't be written")
        values |= {
            "original_context_length": scaling.original_length,
            "yarn_beta_fast": scaling.fast,
            "yarn_beta_slow": scaling.slow,
        }
    return {f"rope.scaling.{key}": value for key, value in values.items()}


def rope_factors(config: ModelConfig) -> NDArray[np.float32] | None:
    """Return by how much Llama 3's scaling slows each pair of a head; None where there is none."""
    scaling, theta = config.rope_scaling, config.rope_theta
    if scaling is None or theta is None or scaling.kind != "llama3":
        return None
    plain = rotary_frequencies(replace(config, rope_scaling=None), theta)
    return plain / rotary_frequencies(config, theta)
