"""Gemma 2 and 3 in GGUF files that the gguf package writes as llama.cpp's converter does."""

from __future__ import annotations

from dataclasses import replace

import mutants
import numpy as np
import pytest

import pyqtf
from pyqtf.formats import FormatError, read_gguf
from pyqtf.models import ModelConfig
from pyqtf.models import gguf as names
from pyqtf.models.config import FULL, SLIDING
from pyqtf.models.rope_scaling import RopeScaling

pytest.importorskip("gguf")
pytest.importorskip("torch")
gguf_models = pytest.importorskip("gguf_models")
test_models_gguf = pytest.importorskip("test_models_gguf")

compare, rewrite = test_models_gguf.compare, test_models_gguf.rewrite

GEMMA2 = ModelConfig(
    "gemma2", 259, 78, 3, 6, 2, 14, 99, 1e4, 1e-6, 256, True, activation="geglu",
    layer_types=(SLIDING, FULL, SLIDING), sliding_window=9, query_pre_attn_scalar=14.0,
    attn_logit_softcapping=4.0, final_logit_softcapping=3.0, scaled_embeddings=True,
)  # fmt: skip
GEMMA3 = replace(
    GEMMA2, family="gemma3", n_layers=7, layer_types=(*5 * [SLIDING], FULL, SLIDING),
    rope_theta=1e5, rope_scaling=RopeScaling("linear", 8.0), local_rope_theta=3e3,
    attn_logit_softcapping=0.0, sliding_window=21,
)  # fmt: skip
# Their depth alone says that scores are divided by the root of 78 / 6 = 13.
LARGEST2 = replace(
    GEMMA2, n_layers=46, layer_types=23 * (SLIDING, FULL), query_pre_attn_scalar=13.0
)
LARGEST3 = replace(
    GEMMA3, n_layers=62, query_pre_attn_scalar=13.0,
    layer_types=(*10 * (*5 * [SLIDING], FULL), SLIDING, SLIDING),
)  # fmt: skip
MODELS = {
    "gemma2": GEMMA2,
    "gemma2 27b": LARGEST2,
    "gemma3": GEMMA3,
    "gemma3 untied": replace(GEMMA3, tie_word_embeddings=False, final_logit_softcapping=0.0),
    "gemma3 27b": LARGEST3,
}


def write(tmp_path, config, dtype="F32"):
    """A file with random weights, and these."""
    weights = gguf_models.random_weights(config, dtype)
    for name, (stored, _) in weights.items():
        if "post_" in name:  # deep random models make much of any rounding
            stored *= np.float32(config.n_layers**-0.5)
            weights[name] = (stored, stored - 1)
    path = tmp_path / "gemma.gguf"
    gguf_models.write_gguf(path, config, dtype, weights)
    return path, weights


def reference(config, weights):
    """transformers' model with these weights."""
    full = {"rope_theta": config.rope_theta, "rope_type": "default"}
    if config.rope_scaling is not None:
        full |= {"rope_type": "linear", "factor": config.rope_scaling.factor}
    rope = full
    if config.local_rope_theta is not None:
        local = {"rope_theta": config.local_rope_theta, "rope_type": "default"}
        rope = {"full_attention": full, "sliding_attention": local}
    return test_models_gguf.reference_model(
        config, weights, rope_parameters=rope, sliding_window=config.sliding_window,
        layer_types=[*config.layer_types] or config.n_layers * [FULL],
        query_pre_attn_scalar=int(config.query_pre_attn_scalar),
        attn_logit_softcapping=config.attn_logit_softcapping or None,
        final_logit_softcapping=config.final_logit_softcapping or None,
    )  # fmt: skip


def make(tmp_path, config, dtype="F32"):
    """A file and transformers' model with its weights."""
    path, weights = write(tmp_path, config, dtype)
    return path, reference(config, weights)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_gives_the_logits_of_transformers(name, dtype, tmp_path):
    path, theirs = make(tmp_path, MODELS[name], dtype)
    assert names.read_config(read_gguf(path)) == MODELS[name]
    compare(path, theirs)


@pytest.mark.parametrize("dtype", ["Q8_0", "Q4_0", "Q6_K"])
@pytest.mark.parametrize("config", [GEMMA2, GEMMA3], ids=lambda config: config.family)
def test_quantised_files_give_the_logits_of_transformers(config, dtype, tmp_path):
    config = replace(config, hidden_size=256, intermediate_size=256, n_heads=4, head_dim=64,
                     query_pre_attn_scalar=64.0)  # fmt: skip
    compare(*make(tmp_path, config, dtype))


F = np.float32
CHANGES = {
    "gemma2": [
        {"attn_logit_softcapping": F(4.1)},
        {"attn_logit_softcapping": None},
        {"final_logit_softcapping": F(3.01)},
        {"final_logit_softcapping": None},
        {"attention.sliding_window": 10},
        {"attention.sliding_window": None},
        {"attention.sliding_window_pattern": 3},
        {"attention.sliding_window_pattern": np.array([False, True, True])},
        {"rope.freq_base": F(1.1e4)},
        {"rope.scaling.factor": F(2)},
    ],
    "gemma3": [
        {"final_logit_softcapping": F(3.01)},
        {"final_logit_softcapping": None},
        {"attention.sliding_window": 20},
        {"attention.sliding_window": None},
        {"attention.sliding_window": 0},
        {"attention.sliding_window_pattern": 0},
        {"attention.sliding_window_pattern": 1},
        {"attention.sliding_window_pattern": 5},
        {"rope.freq_base": F(1.1e5)},
        {"rope.freq_base": None},
        {"rope.freq_base_swa": F(3.1e3)},
        {"rope.freq_base_swa": None},
        {"rope.scaling.factor": F(9)},
        {"rope.scaling.type": "none"},
    ],
}


@pytest.mark.parametrize("config", [GEMMA2, GEMMA3], ids=lambda config: config.family)
def test_every_key_and_every_norm_counts(config, tmp_path):
    path, theirs = make(tmp_path, config)
    file = read_gguf(path)
    plain = path.read_bytes()
    for changes in CHANGES[config.family]:
        path.write_bytes(plain)
        rewrite(path, metadata={f"{config.family}.{k}": value for k, value in changes.items()})
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            compare(path, theirs)
    kinds = {name.split(".")[-2] for name in file.tensors if name.endswith("norm.weight")}
    assert len(kinds) == {"gemma2": 5, "gemma3": 7}[config.family]
    for kind in kinds:
        norms = {n: t.array() - 1 for n, t in file.tensors.items() if f"{kind}.weight" in n}
        path.write_bytes(plain)
        rewrite(path, tensors=norms)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            compare(path, theirs)


@pytest.mark.parametrize("config", [LARGEST2, LARGEST3], ids=lambda config: config.family)
def test_the_scale_of_the_largest_counts(config, tmp_path, monkeypatch):
    path, theirs = make(tmp_path, config)
    model = pyqtf.load(path, quant="f32")
    mutants.with_config(model, query_pre_attn_scalar=float(config.head_dim))
    monkeypatch.setattr(pyqtf, "load", lambda *_, **__: model)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare(path, theirs)


def test_a_pattern_is_a_number_or_one_for_each_layer(tmp_path):
    path, _ = write(tmp_path, GEMMA3)
    slides = np.array([kind == SLIDING for kind in GEMMA3.layer_types])
    key = "gemma3.attention.sliding_window_pattern"
    for pattern in (6, slides, slides.astype(np.int32), slides.astype(np.uint32)):
        rewrite(path, metadata={key: pattern})
        assert names.read_config(read_gguf(path)) == GEMMA3
    for pattern, types in [
        (0, 7 * (SLIDING,)),
        (8, 7 * (SLIDING,)),
        (3, (SLIDING, SLIDING, FULL, SLIDING, SLIDING, FULL, SLIDING)),
        (~slides, (*5 * [FULL], SLIDING, FULL)),
    ]:
        changed = replace(GEMMA3, layer_types=types)
        path, theirs = make(tmp_path, changed)
        rewrite(path, metadata={key: pattern})
        assert names.read_config(read_gguf(path)) == changed
        compare(path, theirs)
    for pattern in (1, np.zeros(7, bool)):
        rewrite(path, metadata={key: pattern})
        assert names.read_config(read_gguf(path)).layer_types == ()


# Files without these keys, and what llama.cpp takes for them.
DEFAULTS = {
    "gemma2": (
        ["attn_logit_softcapping", "final_logit_softcapping", "attention.sliding_window",
         "rope.freq_base"],
        replace(GEMMA2, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
                sliding_window=4096),
    ),
    "gemma3": (
        ["rope.freq_base_swa", "rope.scaling.type", "final_logit_softcapping"],
        replace(GEMMA3, local_rope_theta=1e4, final_logit_softcapping=0.0),
    ),
    "gemma3 without windows": (
        ["attention.sliding_window", "rope.freq_base", "rope.scaling.factor", "rope.scaling.type"],
        replace(GEMMA3, layer_types=(), sliding_window=0, rope_theta=1e4, rope_scaling=None),
    ),
    "the width of a head": (
        ["attention.key_length", "attention.value_length"],
        replace(GEMMA2, n_heads=3, n_kv_heads=3, head_dim=26, query_pre_attn_scalar=26.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DEFAULTS)
def test_a_missing_key_is_the_default_of_llama_cpp(case, tmp_path):
    keys, expected = DEFAULTS[case]
    whole = replace(expected, layer_types=expected.layer_types or GEMMA3.layer_types,
                    sliding_window=expected.sliding_window or 9)  # fmt: skip
    path, weights = write(tmp_path, whole)
    rewrite(path, metadata={f"{expected.family}.{key}": None for key in keys})
    assert names.read_config(read_gguf(path)) == expected
    compare(path, reference(expected, weights))


WINDOW, PATTERN = "attention.sliding_window", "attention.sliding_window_pattern"
CAP, FINAL = "attn_logit_softcapping", "final_logit_softcapping"
BAD = {
    "window 2^32 - 1": (GEMMA3, {WINDOW: 2**32 - 1}, "sliding_window must be from 1 to"),
    "window -1": (GEMMA3, {WINDOW: np.int32(-1)}, "sliding_window must be from 1 to"),
    "window 0": (GEMMA2, {WINDOW: 0}, "sliding_window must be from 1 to"),
    "window is a fraction": (GEMMA2, {WINDOW: F(9)}, "window' must be a whole number"),
    "window in words": (GEMMA3, {WINDOW: "9"}, "window' must be a number, got '9'"),
    "windows": (GEMMA3, {WINDOW: np.full(7, 9)}, "window' must be a number"),
    "pattern -1": (GEMMA3, {PATTERN: np.int32(-1)}, "pattern' must be 0 or more"),
    "pattern is a fraction": (GEMMA3, {PATTERN: F(6)}, "pattern' must be a whole number"),
    "pattern in words": (GEMMA3, {PATTERN: "6"}, "pattern' must be a number"),
    "pattern is true": (GEMMA3, {PATTERN: True}, "pattern' must be a number"),
    "short pattern": (GEMMA3, {PATTERN: np.ones(6, bool)}, "true or false for each of 7 layers"),
    "long pattern": (GEMMA3, {PATTERN: np.ones(8, bool)}, "true or false for each of 7 layers"),
    "pattern of fractions": (GEMMA3, {PATTERN: np.ones(7, F)}, "true or false for each"),
    "pattern of words": (GEMMA3, {PATTERN: 7 * ["6"]}, "pattern' must be a number"),
    "cap 0": (GEMMA2, {CAP: F(0)}, "attn_logit_softcapping' must be above 0, got 0"),
    "final cap 0": (GEMMA2, {FINAL: F(0)}, "final_logit_softcapping' must be above 0, got 0"),
    "cap -1": (GEMMA2, {CAP: F(-1)}, "must be above 0"),
    "cap is nan": (GEMMA2, {CAP: F(np.nan)}, "must be above 0"),
    "cap is infinite": (GEMMA2, {CAP: F(np.inf)}, "must be from 0 to"),
    "cap in words": (GEMMA2, {CAP: "50"}, "must be a number"),
    "final cap -1": (GEMMA3, {FINAL: F(-1)}, "must be from 0 to"),
    "final cap is nan": (GEMMA3, {FINAL: F(np.nan)}, "must be from 0 to"),
    "local base 0": (GEMMA3, {"rope.freq_base_swa": F(0)}, "local_rope_theta must be"),
    "local base nan": (GEMMA3, {"rope.freq_base_swa": F(np.nan)}, "local_rope_theta must be"),
    "local base in words": (GEMMA3, {"rope.freq_base_swa": "1e4"}, "must be a number"),
    "two bases": (GEMMA2, {"rope.freq_base_swa": F(9)}, "must be that of all layers, 10000"),
    "narrow sliding heads": (GEMMA3, {"attention.key_length_swa": 8}, "computes 14 only"),
    "narrow sliding values": (GEMMA2, {"attention.value_length_swa": 8}, "computes 14 only"),
    "partial sliding rotary": (GEMMA3, {"rope.dimension_count_swa": 8}, "computes 14 only"),
    "yarn": (
        GEMMA3, {"rope.scaling.type": "yarn", "rope.scaling.original_context_length": 99},
        "yarn scaling is not supported in a gemma3",
    ),
    "scaled in an old way": (GEMMA2, {"rope.scale_linear": F(8)}, "scale_linear' = .*8"),
    "bidirectional": (GEMMA3, {"attention.causal": False}, "causal' = False is not supported"),
    "no heads": (GEMMA2, {"attention.head_count": 0, "attention.key_length": None}, "heads"),
    "more heads than channels": (
        GEMMA2, {"attention.head_count": 128, "attention.key_length": None}, "head_dim must be"
    ),
    "2^32 - 1 layers": (GEMMA3, {"block_count": 2**32 - 1}, "n_layers must be from 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case, tmp_path):
    config, metadata, message = BAD[case]
    path, _ = write(tmp_path, config)
    rewrite(path)
    pyqtf.load(path)
    rewrite(path, metadata={f"{config.family}.{key}": value for key, value in metadata.items()})
    with pytest.raises(FormatError, match=message):
        pyqtf.load(path)


def test_tensors_that_gemma_has_no_place_for_are_refused(tmp_path):
    path, _ = write(tmp_path, GEMMA3)
    rewrite(path, tensors={"blk.0.post_ffw_norm.weight": None})
    with pytest.raises(FormatError, match=r"'blk.0.post_ffw_norm.weight' missing"):
        pyqtf.load(path)
    path, _ = write(tmp_path, GEMMA3)
    rewrite(path, tensors={"blk.3.attn_q_norm.weight": np.ones((14, 1), F)})
    with pytest.raises(FormatError, match=r"q_norm.weight' has shape \[14, 1\]"):
        pyqtf.load(path)
    path, weights = write(tmp_path, GEMMA2)
    weights["model.norm.weight"][0][0] = np.nan
    gguf_models.write_gguf(path, GEMMA2, "F32", weights)
    with pytest.raises(FormatError, match=r"model.norm.weight' holds nan at \[0\]"):
        pyqtf.load(path)
    factors = RopeScaling("llama3", 32.0, 8192, fast=4.0, slow=1.0)
    factors = names.rope_factors(replace(GEMMA2, rope_scaling=factors))
    path, _ = write(tmp_path, GEMMA2)
    rewrite(path, tensors={"rope_freqs.weight": factors})
    with pytest.raises(FormatError, match="llama3 scaling is not supported in a gemma2"):
        pyqtf.load(path)
