"""Shapes of known models, and folders of random weights in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats import save_safetensors
from pyqtf.models import ModelConfig, read_config
from pyqtf.models.registry import tensor_shapes

_QWEN2_5: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


def _qwen2_5(hidden: int, ffn: int, layers: int, heads: int, kv_heads: int) -> dict[str, Any]:
    return {
        **_QWEN2_5,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-0.5b": _qwen2_5(896, 4864, 24, 14, 2),
    "qwen2.5-1.5b": _qwen2_5(1536, 8960, 28, 12, 2),
    "qwen2.5-3b": _qwen2_5(2048, 11008, 36, 16, 2),
    "tiny": {**_qwen2_5(64, 172, 2, 4, 2), "vocab_size": 4096},
}


def write_random_model(folder: Path, shape: str, tokenizer: Path) -> ModelConfig:
    """Write config, tokenizer and bfloat16 weights of one of `SHAPES`.

    Weights are normal with variance 1 / inputs, so that activations keep their size, norms are 1
    and biases 0. Rows of a matrix overlap in one pool of random numbers, which is quick to make and
    nothing that a matrix product could gain from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(SHAPES[shape]), encoding="utf-8")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    config = read_config(folder)
    shapes = tensor_shapes(config)
    pool = np.random.default_rng(0).standard_normal(
        7 * max(shape[0] for shape in shapes.values()) + config.intermediate_size, np.float32
    )
    tensors = {name: _random(pool, shape) for name, shape in shapes.items()}
    save_safetensors(folder / "model.safetensors", tensors)
    return config


def _random(pool: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """A view of bfloat16 words: row i begins at word 7 i."""
    if len(shape) == 1:
        return np.full(shape, 0x3F80, np.uint16)  # 1
    words = ((pool / np.sqrt(np.float32(shape[1]))).view(np.uint32) >> 16).astype(np.uint16)
    return np.lib.stride_tricks.as_strided(words, shape, (14, 2), writeable=False)
