"""Gemma 2 and 3 written as GGUF: what the file says, and what it can't say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_models_config import GEMMA2, GEMMA3

import pyqtf
from pyqtf.formats import FormatError, open_folder, read_gguf
from pyqtf.models.gguf import gguf_metadata
from pyqtf.models.registry import parse_config
from pyqtf.models.rope_scaling import RopeScaling

gguf = pytest.importorskip("gguf")
pytest.importorskip("torch")
models = pytest.importorskip("export_models")

FULL, SLIDING = models.FULL, models.SLIDING


def fields(path):
    """What the gguf package finds, without the vocabulary."""
    found = gguf.GGUFReader(path).fields
    return {key: f.contents() for key, f in found.items() if not key.startswith("tokenizer.")}


def exported(name, folder):
    models.make(name, folder)
    pyqtf.export_gguf(folder, folder / "x.gguf", dtype="F32")
    return folder / "x.gguf"


KEYS = gguf.Keys


def test_gemma_2_is_told_in_the_words_of_llama_cpp(tmp_path):
    found = fields(exported("gemma2", tmp_path))
    for key, value in [
        (KEYS.Attention.KEY_LENGTH, 32),
        (KEYS.Attention.VALUE_LENGTH, 32),
        (KEYS.Attention.SLIDING_WINDOW, 40),
        (KEYS.LLM.ATTN_LOGIT_SOFTCAPPING, 6.0),
        (KEYS.LLM.FINAL_LOGIT_SOFTCAPPING, 5.0),
        (KEYS.LLM.CONTEXT_LENGTH, 512),
    ]:
        assert found[key.format(arch="gemma2")] == value
    for key in (KEYS.Attention.SLIDING_WINDOW_PATTERN, KEYS.Rope.FREQ_BASE_SWA):
        assert key.format(arch="gemma2") not in found


def test_gemma_3_is_told_in_the_words_of_llama_cpp(tmp_path):
    found = fields(exported("gemma3", tmp_path))
    for key, value in [
        (KEYS.Attention.SLIDING_WINDOW, 40),
        (KEYS.Rope.FREQ_BASE, 1e5),
        (KEYS.Rope.FREQ_BASE_SWA, 3e3),
        (KEYS.Rope.SCALING_TYPE, "linear"),
        (KEYS.Rope.SCALING_FACTOR, 8.0),
    ]:
        assert found[key.format(arch="gemma3")] == value
    for key in (
        KEYS.Attention.SLIDING_WINDOW_PATTERN,
        KEYS.LLM.ATTN_LOGIT_SOFTCAPPING,
        KEYS.LLM.FINAL_LOGIT_SOFTCAPPING,
    ):
        assert key.format(arch="gemma3") not in found


def test_layers_that_follow_no_rule_are_told_one_by_one(tmp_path):
    found = fields(exported("gemma3 untied", tmp_path))
    assert found["gemma3.attention.sliding_window_pattern"] == [False, True, True, True]
    assert found["gemma3.final_logit_softcapping"] == 5.0
    assert "output.weight" in read_gguf(tmp_path / "x.gguf").tensors


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_norms_are_written_with_their_one(dtype, tmp_path):
    options = {**models.SHAPE, **models.MODELS["gemma3"], "dtype": dtype, "layers": 2}
    models.hf_models.make_model(tmp_path, **options)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="Q8_0")
    theirs = {t.name: t for t in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    norms = {
        "model.norm.weight": "output_norm",
        "model.layers.1.input_layernorm.weight": "blk.1.attn_norm",
        "model.layers.1.post_attention_layernorm.weight": "blk.1.post_attention_norm",
        "model.layers.1.pre_feedforward_layernorm.weight": "blk.1.ffn_norm",
        "model.layers.1.post_feedforward_layernorm.weight": "blk.1.post_ffw_norm",
        "model.layers.1.self_attn.q_norm.weight": "blk.1.attn_q_norm",
        "model.layers.1.self_attn.k_norm.weight": "blk.1.attn_k_norm",
    }
    tensors = open_folder(tmp_path)
    for ours, name in norms.items():
        stored = tensors[ours].array()
        if dtype == "bfloat16":
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        written = theirs[f"{name}.weight"]
        assert written.tensor_type == gguf.GGMLQuantizationType.F32
        np.testing.assert_array_equal(written.data, stored + np.float32(1))
        assert abs(written.data.mean() - 1) < 1


@pytest.mark.parametrize("family", ["Gemma2", "Gemma3"])
def test_layers_that_all_see_the_same_are_computed_so(family, tmp_path):
    """llama.cpp runs no Gemma 2 of which no layer slides: its window is as long as its texts."""
    for kind in (FULL, SLIDING):
        folder = tmp_path / kind
        options = {"layers": 2, "layer_types": 2 * [kind], "family": family}
        models.hf_models.make_model(folder, **{**models.SHAPE, **models.GEMMA, **options})
        pyqtf.export_gguf(folder, folder / "x.gguf", dtype="F32")
        before, after = (pyqtf.load(p, quant="f32") for p in (folder, folder / "x.gguf"))
        ids = np.random.default_rng(1).integers(0, 256, 90)
        assert after.logits(ids).tobytes() == before.logits(ids).tobytes()
        window = {FULL: {"Gemma2": 512, "Gemma3": 0}[family], SLIDING: 40}[kind]
        assert after.config.sliding_window == window


# The published sizes: layers, width, heads, head_dim, query_pre_attn_scalar.
SIZES = [
    (GEMMA2, 26, 2304, 8, 256, 256),
    (GEMMA2, 42, 3584, 16, 256, 256),
    (GEMMA2, 46, 4608, 32, 128, 144),
    (GEMMA3, 18, 640, 4, 256, 256),
    (GEMMA3, 26, 1152, 4, 256, 256),
    (GEMMA3, 34, 2560, 8, 256, 256),
    (GEMMA3, 48, 3840, 16, 256, 256),
    (GEMMA3, 62, 5376, 32, 128, 168),
]


def config_of(values, layers, width, heads, head_dim, scalar):
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads,
             "head_dim": head_dim, "query_pre_attn_scalar": scalar}  # fmt: skip
    return parse_config({**values, **sizes})


@pytest.mark.parametrize("size", SIZES)
def test_every_published_size_can_be_written(size):
    config = config_of(*size)
    metadata = gguf_metadata(config, "gemma")
    assert metadata["general.architecture"] == config.family
    assert metadata[f"{config.family}.attention.key_length"] == config.head_dim
    with pytest.raises(
        FormatError, match=r"query_pre_attn_scalar is 200.* llama.cpp takes \d+ for"
    ):
        gguf_metadata(config_of(*size[:-1], 200), "gemma")


def test_what_a_file_cannot_say_is_refused():
    two, three = parse_config(GEMMA2), parse_config(GEMMA3)
    with pytest.raises(FormatError, match="gemma2 without attn_logit_softcapping can't be"):
        gguf_metadata(replace(two, attn_logit_softcapping=0.0), "gemma")
    with pytest.raises(FormatError, match="gemma2 without final_logit_softcapping can't be"):
        gguf_metadata(replace(two, final_logit_softcapping=0.0), "gemma")
    with pytest.raises(FormatError, match="a gemma2 with an output head beside its embedding"):
        gguf_metadata(replace(two, tie_word_embeddings=False), "gemma")
    gguf_metadata(replace(three, tie_word_embeddings=False), "gemma")
    for config in (two, three):
        gguf_metadata(replace(config, rope_scaling=RopeScaling("linear", 4.0)), "gemma")
        for kind in ("yarn", "llama3"):
            scaling = RopeScaling(kind, 4.0, 8192, 32.0, 1.0)
            with pytest.raises(FormatError, match=f"with {kind} scaling can't be written"):
                gguf_metadata(replace(config, rope_scaling=scaling), "gemma")
