"""Random models of every family that is written as GGUF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hf_models
import numpy as np

from pyqtf.formats import open_folder, save_safetensors

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
SHAPE = {"vocab": 300, "hidden": 64, "layers": 2, "heads": 4, "kv": 2, "ffn": 96}
FULL, SLIDING = "full_attention", "sliding_attention"
GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 40, "tied": True}
# Its scores are divided by the root of what the width leaves to each head, not of head_dim.
LARGEST = {"query_pre_attn_scalar": 16}
MODELS = {
    "qwen2": {"family": "Qwen2", "tied": True},
    "qwen3": {"family": "Qwen3", "head_dim": 32},
    "llama": {"family": "Llama"},
    "llama 3": {"family": "Llama", "rope": LLAMA3, "theta": 5e5},
    "llama linear": {"family": "Llama", "rope": {"rope_type": "linear", "factor": 4.0}},
    "qwen2 yarn": {"family": "Qwen2", "theta": 1e6,
                   "rope": {"rope_type": "yarn", "factor": 4.0,
                            "original_max_position_embeddings": 128}},
    "mistral": {"family": "Mistral", "sliding_window": None},
    "olmo2": {"family": "Olmo2"},
    "gpt2": {"family": "GPT2", "kv": 4, "tied": True},
    "phi": {"family": "Phi", "rope": {"partial_rotary_factor": 0.5}},
    "gpt_neox": {"family": "GPTNeoX", "kv": 4, "hidden_act": "gelu_new"},
    "gemma2": {"family": "Gemma2", **GEMMA, "layers": 3, "attn_logit_softcapping": 6.0,
               "final_logit_softcapping": 5.0},
    "gemma2 27b": {"family": "Gemma2", **GEMMA, **LARGEST, "layers": 46},
    "gemma3": {"family": "Gemma3", **GEMMA, "layers": 7, "theta": 1e5,
               "rope": {"rope_type": "linear", "factor": 8.0}},
    "gemma3 untied": {"family": "Gemma3", **GEMMA, "layers": 4, "tied": False,
                      "final_logit_softcapping": 5.0, "layer_types": [FULL, *3 * [SLIDING]]},
    "gemma3 27b": {"family": "Gemma3", **GEMMA, **LARGEST, "layers": 62},
}  # fmt: skip


def make(name: str, folder: Path, **others: Any) -> None:
    """Save one as a Hugging Face folder."""
    options = {**SHAPE, **MODELS[name], **others}
    hf_models.make_model(folder, **options)
    if options["family"].startswith("Gemma"):
        _add_less(folder, 0.4 * options["layers"] ** -0.5)


def _add_less(folder: Path, share: float) -> None:
    """Let each block add a part as much: deep random models make much of any rounding.

    llama.cpp rounds what GELU takes and gives to half precision.
    """
    tensors = {name: tensor.array().copy() for name, tensor in open_folder(folder).items()}
    for name, array in tensors.items():
        if "post_" in name:
            tensors[name] = np.float32(share) * (array + 1) - 1
    save_safetensors(folder / "model.safetensors", tensors)
