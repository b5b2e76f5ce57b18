"""Calibrating models of every build: parallel, post-normed, stored [in, out], with biases."""

from __future__ import annotations

import numpy as np
import pytest

import pyqtf
from pyqtf.models import calibrate

hf_models = pytest.importorskip("hf_models")

SIZES = {"vocab": 269, "hidden": 96, "layers": 2, "heads": 6, "kv": 6, "ffn": 132}
MODELS = {
    "qwen2": {"kv": 2, "tied": True},
    "qwen3": {"family": "Qwen3", "head_dim": 24},
    "olmo2": {"family": "Olmo2"},
    "gpt2": {"family": "GPT2", "tied": True},
    "phi": {"family": "Phi", "rope": {"partial_rotary_factor": 0.5}},
    "neox": {"family": "GPTNeoX", "rope": {"partial_rotary_factor": 0.5}},
    "neox serial": {"family": "GPTNeoX", "use_parallel_residual": False},
    "gemma2": {"family": "Gemma2", "head_dim": 16, "sliding_window": 9, "tied": True},
    "gemma3": {"family": "Gemma3", "head_dim": 20, "sliding_window": 21, "tied": True,
               "sliding_window_pattern": 2},
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    hf_models.make_model(folder, **{**SIZES, **MODELS[request.param]})
    return folder


@pytest.fixture(scope="module")
def texts():
    return [np.random.default_rng(i).integers(0, 256, 150) for i in range(10)]


def test_the_calibrated_model_reads_as_it_was_calibrated(folder, texts, monkeypatch):
    seen = []
    start = calibrate._start
    monkeypatch.setattr(
        calibrate, "_start", lambda *args: seen.append((args[1], start(*args))) or seen[-1][1]
    )
    model = pyqtf.load(folder, quant="q4", calibration=texts, progress=False)
    decoder, layers = model._decoder, model._decoder.weights.layers
    assert {m.quant for layer in layers for m in (layer.qkv, layer.o, layer.down)} == {"q4"}
    for parts, (ours, _) in seen:
        hidden = decoder(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))
        last = decoder._norm(ours.x, decoder.weights.norm, decoder.weights.norm_bias)
        assert np.array_equal(last, hidden)


def test_gaps_are_what_products_and_hidden_states_lack(folder, texts, monkeypatch):
    """Before a post-norm, which changes a product's size, only the product counts."""
    post_normed = pyqtf.load(folder, quant="f32").config.family in ("olmo2", "gemma2", "gemma3")
    met, checked = [], []
    enter = calibrate._Stream.input

    def watched(stream, name, i, layer):
        met.append((name, stream, enter(stream, name, i, layer)))
        return met[-1][2]

    class Watched(calibrate.Problem):
        def add(self, x, gap):
            (name, ours, mine), (_, true, theirs) = met[-2:]
            assert x is mine
            if name in ("qkv", "gate_up"):
                assert np.array_equal(gap, theirs - mine)
            else:
                expected = (theirs - mine).astype(np.float64) @ self._weights.T
                expected += 0 if post_normed else true.x - ours.x
                np.testing.assert_allclose(gap, expected, rtol=0, atol=1e-4)
            checked.append((name, np.abs(gap).max() > 0))
            super().add(x, gap)

    monkeypatch.setattr(calibrate._Stream, "input", watched)
    monkeypatch.setattr(calibrate, "Problem", Watched)
    pyqtf.load(folder, quant="q4", calibration=texts, progress=False)
    assert checked[0] == checked[1] == ("qkv", False)  # nothing is rounded yet
    assert all(differs for name, differs in checked if name in ("o", "down"))
    assert [name for name, _ in checked[::2]] == 2 * ["qkv", "o", "gate_up", "down"]


def test_it_is_nearer_to_the_exact_model(folder, texts):
    exact = pyqtf.load(folder, quant="f32")
    calibrated = pyqtf.load(folder, quant="q4", calibration=texts, progress=False)
    plain = pyqtf.load(folder, quant="q4")

    def error(model):
        ids = np.random.default_rng(99).integers(0, 256, 300)
        return float(((model.logits(ids) - exact.logits(ids)) ** 2).mean())

    assert error(calibrated) < 0.9 * error(plain)
