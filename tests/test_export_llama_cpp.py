"""Files that pyqtf writes, run by llama.cpp, and files that llama.cpp quantised, read by pyqtf."""

from __future__ import annotations

import json
from dataclasses import replace

import gguf
import gguf_models
import hf_models
import mutants
import numpy as np
import pytest
import test_models_gguf
from export_models import FULL, MODELS, SHAPE, SLIDING, make
from llama_cpp_peer import Peer, quantise
from metaspace_tokenizers import whole

import pyqtf
from pyqtf.formats import read_gguf
from pyqtf.models.rope_scaling import RopeScaling
from pyqtf.tokenizer import Tokenizer

STORIES = [story["text"] for story in pyqtf.bundled.stories()[:3]]


def perplexity(nll):
    return np.exp(np.mean(np.concatenate(nll)))


# What a comparison with llama.cpp must tell apart.
PARTICULARS = {
    "gemma2": [
        {"attn_logit_softcapping": 6.1},
        {"final_logit_softcapping": 5.01},
        {"sliding_window": 41},
        {"layer_types": (FULL, SLIDING, FULL)},
        {"query_pre_attn_scalar": 31.0},
    ],
    "gemma2 27b": [{"query_pre_attn_scalar": 32.0}],
    "gemma3": [
        {"sliding_window": 41},
        {"layer_types": (*4 * [SLIDING], FULL, SLIDING, SLIDING)},
        {"local_rope_theta": 3.1e3},
        {"rope_theta": 1.1e5},
        {"rope_scaling": RopeScaling("linear", 9.0)},
        {"query_pre_attn_scalar": 31.0},
    ],
    "gemma3 untied": [
        {"final_logit_softcapping": 5.01},
        {"layer_types": (SLIDING, FULL, SLIDING, SLIDING)},
    ],
    "gemma3 27b": [{"query_pre_attn_scalar": 32.0}],
}


# llama.cpp rounds activations to what a matrix is stored in; float32 leaves nothing to round.
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("name", ["stories-80k", "stories-3m"])
def test_a_trained_model_has_the_same_perplexity(name, dtype, tmp_path):
    path = tmp_path / "x.gguf"
    pyqtf.export_gguf(name, path, dtype=dtype)
    peer, model = Peer(path), pyqtf.load(path, quant="f32")
    ids = [model.tokenizer.encode(text) for text in STORIES]
    assert [peer.encode(text) for text in STORIES] == [one.tolist() for one in ids]
    theirs = perplexity([peer.nll(one) for one in ids])
    ours = perplexity([losses.nll for losses in model.token_losses(ids)])
    print(f"\n{name} {dtype}: llama.cpp {theirs:.5f}, pyqtf {ours:.5f}, {ours / theirs - 1:+.5%}")
    assert abs(ours / theirs - 1) < 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_every_family_is_computed_as_llama_cpp_does(name, tmp_path):
    make(name, tmp_path / "model")
    pyqtf.export_gguf(tmp_path / "model", tmp_path / "x.gguf", dtype="F32")
    model = pyqtf.load(tmp_path / "model", quant="f32")
    ids = np.random.default_rng(3).integers(0, 256, 300)
    (losses,) = model.token_losses([ids])
    theirs = Peer(tmp_path / "x.gguf").nll(ids)
    print(f"\n{name}: {np.exp(losses.nll.mean() - theirs.mean()) - 1:+.5%}, "
          f"{abs(losses.nll - theirs).max():.2g} at most")  # fmt: skip
    # llama.cpp looks GELU up in a table of half-precision numbers.
    bound = 2e-3 if name.startswith(("gpt", "phi", "gemma")) else 1e-4
    assert abs(losses.nll - theirs).max() < bound
    for changes in PARTICULARS.get(name, []):
        wrong = pyqtf.load(tmp_path / "model", quant="f32")
        mutants.with_config(wrong, **changes)
        (losses,) = wrong.token_losses([ids])
        assert abs(losses.nll - theirs).max() > bound, changes


@pytest.mark.parametrize("pipeline", ["llama", "gemma"])
def test_a_tokenizer_with_byte_fallback_is_the_same_one(pipeline, tmp_path):
    hf_models.make_model(tmp_path / "model", **{**SHAPE, "family": "Llama", "vocab": 905})
    (tmp_path / "model/tokenizer.json").write_text(json.dumps(whole(pipeline)))
    pyqtf.export_gguf(tmp_path / "model", tmp_path / "x.gguf", dtype="F32")
    model, peer = pyqtf.load(tmp_path / "x.gguf", quant="f32"), Peer(tmp_path / "x.gguf")
    original = Tokenizer.from_file(tmp_path / "model")
    for text in [
        *STORIES,
        "a  b   c",
        " the",
        "aaaaaaa bababab",
        "Café 你好 \U0001f680\n\n",
        "</s>the",
    ]:
        ids = original.encode(text)
        assert peer.encode(text) == ids.tolist() == model.tokenizer.encode(text).tolist()
    ids = original.encode(STORIES[0])[:400]
    (losses,) = model.token_losses([ids])
    assert perplexity([losses.nll]) == pytest.approx(perplexity([peer.nll(ids)]), rel=1e-3)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("name", ["gemma2", "gemma3"])
def test_gemma_with_its_tokenizer_has_the_same_perplexity(name, dtype, tmp_path):
    make(name, tmp_path / "model", vocab=905)
    (tmp_path / "model/tokenizer.json").write_text(json.dumps(whole("gemma")))
    pyqtf.export_gguf(tmp_path / "model", tmp_path / "x.gguf", dtype=dtype)
    model, peer = pyqtf.load(tmp_path / "x.gguf", quant="f32"), Peer(tmp_path / "x.gguf")
    ids = [model.tokenizer.encode(text)[:400] for text in STORIES]
    assert [peer.encode(text)[:400] for text in STORIES] == [one.tolist() for one in ids]
    theirs = perplexity([peer.nll(one) for one in ids])
    ours = perplexity([losses.nll for losses in model.token_losses(ids)])
    print(f"\n{name} {dtype}: llama.cpp {theirs:.5f}, pyqtf {ours:.5f}, {ours / theirs - 1:+.5%}")
    assert abs(ours / theirs - 1) < 1e-3


FTYPES = {
    "Q8_0": "Q8_0", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1",
    "Q2_K": "Q2_K", "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q6_K": "Q6_K",
    "IQ4_NL": "IQ4_NL",
}  # fmt: skip


@pytest.mark.parametrize("dtype", FTYPES)
def test_what_llama_cpp_quantised_gives_the_loss_of_its_weights(dtype, tmp_path):
    config = replace(gguf_models.CONFIG, vocab_size=512)
    weights = gguf_models.random_weights(config, "F32")
    gguf_models.write_gguf(tmp_path / "f32.gguf", config, "F32", weights)
    quantise(tmp_path / "f32.gguf", tmp_path / "x.gguf", FTYPES[dtype])
    kinds = {tensor.dtype for tensor in read_gguf(tmp_path / "x.gguf").tensors.values()}
    assert kinds == {"F32", dtype}
    theirs = {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(tmp_path / "x.gguf").tensors
    }
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.n_layers)
    dequantised = {
        name: (None, theirs[names.get_name(name, try_suffixes=(".weight", ".bias"))])
        for name in weights
    }
    reference = test_models_gguf.reference_model(config, dequantised)
    test_models_gguf.compare(tmp_path / "x.gguf", reference)
    ids = test_models_gguf.IDS
    (losses,) = pyqtf.load(tmp_path / "x.gguf", quant="f32").token_losses([ids])
    # Its products are of 8-bit activations.
    assert abs(losses.nll - Peer(tmp_path / "x.gguf").nll(ids)).mean() < 0.05
