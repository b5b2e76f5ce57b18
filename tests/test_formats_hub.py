"""Models from the hub, against a local server that answers as the hub does."""

from __future__ import annotations

import errno
import json
import shutil
import socket

import numpy as np
import pytest
from fake_hub import FakeHub, run_child
from random_models import write_model

import pyqtf
from pyqtf.formats import save_safetensors
from pyqtf.formats.hub import HubId, _unanswered, parse_id

REPO = "someone/small-1"
SIZES = {"vocab_size": 259, "hidden_size": 64, "intermediate_size": 64}
NEEDED = ["config.json", "model.safetensors", "tokenizer.json"]
# What the child prints: enough to tell one model from another.
LOAD = """
import json, pickle, sys, time, pyqtf
time.sleep = lambda seconds: None  # huggingface_hub waits before it asks again
model = pyqtf.load({args})
again = pickle.loads(pickle.dumps(model))
assert again.name == model.name and again.fingerprint == model.fingerprint
nll = float(model.token_losses([[1, 2, 3, 4]])[0].nll.sum())
print(json.dumps([model.name, model.fingerprint, nll]))
"""


@pytest.fixture
def hub():
    server = FakeHub()
    yield server
    server.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "one", **SIZES)


def load(hub, home, *args, ok=True, **env):
    """Load in a child; return what it prints, or its error's last line."""
    text = ", ".join(args) if args else repr(REPO)
    done = run_child(hub.url, home, LOAD.format(args=text), **env)
    assert (done.returncode == 0) == ok, done.stderr
    return json.loads(done.stdout) if ok else done.stderr.strip().splitlines()[-1]


def expected(folder, name="small-1"):
    model = pyqtf.load(folder)
    nll = float(model.token_losses([[1, 2, 3, 4]])[0].nll.sum())
    return [name, model.fingerprint, nll]


def with_extras(folder, tmp_path):
    """A folder as repositories are: with much that is of no use here."""
    full = shutil.copytree(folder, tmp_path / "full")
    for name in ("pytorch_model.bin", "tf_model.h5", "modeling_evil.py", "README.md",
                 "onnx/model.onnx", "original/consolidated.safetensors", "model-2.safetensors",
                 "sub/model.safetensors", "sub/config.json", "vocab.txt", "x.gguf"):  # fmt: skip
        (full / name).parent.mkdir(exist_ok=True)
        (full / name).write_bytes(b"no one wants this")
    (full / "generation_config.json").write_text("{}")
    (full / "tokenizer_config.json").write_text('{"eos_token": "a"}')
    (full / "special_tokens_map.json").write_text('{"eos_token": "b"}')
    return full


def test_only_the_files_needed_are_fetched_and_then_kept(hub, folder, tmp_path):
    hub.push(REPO, with_extras(folder, tmp_path))
    found = load(hub, tmp_path)
    assert found == expected(folder)
    needed = [*NEEDED, "generation_config.json", "tokenizer_config.json"]
    needed.append("special_tokens_map.json")
    assert sorted(hub.fetched()) == sorted(needed)
    assert load(hub, tmp_path) == found
    assert hub.fetched() == []


def test_a_second_load_works_offline_and_without_the_server(hub, folder, tmp_path):
    hub.push(REPO, folder)
    found = load(hub, tmp_path)
    hub.log.clear()
    assert load(hub, tmp_path, HF_HUB_OFFLINE="1") == found
    assert hub.log == []
    hub.down = True  # it answers every request with 503
    assert load(hub, tmp_path) == found
    assert hub.log
    hub.close()  # no one answers
    assert load(hub, tmp_path) == found


def sharded(folder, target):
    """The same model in two files, and their index."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("model.safetensors"))
    tensors = pyqtf.formats.read_safetensors(folder / "model.safetensors")
    names = sorted(tensors)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in halves.items():
        save_safetensors(target / file, {name: tensors[name].array() for name in part})
    weight_map = {name: file for file, part in halves.items() for name in part}
    index = {"metadata": {}, "weight_map": weight_map}
    (target / "model.safetensors.index.json").write_text(json.dumps(index))
    return target


def test_shards_come_by_their_index(hub, folder, tmp_path):
    full = sharded(folder, tmp_path / "sharded")
    (full / "c.safetensors").write_bytes(b"no one wants this")
    hub.push(REPO, full)
    assert load(hub, tmp_path)[1:] == expected(full)[1:]
    assert {f for f in hub.fetched() if "safetensors" in f} == {
        "a.safetensors", "b.safetensors", "model.safetensors.index.json"
    }  # fmt: skip


def test_shards_come_from_the_revision(hub, folder, tmp_path):
    old = sharded(folder, tmp_path / "old")
    hub.push(REPO, old, "v1")
    hub.push(REPO, sharded(write_model(tmp_path / "other", seed=5, **SIZES), tmp_path / "new"))
    assert load(hub, tmp_path, repr(f"{REPO}@v1"))[1:] == expected(old)[1:]


def test_an_interrupted_download_goes_on_where_it_broke_off(hub, tmp_path):
    # huggingface_hub writes ten megabytes at a time.
    large = write_model(tmp_path / "large", **{**SIZES, "hidden_size": 1024, "vocab_size": 2900})
    hub.push(REPO, large)
    size, cut = (large / "model.safetensors").stat().st_size, 15_000_000
    assert size > 20_000_000
    hub.cut["model.safetensors"] = cut
    assert load(hub, tmp_path) == expected(large)
    sent = [(r.range, r.n_bytes) for r in hub.log if r.path.endswith("model.safetensors")]
    at = 10 * 2**20
    assert [s for s in sent if s[1]] == [(None, cut), (f"bytes={at}-", size - at)]


def test_finished_files_are_not_fetched_again(hub, folder, tmp_path):
    full = sharded(folder, tmp_path / "sharded")
    hub.push(REPO, full)
    hub.broken.add("b.safetensors")
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("ConnectionError") and "files that are finished are kept" in said
    hub.broken.clear()
    hub.log.clear()
    assert load(hub, tmp_path)[1:] == expected(full)[1:]
    assert hub.fetched() == ["b.safetensors"]


def test_a_part_of_a_model_in_the_cache_is_not_taken_for_one(hub, folder, tmp_path):
    hub.push(REPO, folder)
    load(hub, tmp_path)
    (blob,) = [p for p in tmp_path.rglob("model.safetensors") if p.is_symlink()]
    blob.unlink()
    said = load(hub, tmp_path, ok=False, HF_HUB_OFFLINE="1")
    assert said.startswith("FileNotFoundError") and "HF_HUB_OFFLINE forbids" in said
    hub.log.clear()
    load(hub, tmp_path)


def test_revisions(hub, folder, tmp_path):
    other = write_model(tmp_path / "other", seed=5, **SIZES)
    old = hub.push(REPO, folder, "main", "v1")
    assert load(hub, tmp_path) == expected(folder)
    hub.push(REPO, other)
    # The branch has moved on; the tag and the commit have not.
    assert load(hub, tmp_path) == expected(other)
    assert load(hub, tmp_path, repr(REPO), "revision='v1'") == expected(folder, "small-1@v1")
    assert load(hub, tmp_path, repr(f"{REPO}@v1")) == expected(folder, "small-1@v1")
    assert load(hub, tmp_path, repr(f"{REPO}@{old}"))[1:] == expected(folder)[1:]
    assert load(hub, tmp_path, HF_HUB_OFFLINE="1") == expected(other)
    said = load(hub, tmp_path, repr(REPO), "revision='v9'", ok=False)
    assert said.startswith("FileNotFoundError") and "no revision 'v9'" in said
    said = load(hub, tmp_path, repr(f"{REPO}@v1"), "revision='main'", ok=False)
    assert said.startswith("ValueError") and "has a revision already" in said


def test_one_clear_error_each(hub, folder, tmp_path):
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("FileNotFoundError") and "the hub has no such model" in said
    assert "Traceback" not in said and "http" not in said
    hub.push(REPO, folder)
    hub.gated.add(REPO)
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("PermissionError") and f"{hub.url}/{REPO}" in said
    said = load(hub, tmp_path, ok=False, HF_HUB_OFFLINE="1")
    assert said.startswith("FileNotFoundError") and "HF_HUB_OFFLINE forbids" in said
    hub.gated.clear()
    hub.down = True
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("ConnectionError") and "can't be downloaded" in said
    hub.close()
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("ConnectionError") and "can't be downloaded" in said


def test_where_no_one_can_answer_there_is_no_waiting(hub, folder, tmp_path):
    """huggingface_hub sleeps between tries; here that is an error."""
    hub.push(REPO, folder)
    hub.push("someone/large", sharded(folder, tmp_path / "sharded"))
    small = "from pyqtf.formats import hub; hub.fetch_small(hub.HubId('someone/large'))"
    assert run_child(hub.url, tmp_path, small).returncode == 0
    assert run_child(hub.url, tmp_path, small.replace("large", "small-1")).returncode == 0
    hub.close()
    impatient = """
import socket, sys, time, pyqtf
def sleep(seconds):
    sys.exit("it waits")
time.sleep = sleep
def getaddrinfo(host, *rest, known=socket.getaddrinfo):
    if host == "hub.example":
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return known(host, *rest)
socket.getaddrinfo = getaddrinfo
pyqtf.load({!r})
"""
    for url, why in ((hub.url, "refused"), ("http://hub.example", "name resolution")):
        # Nothing of it in the cache, all but its weights, all but its shards, one file of it.
        for name in ("someone/none", REPO, "someone/large", "someone/none/a.gguf"):
            done = run_child(url, tmp_path, impatient.format(name))
            said = done.stderr.strip().splitlines()[-1]
            assert said.startswith("ConnectionError") and why in said, done.stderr


@pytest.mark.parametrize("held_as", ["__cause__", "__context__"])
def test_a_slow_network_is_asked_again(held_as):
    def wrapped(error):
        outer = RuntimeError("of httpx or requests")
        setattr(outer, held_as, error)
        return outer

    for code in (errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE):
        assert not _unanswered(wrapped(OSError(code, "")))
    assert not _unanswered(wrapped(None))
    for code in (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH):
        assert _unanswered(wrapped(OSError(code, "")))
    assert _unanswered(wrapped(socket.gaierror(-2, "Name or service not known")))


@pytest.mark.parametrize(
    ("removed", "added", "words"),
    [
        (["model.safetensors"], ["pytorch_model.bin"], "only as pickles"),
        (["model.safetensors"], ["small-q8_0.gguf", "small-q4_0.gguf"],
         "such as someone/small-1/small-q4_0.gguf; there are small-q4_0.gguf, small-q8_0.gguf"),
        (["model.safetensors", "config.json", "tokenizer.json"], ["a.gguf"], "/small-1/a.gguf;"),
        (["model.safetensors"], [], "neither model.safetensors nor"),
        (["config.json"], [], "has no config.json; it has no .gguf file either"),
        (["tokenizer.json"], ["tokenizer.model"], "has no tokenizer.json"),
    ],
    ids=["pickles", "gguf", "gguf alone", "no weights", "no config", "no tokenizer"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_it_is_fetched(
    removed, added, words, hub, folder, tmp_path
):
    full = shutil.copytree(folder, tmp_path / "full")
    for name in removed:
        (full / name).unlink()
    for name in added:
        (full / name).write_bytes(b"?" * 100)
    hub.push(REPO, full)
    said = load(hub, tmp_path, ok=False)
    assert "FormatError" in said and words in said
    assert "model.safetensors" not in hub.fetched()


def test_an_unknown_family_is_refused_before_its_weights_are_fetched(hub, tmp_path):
    full = write_model(tmp_path / "full", **SIZES)
    config = json.loads((full / "config.json").read_text())
    (full / "config.json").write_text(json.dumps({**config, "architectures": ["T5Model"]}))
    hub.push(REPO, full)
    said = load(hub, tmp_path, ok=False)
    assert "FormatError" in said and "architecture 'T5Model' is not supported" in said
    assert sorted(hub.fetched()) == ["config.json", "tokenizer.json"]


def test_a_shard_that_the_repository_lacks(hub, folder, tmp_path):
    full = sharded(folder, tmp_path / "sharded")
    (full / "b.safetensors").unlink()
    hub.push(REPO, full)
    said = load(hub, tmp_path, ok=False)
    assert said.startswith("FileNotFoundError") and "b.safetensors" in said


def test_an_index_cannot_point_out_of_the_folder(hub, folder, tmp_path):
    full = sharded(folder, tmp_path / "sharded")
    index = {"weight_map": {"a": "../../secret.safetensors"}}
    (full / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.push(REPO, full)
    said = load(hub, tmp_path, ok=False)
    assert "FormatError" in said and "name of a .safetensors file beside the index" in said
    assert not [name for name in hub.fetched() if name.endswith(".safetensors")]


def test_one_gguf_file_of_a_repository(hub, tmp_path):
    full = tmp_path / "full"
    (full / "q8").mkdir(parents=True)
    pyqtf.export_gguf("stories-30k", full / "q8/small.gguf")
    (full / "other.gguf").write_bytes(b"?")
    hub.push(REPO, full)
    name = f"{REPO}/q8/small.gguf"
    assert load(hub, tmp_path, repr(name)) == expected(full / "q8/small.gguf", "small")
    assert hub.fetched() == ["q8/small.gguf"]
    assert load(hub, tmp_path, repr(name), HF_HUB_OFFLINE="1")[0] == "small"
    said = load(hub, tmp_path, repr(f"{REPO}/none.gguf"), ok=False)
    assert said.startswith("FileNotFoundError")
    assert "no file 'none.gguf'" in said and "there are other.gguf, q8/small.gguf" in said


def test_commands_take_ids(hub, folder, tmp_path):
    hub.push(REPO, folder, "main", "v1")
    code = f"""
import sys
from pyqtf.cli import main
sys.exit(main(["score", "A cat.", "--model", "{REPO}"])
         or main(["compare", "{REPO}", "{REPO}@v1", "--stories", "s.txt"])
         or main(["scaling", "--models", "{REPO}", "--stories", "s.txt", "--out", "run"]))
"""
    (tmp_path / "s.txt").write_text("A cat sat.\n\nA dog ran.")
    code = f"import os; os.chdir({str(tmp_path)!r})" + code
    done = run_child(hub.url, tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "A is small-1 (q8), B is small-1@v1 (q8)" in done.stdout
    assert "small-1," in (tmp_path / "run/results.csv").read_text()


def test_a_tokenizer_comes_without_the_weights(hub, folder, tmp_path):
    hub.push(REPO, folder)
    (tmp_path / "s.txt").write_text("A cat")
    arguments = ["tokenize", str(tmp_path / "s.txt"), "--model", REPO]
    code = f"import sys; from pyqtf.cli import main; sys.exit(main({arguments!r}))"
    done = run_child(hub.url, tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "5 tokens, 5 characters" in done.stdout
    assert sorted(hub.fetched()) == ["config.json", "tokenizer.json"]


def test_ids():
    assert parse_id("a/b") == HubId("a/b")
    assert str(parse_id("a/b/c/d.gguf@x/y")) == "a/b/c/d.gguf@x/y"
    for text in ("a", "/a/b", "./b", "a/b/c", "a/b@", "a/../b.gguf", "a/b/../c.gguf", "~/b",
                 "a b/c", "a/b.gguf", "a/b/.gguf", "a//b.gguf", "a/b\n"):  # fmt: skip
        assert parse_id(text) is None, text


def test_what_can_be_no_id_is_not_looked_up(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match="nor an id on the Hugging Face hub"):
        pyqtf.load("nothing")
    with pytest.raises(FileNotFoundError, match="nor an id on the Hugging Face hub"):
        pyqtf.load(tmp_path / "a")
    with pytest.raises(ValueError, match="revision is for models on the hub, but stories-30k"):
        pyqtf.load("stories-30k", revision="main")
    np.testing.assert_equal(pyqtf.load("stories-30k").name, "stories-30k")
