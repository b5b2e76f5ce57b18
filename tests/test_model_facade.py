"""pyqtf.load and Model: what comes out doesn't depend on how it was asked, and bad input."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf import _core
from pyqtf import model as model_module
from pyqtf.formats import FormatError

SIZES = {
    "hidden_size": 72, "intermediate_size": 80, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 18, "vocab_size": 259, "max_position_embeddings": 1200,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "random", seed=2, **SIZES)


@pytest.fixture(scope="module", params=["q8", "q4", "f32"])
def model(request, folder):
    return pyqtf.load(folder, quant=request.param)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(2)
    lengths = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129, 511, 512, 513, 1100, 2, 1]
    return [rng.integers(0, 259, n) for n in lengths]


def bits(losses):
    return [
        tuple(getattr(one, field).tobytes()
              for field in ("nll", "rank", "entropy", "top_ids", "top_logprobs"))
        for one in losses
    ]  # fmt: skip


@pytest.fixture(scope="module")
def alone(model, texts):
    """Each text scored by itself, on one thread."""
    before = _core.get_num_threads()
    _core.set_num_threads(1)
    result = [bits(model.token_losses([ids], top_k=2))[0] for ids in texts]
    _core.set_num_threads(before)
    return result


def test_a_batch_gives_the_bits_of_each_text_alone(model, texts, alone):
    losses = model.token_losses(texts, top_k=2)
    assert [len(one) for one in losses] == [len(ids) - 1 for ids in texts]
    assert bits(losses) == alone
    order = np.random.default_rng(3).permutation(len(texts))
    assert bits(model.token_losses([texts[i] for i in order], top_k=2)) == [alone[i] for i in order]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(threads, model, texts, alone):
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        assert bits(model.token_losses(texts, top_k=2)) == alone
    finally:
        _core.set_num_threads(before)


def test_python_threads_and_a_forked_child_score_at_once(model, texts, alone):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(model.token_losses, texts, top_k=2) for _ in range(2)]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                same = bits(model.token_losses(texts[:10], top_k=2)) == alone[:10]
                os.write(writer, b"same" if same else b"other")
            finally:
                os._exit(0)
        os.close(writer)
        assert all(bits(run.result()) == alone for run in runs)
    assert os.read(reader, 10) == b"same"
    os.waitpid(child, 0)


def test_what_comes_before_decides_nothing_of_what_comes_after(model, texts):
    ids = texts[9]
    changed = ids.copy()
    changed[40] = (changed[40] + 1) % 259
    a, b = model.logits(ids), model.logits(changed)
    assert a[:40].tobytes() == b[:40].tobytes()
    assert (a[40:] != b[40:]).any(axis=1).all()


def test_losses_are_those_of_the_logits(model, texts):
    ids = texts[12]
    logits = model.logits(ids)[:-1].astype(np.float64)
    assert logits.shape == (510, 259)
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    (losses,) = model.token_losses([ids], top_k=259)
    nll = -np.take_along_axis(logprobs, ids[1:, None], axis=1)[:, 0]
    np.testing.assert_allclose(losses.nll, nll, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.exp(losses.top_logprobs).sum(axis=1), 1, rtol=1e-5)


def test_a_text_is_scored(model):
    score = model.score("A cat.", context="Look! ", top_k=1)
    assert (score.n_tokens, score.n_scored, score.n_bytes) == (6, 6, 6)
    ids = np.frombuffer(b"Look! A cat.", np.uint8)
    (losses,) = model.token_losses([ids])
    assert score.losses.nll.tobytes() == losses.nll[5:].tobytes()
    with pytest.raises(ValueError, match="the text is empty"):
        model.score("")
    with pytest.raises(ValueError, match="single token"):
        model.score("a")
    with pytest.raises(ValueError, match=r"1201 tokens .*max_position_embeddings is 1200"):
        model.score("x" * 1201)


def test_a_pickled_model_is_loaded_again(model, texts, alone):
    again = pickle.loads(pickle.dumps(model))
    assert (again.name, again.quant, again.config) == (model.name, model.quant, model.config)
    assert bits(again.token_losses(texts[:5], top_k=2)) == alone[:5]


def test_a_pickle_is_refused_when_its_file_holds_another_model(tmp_path):
    path = tmp_path / "model.pyqtf"
    pyqtf.load("stories-30k").save(path)
    pickled = pickle.dumps(pyqtf.load(path))
    assert pickle.loads(pickled).name == "stories-30k"
    pyqtf.load("stories-80k").save(path)
    with pytest.raises(ValueError, match="other weights than when stories-30k was loaded"):
        pickle.loads(pickled)
    texts = ["Once upon a time there was a fox. " * 4] * 5
    for calibration in (None, texts):
        model = pyqtf.load("stories-80k", quant="q4", calibration=calibration, progress=False)
        model.save(path)
        if calibration is None:
            pickled = pickle.dumps(pyqtf.load(path))
    with pytest.raises(ValueError, match="other weights than when stories-80k was loaded"):
        pickle.loads(pickled)


def test_facts(model, folder):
    assert model.name == "random"
    # embedding and head 259 x 72; a layer: q, o, k, v, three of the feed-forward, biases, norms
    layer = 2 * 72 * 72 + 2 * 36 * 72 + 3 * 80 * 72 + 72 + 36 + 36 + 144
    assert model.n_params_non_embedding == 2 * layer + 72
    assert model.n_params == model.n_params_non_embedding + 2 * 259 * 72
    assert repr(model) == f"Model(random: {model.n_params:,} parameters, {model.quant})"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "empty"),
        ([3, 259], "token id 259 is outside the vocabulary of random: expected 0 to 258"),
        ([3, -1], "token id -1 is outside"),
        ([2**40], "token id 1099511627776 is outside"),
        ([[1, 2]], "flat list of integers"),
        ([1.0, 2.0], "flat list of integers"),
        (["a"], "flat list of integers"),
        ([1] * 1201, "1201 tokens are more than random can read at once.*1200"),
    ],
)
def test_bad_ids_are_refused(ids, message, model):
    with pytest.raises(ValueError, match=message):
        model.logits(ids)
    with pytest.raises(ValueError, match=message):
        model.token_losses([[1, 2], ids])


@pytest.mark.parametrize("top_k", [-1, 260])
def test_bad_top_k_is_refused(top_k, model):
    with pytest.raises(ValueError, match=f"top_k must be from 0 to 259, got {top_k}"):
        model.token_losses([[1, 2]], top_k=top_k)


def test_no_sequences_no_losses(model):
    assert model.token_losses([]) == []


def test_logits_that_do_not_fit_are_refused(model, monkeypatch):
    monkeypatch.setattr(model_module, "available_memory", lambda: 1_000_000)
    with pytest.raises(MemoryError, match=r"1100 tokens x 259 take 0\.0011 GB.*0\.001 GB.*score"):
        model.logits([1] * 1100)


def test_attention_weights_that_do_not_fit_are_refused(model, monkeypatch):
    monkeypatch.setattr(model_module, "available_memory", lambda: 2_000_000)
    model([1] * 300)
    with pytest.raises(MemoryError, match=r"what 300 tokens leave behind take 0\.0032 GB"):
        model([1] * 300, output_attentions=True)


def test_hidden_states_that_overflow_are_refused(folder, tmp_path):
    huge = {"model.norm.weight": np.full(72, 3e38, np.float32)}
    model = pyqtf.load(write_model(tmp_path, tensors=huge, **SIZES), quant="f32")
    with pytest.raises(ValueError, match="hidden states overflow"):
        model.token_losses([[1, 2, 3]])


def test_what_can_not_be_loaded_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="quant must be one of q8, q4, f32, got 'q3'"):
        pyqtf.load(folder, quant="q3")
    with pytest.raises(
        FileNotFoundError, match="'no such' is neither a folder or file, nor a model"
    ):
        pyqtf.load("no such")
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        pyqtf.load(tmp_path)
    broken = write_model(tmp_path / "broken", **SIZES)
    whole = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(whole[:-4])
    with pytest.raises(FormatError, match="truncated"):
        pyqtf.load(broken)
    (broken / "model.safetensors").write_bytes(whole)
    (broken / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        pyqtf.load(broken)


def test_a_script_that_loads_and_scores_does_not_wait_for_pandas():
    code = (
        "import sys, pyqtf; pyqtf.load('stories-30k').logits([5, 6, 7]);"
        "print({'pandas', 'scipy', 'matplotlib'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "set()\n", result.stderr
