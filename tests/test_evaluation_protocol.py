"""Protocols: the windows of each tool, the number it would print, and what doesn't compare."""

import math
from itertools import chain

import numpy as np
import pytest
from fakes import BigramModel, UniformModel
from hypothesis import given
from hypothesis import strategies as st

from pyqtf.evaluation.measure import measure
from pyqtf.evaluation.protocol import (
    GPTQ,
    HF_STRIDE,
    LLAMA_CPP,
    LM_EVAL,
    PER_STORY,
    PROTOCOLS,
    get_protocol,
)
from pyqtf.evaluation.receipt import ProtocolMismatchError, Receipt
from pyqtf.evaluation.score import score

TEXT = "Once upon a time there was a cat. It sat on a mat, and the mat was red. " * 8


def arange(n):
    return np.arange(n, dtype=np.int32)


def scored(windows):
    """The tokens that are scored, window by window."""
    return [w.ids[w.first :].tolist() for w in windows]


class WithPrefix(BigramModel):
    """A model whose tokenizer has tokens for the beginning and the end."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer.bos_token_id = 1
        self.tokenizer.eos_token_id = 2


def test_windows_by_hand():
    windows = HF_STRIDE.change(window=4, stride=2).windows(arange(9), limit=100)
    assert [w.ids.tolist() for w in windows] == [
        [0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8],
    ]  # fmt: skip
    assert scored(windows) == [[1, 2, 3], [4, 5], [6, 7], [8]]
    assert [w.weight for w in windows] == [3, 1, 1, 0]

    windows = LLAMA_CPP.change(window=4).windows(arange(11), limit=100)
    assert scored(windows) == [[3], [7]]
    windows = LLAMA_CPP.change(window=4, prefix="bos").windows(arange(11), limit=100, prefix_id=99)
    assert [w.ids.tolist() for w in windows] == [[99, 0, 1, 2], [99, 4, 5, 6], [99, 8, 9, 10]]
    assert scored(windows) == [[2], [6], [10]]

    windows = LM_EVAL.change(window=4).windows(arange(10), limit=100, prefix_id=99)
    assert [w.ids.tolist() for w in windows] == [
        [99, 0, 1, 2, 3], [3, 4, 5, 6, 7], [5, 6, 7, 8, 9],
    ]  # fmt: skip
    assert scored(windows) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    (window,) = PER_STORY.change(prefix="bos").windows(arange(3), limit=4, prefix_id=99)
    assert (window.ids.tolist(), window.first) == ([99, 0, 1, 2], 1)


@given(st.integers(2, 60), st.integers(2, 20), st.integers(1, 20))
def test_every_token_is_scored_once(n, window, stride):
    stride = min(stride, window)
    windows = HF_STRIDE.change(window=window, stride=stride).windows(arange(n), limit=99)
    covered = list(chain(*scored(windows)))
    # A window that begins with a new token cannot score it.
    assert covered == sorted(set(covered))
    if stride < window:
        assert covered == list(range(1, n))
    windows = LM_EVAL.change(window=window).windows(arange(n), limit=99, prefix_id=0)
    covered = list(chain(*scored(windows)))
    assert covered == list(range(n))


@given(st.integers(2, 60), st.integers(2, 20))
def test_windows_of_llama_cpp_and_gptq_tile_the_text(n, window):
    if n >= window:
        windows = GPTQ.change(window=window).windows(arange(n), limit=99)
        assert [w.ids[0] for w in windows] == list(range(0, n - window + 1, window))
        assert all(w.n_scored == window - 1 for w in windows)
    if n >= 2 * window and window > 2:
        windows = LLAMA_CPP.change(window=window).windows(arange(n), limit=99)
        assert len(windows) == n // window
        assert all(w.weight == w.n_scored == window - window // 2 - 1 for w in windows)


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "lm-eval"])
def test_a_uniform_model_has_its_vocabulary_as_perplexity(protocol):
    kwargs = {} if protocol == "per-story" else {"window": 64}
    if protocol == "hf-stride":
        kwargs["stride"] = 32
    found = measure(UniformModel(), TEXT, protocol, **kwargs)
    assert found.perplexity == pytest.approx(256, rel=1e-12)
    assert found.n_tokens == len(TEXT.encode())


def test_per_story_is_score():
    stories = [TEXT, TEXT[:99], "A dog."]
    model = BigramModel()
    found = measure(model, stories)
    scores = [score(model, text) for text in stories]
    assert found.nll == pytest.approx(sum(s.nll for s in scores), rel=1e-14)
    assert found.n_scored == sum(s.n_scored for s in scores)
    assert found.perplexity == pytest.approx(math.exp(found.nll / found.n_scored), rel=1e-13)


def test_lm_eval_counts_words_and_bytes_of_the_text():
    model = WithPrefix()
    texts = [TEXT, " Two  words\n"]
    found = measure(model, texts, "lm-eval", window=50)
    nll = sum(-model.logprobs[a, b] for text in texts
              for a, b in zip([2, *text.encode()], text.encode(), strict=False))  # fmt: skip
    assert found.nll == pytest.approx(nll, rel=1e-12)
    n_bytes = sum(len(text.encode()) for text in texts)
    n_words = len(TEXT.split(" ")) + 4  # as re.split counts: empty words at both ends
    assert found.byte_perplexity == pytest.approx(math.exp(nll / n_bytes))
    assert found.bits_per_byte == pytest.approx(nll / n_bytes / math.log(2))
    assert found.word_perplexity == pytest.approx(math.exp(nll / n_words))
    assert found.n_scored == n_bytes


def test_protocols_give_different_numbers():
    model = WithPrefix()
    found = {
        name: measure(model, TEXT, name, window=None if name == "per-story" else 64,
                      stride=32 if name == "hf-stride" else None).perplexity
        for name in PROTOCOLS
    }  # fmt: skip
    assert len({round(value, 6) for value in found.values()}) == len(PROTOCOLS)


def test_error_is_llama_cpps():
    found = measure(BigramModel(), TEXT, "llama.cpp", window=64)
    nll = np.concatenate([
        -BigramModel().logprobs[chunk[32:-1], chunk[33:]]
        for start in range(0, len(TEXT) - 63, 64)
        for chunk in [np.frombuffer(TEXT.encode(), np.uint8)[start : start + 64]]
    ])  # fmt: skip
    variance = (nll**2).mean() - nll.mean() ** 2
    expected = math.sqrt(variance / (len(nll) - 1)) * math.exp(nll.mean())
    assert found.error == pytest.approx(expected, rel=1e-9)
    assert math.isnan(measure(BigramModel(), TEXT).error)


@pytest.mark.parametrize(
    ("text", "protocol", "kwargs", "words"),
    [
        (TEXT, "gptq-4096", {}, "protocol is 'gptq-4096'; expected one of per-story"),
        (TEXT, "per-story", {"window": 5}, "has no window"),
        (TEXT, "gptq", {"stride": 5}, "no stride"),
        (TEXT, "gptq", {"prefix": "bos"}, "prefix is 'bos'; protocol gptq takes none"),
        (TEXT, "gptq", {"window": 5000}, "window is 5000; this model can read 2 to 4096"),
        (TEXT, "gptq", {"window": 1}, "window is 1"),
        (TEXT, "hf-stride", {"window": 64, "stride": 65}, "stride is 65; expected 1 to 64"),
        (TEXT, "gptq", {"window": 4000}, "too few for protocol gptq with a window of 4000"),
        ("a" * 127, "llama.cpp", {"window": 64}, "127 tokens, too few"),
        ("a", "per-story", {}, "1 tokens, too few"),
        ("", "hf-stride", {}, "0 tokens, too few"),
        ([], "per-story", {}, "no text"),
        ([TEXT, TEXT], "gptq", {}, "takes one text, got 2; join them"),
        (TEXT, "lm-eval", {}, "puts the eos token before the text, and this tokenizer has none"),
        (TEXT * 9, "per-story", {}, "can read 4096; use a protocol with windows"),
    ],
)
def test_what_is_refused(text, protocol, kwargs, words):
    with pytest.raises(ValueError, match=words):
        measure(UniformModel(), text, protocol, **kwargs)


def test_lm_evals_own_window_needs_a_place_for_what_it_predicts():
    with pytest.raises(ValueError, match="choose a window of at most 4095"):
        measure(WithPrefix(), TEXT * 9, "lm-eval")
    assert measure(WithPrefix(), TEXT * 9, "lm-eval", window=4095).n_windows == 2


def test_receipts_name_what_differs():
    model = WithPrefix()
    gptq = measure(model, TEXT, "gptq-2048", window=64).receipt
    assert gptq.protocol["window"] == 64
    assert gptq.provenance["model"] == "bigram"
    gptq.check_comparable(measure(WithPrefix(seed=1), TEXT, GPTQ, window=64).receipt)
    for other, fields in [
        (measure(model, TEXT, "gptq", window=32), ["window is 64 for one and 32"]),
        (measure(model, TEXT + "x", "gptq", window=64), ["text is"]),
        (measure(model, TEXT, "llama.cpp", window=64), ["protocol is gptq", "averaging is"]),
        (measure(model, TEXT, "lm-eval", window=64), ["prefix is none for one and eos",
                                                      "first_token is not scored"]),
    ]:  # fmt: skip
        with pytest.raises(ProtocolMismatchError) as caught:
            gptq.check_comparable(other.receipt)
        assert all(field in str(caught.value) for field in fields)


def test_provenance_may_differ_and_is_shown():
    one = measure(BigramModel(), TEXT).receipt
    two = measure(BigramModel("other"), TEXT).receipt
    one.check_comparable(two)
    assert one.differences(two) == ["model is bigram for one and other for the other"]
    assert one.differences(one) == []


def test_receipts_survive_a_file():
    one = measure(BigramModel(), TEXT, "hf-stride", window=64, stride=32).receipt
    again = Receipt.from_json(one.to_json())
    again.check_comparable(one)
    assert again == one
    for text in ("", "[]", '{"protocol": {}}'):
        with pytest.raises(ValueError, match="no receipt"):
            Receipt.from_json(text)


def test_get_protocol():
    assert get_protocol("gptq-2048").window == 2048
    assert get_protocol(GPTQ) is GPTQ
