"""Every family written as GGUF: read back, and in the names and orders that llama.cpp knows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf.formats import FormatError, open_folder, read_gguf, save_gguf
from pyqtf.models import read_config
from pyqtf.models.gguf_tensors import gguf_names
from pyqtf.models.registry import tensor_shapes

gguf = pytest.importorskip("gguf")
pytest.importorskip("torch")
models = pytest.importorskip("export_models")
gguf_models = pytest.importorskip("gguf_models")

ARCHITECTURES = {kind: name for name, kind in gguf_models.ARCHITECTURES.items()}


@pytest.fixture(scope="module", params=models.MODELS)
def written(request, tmp_path_factory):
    """A folder and the GGUF file made of it."""
    folder = tmp_path_factory.mktemp("models") / "model"
    models.make(request.param, folder)
    pyqtf.export_gguf(folder, folder / "x.gguf", dtype="F32")
    return folder, folder / "x.gguf"


def test_a_model_comes_back_to_the_bit(written):
    before, after = (pyqtf.load(source, quant="f32") for source in written)
    if before.config.family == "mistral":  # which llama.cpp calls llama
        after.config = replace(after.config, family="mistral")
    assert after.config == before.config
    ids = np.random.default_rng(1).integers(0, 256, 90)
    assert after.logits(ids).tobytes() == before.logits(ids).tobytes()
    eight = [abs(pyqtf.load(source).logits(ids)).mean() for source in written]
    np.testing.assert_allclose(*eight, rtol=0.05)


def test_names_are_those_of_the_gguf_package(written):
    folder, path = written
    config = read_config(folder)
    file = read_gguf(path)
    kind = gguf_models.ARCHITECTURES[file.metadata["general.architecture"]]
    names = gguf.get_tensor_name_map(kind, config.n_layers)
    theirs = {
        name: names.get_name(name, try_suffixes=(".weight", ".bias"))
        for name in tensor_shapes(config)
    }
    assert gguf_names(config) == theirs
    factors = {"rope_freqs.weight"} if config.rope_scaling and "llama3" in repr(config) else set()
    assert set(file.tensors) == {*theirs.values()} | factors


def test_neox_runs_the_gelu_of_llama_cpp(tmp_path):
    """No key tells which GELU: llama.cpp has the tanh form, also for Pythia."""
    models.make("gpt_neox", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "gelu"}))
    assert read_config(tmp_path).activation == "gelu_erf"
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="F32")
    assert pyqtf.load(tmp_path / "x.gguf", quant="f32").config.activation == "gelu"


def test_what_slides_is_written_for_texts_that_a_window_sees_whole(tmp_path):
    hf_models = pytest.importorskip("hf_models")
    hf_models.make_model(tmp_path, **{**models.SHAPE, "family": "Mistral", "sliding_window": 24})
    before = pyqtf.load(tmp_path, quant="f32")
    assert (before.config.max_position_embeddings, before.config.window(0)) == (512, 24)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="F32")
    after = pyqtf.load(tmp_path / "x.gguf", quant="f32")
    assert (after.config.max_position_embeddings, after.config.window(0)) == (24, 0)
    ids = np.random.default_rng(1).integers(0, 256, 24)
    assert after.logits(ids).tobytes() == before.logits(ids).tobytes()
    with pytest.raises(ValueError, match="max_position_embeddings is 24"):
        after.logits(np.zeros(25, np.int64))


def test_rows_of_llama_lie_as_llama_cpp_has_them(tmp_path):
    models.make("llama", tmp_path)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="F32")
    ours, theirs = open_folder(tmp_path), read_gguf(tmp_path / "x.gguf").tensors
    for role in ("q", "k"):
        rows = theirs[f"blk.1.attn_{role}.weight"].array()
        plain = ours[f"model.layers.1.self_attn.{role}_proj.weight"].array()
        np.testing.assert_array_equal(gguf_models.half_rows(rows, 16), plain)
        assert not np.array_equal(rows, plain)
    np.testing.assert_array_equal(
        theirs["blk.1.attn_v.weight"].array(),
        ours["model.layers.1.self_attn.v_proj.weight"].array(),
    )


def test_rows_of_neox_lie_as_llama_cpp_has_them(tmp_path):
    models.make("gpt_neox", tmp_path)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="F32")
    ours, theirs = open_folder(tmp_path), read_gguf(tmp_path / "x.gguf").tensors
    for ending in ("weight", "bias"):
        together = ours[f"gpt_neox.layers.0.attention.query_key_value.{ending}"].array()
        heads = np.split(together, 4)  # q, k and v of each
        stacked = [np.split(head, 3)[part] for part in range(3) for head in heads]
        written = theirs[f"blk.0.attn_qkv.{ending}"].array()
        np.testing.assert_array_equal(written, np.concatenate(stacked))


def test_matrices_of_gpt2_are_turned(tmp_path):
    models.make("gpt2", tmp_path)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="F32")
    ours, theirs = open_folder(tmp_path), read_gguf(tmp_path / "x.gguf").tensors
    (up,) = [t for name, t in ours.items() if name.endswith("h.1.mlp.c_fc.weight")]
    np.testing.assert_array_equal(theirs["blk.1.ffn_up.weight"].array(), up.array().T)
    (table,) = [t for name, t in ours.items() if name.endswith("wpe.weight")]
    np.testing.assert_array_equal(theirs["position_embd.weight"].array(), table.array())


def test_quantised_gpt2_is_read(tmp_path):
    models.make("gpt2", tmp_path)
    pyqtf.export_gguf(tmp_path, tmp_path / "x.gguf", dtype="Q8_0")
    ids = np.arange(60)
    exact, stored = (
        pyqtf.load(p, quant="f32").logits(ids) for p in (tmp_path, tmp_path / "x.gguf")
    )
    assert 0 < abs(exact - stored).mean() < 0.05


@pytest.mark.parametrize("name", ["gpt_neox", "qwen2 yarn", "gemma2", "gemma3"])
def test_metadata_of_any_type_are_read_or_refused(name, tmp_path):
    models.make(name, tmp_path)
    path = tmp_path / "x.gguf"
    pyqtf.export_gguf(tmp_path, path, dtype="F32")
    file = read_gguf(path)
    original = dict(file.metadata)
    weights = {name: ("F32", np.array(t.array())) for name, t in file.tensors.items()}
    values = ["", True, np.int8(-1), np.uint64(2**64 - 1), np.float64(np.inf), np.float32(0), [],
              np.zeros(3, np.uint8)]  # fmt: skip
    refused = 0
    for key in original:
        if key.startswith(("tokenizer.", "general.")):
            continue
        for value in values:
            save_gguf(path, {**original, key: value}, weights)
            try:
                pyqtf.load(path)
            except FormatError:
                refused += 1
    assert refused > 60


def template(*pieces):
    special = {"T": {"id": "T", "ids": [7], "tokens": ["T"]},
               "U": {"id": "U", "ids": [8], "tokens": ["U"]}}  # fmt: skip
    kinds = [{"Sequence" if p == "A" else "SpecialToken": {"id": p, "type_id": 0}} for p in pieces]
    return {"type": "TemplateProcessing", "single": kinds, "pair": [], "special_tokens": special}


@pytest.mark.parametrize("pieces", ["TA", "AU", "TAU", "A"])
def test_tokens_that_are_added_to_a_text_come_back(pieces, tmp_path):
    folder = write_model(tmp_path / "model", vocab_size=257)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    sequence = {"type": "Sequence", "processors": [byte_level, template(*pieces)]}
    for step in (template(*pieces), sequence):
        path.write_text(json.dumps({**document, "post_processor": step}))
        pyqtf.export_gguf(folder, tmp_path / "x.gguf")
        metadata = read_gguf(tmp_path / "x.gguf").metadata
        assert metadata["tokenizer.ggml.add_bos_token"] == (pieces[0] == "T")
        assert metadata["tokenizer.ggml.add_eos_token"] == (pieces[-1] == "U")
        before, after = (pyqtf.load(p).tokenizer for p in (folder, tmp_path / "x.gguf"))
        expected = before.encode("the", add_special_tokens=True).tolist()
        assert after.encode("the", add_special_tokens=True).tolist() == expected
        assert len(expected) == 2 + len(pieces)


@pytest.mark.parametrize("pieces", ["TUA", "AUT", "TT"])
def test_more_tokens_than_one_on_either_side_are_refused(pieces, tmp_path):
    folder = write_model(tmp_path / "model", vocab_size=257)
    path = folder / "tokenizer.json"
    document = {**json.loads(path.read_text()), "post_processor": template(*pieces)}
    path.write_text(json.dumps(document))
    with pytest.raises((FormatError, ValueError), match=r"adds more to a text|post_processor"):
        pyqtf.export_gguf(folder, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
