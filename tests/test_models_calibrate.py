"""Calibrated q4: nearer to the original than plain q4, the same everywhere, and marked as such."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from random_models import write_model

import pyqtf
from pyqtf import _core, bundled
from pyqtf.describe import inspect_model
from pyqtf.evaluation.cache import Cache
from pyqtf.evaluation.compare import compare_models
from pyqtf.evaluation.receipt import ProtocolMismatchError
from pyqtf.models import calibrate

NAME = "stories-500k"
STORIES = [story["text"] for story in bundled.stories()]
TEXTS, HELD_OUT = STORIES[:12], STORIES[25:35]
SHAPE = {"hidden_size": 96, "intermediate_size": 100, "num_attention_heads": 6}


def load(name, texts=TEXTS):
    return pyqtf.load(name, quant="q4", calibration=texts, progress=False)


def weights(model) -> list[bytes]:
    layers = model._decoder.weights.layers
    names = ("qkv", "o", "gate_up", "down")
    return [_core.packed(getattr(layer, name))[0].tobytes() for layer in layers for name in names]


@pytest.fixture(scope="module")
def model():
    return load(NAME)


@pytest.fixture(scope="module")
def plain():
    return pyqtf.load(NAME, quant="q4")


def test_it_is_nearer_on_stories_that_it_has_not_seen(model, plain):
    exact = pyqtf.load(NAME, quant="f32")
    assert not set(TEXTS) & set(HELD_OUT)
    calibrated = compare_models(exact, model, HELD_OUT)
    assert calibrated.kl.value < 0.7 * compare_models(exact, plain, HELD_OUT).kl.value
    assert "(q4, calibrated)" in repr(calibrated)


def test_only_q4_matrices_change(model, plain):
    ours, theirs = model._decoder.weights, plain._decoder.weights
    assert model.fingerprint == plain.fingerprint
    assert (model.quant, model.n_params) == ("q4", plain.n_params)
    assert _core.packed(ours.embed)[0].tobytes() == _core.packed(theirs.embed)[0].tobytes()
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        for name in ("attn_norm", "qkv_bias", "ffn_norm"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert (a.qkv.quant, a.down.group) == ("q4", 128)
    assert all(a != b for a, b in zip(weights(model), weights(plain), strict=True))


def test_threads_and_instruction_sets_change_no_bit(model):
    before, threads = _core.cpu_info()["isa"], _core.get_num_threads()
    try:
        for isa in [name for name in _core.cpu_info()["available"] if name != "baseline"]:
            _core.use_isa(isa)
            _core.set_num_threads(1 if isa == "avx2" else 3)
            assert weights(load(NAME)) == weights(model), isa
    finally:
        _core.use_isa(before)
        _core.set_num_threads(threads)


def test_both_models_go_the_way_that_the_decoder_goes(monkeypatch):
    """What is calibrated reads the texts as the finished model does; here several to a batch."""
    seen = []
    start = calibrate._start
    monkeypatch.setattr(calibrate, "_PASS_TOKENS", 600)
    monkeypatch.setattr(
        calibrate, "_start", lambda *args: seen.append((args[1], start(*args))) or seen[-1][1]
    )
    model = load(NAME, [*TEXTS[:5], " ".join(TEXTS)])
    decoder = model._decoder
    lengths = [len(text) for texts, _ in seen for text in texts]
    assert sum(lengths) == int(model.calibration.split()[3])
    assert max(lengths) == 600 and len(seen[0][0]) > 1
    for texts, (ours, true) in seen:
        offsets = np.cumsum([0, *map(len, texts)])
        hidden = decoder(np.concatenate(texts), offsets)
        x = decoder._norm(ours.x, decoder.weights.norm)
        assert np.array_equal(x, hidden)
        assert 0 < np.abs(true.x - ours.x).mean() < 0.2 * np.abs(true.x).mean()


def test_narrow_matrices_stay_as_they_are():
    texts = [list(range(200))]
    for name in ("stories-30k", "stories-200k"):
        a, b = load(name, texts), pyqtf.load(name, quant="q4")
        for one, other, matrix in zip(weights(a), weights(b), _matrices(b), strict=True):
            assert (one == other) == (matrix.quant == "f32")
    assert {matrix.quant for matrix in _matrices(b)} == {"f32", "q4"}


def _matrices(model):
    layers = model._decoder.weights.layers
    return [m for layer in layers for m in (layer.qkv, layer.o, layer.gate_up, layer.down)]


def test_outlier_channels_are_moved_before(tmp_path):
    """Channels of a norm times 32, and their columns divided by it: the same model, evened."""
    norm = "model.layers.0.input_layernorm.weight"
    columns = [f"model.layers.0.self_attn.{name}_proj.weight" for name in "qkv"]
    rng = np.random.default_rng(1)
    tensors = {
        name: rng.standard_normal(shape).astype(np.float32) / 10
        for name, shape in zip([norm, *columns], [96, (96, 96), (16, 96), (16, 96)], strict=True)
    }
    tensors[norm] = np.ones(96, np.float32)
    ids = [rng.integers(0, 31, 60) for _ in range(5)]
    even = load(write_model(tmp_path / "even", tensors=tensors, **SHAPE), ids)
    planted = {name: values.copy() for name, values in tensors.items()}
    planted[norm][[3, 40]] *= 64
    for name in columns:
        planted[name][:, [3, 40]] /= 64
    odd = load(write_model(tmp_path / "odd", tensors=planted, **SHAPE), ids)
    exact = pyqtf.load(tmp_path / "even", quant="f32").logits(ids[0])
    error = np.abs(even.logits(ids[0]) - exact).max()
    assert np.abs(odd.logits(ids[0]) - exact).max() < 1.5 * error


def test_a_gguf_file_gives_the_same_weights(model, tmp_path):
    pyqtf.export_gguf(NAME, tmp_path / "small.gguf", dtype="F32")
    again = load(tmp_path / "small.gguf")
    assert weights(again) == weights(model)
    assert again.calibration == model.calibration


def test_a_saved_model_says_what_it_was_calibrated_with(model, plain, tmp_path):
    model.save(tmp_path / "calibrated.pyqtf")
    again = pyqtf.load(tmp_path / "calibrated.pyqtf")
    assert weights(again) == weights(model)
    assert again.calibration == model.calibration
    assert model.calibration in inspect_model(tmp_path / "calibrated.pyqtf").where
    plain.save(tmp_path / "plain.pyqtf")
    assert pyqtf.load(tmp_path / "plain.pyqtf").calibration is None
    with pytest.raises(ValueError, match="rounded already"):
        load(tmp_path / "plain.pyqtf")


def test_another_process_gets_the_file_and_not_other_weights(model, tmp_path):
    with pytest.raises(TypeError, match=r"write it with model\.save"):
        pickle.dumps(model)
    model.save(tmp_path / "calibrated.pyqtf")
    again = pickle.loads(pickle.dumps(pyqtf.load(tmp_path / "calibrated.pyqtf")))
    assert weights(again) == weights(model)
    assert again.calibration == model.calibration


def test_the_texts_decide_what_the_receipt_says(model, plain):
    ids = [model.tokenizer.encode(text) for text in TEXTS]
    assert model.calibration.startswith(f"12 texts of {sum(map(len, ids))} tokens ")
    dicts = [{"text": text, "genre": "tale"} for text in TEXTS]
    for same in (dicts, pd.DataFrame(dicts), iter(TEXTS), ids, [list(map(int, t)) for t in ids]):
        assert load(NAME, same).calibration == model.calibration
    assert load(NAME, TEXTS[::-1]).calibration != model.calibration
    receipt = model.score(TEXTS[0]).receipt
    assert receipt.provenance["calibration"] == model.calibration
    assert plain.score(TEXTS[0]).receipt.provenance["calibration"] == "none"
    assert repr(model) == "Model(stories-500k: 505,312 parameters, q4, calibrated)"


def test_results_are_not_mixed(model, plain, tmp_path):
    def run(one):
        return pyqtf.evaluate(one, HELD_OUT[:3], progress=False, cache=tmp_path)

    tables = [run(model), run(plain)]
    assert len(list(tmp_path.glob("*.losses"))) == 2
    assert (run(model)["nll"] == tables[0]["nll"]).all()
    assert f"calibration={model.calibration}" in tables[0]["provenance"][0]
    with pytest.raises(ValueError, match="is there twice"):
        pyqtf.summarise(pd.concat(tables))
    halves = [tables[0][:2], tables[1][2:]]
    with pytest.raises(ProtocolMismatchError, match=r"calibration is 12 texts .* and none"):
        pyqtf.summarise(pd.concat(halves))
    with pytest.raises(ValueError, match="two models are named"):
        pyqtf.evaluate([model, plain], HELD_OUT[:3], progress=False)
    tables[0]["model_name"] = "calibrated"
    assert len(pyqtf.summarise(pd.concat(tables, ignore_index=True))) == 2


def test_the_cache_and_workers_know_of_it(model, plain, tmp_path, monkeypatch):
    model.save(tmp_path / "calibrated.pyqtf")
    with ThreadPoolExecutor(1) as pool:
        path = str(tmp_path / "calibrated.pyqtf")
        table = pyqtf.evaluate(path, HELD_OUT[:1], progress=False, executor=pool)
    assert f"calibration={model.calibration}" in table["provenance"][0]
    before = Cache(tmp_path, plain).path
    monkeypatch.setattr(plain, "calibration", model.calibration)
    assert Cache(tmp_path, plain).path != before


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        ("Once upon a time", TypeError, r"is a str; expected a list of texts: put it in \[ \]"),
        ({"text": "Once"}, TypeError, "is a dict; expected a list"),
        (7, TypeError, "is a int; expected a list of texts"),
        ([], ValueError, "no texts"),
        (["Too short."], ValueError, r"has \d tokens; expected at least 100"),
        ([*TEXTS, ""], ValueError, r"calibration\[12\]"),
        ([*TEXTS, []], ValueError, r"calibration\[12\] is empty"),
        ([[1, 2, 1536]], ValueError, r"\[0\] holds token id 1536, outside .* 0 to 1535"),
        ([[5, -1]], ValueError, r"\[0\] holds token id -1"),
        ([[0.5, 1.0]], TypeError, r"\[0\] is a list; expected a text or a flat list of ids"),
        ([np.zeros((2, 3), int)], TypeError, r"\[0\] is a ndarray"),
        ([TEXTS], (TypeError, ValueError), r"calibration\[0\]"),
        ([{"story": "Once"}], ValueError, "text"),
        (pd.DataFrame({"story": TEXTS}), ValueError, "calibration has no column 'text'"),
        ([None], TypeError, r"\[0\] is a NoneType"),
    ],
)
def test_what_no_calibration_is(texts, error, words):
    with pytest.raises(error, match=words):
        load(NAME, texts)


@pytest.mark.parametrize("quant", [None, "q8", "f32"])
def test_other_storages_take_no_calibration(quant):
    with pytest.raises(ValueError, match=f"for quant='q4', and quant is {quant!r}"):
        pyqtf.load(NAME, quant=quant, calibration=TEXTS)


def test_memory_is_checked_first(monkeypatch):
    monkeypatch.setattr("pyqtf.models.weights.available_memory", lambda: 103_000_000)
    pyqtf.load(NAME, quant="q4")
    with pytest.raises(MemoryError, match="the model in q4 needs"):
        load(NAME)


def test_a_bar_counts_layers(capfd):
    pyqtf.load(NAME, quant="q4", calibration=TEXTS[:2])
    assert "calibrating: 100%" in capfd.readouterr().err
    load(NAME, TEXTS[:2])
    assert capfd.readouterr().err == ""


def test_weights_that_are_not_finite_are_named(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    source = bundled.path(NAME)
    shutil.copy(source / "config.json", folder)
    shutil.copy(source.parent / "tokenizer.json", folder)
    data = bytearray((source / "model.safetensors").read_bytes())
    data[-2:] = b"\x80\x7f"  # infinity in bfloat16
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(pyqtf.formats.FormatError, match="weights must be finite"):
        load(folder)
