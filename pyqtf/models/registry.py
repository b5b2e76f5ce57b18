"""The families that pyqtf knows: for each a table of facts.

A family is how its ``config.json`` reads and how its tensors are called. The decoder knows only the
roles, so a family whose facts fit needs no code of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyqtf.formats import FormatError
from pyqtf.formats.strict_json import read_object
from pyqtf.models import readers
from pyqtf.models import tensor_names as names
from pyqtf.models.config import ModelConfig
from pyqtf.models.family import Family
from pyqtf.models.fields import Fields

FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(
        architecture="Qwen2ForCausalLM",
        read=readers.qwen,
        model=names.MODEL,
        layer={**names.LAYER, **names.PRE_NORMS, **names.QKV_BIAS},
    ),
    # One norm for every head.
    "qwen3": Family(
        architecture="Qwen3ForCausalLM",
        read=readers.qwen,
        model=names.MODEL,
        layer={**names.LAYER, **names.PRE_NORMS, **names.qk_norm("head_dim", "head_dim")},
    ),
    "llama": Family(
        architecture="LlamaForCausalLM",
        read=readers.llama,
        model=names.MODEL,
        layer={**names.LAYER, **names.PRE_NORMS},
    ),
    "mistral": Family(
        architecture="MistralForCausalLM",
        read=readers.mistral,
        model=names.MODEL,
        layer={**names.LAYER, **names.PRE_NORMS},
    ),
    # One norm over all heads together; the norms of a layer stand behind its blocks.
    "olmo2": Family(
        architecture="Olmo2ForCausalLM",
        read=readers.common,
        model=names.MODEL,
        layer={**names.LAYER, **names.POST_NORMS, **names.qk_norm("q_size", "kv_size")},
    ),
    "gpt2": Family(
        architecture="GPT2LMHeadModel",
        read=readers.gpt2,
        model=names.GPT2_MODEL,
        layer=names.GPT2_LAYER,
        transposed=True,
        prefix="transformer.",
    ),
    # GPT-NeoX-20B and Pythia.
    "gpt_neox": Family(
        architecture="GPTNeoXForCausalLM",
        read=readers.gpt_neox,
        model=names.NEOX_MODEL,
        layer=names.NEOX_LAYER,
        qkv_by_head=True,
    ),
    # Norms before and behind each block, with weights that are told as differences from 1.
    "gemma2": Family(
        architecture="Gemma2ForCausalLM",
        read=readers.gemma2,
        model=names.MODEL,
        layer={**names.LAYER, **names.GEMMA_NORMS},
        norm_offset=1.0,
    ),
    "gemma3": Family(
        architecture="Gemma3ForCausalLM",
        read=readers.gemma3,
        model=names.MODEL,
        layer={**names.LAYER, **names.GEMMA_NORMS, **names.qk_norm("head_dim", "head_dim")},
        norm_offset=1.0,
    ),
    # Phi-1, 1.5 and 2.
    "phi": Family(
        architecture="PhiForCausalLM",
        read=readers.phi,
        model=names.PHI_MODEL,
        layer=names.PHI_LAYER,
    ),
}

# Endings of tensors that old checkpoints hold and no one needs: angles and causal masks.
IGNORED = (
    "rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
)


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
                    "quantises by itself, from F32, F16, BF16 or unscaled F8 weights"
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
