"""Random models of several families in Hugging Face folders, for comparing with transformers.

Weights are drawn so that every part of the model matters: large biases, norm weights away from 1,
and attention that is peaked rather than an average.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_models import write_byte_tokenizer

# transformers shows a bar for every folder.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
# Matrices this small only lose by being shared out.
torch.set_num_threads(1)


def _shape(vocab: int, hidden: int, layers: int, heads: int, kv: int, ffn: int, **other: Any):
    sizes = {"vocab": vocab, "hidden": hidden, "layers": layers, "heads": heads, "kv": kv}
    return {**sizes, "ffn": ffn, **other}


SHAPES: dict[str, dict[str, Any]] = {
    "square": _shape(257, 72, 2, 3, 3, 40),
    "grouped": _shape(301, 84, 2, 14, 2, 77, tied=True, theta=1e6),
    "wide heads": _shape(263, 20, 3, 4, 2, 67, head_dim=18),
    "bf16": _shape(331, 70, 2, 5, 1, 131, dtype="bfloat16"),
    "f16": _shape(290, 72, 2, 6, 3, 65, tied=True, dtype="float16"),
    "sharded": _shape(277, 260, 1, 10, 5, 300, shard="300KB"),
}


def make_model(
    folder: Path,
    *,
    vocab: int,
    hidden: int,
    layers: int,
    heads: int,
    kv: int,
    ffn: int,
    family: str = "Qwen2",
    tied: bool = False,
    dtype: str = "float32",
    shard: str = "1GB",
    theta: float = 1e4,
    local_theta: float = 3e3,
    rope: dict[str, Any] | None = None,
    seed: int = 0,
    **options: Any,
):
    """Save a random model with a byte-level tokenizer; return it in float32."""
    sizes = {"vocab_size": vocab, "tie_word_embeddings": tied}
    if family == "GPT2":
        names = {"n_embd": hidden, "n_layer": layers, "n_head": heads, "n_inner": ffn}
        sizes |= {"n_positions": 512, **names}
    else:
        sizes |= {
            "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv, "intermediate_size": ffn, "max_position_embeddings": 512,
            "rope_parameters": {"rope_theta": theta, "rope_type": "default"} | (rope or {}),
        }  # fmt: skip
    if family == "Gemma3":
        local = {"rope_theta": local_theta, "rope_type": "default"}
        types = {"full_attention": sizes["rope_parameters"], "sliding_attention": local}
        sizes["rope_parameters"] = types
    text = "Text" if family == "Gemma3" else ""
    config = getattr(transformers, f"{family}{text}Config")(**sizes | options)
    model = getattr(transformers, f"{family}{'LMHeadModel' if family == 'GPT2' else 'ForCausalLM'}")
    model = model(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            offset = 1 if family.startswith("Gemma") and name.endswith("norm.weight") else 0
            p.copy_(_values(name, p.shape, generator) - offset)
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
    write_byte_tokenizer(folder)
    # Not model.float(): the tables of angles were rounded together with the weights.
    return type(model).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()  # fmt: skip


def _values(name: str, shape, generator):
    noise = torch.randn(shape, generator=generator)
    if name.endswith("norm.weight"):
        # Where queries and keys are normed, their norms decide how peaked attention is.
        return (1.7 if name.endswith(("q_norm.weight", "k_norm.weight")) else 1) + 0.4 * noise
    if name.endswith("bias"):
        return noise
    if ".ln_" in name:
        return 1 + 0.4 * noise
    if "query_key_value.weight" in name:
        return 1.7 * noise / shape[-1] ** 0.5
    if "c_attn" in name:  # stored [in, out]: queries, keys, values side by side
        peak = torch.ones(shape[1])
        peak[: shape[1] * 2 // 3] = 1.7
        return noise * peak / shape[0] ** 0.5
    peak = 1.7 if "q_proj" in name or "k_proj" in name else 1.0
    return noise * peak / shape[-1] ** 0.5


def to_dialect_4(folder: Path) -> None:
    """Rewrite config.json as transformers 4 wrote it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    if "sliding_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = config.pop("_sliding_window_pattern")
        rope = rope["full_attention"]
    neox = config["model_type"] == "gpt_neox"
    if "partial_rotary_factor" in rope:
        part = rope.pop("partial_rotary_factor")
        config["rotary_pct" if neox else "partial_rotary_factor"] = part
    config["rotary_emb_base" if neox else "rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    if config["model_type"] != "qwen3":  # the only one that a test gives types that follow no rule
        config.pop("layer_types", None)
    path.write_text(json.dumps(config))


def reference(model, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """transformers' logits [T, vocab] and the float64 NLL [T - 1] of each token after the first."""
    with torch.no_grad():
        logits = model(torch.from_numpy(ids)[None]).logits[0]
    logprobs = torch.log_softmax(logits.double(), dim=-1)
    nll = -logprobs[:-1].gather(1, torch.from_numpy(ids)[1:, None])[:, 0]
    return logits.numpy(), nll.numpy()


def greedy(model, ids: np.ndarray, n_tokens: int) -> list[int]:
    """The ids that transformers adds when it always takes the most likely one."""
    with torch.no_grad():
        out = model.generate(
            torch.from_numpy(ids)[None], max_new_tokens=n_tokens, do_sample=False,
            attention_mask=torch.ones(1, len(ids), dtype=torch.long), eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
    return out[0, len(ids) :].tolist()


def compare(model, expected: tuple[np.ndarray, np.ndarray], ids: np.ndarray) -> None:
    """The bounds of f32: 1e-4 for each logit and NLL, 1e-5 of the mean NLL."""
    logits, nll = expected
    np.testing.assert_allclose(model.logits(ids), logits, rtol=0, atol=1e-4)
    (losses,) = model.token_losses([ids])
    np.testing.assert_allclose(losses.nll, nll, rtol=0, atol=1e-4)
    np.testing.assert_allclose(losses.nll.mean(), nll.mean(), rtol=1e-5)
