"""Saved models: the same bits when mapped back, and refusing files that are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import write_model

import pyqtf
from pyqtf import _core
from pyqtf.formats import FormatError, save_safetensors
from pyqtf.formats.safetensors import read_with_metadata
from pyqtf.models import saved as saved_module

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture(scope="module", params=["q8", "q4", "f32"])
def quant(request):
    return request.param


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request, quant, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    write_model(folder, tie_word_embeddings=request.param, hidden_size=72, intermediate_size=80)
    (folder / "tokenizer_config.json").write_text('{"bos_token": null, "eos_token": "!"}')
    return pyqtf.load(folder, quant=quant)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "small.pyqtf"
    model.save(path)
    return path


def test_the_bits_are_the_same(model, path, tmp_path):
    again = pyqtf.load(path)
    assert again.logits(IDS).tobytes() == model.logits(IDS).tobytes()
    assert (again.name, again.quant, again.config) == (model.name, model.quant, model.config)
    assert (again.n_params, again.fingerprint) == (model.n_params, model.fingerprint)
    assert again.tokenizer.vocab == model.tokenizer.vocab
    assert (again.tokenizer.eos_token, again.tokenizer.bos_token) == ("!", None)
    again.save(tmp_path / "again.pyqtf")
    assert (tmp_path / "again.pyqtf").read_bytes() == path.read_bytes()


def test_nothing_is_copied(path):
    model = pyqtf.load(path)
    layer = model._decoder.weights.layers[1]
    for matrix in (layer.qkv, layer.down, model._decoder.weights.embed):
        data, _ = _core.packed(matrix)
        offset = path.read_bytes().find(data.tobytes())
        assert offset % 64 == 0
        mapped = data.ctypes.data - offset
        assert mapped % 4096 == 0


def test_the_quant_of_a_saved_model_can_not_be_changed(path, quant):
    assert pyqtf.load(path, quant=quant).quant == quant
    other = {"q8": "q4", "q4": "f32", "f32": "q8"}[quant]
    with pytest.raises(ValueError, match=f"holds a model in {quant}; load the original"):
        pyqtf.load(path, quant=other)


def test_every_damaged_byte_is_noticed(path, tmp_path):
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.pyqtf"
    rng = np.random.default_rng(0)
    for at in [*range(0, 300, 7), *rng.integers(0, len(whole), 60), len(whole) - 1]:
        changed = bytearray(whole)
        changed[at] ^= 1
        damaged.write_bytes(changed)
        with pytest.raises(FormatError):
            pyqtf.load(damaged)


@given(length=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_cut_file_is_refused(length, path, tmp_path_factory):
    whole = path.read_bytes()
    cut = tmp_path_factory.getbasetemp() / "cut.pyqtf"
    cut.write_bytes(whole[: length % len(whole)])
    with pytest.raises(FormatError):
        pyqtf.load(cut)


def rewrite(path, target, change_facts=lambda facts: None, change_tensors=lambda tensors: None):
    """A copy with another header or tensors, and a hash that fits them."""
    metadata, tensors = read_with_metadata(path)
    facts = json.loads(metadata["pyqtf"])
    arrays = {name: tensor.array() for name, tensor in tensors.items()}
    change_facts(facts)
    change_tensors(arrays)
    text = json.dumps(facts)
    digest = saved_module._digest(text, arrays)
    save_safetensors(target, arrays, metadata={"pyqtf": text, "digest": digest})
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(format="pyqtf 99"), "'pyqtf 99', but this version of pyqtf reads"),
        (lambda f: f.pop("format"), "the format is None"),
        (lambda f: f.pop("config"), "not a whole model: 'config'"),
        (lambda f: f.update(config=7), "not a whole model"),
        (lambda f: f["config"].update(hidden_size=13), "not a whole model"),
        (lambda f: f["config"].update(vocab_size=3000), "not a whole model"),
        (lambda f: f["config"].update(n_layers=3), "not a whole model"),
        (lambda f: f["config"].update(n_layers=2.5), "not a whole model"),
        (lambda f: f["config"].update(head_dim=-2), "head_dim must be from 1"),
        (lambda f: f["config"].update(family="bert"), "not a whole model"),
        (lambda f: f["config"].update(surprise=1), "not a whole model"),
        (lambda f: f.update(quant="q3"), "not a whole model: quant"),
        (lambda f: f.update(matrices={}), "not a whole model: 'embed'"),
        (lambda f: f["matrices"].update(embed=["q3", 128]), "not a whole model: quant: expected"),
        (lambda f: f["matrices"].update(embed=[]), "not a whole model"),
        (lambda f: f.pop("special"), "not a whole model"),
    ],
)
def test_a_header_that_lies_is_refused(change, message, path, tmp_path):
    target = rewrite(path, tmp_path / "lies.pyqtf", change_facts=change)
    with pytest.raises(FormatError, match=message):
        pyqtf.load(target)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("layers.1.qkv.data"),
        lambda t: t.pop("norm"),
        lambda t: t.pop("tokenizer.json"),
        lambda t: t.update({"norm": t["norm"][:-1]}),
        lambda t: t.update({"norm": t["norm"].astype(np.float16)}),
        lambda t: t.update({"embed.data": t["embed.data"][:-128]}),
        lambda t: t.update({"embed.scales": t["embed.scales"].astype(np.float16)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change, path, tmp_path, quant):
    target = rewrite(path, tmp_path / "lies.pyqtf", change_tensors=change)
    if quant == "f32" and "embed.scales" in change.__code__.co_consts:
        pyqtf.load(target)  # f32 has no scales to read
        return
    with pytest.raises(FormatError, match="not a whole model"):
        pyqtf.load(target)


def test_another_safetensors_file_is_refused(tmp_path):
    save_safetensors(tmp_path / "x.safetensors", {"w": np.ones(3, np.float32)})
    with pytest.raises(FormatError, match=r"expected a file that model\.save wrote"):
        pyqtf.load(tmp_path / "x.safetensors")
