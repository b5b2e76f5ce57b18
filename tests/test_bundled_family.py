"""The models and stories that ship in the wheel: complete, consistent, small enough."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from pyqtf import bundled

LIMIT = 12 * 1024 * 1024
FOLDER = Path(bundled.__file__).parent


def read_header(file: Path) -> dict[str, dict]:
    with file.open("rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
    header.pop("__metadata__", None)
    return header


def n_params(name: str) -> int:
    header = read_header(bundled.path(name) / "model.safetensors")
    return sum(math.prod(t["shape"]) for t in header.values())


def test_at_least_six_models_from_thirty_thousand_to_three_million():
    sizes = [n_params(name) for name in bundled.names()]
    assert len(sizes) >= 6
    assert sizes == sorted(sizes)
    assert 25_000 <= sizes[0] <= 40_000
    assert 2_700_000 <= sizes[-1] <= 3_500_000


def test_names_tell_the_size_to_a_tenth():
    for name in bundled.names():
        told = name.removeprefix("stories-")
        told = float(told[:-1]) * {"k": 1e3, "m": 1e6}[told[-1]]
        assert n_params(name) == pytest.approx(told, rel=0.1)


def test_weights_and_vocabulary_stay_within_twelve_mebibytes():
    files = [*FOLDER.glob("*/*"), FOLDER / "tokenizer.json"]
    assert sum(f.stat().st_size for f in files) <= LIMIT


@pytest.mark.parametrize("name", bundled.names())
def test_config_describes_the_tensors(name):
    config = json.loads((bundled.path(name) / "config.json").read_text())
    header = read_header(bundled.path(name) / "model.safetensors")
    hidden, ffn, vocab = (config[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    q = config["num_attention_heads"] * config["head_dim"]
    kv = config["num_key_value_heads"] * config["head_dim"]
    layer = {
        "input_layernorm.weight": [hidden],
        "post_attention_layernorm.weight": [hidden],
        "self_attn.q_proj.weight": [q, hidden],
        "self_attn.q_proj.bias": [q],
        "self_attn.k_proj.weight": [kv, hidden],
        "self_attn.k_proj.bias": [kv],
        "self_attn.v_proj.weight": [kv, hidden],
        "self_attn.v_proj.bias": [kv],
        "self_attn.o_proj.weight": [hidden, q],
        "mlp.gate_proj.weight": [ffn, hidden],
        "mlp.up_proj.weight": [ffn, hidden],
        "mlp.down_proj.weight": [hidden, ffn],
    }
    expected = {"model.embed_tokens.weight": [vocab, hidden], "model.norm.weight": [hidden]}
    for i in range(config["num_hidden_layers"]):
        expected |= {f"model.layers.{i}.{key}": shape for key, shape in layer.items()}
    assert {key: t["shape"] for key, t in header.items()} == expected
    assert {t["dtype"] for t in header.values()} == {"BF16"}
    assert config["num_attention_heads"] % config["num_key_value_heads"] == 0
    assert config["tie_word_embeddings"] is True
    assert config["max_position_embeddings"] >= 1024


@pytest.mark.parametrize("name", bundled.names())
def test_weights_are_finite_and_biases_were_learned(name):
    file = bundled.path(name) / "model.safetensors"
    header, raw = read_header(file), file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    for key, t in header.items():
        start, end = t["data_offsets"]
        halves = np.frombuffer(raw, "<u2", (end - start) // 2, 8 + length + start)
        values = (halves.astype(np.uint32) << 16).view(np.float32)
        assert np.isfinite(values).all()
        if key.endswith("_proj.bias") or key.endswith("norm.weight"):
            assert np.ptp(values) > 0


def test_the_vocabulary_is_shared_and_covers_every_byte():
    content = json.loads((FOLDER / "tokenizer.json").read_text("utf-8"))
    vocab, merges = content["model"]["vocab"], content["model"]["merges"]
    sizes = {
        json.loads((bundled.path(n) / "config.json").read_text())["vocab_size"]
        for n in bundled.names()
    }
    assert sizes == {len(vocab) + 1}
    assert len(vocab) == 256 + len(merges)
    assert sorted(vocab.values()) == list(range(len(vocab)))
    assert sum(len(piece) == 1 for piece in vocab) == 256
    assert content["added_tokens"][0]["content"] == "<|endoftext|>"
    assert content["added_tokens"][0]["id"] == len(vocab)
    for merge in merges:
        left, right = merge.split(" ")
        assert left + right in vocab


def test_the_tokenizer_file_is_written_as_qwen2_writes_it(data_dir):
    ours = json.loads((FOLDER / "tokenizer.json").read_text("utf-8"))
    qwen = json.loads((data_dir / "qwen2.5" / "tokenizer.json").read_text("utf-8"))
    for content in (ours, qwen):
        content["model"]["vocab"] = content["model"]["merges"] = None
        content["added_tokens"] = None
    assert ours == qwen


@pytest.mark.parametrize("which", ["generated", "handwritten"])
def test_fifty_different_stories_of_a_fitting_length(which):
    stories = bundled.stories(which)
    texts = [story["text"] for story in stories]
    assert len(texts) == len(set(texts)) == 50
    assert all(60 <= len(text.split()) <= 300 for text in texts)
    assert all(text == text.strip() for text in texts)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'stories-9b'.*stories-30k"):
        bundled.path("stories-9b")
    with pytest.raises(ValueError, match=r"'shakespeare'.*generated, handwritten"):
        bundled.stories("shakespeare")
