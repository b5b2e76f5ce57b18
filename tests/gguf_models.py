"""Random models in GGUF files, written by the gguf package under its own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf_files import golden_blocks

from pyqtf.formats.gguf_types import READABLE
from pyqtf.models import ModelConfig
from pyqtf.models.registry import tensor_shapes
from pyqtf.tokenizer._files import byte_alphabet

ARCHITECTURES = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
CONFIG = ModelConfig("qwen2", 259, 256, 2, 4, 2, 64, 512, 5e4, 1e-5, 256, False)


def random_weights(config: ModelConfig, dtype: str, seed: int = 0) -> dict[str, tuple[Any, Any]]:
    """For each Hugging Face name the array for the file and its values; vectors are float32."""
    rng = np.random.default_rng(seed)
    kind = gguf.GGMLQuantizationType[dtype]
    weights = {}
    for name, shape in tensor_shapes(config).items():
        if len(shape) == 1:
            noise = rng.normal(size=shape)
            values = noise if name.endswith("bias") else 1 + 0.4 * noise
            values = values.astype(np.float32)
            # What transformers adds 1 to stands in the file with 1 added.
            weights[name] = (values, values - 1 if config.family.startswith("gemma") else values)
            continue
        if dtype.endswith("_K") or dtype == "IQ4_NL":  # the gguf package doesn't quantise to these
            n_blocks = shape[0] * shape[1] // READABLE[dtype].block_size
            known = golden_blocks(dtype)
            blocks = known[rng.integers(0, len(known), n_blocks)]
            stored = blocks.reshape(shape[0], -1)
        else:
            values = rng.normal(size=shape, scale=shape[1] ** -0.5).astype(np.float32)
            stored = gguf.quants.quantize(values, kind)
        values = gguf.quants.dequantize(stored, kind).reshape(shape)
        if config.family == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            values = half_rows(values, config.head_dim)
        weights[name] = (stored, values)
    return weights


def half_rows(array: Any, head_dim: int) -> Any:
    """llama.cpp's order of the rows of q and k in Llama models, put back as transformers has it."""
    rows = []
    for head in range(len(array) // head_dim):
        for half in range(2):
            rows += [head * head_dim + 2 * j + half for j in range(head_dim // 2)]
    return array[rows]


def write_gguf(path: Path, config: ModelConfig, dtype: str, weights: dict[str, Any]) -> None:
    """Write a model with a vocabulary of bytes."""
    out = gguf.GGUFWriter(path, config.family)
    out.add_name("random")
    out.add_block_count(config.n_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.n_heads)
    out.add_head_count_kv(config.n_kv_heads)
    out.add_rope_freq_base(config.rope_theta)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    if config.family.startswith("gemma"):
        _add_gemma(out, config)
    if config.head_dim * config.n_heads != config.hidden_size:
        out.add_key_length(config.head_dim)
        out.add_value_length(config.head_dim)
    tokens = [*byte_alphabet(), "th", "<|endoftext|>"]
    pads = [f"[PAD{i}]" for i in range(len(tokens), config.vocab_size)]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens + pads)
    out.add_token_types([1] * 257 + [3] + [5] * len(pads))
    out.add_token_merges(["t h"])
    out.add_eos_token_id(257)
    names = gguf.get_tensor_name_map(ARCHITECTURES[config.family], config.n_layers)
    kind = gguf.GGMLQuantizationType[dtype]
    for name, (stored, _) in weights.items():
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        out.add_tensor(theirs, stored, raw_dtype=kind if stored.ndim > 1 else None)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _add_gemma(out: gguf.GGUFWriter, config: ModelConfig) -> None:
    """What no other family has, as llama.cpp's converter says it."""
    if config.attn_logit_softcapping:
        out.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if config.final_logit_softcapping:
        out.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.sliding_window:
        out.add_sliding_window(config.sliding_window)
    if config.local_rope_theta is not None:
        out.add_rope_freq_base_swa(config.local_rope_theta)
    if config.rope_scaling is not None:
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(config.rope_scaling.factor)
