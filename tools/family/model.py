"""The Qwen2 architecture in plain PyTorch, cut for fast training on a CPU.

The projections that read the same input are stored fused (``qkv``, ``gate_up``); `hf_state_dict`
splits them into the tensor names that Hugging Face's ``Qwen2ForCausalLM`` uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The widths of one model; ``n_heads * head_dim`` need not equal ``hidden``."""

    hidden: int
    layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_positions: int = 2048


def rope_tables(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin, each [length, head_dim], in the half-split layout of Qwen2."""
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.arange(length)[:, None] / shape.rope_theta ** half[None, :]
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn x [batch, heads, length, head_dim] by its positions."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin


class Block(nn.Module):
    """One decoder layer: attention and SwiGLU, each behind an RMSNorm and a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width_q, width_kv = shape.n_heads * shape.head_dim, shape.n_kv_heads * shape.head_dim
        self.norm_attn = nn.RMSNorm(shape.hidden, eps=shape.rms_norm_eps)
        self.norm_ffn = nn.RMSNorm(shape.hidden, eps=shape.rms_norm_eps)
        self.qkv = nn.Linear(shape.hidden, width_q + 2 * width_kv, bias=True)
        self.out = nn.Linear(width_q, shape.hidden, bias=False)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.ffn, bias=False)
        self.down = nn.Linear(shape.ffn, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return x [batch, length, hidden] after this layer."""
        s = self.shape
        batch, length, _ = x.shape
        qkv = self.qkv(self.norm_attn(x)).view(batch, length, -1, s.head_dim).transpose(1, 2)
        q, k, v = qkv.split([s.n_heads, s.n_kv_heads, s.n_kv_heads], dim=1)
        group = s.n_heads // s.n_kv_heads
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if group > 1:
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        scores = (q * s.head_dim**-0.5) @ k.transpose(-1, -2) + self._mask(length, q)
        mixed = scores.softmax(dim=-1).to(v.dtype) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(self.norm_ffn(x)).chunk(2, dim=-1)
        return x + self.down(functional.silu(gate) * up)

    @staticmethod
    def _mask(length: int, like: Tensor) -> Tensor:
        # Written out: compiled, it beats torch's fused attention at these lengths by far.
        full = torch.full((length, length), float("-inf"), dtype=like.dtype, device=like.device)
        return full.triu(1)


class Qwen2(nn.Module):
    """A Qwen2 decoder with tied embeddings; `forward` gives logits [batch, length, vocab]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab, shape.hidden)
        self.blocks = nn.ModuleList([Block(shape) for _ in range(shape.layers)])
        self.norm = nn.RMSNorm(shape.hidden, eps=shape.rms_norm_eps)
        cos, sin = rope_tables(shape, shape.max_positions)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._init_weights()

    def _init_weights(self) -> None:
        std = 0.4 / math.sqrt(self.shape.hidden)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                shrink = math.sqrt(2 * self.shape.layers) if "out" in name or "down" in name else 1
                nn.init.normal_(p, std=std / shrink)
            elif "bias" in name:
                nn.init.zeros_(p)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits for ids [batch, length]."""
        x = self.embed(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return functional.linear(self.norm(x), self.embed.weight)


def hf_state_dict(model: Qwen2) -> dict[str, Tensor]:
    """Return the weights under the names of ``Qwen2ForCausalLM`` (tied head left out)."""
    s = model.shape
    widths = [s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim, s.n_kv_heads * s.head_dim]
    out = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    for i, block in enumerate(model.blocks):
        at = f"model.layers.{i}."
        out[at + "input_layernorm.weight"] = block.norm_attn.weight
        out[at + "post_attention_layernorm.weight"] = block.norm_ffn.weight
        for part in ("weight", "bias"):
            for name, piece in zip("qkv", getattr(block.qkv, part).split(widths), strict=True):
                out[at + f"self_attn.{name}_proj.{part}"] = piece
        out[at + "self_attn.o_proj.weight"] = block.out.weight
        gate, up = block.gate_up.weight.chunk(2)
        out[at + "mlp.gate_proj.weight"] = gate
        out[at + "mlp.up_proj.weight"] = up
        out[at + "mlp.down_proj.weight"] = block.down.weight
    return {name: t.detach().contiguous().clone() for name, t in out.items()}


def hf_config(shape: Shape, eos_token_id: int) -> dict[str, object]:
    """Return the ``config.json`` that transformers reads for a model of this shape."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.ffn,
        "hidden_act": "silu",
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.rms_norm_eps,
        "max_position_embeddings": shape.max_positions,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "eos_token_id": eos_token_id,
        "torch_dtype": "bfloat16",
    }
