"""Weights that don't fit their config, tied heads, and what is given back while loading."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_models import write_model

from pyqtf._memory import available_memory, peak_memory
from pyqtf.formats import FormatError, open_folder, save_safetensors
from pyqtf.models import read_config
from pyqtf.models import weights as weights_module
from pyqtf.models.loader import load_weights
from pyqtf.models.weights import resolve_tied

Q1 = "model.layers.1.self_attn.q_proj.weight"
HEAD, EMBED = "lm_head.weight", "model.embed_tokens.weight"


def write(folder: Path, *, tied: bool = False, hidden: int = 12, **tensors) -> Path:
    return write_model(folder, tensors=tensors, tie_word_embeddings=tied, hidden_size=hidden)


def load(folder: Path, quant: str = "f32"):
    tensors, config = open_folder(folder), read_config(folder)
    config = resolve_tied(tensors, config)
    return config, tensors, load_weights(tensors, config, quant)


def test_parts_are_stacked_in_order(tmp_path):
    _, tensors, weights = load(write(tmp_path))
    layer = weights.layers[1]

    def stacked(*names):
        return np.concatenate([tensors[f"model.layers.1.{name}"].array() for name in names])

    qkv = [f"self_attn.{x}_proj" for x in "qkv"]
    for matrix, names in [
        (layer.qkv, qkv),
        (layer.o, ["self_attn.o_proj"]),
        (layer.gate_up, ["mlp.gate_proj", "mlp.up_proj"]),
        (layer.down, ["mlp.down_proj"]),
    ]:
        expected = stacked(*(f"{name}.weight" for name in names))
        np.testing.assert_array_equal(matrix.dequantize(), expected)
    np.testing.assert_array_equal(layer.qkv_bias, stacked(*(f"{name}.bias" for name in qkv)))
    np.testing.assert_array_equal(layer.attn_norm, stacked("input_layernorm.weight"))
    np.testing.assert_array_equal(layer.ffn_norm, stacked("post_attention_layernorm.weight"))
    np.testing.assert_array_equal(weights.head.dequantize(), tensors[HEAD].array())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_widened_exactly(dtype, tmp_path):
    rng = np.random.default_rng(1)
    words = rng.integers(0, 0x7C00 if dtype == "float16" else 0x7F80, 31 * 12).astype(np.uint16)
    if dtype == "float16":
        stored, wide = words.view(np.float16), words.view(np.float16).astype(np.float32)
    else:
        stored, wide = words, (words.astype(np.uint32) << 16).view(np.float32)
    folder = write(tmp_path, **{
        EMBED: stored.reshape(31, 12), "model.norm.weight": stored[:12],
    })  # fmt: skip
    _, _, weights = load(folder)
    np.testing.assert_array_equal(weights.embed.dequantize(), wide.reshape(31, 12))
    np.testing.assert_array_equal(weights.norm, wide[:12])


def test_a_tied_head_is_the_embedding(tmp_path):
    config, _, weights = load(write(tmp_path, tied=True))
    assert config.tie_word_embeddings and weights.head is weights.embed


def test_an_equal_head_beside_a_tied_config_is_the_embedding(tmp_path):
    embed = np.ones((31, 12), np.float32)
    config, _, weights = load(write(tmp_path, tied=True, **{EMBED: embed, HEAD: embed}))
    assert config.tie_word_embeddings and weights.head is weights.embed


def test_another_head_beside_a_tied_config_is_used_with_a_warning(tmp_path):
    head = np.ones((31, 12), np.float32)
    with pytest.warns(UserWarning, match="the file has both and they differ"):
        config, _, weights = load(write(tmp_path, tied=True, **{HEAD: head}))
    assert not config.tie_word_embeddings
    np.testing.assert_array_equal(weights.head.dequantize(), head)


def test_tensors_of_old_checkpoints_are_ignored(tmp_path):
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(3, np.float32)}
    load(write(tmp_path, **extra))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({Q1: None}, f"'{Q1}': missing"),
        ({HEAD: None}, f"'{HEAD}': missing"),
        ({f"model.layers.{i}.mlp.up_proj.weight": None for i in (0, 1)}, "missing"),
        ({"model.layers.2.mlp.up_proj.weight": np.ones((20, 12), np.float32)}, "unexpected"),
        ({Q1: np.ones((12, 13), np.float32)}, rf"'{Q1}' has shape \[12, 13\].*asks for \[12, 12\]"),
        ({Q1: np.ones(144, np.float32)}, r"has shape \[144\]"),
        ({Q1: np.ones((12, 12), np.int8)}, f"'{Q1}' is I8; weights are read from F32, F16, BF16"),
        ({"model.norm.weight": np.ones((12, 1), np.float32)}, r"asks for \[12\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(changes, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        load(write(tmp_path, **changes))


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint16])
def test_weights_that_are_not_finite_are_named(quant, value, dtype, tmp_path):
    bad = np.zeros((72, 72), np.float32)
    bad[7, 3] = value
    bad = (bad.view(np.uint32) >> 16).astype(np.uint16) if dtype == np.uint16 else bad.astype(dtype)
    folder = write(tmp_path, hidden=72, **{Q1: bad})
    with pytest.raises(FormatError, match=rf"'{Q1}' holds {value} at \[7, 3\]"):
        load(folder, quant)
    folder = write(tmp_path, hidden=72, **{"model.layers.0.self_attn.v_proj.bias": bad[7, :36]})
    with pytest.raises(FormatError, match=rf"v_proj.bias' holds {value} at \[3\]"):
        load(folder, quant)


@pytest.mark.parametrize("quant", ["q8", "q4"])
def test_rows_of_at_most_64_weights_are_not_rounded(quant, tmp_path):
    norm = np.ones(64, np.float32)
    norm[5] = 64.0  # nor evened, as an outlier is before rounding
    tensors = {"model.layers.0.input_layernorm.weight": norm}
    sizes = {"hidden_size": 64, "intermediate_size": 65, "head_dim": 34}
    folder = write_model(tmp_path, tensors=tensors, **sizes)
    exact, weights = load(folder)[2], load(folder, quant)[2]
    assert (weights.embed.quant, weights.head.quant) == ("f32", "f32")
    assert weights.layers[0].attn_norm.tobytes() == norm.tobytes()
    for layer, as_read in zip(weights.layers, exact.layers, strict=True):
        assert (layer.qkv.quant, layer.gate_up.quant) == ("f32", "f32")
        assert layer.qkv.dequantize().tobytes() == as_read.qkv.dequantize().tobytes()
        # Rows of 68 and 65.
        assert (layer.o.quant, layer.down.quant) == (quant, quant)


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_memory_is_known_before(quant, tied, tmp_path):
    config, _, weights = load(write(tmp_path, tied=tied, hidden=72), quant)
    parts = [weights.embed, weights.norm, *([] if tied else [weights.head])]
    parts += [value for layer in weights.layers for value in vars(layer).values()]
    expected = sum(part.nbytes for part in parts if part is not None)
    assert weights_module.packed_bytes(config, quant) == expected


def test_a_model_that_does_not_fit_is_refused_before(tmp_path, monkeypatch):
    config = read_config(write(tmp_path, hidden=72))
    for quant, least, advice in [("f32", "q8", "q8 would fit"), ("q8", "q4", "choose a smaller")]:
        free = weights_module.packed_bytes(config, least) + 100_000_000 - (quant == "q8")
        monkeypatch.setattr(weights_module, "available_memory", lambda: free)  # noqa: B023
        with pytest.raises(MemoryError, match=rf"{quant} needs 0\.1 GB, and 0\.1 GB .*{advice}"):
            load(tmp_path, quant)
        if quant == "f32":
            load(tmp_path, "q8")


def test_memory_within_a_container(tmp_path):
    def tell(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert available_memory(tmp_path) > 2**60
    tell("proc/meminfo", "MemTotal: 99 kB\nMemAvailable:   2000 kB\n")
    assert available_memory(tmp_path) == 2_048_000
    tell("sys/fs/cgroup/memory.current", "300000\n")
    tell("sys/fs/cgroup/memory.max", "max\n")
    assert available_memory(tmp_path) == 2_048_000
    tell("sys/fs/cgroup/memory.max", "1000000\n")
    assert available_memory(tmp_path) == 700_000


def test_the_fingerprint_is_that_of_config_and_weights(tmp_path):
    def fingerprint(folder, quant="f32"):
        return load(folder, quant)[2].fingerprint

    first = fingerprint(write(tmp_path / "a"))
    assert fingerprint(write(tmp_path / "b"), "q8") == first
    shards = tmp_path / "b"
    tensors = {name: tensor.array() for name, tensor in open_folder(shards).items()}
    (shards / "model.safetensors").unlink()
    names = sorted(tensors, reverse=True)
    weight_map = {}
    for shard, part in [("1.safetensors", names[:5]), ("2.safetensors", names[5:])]:
        save_safetensors(shards / shard, {name: tensors[name] for name in part})
        weight_map |= dict.fromkeys(part, shard)
    index = json.dumps({"weight_map": weight_map})
    (shards / "model.safetensors.index.json").write_text(index)
    assert fingerprint(shards) == first
    changed = tensors["model.norm.weight"].copy()
    changed[5] = np.nextafter(changed[5], np.float32(9))
    others = [
        fingerprint(write(tmp_path / "c", **{"model.norm.weight": changed})),
        fingerprint(write_model(tmp_path / "d", tie_word_embeddings=True)),
        fingerprint(write_model(tmp_path / "e", rope_theta=1.5e4)),
    ]
    assert len({first, *others}) == 4


def test_the_peak_of_memory_is_this_process_own_and_not_its_parents():
    """As `getrusage` has it, which counts what a child's parent held when it was started."""
    held = np.ones(40_000_000)
    program = "from pyqtf._memory import peak_memory; print(peak_memory())"
    child = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert peak_memory() > held.nbytes > int(child.stdout) > 10_000_000


def test_where_the_system_tells_no_peak_getrusage_does(tmp_path):
    assert peak_memory(tmp_path) > 10_000_000
