"""`pyqtf info` of a model: right numbers, and no weight is read for them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fake_hub import FakeHub, run_child
from random_models import write_model

import pyqtf
from pyqtf._quants import QUANTS
from pyqtf.bench import estimate
from pyqtf.bench.shapes import SHAPES
from pyqtf.cli import main
from pyqtf.costs import flops_per_token, products_per_token
from pyqtf.describe import inspect_model, size
from pyqtf.formats import FormatError, read_safetensors
from pyqtf.formats.mapped import MappedFile
from pyqtf.models import read_config
from pyqtf.models.cache import default_dtype
from pyqtf.models.registry import tensor_shapes
from pyqtf.models.weights import needed_bytes

SIZES = {"vocab_size": 259, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "random", **SIZES)


@pytest.fixture
def sparse(tmp_path):
    """A folder with the headers of Qwen2.5-0.5B and a gigabyte of nothing behind them."""
    model = write_model(tmp_path / "model", **SIZES)
    (model / "config.json").write_text(json.dumps(SHAPES["qwen2.5-0.5b"]))
    header, end = {}, 0
    for name, shape in tensor_shapes(read_config(model)).items():
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with (model / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return model


@pytest.fixture
def views(monkeypatch):
    """Every array of a file's bytes that is asked for."""
    seen = []
    original = MappedFile.view

    def view(self, dtype, shape, start):
        seen.append((self.path.name, start))
        return original(self, dtype, shape, start)

    monkeypatch.setattr(MappedFile, "view", view)
    return seen


def shown(capsys, name):
    assert main(["info", str(name)]) == 0
    out = capsys.readouterr().out
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in out.split("\n\n")[0].splitlines())
    return facts, out


def test_numbers_of_a_known_shape_without_its_weights(sparse, views, capsys, monkeypatch):
    monkeypatch.setattr("pyqtf.describe.estimate_seconds", lambda config, quant, lengths: 1234.5)
    facts, out = shown(capsys, sparse)
    assert views == []
    # The model card of Qwen2.5-0.5B: 0.49B parameters, 0.36B without embedding.
    assert facts["parameters"] == "494,032,768"
    assert facts["without embeddings"] == "357,898,112"
    assert facts["embedding"] == "151,936 rows, tied to the output head"
    assert facts["weights in the file"] == "BF16, 0.99 GB"
    assert facts["layers"] == "24 of width 896, feed-forward network of width 4864"
    assert facts["tokenizer"] == "256 tokens"
    assert facts["FLOPs a token"].startswith("987.9 million, and 86,016 more")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if " min" in line}
    assert rows == {
        "q8": ["0.61", "GB", "yes", "21", "min"],
        "q4": ["0.45", "GB", "yes", "21", "min"],
        "f32": ["2.08", "GB", "yes", "21", "min"],
    }
    # Keys and values of 24 layers, 2 heads of 64 each; q8 has a float32 scale for every 32.
    caches = [line.split() for line in out.splitlines() if " kB " in line]
    assert caches == [
        ["f32", "f32", "24.6", "kB", "0.81", "GB"],
        ["f16", "-", "12.3", "kB", "0.40", "GB"],
        ["bf16", "q8,", "q4", "12.3", "kB", "0.40", "GB"],
        ["q8", "-", "6.9", "kB", "0.23", "GB"],
    ]
    assert "32,768 tokens" in out
    # Nothing but holes behind the header, still.
    assert (sparse / "model.safetensors").stat().st_blocks * 512 < 200_000


def test_what_is_said_is_what_is_loaded(folder):
    info, model = inspect_model(folder), pyqtf.load(folder)
    assert info.config == model.config
    assert info.facts()["parameters"] == f"{model.n_params:,}"
    assert info.facts()["without embeddings"] == f"{model.n_params_non_embedding:,}"
    assert info.facts()["tokenizer"] == f"{len(model.tokenizer):,} tokens"
    needs = info.needs()
    assert [row[0] for row in needs.rows] == list(QUANTS)
    # Stories of more bytes than the 64 tokens that it reads: there is no time to tell.
    assert [row[2:] for row in needs.rows] == [("yes", "-")] * len(QUANTS)


@pytest.mark.parametrize("name", ["stories-200k", "stories-500k"])
def test_caches_are_as_large_as_is_said(name):
    info = inspect_model(name)
    told = {row[0]: row for row in info.caches().rows}
    for quant in QUANTS:
        model = pyqtf.load(name, quant=quant)
        cache = pyqtf.KVCache(model.config)
        model.logits(np.arange(2048) % 100, cache=cache)
        dtype = default_dtype(model.config, quant)
        assert quant in told[dtype][1].split(", ")
        assert told[dtype][2:] == (size(cache.bytes_per_token), size(cache.nbytes))


@pytest.mark.parametrize(("name", "share"), [("stories-30k", 100), ("stories-200k", 88)])
def test_what_is_never_rounded_is_told(name, share):
    """Of 208,896 weights in stories-200k's matrices, 24,576 have rows of more than 64."""
    told = inspect_model(name).facts()["never rounded"]
    assert told == f"{share} % of the weights, which stay float32 in q8 and q4"
    assert "never rounded" not in inspect_model("stories-3m").facts()


def test_a_model_that_slides_has_a_time_too(tmp_path):
    sizes = {**SIZES, "max_position_embeddings": 2048, "sliding_window": 8}
    folder = write_model(tmp_path, architectures=["MistralForCausalLM"], **sizes)
    info = inspect_model(folder)
    assert info.config.window(0) == 8
    assert all(row[3].endswith(" s") for row in info.needs().rows)


def test_too_large_a_model_is_told_so(sparse, monkeypatch):
    config = read_config(sparse)
    free = needed_bytes(config, "q8") + 1
    monkeypatch.setattr("pyqtf.describe.available_memory", lambda: free)
    monkeypatch.setattr("pyqtf.describe.estimate_seconds", lambda config, quant, lengths: 5.25)
    rows = {row[0]: row[2:] for row in inspect_model(sparse).needs().rows}
    assert rows == {"q8": ("yes", "5.2 s"), "q4": ("yes", "5.2 s"), "f32": ("no", "-")}


def test_gguf_and_saved_files_are_described_without_their_weights(tmp_path, views):
    pyqtf.export_gguf("stories-30k", tmp_path / "small.gguf", dtype="Q8_0")
    model = pyqtf.load("stories-30k", quant="f32")
    model.save(tmp_path / "small.pyqtf")
    views.clear()
    told = inspect_model(tmp_path / "small.gguf")
    assert views == []
    assert (told.name, told.config, told.quants) == ("small", model.config, QUANTS)
    assert "F16" in told.stored and "F32" in told.stored
    told = inspect_model(tmp_path / "small.pyqtf")
    tokenizer = read_safetensors(tmp_path / "small.pyqtf")["tokenizer.json"]
    assert views == [("small.pyqtf", tokenizer.start)]
    assert (told.name, told.config, told.quants) == ("stories-30k", model.config, ("f32",))


def test_a_model_that_would_not_load_is_refused(folder, tmp_path):
    broken = write_model(
        tmp_path / "broken", tensors={"model.norm.weight": np.ones(63, np.float32)}, **SIZES
    )
    with pytest.raises(FormatError, match=r"'model.norm.weight' has shape \[63\]"):
        inspect_model(broken)
    cut = write_model(tmp_path / "cut", **SIZES)
    whole = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(whole[:-4])
    with pytest.raises(FormatError, match="truncated"):
        inspect_model(cut)
    (tmp_path / "other.pyqtf").write_bytes(whole)
    with pytest.raises(FormatError, match=r"expected a file that model\.save wrote"):
        inspect_model(tmp_path / "other.pyqtf")


def test_of_a_model_on_the_hub_only_headers_are_fetched(tmp_path):
    hub = FakeHub()
    large = write_model(tmp_path / "large", **{**SIZES, "vocab_size": 2000})
    size = (large / "model.safetensors").stat().st_size
    assert size > 1_000_000
    hub.push("someone/large", large)
    code = "import sys; from pyqtf.cli import main; sys.exit(main(['info', 'someone/large']))"
    done = run_child(hub.url, tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "weights not downloaded yet" in done.stdout
    assert f"{pyqtf.load(large).n_params:,}" in done.stdout
    weights = [r for r in hub.log if r.path.endswith("model.safetensors") and r.method == "GET"]
    assert all(r.range for r in weights) and 0 < sum(r.n_bytes for r in weights) < size / 8
    # With the weights in the cache they are not asked for at all.
    assert run_child(hub.url, tmp_path, "import pyqtf; pyqtf.load('someone/large')").returncode == 0
    hub.log.clear()
    done = run_child(hub.url, tmp_path, code)
    assert "commit" in done.stdout and ", downloaded" in done.stdout
    assert not [r for r in hub.log if r.path.endswith("model.safetensors")]
    done = run_child(hub.url, tmp_path, code, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    broken = write_model(
        tmp_path / "broken", tensors={"model.norm.weight": np.ones(63, np.float32)}, **SIZES
    )
    hub.push("someone/broken", broken)
    done = run_child(hub.url, tmp_path, code.replace("large", "broken"))
    assert done.returncode == 1
    assert "someone/broken/model.safetensors: tensor 'model.norm.weight' has shape" in done.stderr
    hub.close()


ENTRY = {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}
HEADERS = {
    "a list": b"[]",
    "no JSON": b"{",
    "an entry without a shape": {"model.norm.weight": {"dtype": "F32", "data_offsets": [0, 256]}},
    "an entry that is a number": {"model.norm.weight": 7},
    "a shape of words": {"model.norm.weight": {**ENTRY, "shape": ["64"]}},
    "a negative shape": {"model.norm.weight": {**ENTRY, "shape": [-64]}},
    "offsets of words": {"model.norm.weight": {**ENTRY, "data_offsets": ["0", "256"]}},
    "one offset": {"model.norm.weight": {**ENTRY, "data_offsets": [0]}},
    "offsets that don't fit": {"model.norm.weight": {**ENTRY, "data_offsets": [0, 2**62]}},
    "an unknown type": {"model.norm.weight": {**ENTRY, "dtype": "F99"}},
    "2^62 elements": {"model.norm.weight": {**ENTRY, "shape": [2**31, 2**31]}},
    "too little": {"model.norm.weight": ENTRY},
}


def test_a_hostile_header_on_the_hub_is_one_clear_error(tmp_path):
    hub = FakeHub()
    folder = write_model(tmp_path / "model", **SIZES)
    for i, header in enumerate(HEADERS.values()):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        data = len(text).to_bytes(8, "little") + text + bytes(256)
        (folder / "model.safetensors").write_bytes(data)
        hub.push(f"someone/bad-{i}", folder)
    (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little"))
    hub.push(f"someone/bad-{len(HEADERS)}", folder)
    code = f"""
import pyqtf
from pyqtf.describe import inspect_model
for i in range({len(HEADERS) + 1}):
    try:
        inspect_model(f"someone/bad-{{i}}")
    except pyqtf.formats.FormatError as error:
        print(str(error).splitlines()[0])
"""
    done = run_child(hub.url, tmp_path, code)
    hub.close()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(HEADERS) + 1
    assert all(f"someone/bad-{i}" in line for i, line in enumerate(lines[:-2])), lines
    assert "missing, which the config asks for" in lines[-2]


def test_flops_are_those_of_the_matrices_and_of_attention():
    model = pyqtf.load("stories-30k")
    c = model.config
    layers = c.n_layers * (
        c.hidden_size * (2 * c.q_size + 2 * c.kv_size) + 3 * c.hidden_size * c.intermediate_size
    )
    head = c.vocab_size * c.hidden_size
    assert products_per_token(c) == layers + head
    # Each query meets each key, and each weight each value, in 2 * head_dim operations.
    each = c.n_layers * c.n_heads * (2 * c.head_dim + 2 * c.head_dim)
    assert flops_per_token(c, 7) == 2 * (layers + head) + 7 * each


def test_the_estimate_grows_with_layers_head_and_tokens(monkeypatch):
    """With a clock that counts layers and rows of the head, the estimate is their sum."""
    config = pyqtf.load("stories-30k").config
    calls = []

    def typical(call):
        call()
        calls.append(1)
        return 1.0 if len(calls) == 1 else 0.5

    monkeypatch.setattr(estimate, "_typical", typical)
    monkeypatch.setattr(estimate, "_HEAD_ROWS", config.vocab_size // 3)
    found = estimate.estimate_seconds(config, "q8", [100, 200, 900])
    # A pass of 300 tokens: one second for a layer and half of one for a third of the head.
    assert found == (config.n_layers * 1.0 + 3 * 0.5) * 1200 / 300
