"""The KV cache, sampling, and text that comes piece by piece."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import write_model

import pyqtf
from pyqtf.generation import Sampling, StopScanner, new_ids

SIZES = {
    "hidden_size": 72, "intermediate_size": 80, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 18, "vocab_size": 259, "max_position_embeddings": 200,
}  # fmt: skip


@pytest.fixture(scope="module", params=["q8", "q4", "f32"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "random"
    write_model(folder, **SIZES)
    (folder / "tokenizer_config.json").write_text('{"eos_token": "!"}')
    return pyqtf.load(folder, quant=request.param)


@pytest.mark.parametrize("cuts", [[1], [63, 64, 65], [10, 11, 12, 90], list(range(1, 130))])
def test_a_text_read_in_pieces_gives_the_same_bits(cuts, model):
    ids = np.random.default_rng(1).integers(0, 259, 131)
    whole = model.logits(ids)
    cache = pyqtf.KVCache(model.config)
    pieces = np.split(ids, cuts)
    parts = [model.logits(piece, cache=cache) for piece in pieces]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert len(cache) == 131
    cache.truncate(cuts[0])
    assert model.logits(ids[cuts[0] :], cache=cache).tobytes() == whole[cuts[0] :].tobytes()


def test_the_cache_tells_its_size_and_limits(model):
    cache = pyqtf.KVCache(model.config)
    assert (len(cache), cache.nbytes) == (0, 0)
    model.logits([1] * 150, cache=cache)
    # 2 layers, keys and values, 2 heads of 18 numbers: as the model attends
    assert cache.nbytes == 2 * 2 * 150 * 2 * 18 * (4 if model.quant == "f32" else 2)
    with pytest.raises(ValueError, match="201 tokens are more than random can read"):
        model.logits([1] * 51, cache=cache)
    assert len(cache) == 150
    for bad in (-1, 151):
        with pytest.raises(ValueError, match=f"length must be from 0 to 150, got {bad}"):
            cache.truncate(bad)


def test_greedy_is_the_most_likely_token_each_time(model):
    ids = np.frombuffer(b"Once", np.uint8).astype(np.int64)
    new = list(itertools.islice(new_ids(model._decoder, ids, 256, Sampling()), 50))
    for i, token in enumerate(new):
        assert model.logits([*ids, *new[:i]])[-1, :256].argmax() == token


def test_the_text_is_that_of_the_ids(model):
    text = model.generate("Once", max_tokens=60, temperature=1.5, seed=3)
    ids = np.frombuffer(b"Once", np.uint8).astype(np.int64)
    chosen = itertools.islice(new_ids(model._decoder, ids, 256, Sampling(1.5, seed=3)), 60)
    data = bytes(itertools.takewhile(lambda token: token != ord("!"), chosen))
    assert text == data.decode("utf-8", errors="replace")
    pieces = list(model.stream("Once", max_tokens=60, temperature=1.5, seed=3))
    assert "".join(pieces) == text and all(pieces) and len(pieces) > 1


def test_seeds_repeat_and_differ(model):
    def text(seed):
        return model.generate("Once", max_tokens=20, temperature=2.0, seed=seed)

    assert text(1) == text(1) != text(2)
    assert len({text(None) for _ in range(3)}) > 1


def test_the_prompt_may_be_ids_and_the_end_is_the_context(model):
    ids = list(b"abc")
    assert model.generate(ids, max_tokens=9) == model.generate("abc", max_tokens=9)
    assert model.generate("abc", max_tokens=0) == ""
    long = [97] * 198
    new = model.generate(long, max_tokens=50, temperature=3.0, seed=0)
    assert 0 < len(new.encode("utf-8", errors="replace")) <= 3 * 2
    with pytest.raises(ValueError, match="201 tokens are more"):
        model.generate([97] * 201)


def test_stop_strings_end_the_text(model):
    whole = model.generate("Once", max_tokens=60, temperature=1.5, seed=3)
    stop = whole[7:9]
    expected = whole[: whole.find(stop)]
    options = {"max_tokens": 60, "temperature": 1.5, "seed": 3}
    assert model.generate("Once", stop=[stop], **options) == expected
    assert model.generate("Once", stop=["never there", stop], **options) == expected
    assert model.generate("Once", stop=["never there"], **options) == whole
    # One text is one stop string, not its characters.
    assert model.generate("Once", stop=stop, **options) == expected
    assert model.generate("Once", stop="never there", **options) == whole


def test_a_text_goes_on_with_its_space(tmp_path):
    pytest.importorskip("tokenizers")
    from metaspace_tokenizers import document

    vocabulary = document("llama")
    write_model(tmp_path / "m", **{**SIZES, "vocab_size": len(vocabulary["model"]["vocab"])})
    (tmp_path / "m" / "tokenizer.json").write_text(json.dumps(vocabulary))
    model = pyqtf.load(tmp_path / "m")
    ids, begins = model.tokenizer.encode("Once upon a").astype(np.int64), 0
    for seed in range(20):
        options = {"temperature": 2.0, "seed": seed}
        new = list(itertools.islice(new_ids(model._decoder, ids, 900, Sampling(**options)), 6))
        expected = model.tokenizer.decode([*ids, *new])
        if "\ufffd" not in expected and not {0, 1, 2} & set(new):
            assert (
                "Once upon a" + model.generate("Once upon a", max_tokens=6, **options) == expected
            )
            begins += model.tokenizer.token_bytes(new[0]).startswith(b" ")
    assert begins


@given(
    pieces=st.lists(st.text("ab", max_size=4), max_size=8),
    stop=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
@settings(deadline=None)
def test_the_scanner_gives_all_before_the_first_stop_string(pieces, stop):
    scanner, released = StopScanner(stop), []
    for piece in pieces:
        released.append(scanner.feed(piece))
        if scanner.stopped:
            break
    released.append(scanner.finish())
    text = "".join(pieces)
    # The first stop string to be complete ends the text; where several are, the earliest begins it.
    ends = [min((text[:n].find(s) for s in stop if s in text[:n]), default=-1)
            for n in np.cumsum([0, *map(len, pieces)])]  # fmt: skip
    cut = next((end for end in ends if end >= 0), len(text))
    assert "".join(released) == text[:cut]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be a finite number of 0 or more, got -0.1"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature must be a finite number of 0 or more, got 'hot'"),
        ({"top_k": -1}, "top_k must be a whole number of 0 or more, got -1"),
        ({"top_p": 0.0}, "top_p must be a number above 0"),
        ({"top_p": 1.1}, "top_p must be a number above 0"),
        ({"top_p": None}, "top_p must be a number above 0 and at most 1, got None"),
        ({"top_k": 2.5}, "top_k must be a whole number of 0 or more, got 2.5"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, got -1"),
        ({"max_tokens": -1}, "max_tokens must be a whole number of 0 or more"),
        ({"max_tokens": 3.0}, "max_tokens must be a whole number of 0 or more, got 3.0"),
        ({"max_tokens": True}, "max_tokens must be a whole number of 0 or more, got True"),
        ({"stop": ""}, "stop: expected texts of at least one character"),
        ({"stop": [""]}, "stop: expected texts of at least one character"),
    ],
)
def test_bad_options_are_refused(options, message, model):
    with pytest.raises(ValueError, match=message):
        model.generate("a", **options)
    with pytest.raises(ValueError, match="ids is empty"):
        model.generate("")


@pytest.mark.parametrize("stop", [None, 3, [b"end"], ["end", None]])
def test_stop_strings_are_texts(stop, model):
    with pytest.raises(TypeError, match="stop: expected a text or a list of texts, got"):
        model.stream("a", stop=stop)


@pytest.mark.filterwarnings("error")
def test_a_temperature_near_0_is_greedy():
    logits = np.array([1.0, 3.0, 2.0], np.float32)
    assert Sampling(temperature=1e-320).probabilities(logits).tolist() == [0, 1, 0]


@pytest.mark.parametrize("options", [
    {}, {"top_k": 5}, {"top_k": 1}, {"top_k": 999}, {"top_p": 0.7}, {"top_p": 1e-9},
    {"top_k": 12, "top_p": 0.4},
])  # fmt: skip
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_probabilities_equal_transformers(options, temperature):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    logits = np.random.default_rng(7).normal(size=40).astype(np.float32)
    logits[3] = logits[8] = np.sort(logits)[-5]
    process = transformers.LogitsProcessorList(
        [transformers.TemperatureLogitsWarper(temperature)]
        + [transformers.TopKLogitsWarper(k) for k in [options.get("top_k", 0)] if k]
        + [transformers.TopPLogitsWarper(p) for p in [options.get("top_p", 1.0)] if p < 1]
    )
    theirs = process(torch.zeros(1, 0, dtype=torch.long), torch.from_numpy(logits)[None].double())
    expected = torch.softmax(theirs, dim=-1)[0].numpy()
    ours = Sampling(temperature, **options).probabilities(logits)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    sampling = Sampling(temperature=1.0, seed=11)
    random = sampling.random()
    counts = np.bincount([sampling.choose(logits, random) for _ in range(4000)], minlength=4)
    expected = 4000 * np.array([0.5, 0.3, 0.15, 0.05])
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-squared, 3 degrees, p = 0.001
