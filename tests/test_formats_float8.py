"""8-bit floats: every code against torch, and models that consist of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf.formats import FormatError, read_safetensors, save_safetensors

torch = pytest.importorskip("torch")
library = pytest.importorskip("safetensors.torch")

KINDS = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
SIZES = {"vocab_size": 259, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}


def widen(words):
    return (words.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_all_256_codes_are_those_of_torch(name, tmp_path):
    codes = torch.arange(256, dtype=torch.uint8).view(KINDS[name]).reshape(32, 8)
    library.save_file({"w": codes, "one": codes[5, 3].clone()}, tmp_path / "x.safetensors")
    tensors = read_safetensors(tmp_path / "x.safetensors")
    tensor, expected = tensors["w"], codes.float().numpy()
    assert (tensor.dtype, tensor.shape) == (name, (32, 8))
    found = widen(tensor.array())
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])
    assert nan.sum() == {"F8_E4M3": 2, "F8_E5M2": 6}[name]
    np.testing.assert_array_equal(tensor.stored().reshape(-1), np.arange(256))
    np.testing.assert_array_equal(tensor.rows(3, 7), tensor.array()[3:7])
    np.testing.assert_array_equal(np.concatenate([*tensor.row_blocks()]), tensor.array())
    assert widen(tensors["one"].array()) == expected[5, 3]


def test_long_tensors_come_in_blocks_of_rows(tmp_path):
    values = torch.randn(3000, 1001).to(torch.float8_e4m3fn)
    library.save_file({"w": values}, tmp_path / "x.safetensors")
    blocks = [*read_safetensors(tmp_path / "x.safetensors")["w"].row_blocks()]
    assert len(blocks) == 3 and max(block.size for block in blocks) <= 2**20
    np.testing.assert_array_equal(widen(np.concatenate(blocks)), values.float().numpy())


def float8_model(folder, target, kind, extra=()):
    """The folder's model with its matrices in 8 bits, and one with the same values in float32."""
    arrays = {n: t.array() for n, t in read_safetensors(folder / "model.safetensors").items()}
    theirs = {
        name: torch.from_numpy(array.copy()).to(kind if array.ndim == 2 else torch.bfloat16)
        for name, array in arrays.items()
    }
    pair = []
    for name in ("float8", "float32"):
        shutil.copytree(folder, target / name)
        pair.append(target / name)
    library.save_file({**theirs, **dict(extra)}, pair[0] / "model.safetensors")
    values = {name: tensor.float().numpy() for name, tensor in theirs.items()}
    save_safetensors(pair[1] / "model.safetensors", values)
    return pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "one", **SIZES)


@pytest.mark.parametrize("name", KINDS)
def test_a_model_gives_the_bits_of_its_values(name, folder, tmp_path):
    eight, wide = float8_model(folder, tmp_path, KINDS[name])
    models = [pyqtf.load(path, quant="f32") for path in (eight, wide)]
    logits = [model.logits(np.arange(60)) for model in models]
    assert logits[0].tobytes() == logits[1].tobytes()
    # Another format of the same bytes would be another model.
    assert abs(logits[0] - pyqtf.load(folder, quant="f32").logits(np.arange(60))).max() > 1e-3
    assert models[0].fingerprint != models[1].fingerprint
    q8 = pyqtf.load(eight).logits(np.arange(60))
    assert 0 < abs(q8 - logits[0]).mean() < 0.05


def test_float8_goes_into_gguf(folder, tmp_path):
    eight, wide = float8_model(folder, tmp_path, torch.float8_e4m3fn)
    for path in (eight, wide):
        pyqtf.export_gguf(path, path / "x.gguf", dtype="F16")
    found = [
        pyqtf.load(path / "x.gguf", quant="f32").logits(np.arange(9)) for path in (eight, wide)
    ]
    assert found[0].tobytes() == found[1].tobytes()


def test_values_that_are_not_finite_are_named(folder, tmp_path):
    eight, _ = float8_model(folder, tmp_path, torch.float8_e4m3fn)
    path = eight / "model.safetensors"
    tensor = read_safetensors(path)["model.layers.1.mlp.down_proj.weight"]
    data = bytearray(path.read_bytes())
    data[tensor.start + 2 * 96 + 7] = 0xFF
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"layers\.1\.mlp\.down_proj\.weight.*nan at \[2, 7\]"):
        pyqtf.load(eight)


@pytest.mark.parametrize("ending", ["weight_scale", "weight_scale_inv", "input_scale"])
def test_scales_are_refused_by_name(ending, folder, tmp_path):
    name = f"model.layers.0.self_attn.q_proj.{ending}"
    extra = {name: torch.ones(1)}
    eight, _ = float8_model(folder, tmp_path, torch.float8_e4m3fn, extra)
    with pytest.raises(FormatError, match=rf"{name}'.* multiplied by scales"):
        pyqtf.load(eight)
