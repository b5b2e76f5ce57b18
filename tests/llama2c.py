"""Models and tokenizers of llama2.c: a model as a Hugging Face folder, and its encoder."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
from random_models import write_byte_tokenizer

from pyqtf.formats import save_safetensors


def convert(source: Path, folder: Path) -> None:
    """Write config.json and model.safetensors; the tokenizer beside them is not the model's."""
    dim, ffn, n_layers, n_heads, n_kv_heads, vocab_size, length = np.fromfile(source, "<i4", 7)
    values = np.fromfile(source, "<f4", offset=28)
    at = 0

    def take(*shape):
        nonlocal at
        size = math.prod(map(int, shape))
        at += size
        return values[at - size : at].reshape(shape)

    def halves(w, heads):
        """Rows of each head from pairs (0, 1), (2, 3), ... to pairs (i, i + half)."""
        n, rows, columns = w.shape
        pairs = w.reshape(n, heads, rows // heads // 2, 2, columns)
        return pairs.transpose(0, 1, 3, 2, 4).reshape(w.shape)

    kv = dim // n_heads * n_kv_heads
    tensors = {"model.embed_tokens.weight": take(vocab_size, dim)}
    layers = {"input_layernorm": take(n_layers, dim)}
    layers["self_attn.q_proj"] = halves(take(n_layers, dim, dim), n_heads)
    layers["self_attn.k_proj"] = halves(take(n_layers, kv, dim), n_kv_heads)
    layers["self_attn.v_proj"] = take(n_layers, kv, dim)
    layers["self_attn.o_proj"] = take(n_layers, dim, dim)
    layers["post_attention_layernorm"] = take(n_layers, dim)
    layers["mlp.gate_proj"] = take(n_layers, ffn, dim)
    layers["mlp.down_proj"] = take(n_layers, dim, ffn)
    layers["mlp.up_proj"] = take(n_layers, ffn, dim)
    tensors["model.norm.weight"] = take(dim)
    for name, stack in layers.items():
        tensors |= {f"model.layers.{i}.{name}.weight": w for i, w in enumerate(stack)}
    save_safetensors(folder / "model.safetensors", tensors)
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": dim,
        "intermediate_size": ffn, "num_hidden_layers": n_layers, "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads, "vocab_size": vocab_size, "rope_theta": 10000.0,
        "max_position_embeddings": length, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    }  # fmt: skip
    text = json.dumps(config, default=int)
    (folder / "config.json").write_text(text)
    write_byte_tokenizer(folder)


class Encoder:
    """llama2.c's BPE: the pair with the best score is merged until none is in the vocabulary."""

    def __init__(self, path: Path, vocab_size: int) -> None:
        data, at = path.read_bytes(), 4
        self.pieces: list[bytes] = []
        self._scores: list[float] = []
        for _ in range(vocab_size):
            score, size = struct.unpack_from("<fi", data, at)
            self.pieces.append(data[at + 8 : at + 8 + size])
            self._scores.append(score)
            at += 8 + size
        self._ids = {piece: i for i, piece in enumerate(self.pieces)}

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with BOS and the space that stands before every text."""
        ids = []
        for char in " " + text:
            piece = char.encode()
            known = self._ids.get(piece)
            ids += [known] if known is not None else [byte + 3 for byte in piece]
        while True:
            merges = [
                (self._scores[merged], -i, merged)
                for i in range(len(ids) - 1)
                if (merged := self._ids.get(self.pieces[ids[i]] + self.pieces[ids[i + 1]]))
            ]
            if not merges:
                return [1, *ids]
            _, i, merged = max(merges)
            ids[-i : 2 - i] = [merged]

    def decode(self, ids: list[int]) -> str:
        """The text of ids; 3 to 258 stand for single bytes."""
        return b"".join(bytes([i - 3]) if 3 <= i < 259 else self.pieces[i] for i in ids).decode()
