"""Outlier channels: planted in norms, taken out again while loading."""

import shutil

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf import bundled
from pyqtf.evaluation.compare import compare_models
from pyqtf.formats import open_folder, save_safetensors
from pyqtf.models.equalise import column_scales

SHAPE = {"hidden_size": 96, "intermediate_size": 64, "num_attention_heads": 6}
NORMS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


def plant(folder, target, factor):
    """The same model with three channels of each norm and their columns out of balance."""
    tensors = {name: tensor.array().copy() for name, tensor in open_folder(folder).items()}
    rng = np.random.default_rng(4)
    for layer in range(2):
        for norm, matrices in NORMS.items():
            channels = rng.choice(96, 3, replace=False)
            tensors[f"model.layers.{layer}.{norm}.weight"][channels] *= factor
            for matrix in matrices:
                tensors[f"model.layers.{layer}.{matrix}.weight"][:, channels] /= factor
    return write_model(target, tensors=tensors, **SHAPE)


@pytest.mark.parametrize("factor", [32.0, 2.0**-6])
def test_planted_outliers_change_next_to_nothing(tmp_path, factor):
    ones = {
        f"model.layers.{i}.{norm}.weight": np.ones(96, np.float32)
        for i in range(2)
        for norm in NORMS
    }
    plain = write_model(tmp_path / "plain", tensors=ones, **SHAPE)
    planted = plant(plain, tmp_path / "planted", factor)
    ids = np.arange(2, 30)
    f32 = pyqtf.load(plain, quant="f32").logits(ids)
    assert np.array_equal(pyqtf.load(planted, quant="f32").logits(ids), f32)
    plain_error = np.abs(pyqtf.load(plain).logits(ids) - f32).max()
    planted_error = np.abs(pyqtf.load(planted).logits(ids) - f32).max()
    assert 0 < planted_error < 1.5 * plain_error


@pytest.mark.parametrize("factor", [32.0, 1024.0])
def test_planted_outliers_in_a_trained_model_stay_within_a_tenth_of_four_bits(tmp_path, factor):
    """As Qwen2.5 has them: q8 stays in line with what it loses on the model as it was trained."""
    source, planted = bundled.path("stories-500k"), tmp_path / "planted"
    tensors = {}
    for name, tensor in open_folder(source).items():
        words = tensor.array()
        assert words.dtype == np.uint16  # bfloat16
        tensors[name] = (words.astype(np.uint32) << 16).view(np.float32)
    rng = np.random.default_rng(6)
    for name in [name for name in tensors if name.endswith("layernorm.weight")]:
        layer, norm = name.removesuffix(".weight").rsplit(".", 1)
        channels = rng.choice(96, 3, replace=False)
        tensors[name][channels] *= factor
        for matrix in NORMS[norm]:
            tensors[f"{layer}.{matrix}.weight"][:, channels] /= factor
    planted.mkdir()
    save_safetensors(planted / "model.safetensors", tensors)
    shutil.copy(source / "config.json", planted)
    shutil.copy(source.parent / "tokenizer.json", planted)
    pyqtf.export_gguf("stories-500k", tmp_path / "q4_0.gguf", dtype="Q4_0")
    exact, stories = pyqtf.load("stories-500k", quant="f32"), bundled.stories()[:3]

    def kl(name, quant):
        return compare_models(exact, pyqtf.load(name, quant=quant), stories).kl.value

    assert kl(planted, "f32") == 0
    assert 0 < kl(planted, "q8") < 1.3 * kl("stories-500k", "q8")
    assert kl(planted, "q8") < 0.1 * kl(tmp_path / "q4_0.gguf", "f32")
    assert kl(planted, "q4") < kl(tmp_path / "q4_0.gguf", "f32")


def test_scales_are_powers_of_two_that_even_out():
    rng = np.random.default_rng(5)
    w = rng.standard_normal((300, 64)).astype(np.float32)
    norm = np.ones(64, np.float32)
    assert column_scales(norm, [w]) is None
    norm[7], norm[9] = 100, 1 / 100
    scales = column_scales(norm, [w[:200], w[200:].astype(np.float16)])
    assert np.array_equal(np.flatnonzero(scales != 1), [7, 9])
    assert scales[7] == 8 and scales[9] == 1 / 8  # sqrt(100) is nearest to 2 ** 3 in the logarithm


def test_dead_channels_and_dead_norms():
    w = np.ones((4, 8), np.float32)
    w[:, 3] = 0
    norm = np.ones(8, np.float32)
    norm[5] = 0
    assert column_scales(norm, [w]) is None
    assert column_scales(np.zeros(8, np.float32), [w]) is None
