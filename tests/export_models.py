"""Random models of every family that is written as GGUF."""

from __future__ import annotations

from pathlib import Path

import hf_models

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip
SHAPE = {"vocab": 300, "hidden": 64, "layers": 2, "heads": 4, "kv": 2, "ffn": 96}
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
}  # fmt: skip


def make(name: str, folder: Path) -> None:
    """Save one as a Hugging Face folder."""
    hf_models.make_model(folder, **{**SHAPE, **MODELS[name]})
