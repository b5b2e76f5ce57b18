"""Random Qwen2 models in Hugging Face folders, written without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pyqtf.formats import save_safetensors
from pyqtf.models import read_config
from pyqtf.models.registry import tensor_shapes

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_size": 12, "intermediate_size": 20,
    "max_position_embeddings": 64, "num_attention_heads": 2, "num_hidden_layers": 2,
    "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "rope_theta": 1e4, "vocab_size": 31,
    "tie_word_embeddings": False,
}  # fmt: skip


def write_model(
    folder: Path, *, tensors: dict[str, Any] | None = None, seed: int = 0, **config: Any
) -> Path:
    """Write config.json, tokenizer.json and float32 weights; return the folder.

    `tensors` replaces some by name, or removes one whose value is None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    write_byte_tokenizer(folder)
    rng = np.random.default_rng(seed)
    values = {
        name: rng.normal(scale=shape[-1] ** -0.5, size=shape).astype(np.float32)
        for name, shape in tensor_shapes(read_config(folder)).items()
    } | (tensors or {})
    kept = {name: value for name, value in values.items() if value is not None}
    save_safetensors(folder / "model.safetensors", kept)
    return folder


def write_byte_tokenizer(folder: Path) -> None:
    """A tokenizer of the 256 bytes without merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    symbols = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {symbols[b]: b for b in range(256)}, "merges": [],
        },
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
