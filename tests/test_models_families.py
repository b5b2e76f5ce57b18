"""Each family against transformers on random models, and against mutants of what sets it apart."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import pyqtf
from pyqtf import _core
from pyqtf.formats import open_folder, save_safetensors
from pyqtf.generation import Sampling, new_ids
from pyqtf.models.rope import rotary_angles

pytest.importorskip("torch")
import hf_models
import mutants

LENGTH = 47
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
SIZES = {"vocab": 269, "hidden": 72, "layers": 2, "heads": 6, "kv": 2, "ffn": 99}
# The root of this width is no number that bfloat16 has.
WIDE = {**SIZES, "hidden": 78}

MODELS = {
    "qwen3": {"family": "Qwen3", "head_dim": 14, **SIZES},
    "qwen3 tied": {"family": "Qwen3", "head_dim": 6, "tied": True, **SIZES},
    "qwen2 yarn": {"rope": YARN, **SIZES},
    "llama": {"family": "Llama", "tied": True, **SIZES},
    "llama wide": {"family": "Llama", "head_dim": 10, "dtype": "bfloat16", **SIZES},
    "llama3": {"family": "Llama", "rope": LLAMA3, "theta": 5e3, "head_dim": 20, **SIZES},
    "llama linear": {"family": "Llama", "rope": {"rope_type": "linear", "factor": 2.5}, **SIZES},
    "llama yarn": {
        "family": "Llama",
        "rope": {**YARN, "attention_factor": 1.3},
        "head_dim": 20,
        **SIZES,
    },
    "mistral": {"family": "Mistral", "head_dim": 8, "sliding_window": None, **SIZES},
    "mistral sliding": {"family": "Mistral", "sliding_window": 70, "length": 201, **SIZES},
    "qwen2 sliding": {
        "use_sliding_window": True,
        "sliding_window": 11,
        "max_window_layers": 1,
        **SIZES,
    },
    "qwen3 sliding": {
        "family": "Qwen3",
        "head_dim": 14,
        "use_sliding_window": True,
        "sliding_window": 66,
        "layer_types": ["sliding_attention", "full_attention"],
        "length": 140,
        **SIZES,
    },
    "olmo2": {"family": "Olmo2", **SIZES},
    "gpt2": {"family": "GPT2", "tied": True, **SIZES, "kv": 6},
    "gpt2 f16": {"family": "GPT2", "dtype": "float16", "n_inner": None, **SIZES, "kv": 6},
    "olmo2 tied": {"family": "Olmo2", "tied": True, **SIZES, "kv": 6},
    "neox": {
        "family": "GPTNeoX",
        "rope": {"partial_rotary_factor": 0.5},
        **SIZES,
        "heads": 3,
        "kv": 3,
    },
    "gemma2": {
        "family": "Gemma2",
        "head_dim": 14,
        "query_pre_attn_scalar": 20,
        "sliding_window": 9,
        "attn_logit_softcapping": 4.0,
        "final_logit_softcapping": 3.0,
        "tied": True,
        **WIDE,
    },
    "gemma2 uncapped": {
        "family": "Gemma2",
        "sliding_window": 70,
        "head_dim": 256,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "dtype": "bfloat16",
        "length": 150,
        **WIDE,
        "layers": 3,
    },
    "gemma3": {
        "family": "Gemma3",
        "head_dim": 10,
        "query_pre_attn_scalar": 12,
        "sliding_window": 21,
        "sliding_window_pattern": 2,
        "final_logit_softcapping": 5.0,
        "rope": {"rope_type": "linear", "factor": 8.0},
        "theta": 1e5,
        "tied": True,
        **WIDE,
        "layers": 3,
    },
    "phi": {"family": "Phi", "rope": {"partial_rotary_factor": 0.5}, **SIZES, "heads": 3, "kv": 3},
    "phi grouped": {
        "family": "Phi",
        "rope": {"partial_rotary_factor": 0.4},
        "hidden_act": "gelu",
        "tied": True,
        "dtype": "float16",
        **SIZES,
        "hidden": 80,
        "heads": 4,
    },
    "neox serial": {
        "family": "GPTNeoX",
        "rope": {"partial_rotary_factor": 1.0, "rope_type": "linear", "factor": 2.5},
        "use_parallel_residual": False,
        "hidden_act": "gelu_fast",
        "tied": True,
        "dtype": "float16",
        **SIZES,
        "kv": 6,
    },
}


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    """A folder with a random model, and transformers' results for one text."""
    folder = tmp_path_factory.mktemp("family")
    facts = {"length": LENGTH, **MODELS[request.param]}
    length = facts.pop("length")
    theirs = hf_models.make_model(folder, seed=len(request.param), **facts)
    ids = np.random.default_rng(5).integers(0, SIZES["vocab"], length)
    expected = hf_models.reference(theirs, ids)
    greedy = hf_models.greedy(theirs, ids[:7], 100)
    return SimpleNamespace(
        name=request.param, folder=folder, ids=ids, expected=expected, greedy=greedy,
        n_params=theirs.num_parameters(), theirs=theirs,
    )  # fmt: skip


def test_f32_equals_transformers(pair):
    model = pyqtf.load(pair.folder, quant="f32")
    hf_models.compare(model, pair.expected, pair.ids)
    assert model.n_params == pair.n_params


def test_the_dialect_of_transformers_4_gives_the_same_bits(pair):
    if pair.name.startswith("gpt2"):
        return  # no rotary embedding, no dialects
    before = pyqtf.load(pair.folder, quant="f32").logits(pair.ids)
    hf_models.to_dialect_4(pair.folder)
    after = pyqtf.load(pair.folder, quant="f32").logits(pair.ids)
    assert before.tobytes() == after.tobytes()


def test_q8_is_near_and_comes_back_when_saved(pair, tmp_path):
    model = pyqtf.load(pair.folder)
    logits = model.logits(pair.ids)
    spread = pair.expected[0].std()
    assert 0 < np.sqrt(np.mean((logits - pair.expected[0]) ** 2)) < 0.1 * spread
    model.save(tmp_path / "model.pyqtf")
    again = pyqtf.load(tmp_path / "model.pyqtf")
    assert again.config == model.config
    assert again.logits(pair.ids).tobytes() == logits.tobytes()


def test_a_text_in_pieces_gives_the_same_bits(pair):
    model = pyqtf.load(pair.folder)
    cache = pyqtf.KVCache(model.config)
    pieces = np.split(pair.ids, [1, 20, 33, len(pair.ids) - 2])
    logits = [model.logits(piece, cache=cache) for piece in pieces]
    assert np.concatenate(logits).tobytes() == model.logits(pair.ids).tobytes()


def test_hidden_states_and_attention_weights_equal_transformers(pair):
    with hf_models.torch.no_grad():
        theirs = pair.theirs(
            hf_models.torch.from_numpy(pair.ids)[None],
            output_hidden_states=True, output_attentions=True,
        )  # fmt: skip
    model = pyqtf.load(pair.folder, quant="f32")
    ours = model(pair.ids, output_hidden_states=True, output_attentions=True)
    for name in ("hidden_states", "attentions"):
        expected = getattr(theirs, name)
        assert len(getattr(ours, name)) == len(expected)
        for a, b in zip(getattr(ours, name), expected, strict=True):
            np.testing.assert_allclose(a, b[0].numpy(), rtol=1e-5, atol=1e-4)
    assert ours.logits.tobytes() == model.logits(pair.ids).tobytes()
    plain = model(pair.ids)
    assert plain.hidden_states is None and plain.attentions is None


def test_greedy_text_equals_transformers(pair):
    prompt = pair.ids[:7]
    model = pyqtf.load(pair.folder, quant="f32")
    n_tokens = min(100, model.config.max_position_embeddings - len(prompt))
    ids = new_ids(model._decoder, prompt, SIZES["vocab"], Sampling())
    assert list(itertools.islice(ids, n_tokens)) == pair.greedy[:n_tokens]


def ignore(field):
    """A weight set to ones."""

    def mutate(model):
        mutants.with_layers(model, **{field: np.ones_like})

    mutate.__name__ = f"{field}_ignored"
    return mutate


def absent(field):
    """A step left out."""

    def mutate(model):
        mutants.with_layers(model, **{field: lambda weight: None})

    mutate.__name__ = f"{field}_left_out"
    return mutate


def rope_scaled_by(factor, **others):
    def mutate(model):
        scaling = model.config.rope_scaling
        scaling = replace(scaling, factor=factor * scaling.factor, **others)
        mutants.with_config(model, rope_scaling=scaling)

    return mutate


def left_out_above(field):
    """A weight of the whole model left out or set to zeros."""

    def mutate(model):
        weights = model._decoder.weights
        value = getattr(weights, field)
        changed = None if field == "positions" else np.zeros_like(value)
        model._decoder.weights = replace(weights, **{field: changed})

    return mutate


def queries_and_keys_exchanged(model):
    def swap(bias):
        q, k, v = np.split(bias, 3)
        return np.concatenate([k, q, v])

    mutants.with_layers(model, qkv_bias=swap)


def silu_for_gelu(model):
    decoder = model._decoder

    def feed_forward(layer, source, x):
        h = decoder._norm(source, layer.ffn_norm, layer.ffn_norm_bias)
        h = _core.matmul(h, layer.gate_up, bias=layer.gate_up_bias)
        h = _core.swiglu(np.hstack([h, np.ones_like(h)]))
        decoder._add(x, h, layer.down, layer.down_bias, layer.ffn_post_norm)

    decoder._feed_forward = feed_forward


def changed(**fields):
    """Fields of the config, which the decoder computes by."""

    def mutate(model):
        mutants.with_config(model, **fields)

    mutate.__name__ = f"changed {fields}"
    return mutate


def gate_by_erf(model):
    decoder = model._decoder

    def feed_forward(layer, source, x):
        h = decoder._norm(source, layer.ffn_norm)
        gate, up = np.split(_core.matmul(h, layer.gate_up), 2, axis=1)
        h = _core.gelu_erf(np.ascontiguousarray(gate)) * up
        decoder._add(x, h, layer.down, None, layer.ffn_post_norm)

    decoder._feed_forward = feed_forward


def embeddings_scaled_as_in_bfloat16(model):
    weights = model._decoder.weights
    root = hf_models.torch.tensor(model.config.hidden_size**0.5)
    factor = np.float32(root.bfloat16().float() / root)
    embed = _core.pack([weights.embed.dequantize() * factor], "f32")
    model._decoder.weights = replace(weights, embed=embed)


def norms_without_their_one(field):
    def mutate(model):
        mutants.with_layers(model, **{field: lambda weight: weight - 1})

    mutate.__name__ = f"{field}_without_its_one"
    return mutate


def final_norm_without_its_one(model):
    weights = model._decoder.weights
    model._decoder.weights = replace(weights, norm=weights.norm - 1)


def qkv_not_by_head(model):
    c = model.config

    def back(rows):
        heads = rows.reshape(3, c.n_heads, c.head_dim, -1)
        return heads.transpose(1, 0, 2, 3).reshape(rows.shape)

    mutants.with_layers(
        model, qkv=lambda w: _core.pack([back(w.dequantize())], "f32"), qkv_bias=back
    )


def first_head_norms_all(model):
    def short(weight):
        return weight[: model.config.head_dim]

    mutants.with_layers(model, q_norm=short, k_norm=short)


def attention_not_sharpened(model):
    scaling = replace(model.config.rope_scaling, attention_factor=1.0)
    mutants.with_config(model, rope_scaling=scaling)


QK_NORMS = [f(name) for f in (ignore, absent) for name in ("q_norm", "k_norm")]
PRE_NORMS = [f(name) for f in (ignore, absent) for name in ("attn_norm", "ffn_norm")]
POST_NORMS = [f(name) for f in (ignore, absent) for name in ("attn_post_norm", "ffn_post_norm")]
LAYER_BIASES = [
    absent(name)
    for name in (
        "attn_norm_bias",
        "qkv_bias",
        "o_bias",
        "ffn_norm_bias",
        "gate_up_bias",
        "down_bias",
    )
]
FULL, SLIDING = "full_attention", "sliding_attention"
GEMMA = [
    *PRE_NORMS,
    *POST_NORMS,
    *(norms_without_their_one(f"{kind}norm") for kind in ("attn_", "ffn_")),
    *(norms_without_their_one(f"{kind}_post_norm") for kind in ("attn", "ffn")),
    final_norm_without_its_one,
    embeddings_scaled_as_in_bfloat16,
    gate_by_erf,
    changed(scaled_embeddings=False),
    changed(activation="swiglu"),
    changed(query_pre_attn_scalar=None),
    changed(layer_types=()),
]
SCALED = [changed(rope_scaling=None), rope_scaled_by(1.1)]
PARTICULARS = {
    "qwen3": [*QK_NORMS, *PRE_NORMS],
    "qwen3 tied": QK_NORMS,
    "qwen2 yarn": [*SCALED, attention_not_sharpened],
    "llama": PRE_NORMS,
    "llama3": [*SCALED, rope_scaled_by(1, fast=5.0), rope_scaled_by(1, slow=0.7)],
    "llama linear": SCALED,
    "llama yarn": [*SCALED, attention_not_sharpened, rope_scaled_by(1, fast=1.2)],
    "gpt2": [
        *PRE_NORMS,
        *LAYER_BIASES,
        left_out_above("positions"),
        left_out_above("norm_bias"),
        queries_and_keys_exchanged,
        silu_for_gelu,
        changed(activation="gelu_erf"),
    ],
    "mistral sliding": [
        changed(layer_types=()),
        changed(sliding_window=69),
        changed(sliding_window=71),
        changed(layer_types=(SLIDING, FULL)),
    ],
    "qwen2 sliding": [
        changed(layer_types=()),
        changed(sliding_window=12),
        changed(layer_types=(SLIDING, FULL)),
        changed(layer_types=(SLIDING, SLIDING)),
    ],
    "qwen3 sliding": [
        changed(layer_types=()),
        changed(sliding_window=65),
        changed(layer_types=(FULL, SLIDING)),
    ],
    "olmo2": [*QK_NORMS, *POST_NORMS, first_head_norms_all],
    "olmo2 tied": POST_NORMS,
    "neox": [
        *PRE_NORMS,
        *LAYER_BIASES,
        left_out_above("norm_bias"),
        qkv_not_by_head,
        silu_for_gelu,
        changed(activation="gelu"),
        changed(parallel_residual=False),
        changed(partial_rotary_factor=1.0),
        changed(rope_theta=None),
        changed(rms_norm_eps=1e-3),
    ],
    "gemma2": [
        *GEMMA,
        changed(attn_logit_softcapping=0.0),
        changed(attn_logit_softcapping=4.1),
        changed(final_logit_softcapping=0.0),
        changed(final_logit_softcapping=3.01),
        changed(sliding_window=10),
        changed(layer_types=(FULL, SLIDING)),
    ],
    "gemma2 uncapped": [
        changed(attn_logit_softcapping=50.0),
        changed(final_logit_softcapping=30.0),
        changed(sliding_window=69),
        changed(layer_types=(SLIDING, FULL, FULL)),
    ],
    "gemma3": [
        *GEMMA,
        *QK_NORMS,
        *SCALED,
        *(norms_without_their_one(name) for name in ("q_norm", "k_norm")),
        changed(local_rope_theta=None),
        changed(local_rope_theta=3.1e3),
        changed(rope_theta=1.1e5),
        changed(final_logit_softcapping=0.0),
        changed(sliding_window=20),
        changed(layer_types=(SLIDING, SLIDING, FULL)),
    ],
    "phi": [
        *PRE_NORMS,
        *LAYER_BIASES,
        left_out_above("norm_bias"),
        left_out_above("head_bias"),
        silu_for_gelu,
        changed(activation="gelu_erf"),
        changed(parallel_residual=False),
        changed(partial_rotary_factor=1.0),
        changed(rms_norm_eps=1e-3),
    ],
    "phi grouped": [changed(activation="gelu"), changed(partial_rotary_factor=0.6)],
    "neox serial": [
        *SCALED,
        changed(activation="gelu_erf"),
        changed(parallel_residual=True),
        changed(partial_rotary_factor=2 / 3),
    ],
}


def test_mutants_fail_the_comparison(pair):
    for mutate in PARTICULARS.get(pair.name, []):
        model = pyqtf.load(pair.folder, quant="f32")
        mutate(model)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            hf_models.compare(model, pair.expected, pair.ids)


def test_gpt2_files_without_a_prefix_and_with_masks_give_the_same_bits(pair):
    if pair.name == "gpt2":
        before = pyqtf.load(pair.folder)
        tensors = {
            name.removeprefix("transformer."): tensor.array().copy()
            for name, tensor in open_folder(pair.folder).items()
        }
        tensors |= {f"h.{i}.attn.bias": np.ones((1, 1, 8, 8), np.float32) for i in (0, 1)}
        save_safetensors(pair.folder / "model.safetensors", tensors)
        after = pyqtf.load(pair.folder)
        assert after.logits(pair.ids).tobytes() == before.logits(pair.ids).tobytes()
        assert after.fingerprint == before.fingerprint


def test_gpt_neox_files_with_masks_and_angles_give_the_same_bits(pair):
    if pair.name == "neox":
        before = pyqtf.load(pair.folder)
        tensors = {n: t.array().copy() for n, t in open_folder(pair.folder).items()}
        for i in (0, 1):
            prefix = f"gpt_neox.layers.{i}.attention."
            tensors[prefix + "bias"] = np.ones((1, 1, 8, 8), bool)
            tensors[prefix + "masked_bias"] = np.array([-1e9], np.float32)
        save_safetensors(pair.folder / "model.safetensors", tensors)
        after = pyqtf.load(pair.folder)
        assert after.logits(pair.ids).tobytes() == before.logits(pair.ids).tobytes()


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": 4.0},
        {**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192},
        {**YARN, "original_max_position_embeddings": 32768},
        {**YARN, "beta_fast": 16.0, "beta_slow": 2.0, "attention_factor": 0.8},
        {**YARN, "factor": 1.0},
    ],
)
@pytest.mark.parametrize(("theta", "head_dim"), [(1e6, 64), (5e5, 128), (1e4, 34)])
def test_angles_equal_transformers(rope, theta, head_dim, tmp_path):
    torch = hf_models.torch
    sizes = {**SIZES, "layers": 1, "heads": 1, "kv": 1, "hidden": head_dim}
    theirs = hf_models.make_model(
        tmp_path, family="Llama", theta=theta, rope=rope, max_position_embeddings=131072, **sizes
    )
    config = pyqtf.load(tmp_path).config
    positions = torch.tensor([[0, 1, 2, 63, 1000, 4097, 32767]])
    cos, sin = theirs.model.rotary_emb(torch.zeros(1), positions)
    ours = rotary_angles(config, 32768)
    for table, expected in zip(ours, (cos, sin), strict=True):
        half = expected[0, :, : head_dim // 2].numpy()
        # An angle of 32767 has steps of 0.002 in float32: frequencies one step apart differ so.
        tolerance = 1e-6 + 1.2e-7 * positions.numpy()[0][:, None]
        assert (np.abs(table[positions.numpy()[0]] - half) <= tolerance).all()
