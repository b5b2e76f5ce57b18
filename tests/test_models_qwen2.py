"""The decoder against transformers on random Qwen2 models, and against its own mutants."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import pyqtf
from pyqtf import _core
from pyqtf.models import decoder as decoder_module

pytest.importorskip("torch")
import hf_models
import mutants

LENGTH = 61


@pytest.fixture(scope="module", params=hf_models.SHAPES)
def pair(request, tmp_path_factory):
    """A folder with a random model, and transformers' results for one text."""
    folder = tmp_path_factory.mktemp("qwen2")
    sizes = hf_models.SHAPES[request.param]
    theirs = hf_models.make_model(folder, seed=len(request.param), **sizes)
    ids = np.random.default_rng(5).integers(0, sizes["vocab"], LENGTH)
    return SimpleNamespace(folder=folder, theirs=theirs, ids=ids, sizes=sizes,
                           expected=hf_models.reference(theirs, ids))  # fmt: skip


def test_f32_equals_transformers(pair, isa):
    model = pyqtf.load(pair.folder, quant="f32")
    hf_models.compare(model, pair.expected, pair.ids)
    embedding = pair.theirs.model.embed_tokens.weight.numel()
    tables = 1 if pair.sizes.get("tied") else 2
    assert model.n_params == pair.theirs.num_parameters()
    assert model.n_params_non_embedding == model.n_params - tables * embedding


def test_the_dialect_of_transformers_4_gives_the_same_bits(pair):
    before = pyqtf.load(pair.folder, quant="f32").logits(pair.ids)
    hf_models.to_dialect_4(pair.folder)
    after = pyqtf.load(pair.folder, quant="f32").logits(pair.ids)
    assert before.tobytes() == after.tobytes()


def test_rank_entropy_and_alternatives_equal_transformers(pair):
    model = pyqtf.load(pair.folder, quant="f32")
    (losses,) = model.token_losses([pair.ids], top_k=3)
    logits = pair.expected[0][:-1].astype(np.float64)
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    entropy = -(np.exp(logprobs) * logprobs).sum(axis=1)
    np.testing.assert_allclose(losses.entropy, entropy, rtol=0, atol=1e-4)
    top = np.sort(logprobs, axis=1)[:, ::-1][:, :3]
    np.testing.assert_allclose(losses.top_logprobs, top, rtol=0, atol=1e-4)
    own = model.logits(pair.ids)[:-1]
    targets = np.take_along_axis(own, pair.ids[1:, None], axis=1)
    np.testing.assert_array_equal(losses.rank, 1 + (own > targets).sum(axis=1))


def test_q8_is_near(pair):
    model = pyqtf.load(pair.folder, quant="q8")
    logits, nll = pair.expected
    error = np.sqrt(np.mean((model.logits(pair.ids) - logits) ** 2)) / logits.std()
    assert 0 < error < 0.06
    (losses,) = model.token_losses([pair.ids])
    assert abs(losses.nll.mean() - nll.mean()) < 0.05


def no_qkv_bias(model, monkeypatch):
    mutants.with_layers(model, qkv_bias=lambda bias: None)


def attn_norm_ignored(model, monkeypatch):
    mutants.with_layers(model, attn_norm=np.ones_like)


def ffn_norm_ignored(model, monkeypatch):
    mutants.with_layers(model, ffn_norm=np.ones_like)


def final_norm_ignored(model, monkeypatch):
    weights = model._decoder.weights
    model._decoder.weights = replace(weights, norm=np.ones_like(weights.norm))


def another_eps(model, monkeypatch):
    model._decoder.config = replace(model.config, rms_norm_eps=1e-3)


def another_rope_theta(model, monkeypatch):
    mutants.with_config(model, rope_theta=1.01 * model.config.rope_theta)


def rope_turns_backwards(model, monkeypatch):
    cos, sin = decoder_module.rotary_angles(model.config, 512)
    model._decoder._angles[False] = (cos, -sin)


def interleaved_rope(model, monkeypatch):
    def rope(x, cos, sin, positions, n_heads, width):
        heads = x[:, : n_heads * width].reshape(len(x), n_heads, width)
        a, b = heads[..., 0::2].copy(), heads[..., 1::2].copy()
        c, s = cos[positions][:, None], sin[positions][:, None]
        heads[..., 0::2], heads[..., 1::2] = a * c - b * s, b * c + a * s
        x[:, : n_heads * width] = heads.reshape(len(x), -1)

    monkeypatch.setattr(decoder_module, "_core", mutants.with_core(rope=rope))


def another_scale(model, monkeypatch):
    def attention(q, k, v, qo, ko, scale, causal, **options):
        return _core.attention(q, k, v, qo, ko, 1.02 * scale, causal, **options)

    monkeypatch.setattr(decoder_module, "_core", mutants.with_core(attention=attention))


def another_gqa_mapping(model, monkeypatch):
    def attention(q, k, v, qo, ko, scale, causal, **options):
        n_heads, n_kv = q.shape[1], k.shape[1]
        order = np.arange(n_heads).reshape(-1, n_kv).T.ravel()
        q = np.ascontiguousarray(q[:, order])
        out = _core.attention(q, k, v, qo, ko, scale, causal, **options)
        return np.ascontiguousarray(out[:, np.argsort(order)])

    monkeypatch.setattr(decoder_module, "_core", mutants.with_core(attention=attention))


def not_causal(model, monkeypatch):
    def attention(q, k, v, qo, ko, scale, causal, **options):
        return _core.attention(q, k, v, qo, ko, scale, False, **options)

    monkeypatch.setattr(decoder_module, "_core", mutants.with_core(attention=attention))


def gate_and_up_exchanged(model, monkeypatch):
    def swiglu_mlp(x, gate_up, down, **added):
        rows = np.roll(gate_up.dequantize(), gate_up.shape[0] // 2, axis=0)
        return _core.swiglu_mlp(x, _core.pack([rows], "f32"), down, **added)

    monkeypatch.setattr(decoder_module, "_core", mutants.with_core(swiglu_mlp=swiglu_mlp))


MUTANTS = [
    no_qkv_bias, attn_norm_ignored, ffn_norm_ignored, final_norm_ignored, another_eps,
    another_rope_theta, rope_turns_backwards, interleaved_rope, another_scale, another_gqa_mapping,
    not_causal, gate_and_up_exchanged,
]  # fmt: skip


@pytest.mark.parametrize("mutate", MUTANTS)
def test_a_mutant_fails_the_comparison(mutate, pair, monkeypatch):
    groups = pair.sizes["heads"] // pair.sizes["kv"]
    if mutate is another_gqa_mapping and groups in (1, pair.sizes["heads"]):
        return  # with one group, or one head in each, every mapping is the same
    model = pyqtf.load(pair.folder, quant="f32")
    mutate(model, monkeypatch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        hf_models.compare(model, pair.expected, pair.ids)
