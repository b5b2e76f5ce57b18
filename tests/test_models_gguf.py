"""Models in GGUF files against transformers with the weights that the gguf package dequantises."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import pyqtf
from pyqtf.formats import FormatError, read_gguf, save_gguf
from pyqtf.formats.gguf_types import READABLE
from pyqtf.models import gguf as names
from pyqtf.models.rope_scaling import RopeScaling

pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
hf_models = pytest.importorskip("hf_models")
gguf_models = pytest.importorskip("gguf_models")

CONFIG = gguf_models.CONFIG
IDS = np.random.default_rng(7).integers(0, 250, 70)


def rope_parameters(config):
    scaling = config.rope_scaling
    if scaling is None:
        return {"rope_theta": config.rope_theta, "rope_type": "default"}
    return {"rope_theta": config.rope_theta, "rope_type": scaling.kind, "factor": scaling.factor,
            "original_max_position_embeddings": scaling.original_length,
            "high_freq_factor": scaling.fast, "low_freq_factor": scaling.slow}  # fmt: skip


def reference_model(config, weights, **options):
    """transformers' model with these weights; `options` are more fields of its config."""
    family = config.family.capitalize()
    text = "Text" if family == "Gemma3" else ""
    options = {"rope_parameters": rope_parameters(config), **options}
    theirs = getattr(transformers, f"{family}ForCausalLM")(
        getattr(transformers, f"{family}{text}Config")(
            vocab_size=config.vocab_size, hidden_size=config.hidden_size,
            num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads, head_dim=config.head_dim,
            intermediate_size=config.intermediate_size, rms_norm_eps=config.rms_norm_eps,
            max_position_embeddings=config.max_position_embeddings,
            tie_word_embeddings=config.tie_word_embeddings, attn_implementation="eager",
            **options,
        )
    )  # fmt: skip
    state = {name: torch.from_numpy(values) for name, (_, values) in weights.items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    return theirs.eval()


def make(tmp_path, dtype="Q8_0", config=CONFIG):
    weights = gguf_models.random_weights(config, dtype)
    gguf_models.write_gguf(tmp_path / "random.gguf", config, dtype, weights)
    return tmp_path / "random.gguf", weights


def compare(path, theirs):
    logits, nll = hf_models.reference(theirs, IDS)
    model = pyqtf.load(path, quant="f32")
    np.testing.assert_allclose(model.logits(IDS), logits, rtol=0, atol=1e-4)
    (losses,) = model.token_losses([IDS])
    np.testing.assert_allclose(losses.nll, nll, rtol=0, atol=1e-4)
    np.testing.assert_allclose(losses.nll.mean(), nll.mean(), rtol=1e-5)


@pytest.mark.parametrize("dtype", READABLE)
def test_every_type_gives_the_loss_of_transformers(dtype, tmp_path):
    path, weights = make(tmp_path, dtype)
    compare(path, reference_model(CONFIG, weights))


@pytest.mark.parametrize(
    "changes",
    [{"tie_word_embeddings": True}, {"head_dim": 32}, {"n_kv_heads": 4}, {"rope_theta": 1e6}],
    ids=str,
)
def test_other_shapes(changes, tmp_path):
    config = replace(CONFIG, **changes)
    path, weights = make(tmp_path, "Q5_1", config)
    assert names.read_config(read_gguf(path)) == config
    compare(path, reference_model(config, weights))


@pytest.mark.parametrize("family", ["qwen3", "llama", "olmo2"])
@pytest.mark.parametrize("dtype", ["F16", "Q4_K"])
def test_other_families(family, dtype, tmp_path):
    config = replace(CONFIG, family=family)
    path, weights = make(tmp_path, dtype, config)
    assert names.read_config(read_gguf(path)) == config
    compare(path, reference_model(config, weights))


def test_factors_of_llama_3(tmp_path):
    scaling = RopeScaling("llama3", 32.0, 8192, fast=4.0, slow=1.0)
    config = replace(CONFIG, family="llama", rope_theta=5e5, rope_scaling=scaling)
    path, weights = make(tmp_path, "F32", config)
    rewrite(path)
    with pytest.raises(AssertionError):
        compare(path, reference_model(config, weights))
    # What transformers makes of the scaling, as factors.
    theirs = reference_model(config, weights)
    plain = 5e5 ** -(torch.arange(0, 64, 2, dtype=torch.float64) / 64)
    factors = (plain / theirs.model.rotary_emb.inv_freq).float().numpy().round(5)
    assert factors.min() == 1 and factors.max() == 32
    rewrite(path, tensors={"rope_freqs.weight": factors})
    assert names.read_config(read_gguf(path)) == config
    compare(path, theirs)
    for wrong in (factors * np.float32(1.01), factors[::-1].copy(), factors[:-1], factors[None]):
        rewrite(path, tensors={"rope_freqs.weight": wrong})
        with pytest.raises(FormatError, match=r"'rope_freqs.weight' is not what Llama 3"):
            pyqtf.load(path)


def matrices(model):
    """The packed matrices of a model, and the names of what is in them."""
    weights = model._decoder.weights
    yield weights.embed, ["model.embed_tokens"]
    yield weights.head, ["lm_head"]
    for i, layer in enumerate(weights.layers):
        for name, parts in [
            ("qkv", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
            ("o", ["self_attn.o_proj"]),
            ("gate_up", ["mlp.gate_proj", "mlp.up_proj"]),
            ("down", ["mlp.down_proj"]),
        ]:
            yield getattr(layer, name), [f"model.layers.{i}.{part}" for part in parts]


# What 8 bits add to each type, as a share of the size of its weights.
@pytest.mark.parametrize(
    ("dtype", "bound"), [("Q8_0", 1e-6), ("Q4_0", 0.02), ("Q4_K", 0.02), ("Q2_K", 0.02)]
)
def test_q8_keeps_the_weights_of_the_file(dtype, bound, tmp_path):
    path, weights = make(tmp_path, dtype)
    for matrix, parts in matrices(pyqtf.load(path)):
        expected = np.concatenate([weights[f"{part}.weight"][1] for part in parts])
        error = np.sqrt(np.mean((matrix.dequantize() - expected) ** 2)) / expected.std()
        assert error < bound


def test_a_loaded_model_has_its_tokenizer_and_is_found_again(tmp_path):
    path, _ = make(tmp_path)
    model = pyqtf.load(path)
    assert (model.name, model.quant) == ("random", "q8")
    assert model.tokenizer.encode("the<|endoftext|>").tolist() == [256, 68, 257]
    assert model.tokenizer.eos_token_id == 257
    logits = model.logits(IDS)
    assert pickle.loads(pickle.dumps(model)).logits(IDS).tobytes() == logits.tobytes()
    model.save(tmp_path / "saved.pyqtf")
    saved = pyqtf.load(tmp_path / "saved.pyqtf")
    assert saved.logits(IDS).tobytes() == logits.tobytes()
    assert saved.tokenizer.encode("the").tolist() == [256, 68]
    assert saved.fingerprint == model.fingerprint
    assert pyqtf.load(path, quant="f32").fingerprint == model.fingerprint


def rewrite(path, *, metadata=(), tensors=()):
    """Write a small F32 model again with other metadata and tensors; None drops one."""
    file = read_gguf(path)
    values = {**file.metadata, **dict(metadata)}
    arrays = {**{name: t.array() for name, t in file.tensors.items()}, **dict(tensors)}
    save_gguf(
        path,
        {key: value for key, value in values.items() if value is not None},
        {name: ("F32", array) for name, array in arrays.items() if array is not None},
    )


SMALL = replace(CONFIG, hidden_size=32, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=16,
                intermediate_size=32)  # fmt: skip

BAD = {
    "no architecture": ({"general.architecture": None}, {}, "architecture None is not supported"),
    "another family": ({"general.architecture": "t5"}, {}, "'t5' is not supported in .* gptneox"),
    "architecture is a list": ({"general.architecture": ["qwen2"]}, {}, "is not supported"),
    "a part": ({"split.count": np.uint16(3)}, {}, "one of 3 parts of a model; join"),
    "parts are a list": ({"split.count": np.arange(3)}, {}, "parts of a model"),
    "no layers": ({"qwen2.block_count": None}, {}, "'qwen2.block_count' is missing"),
    "layers are text": ({"qwen2.block_count": "1"}, {}, "'qwen2.block_count' must be a number"),
    "layers are a list": (
        {"qwen2.block_count": np.ones(2, np.uint32)}, {}, "'qwen2.block_count' must be a number"
    ),
    "layers are a fraction": ({"qwen2.block_count": np.float32(1)}, {}, "whole number"),
    "2^32 - 1 layers": ({"qwen2.block_count": 2**32 - 1}, {}, "n_layers must be from 1"),
    "no heads": ({"qwen2.attention.head_count": 0}, {}, "n_heads|attention heads"),
    "eps is nan": (
        {"qwen2.attention.layer_norm_rms_epsilon": np.float32(np.nan)}, {}, "rms_norm_eps"
    ),
    "longrope": (
        {"qwen2.rope.scaling.type": "longrope"}, {}, "'longrope' is not .* 'none or linear or yarn'"
    ),
    "linear by nothing": ({"qwen2.rope.scaling.type": "linear"}, {}, "scaling.factor' is missing"),
    "scaled attention": (
        {"qwen2.rope.scaling.type": "yarn", "qwen2.rope.scaling.factor": np.float32(2),
         "qwen2.rope.scaling.attn_factor": np.float32(2)}, {}, "attn_factor' = .*computes 1 only"
    ),
    "partial rotary": ({"qwen2.rope.dimension_count": 8}, {}, "computes 16 only"),
    "window": ({"qwen2.attention.sliding_window": 255}, {}, "sliding_window"),
    "window in words": ({"qwen2.attention.sliding_window": "256"}, {}, "sliding_window"),
    "experts": ({"qwen2.expert_count": 8}, {}, "expert_count"),
    "narrow values": ({"qwen2.attention.value_length": 8}, {}, "computes 16 only"),
    "no embedding": ({}, {"token_embd.weight": None}, "expected a matrix 'token_embd.weight'"),
    "flat embedding": ({}, {"token_embd.weight": np.ones(4, np.float32)}, "expected a matrix"),
    "no norm": ({}, {"output_norm.weight": None}, "'output_norm.weight' missing"),
    "no bias": ({}, {"blk.0.attn_k.bias": None}, "'blk.0.attn_k.bias' missing"),
    "a layer too many": ({"qwen2.block_count": 2}, {}, "'blk.1.* missing"),
    "unknown tensor": ({}, {"blk.0.extra": np.ones(8, np.float32)}, "'blk.0.extra'.* unexpected"),
    "no scaling": ({}, {"rope_freqs.weight": np.ones(8, np.float32)}, "'rope_freqs.weight' is not"),
    "another shape": ({"qwen2.feed_forward_length": 64}, {}, r"asks for \[64, 32\]"),
    "no vocabulary": ({"tokenizer.ggml.model": None}, {}, "model None"),
    "another vocabulary": ({"tokenizer.ggml.model": "bert"}, {}, "model 'bert'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case, tmp_path):
    metadata, tensors, message = BAD[case]
    path, _ = make(tmp_path, "F32", SMALL)
    rewrite(path)
    pyqtf.load(path)
    rewrite(path, metadata=metadata, tensors=tensors)
    with pytest.raises(FormatError, match=message):
        pyqtf.load(path)


def test_a_window_that_no_text_outgrows_changes_nothing(tmp_path):
    path, _ = make(tmp_path, "F32", SMALL)
    rewrite(path)
    config = pyqtf.load(path).config
    rewrite(path, metadata={"qwen2.attention.sliding_window": config.max_position_embeddings})
    assert pyqtf.load(path).config == config


def test_metadata_of_any_type_is_read_or_refused(tmp_path):
    path, _ = make(tmp_path, "F32", SMALL)
    original = read_gguf(path).metadata
    values = ["", "x", True, np.int8(-1), np.uint64(2**64 - 1), np.float64(np.inf), [], ["a"],
              np.zeros(3, np.uint8), np.ones(0, bool)]  # fmt: skip
    refused = 0
    for key in original:
        for value in values:
            rewrite(path, metadata={**original, key: value})
            try:
                pyqtf.load(path)
            except FormatError as error:
                refused += 1
                assert "random.gguf" in str(error) or "config" in str(error)
    assert refused > 100


def test_weights_that_are_not_finite_are_named(tmp_path):
    path, weights = make(tmp_path)
    blocks = weights["model.layers.1.mlp.down_proj.weight"][0]
    blocks[3, 34:36] = [0, 0x7C]  # the second block's scale is infinite
    gguf_models.write_gguf(path, CONFIG, "Q8_0", weights)
    with pytest.raises(FormatError, match=r"layers\.1\.mlp\.down_proj\.weight.*at \[3, 32\]"):
        pyqtf.load(path)
