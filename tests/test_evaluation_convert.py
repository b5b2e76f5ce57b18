"""Figures derived from losses that are there: equal to measuring again, or refused."""

import math

import numpy as np
import pytest
from fakes import BigramModel
from hypothesis import given, settings
from hypothesis import strategies as st

import pyqtf
from pyqtf.evaluation.convert import convert
from pyqtf.evaluation.measure import measure
from pyqtf.evaluation.protocol import PROTOCOLS
from pyqtf.evaluation.score import score

TEXT = "Once upon a time there was a cat. It sat on a mat, and the mat was red. " * 3
FIGURES = ("perplexity", "error", "word_perplexity", "byte_perplexity", "bits_per_byte", "nll",
           "n_tokens", "n_scored", "n_windows")  # fmt: skip


class Whole(BigramModel):
    """A model whose loss depends on everything it has read."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer.bos_token_id, self.tokenizer.eos_token_id = 1, 2

    def _losses(self, ids, top_k):
        found = super()._losses(ids, top_k)
        found.nll[:] += np.sin(np.cumsum(ids[:-1] * np.arange(1, len(ids))))
        return found


def figures(found):
    return [getattr(found, name) for name in FIGURES]


def equal(a, b):
    np.testing.assert_array_equal(figures(a), figures(b))
    a.receipt.check_comparable(b.receipt)
    assert a.receipt == b.receipt


def options(name, window, stride):
    return {
        "window": None if name == "per-story" else window,
        "stride": stride if name == "hf-stride" else None,
    }


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("gptq", 64, None), ("llama.cpp", 64, None)),
        (("hf-stride", 64, 64), ("gptq", 64, None)),
        (("hf-stride", 64, 64), ("llama.cpp", 64, None)),
        (("hf-stride", 64, 32), ("gptq", 64, None)),
        (("gptq", 64, None), ("gptq", 64, None)),
        (("per-story", None, None), ("hf-stride", 500, 100)),
        (("per-story", None, None), ("gptq", 200, None)),
        (("hf-stride", 500, 100), ("per-story", None, None)),
        (("lm-eval", 400, None), ("lm-eval", 300, None)),
    ],
)
def test_what_follows_is_equal_to_measuring(source, target):
    name, window, stride = source
    found = measure(Whole(), TEXT, name, **options(name, window, stride))
    name, window, stride = target
    kwargs = options(name, window, stride)
    equal(convert(found, name, **kwargs), measure(Whole(), TEXT, name, **kwargs))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("per-story", None, None), ("llama.cpp", 64, None)),
        (("per-story", None, None), ("lm-eval", 300, None)),
        (("gptq", 64, None), ("gptq", 96, None)),
        (("gptq", 64, None), ("hf-stride", 64, 64)),
        (("llama.cpp", 64, None), ("hf-stride", 64, 32)),
        (("hf-stride", 64, 64), ("hf-stride", 64, 32)),
        (("gptq", 64, None), ("lm-eval", 64, None)),
    ],
)
def test_what_does_not_follow_is_refused(source, target):
    name, window, stride = source
    found = measure(Whole(), TEXT, name, **options(name, window, stride))
    name, window, stride = target
    with pytest.raises(ValueError, match=rf"what {name} prints doesn't follow .*fresh start"):
        convert(found, name, **options(name, window, stride))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_converting_is_measuring_or_refused(data):
    """Over all pairs of protocols and sizes: the same figures, or none."""
    model = Whole()
    (a, b) = data.draw(st.tuples(*[st.sampled_from(list(PROTOCOLS))] * 2))
    kwargs = []
    for name in (a, b):
        window = data.draw(st.sampled_from([8, 16, 32, 60]))
        kwargs.append(options(name, window, data.draw(st.integers(1, window))))
    text = TEXT[: data.draw(st.integers(40, 70))]
    try:
        found = measure(model, text, a, **kwargs[0])
        expected = measure(model, text, b, **kwargs[1])
    except ValueError:
        return
    try:
        derived = convert(found, b, **kwargs[1])
    except ValueError as error:
        assert "doesn't follow" in str(error)
        return
    equal(derived, expected)


def test_a_score_converts_too():
    model = Whole()
    one = score(model, TEXT)
    equal(convert(one, "per-story"), measure(model, TEXT))
    derived = convert(one, "gptq", window=200)
    assert figures(derived)[:1] == figures(measure(model, TEXT, "gptq", window=200))[:1]
    with pytest.raises(ValueError, match="give window="):
        convert(one, "hf-stride")
    with pytest.raises(ValueError, match="doesn't follow"):
        convert(one, "llama.cpp", window=64)


def test_a_score_behind_the_end_token_is_what_lm_eval_reads():
    model = Whole()
    behind = score(model, TEXT, context=[2])
    derived = convert(behind, "lm-eval", window=len(TEXT))
    expected = measure(model, TEXT, "lm-eval", window=len(TEXT))
    np.testing.assert_array_equal(figures(derived), figures(expected))
    assert derived.receipt.protocol == expected.receipt.protocol
    # Its own first token was scored behind another one, so the bare text's losses aren't there.
    with pytest.raises(ValueError, match="doesn't follow"):
        convert(behind, "per-story")


def test_real_models_convert_to_the_bit():
    model = pyqtf.load("stories-80k")
    text = "\n\n".join(story["text"] for story in pyqtf.bundled.stories()[:6])
    found = measure(model, text, "hf-stride", window=128, stride=128)
    for name in ("gptq", "llama.cpp"):
        derived = convert(found, name, window=128)
        equal(derived, measure(model, text, name, window=128))
        assert not math.isclose(derived.perplexity, found.perplexity, rel_tol=1e-9)
