"""Contexts: the same tokens count behind each, and a control that isn't one's own story."""

import math

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel, UniformModel
from hypothesis import given
from hypothesis import strategies as st

import pyqtf
from pyqtf.evaluation.context import evaluate_contexts, split_sentences, summarise_contexts
from pyqtf.evaluation.score import score

STORIES = [
    "Tom sat. He ate. He slept! Did he wake? No. He dreamt.",
    'A fox ran. "Stop!" cried Ann. It stopped. It sat.',
    "One. Two.",
    "Only one sentence",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A b. C d? E", ["A b.", " C d?", " E"]),
        ("He said “No.” Then he left.\n\nEnd.", ["He said “No.”", " Then he left.", "\n\nEnd."]),
        ("It cost 3.50 today. Yes.", ["It cost 3.50 today.", " Yes."]),
        ("Wait... what? (Really.) Yes.  ", ["Wait...", " what?", " (Really.)", " Yes.  "]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert split_sentences(text) == expected


@given(st.text(alphabet='ab.!?" \n”', max_size=60))
def test_sentences_make_up_the_text(text):
    assert "".join(split_sentences(text)) == text


def test_every_row_is_the_score_of_its_half():
    model = BigramModel()
    df = evaluate_contexts(model, STORIES, sentences=[1, 2])
    assert df["story_idx"].unique().tolist() == [0, 1, 2]  # the last has one sentence
    half = " Did he wake? No. He dreamt."
    contexts = {
        ("none", 0): "",
        ("own", 1): " He slept!",
        ("own", 2): " He ate. He slept!",
        ("other", 1): ' "Stop!"',
        ("other", 2): 'A fox ran. "Stop!"',
    }
    rows = df[df["story_idx"] == 0].set_index(["context", "n_sentences"])
    assert set(rows.index) == set(contexts)
    for key, context in contexts.items():
        one = score(model, half, context=context)
        nll = one.losses.nll[1:] if context else one.losses.nll
        row = rows.loc[key]
        assert row["n_scored"] == len(half) - 1
        assert row["nll"] == pytest.approx(nll.sum(), rel=1e-13)
        assert row["n_context"] == len(context)
        assert row["perplexity"] == pytest.approx(math.exp(nll.mean()), rel=1e-12)


def test_a_model_without_memory_gains_nothing():
    # A bigram model sees one token back, and the half's first token is never counted.
    df = summarise_contexts(evaluate_contexts(BigramModel(), STORIES))
    assert (df["difference"].abs() < 1e-12).all()


def test_the_last_story_takes_its_control_from_the_first():
    df = evaluate_contexts(UniformModel(), STORIES, sentences=[1])
    last = df[(df["story_idx"] == 2) & (df["context"] == "other")].iloc[0]
    assert last["n_context"] == len(" He slept!")


def test_the_control_can_be_left_out():
    df = evaluate_contexts(UniformModel(), STORIES, sentences=[3], control=False)
    assert df["context"].unique().tolist() == ["none", "own"]


def test_differences_are_paired_and_clustered():
    rng = np.random.default_rng(0)
    n, sizes = 20, rng.integers(5, 50, 20)
    none, own = 3 * sizes + rng.normal(0, 5, n), 2.5 * sizes + rng.normal(0, 5, n)
    df = pd.DataFrame(
        {
            "model_name": "m",
            "story_idx": np.tile(range(n), 2),
            "context": ["none"] * n + ["own"] * n,
            "n_sentences": [0] * n + [1] * n,
            "n_scored": np.tile(sizes, 2),
            "nll": [*none, *own],
        }
    )
    row = summarise_contexts(df).iloc[1]
    mean = (own - none).sum() / sizes.sum()
    residual = own - none - mean * sizes
    se = math.sqrt(n / (n - 1) * (residual**2).sum()) / sizes.sum()
    assert row["difference"] == pytest.approx(mean)
    assert row["high"] - row["low"] == pytest.approx(2 * 2.0930240544 * se, rel=1e-9)
    with pytest.raises(ValueError, match="lacks one of the contexts"):
        summarise_contexts(df.iloc[:-1])


def test_own_sentences_help_a_bundled_model_more_than_anothers():
    model = pyqtf.load(pyqtf.bundled.names()[-1])
    df = summarise_contexts(evaluate_contexts(model, pyqtf.bundled.stories(), sentences=[4]))
    none, own, other = df["perplexity"]
    assert own < other < none


@pytest.mark.parametrize(
    ("stories", "kwargs", "words"),
    [
        (STORIES[:1], {}, "1 of the stories have two sentences"),
        (STORIES, {"sentences": [0]}, "numbers of 1 or more"),
        ([STORIES[0], "A. " + "b" * 5000], {}, "story 1: 5001 tokens"),
    ],
)
def test_what_is_refused(stories, kwargs, words):
    with pytest.raises(ValueError, match=words):
        evaluate_contexts(UniformModel(), stories, **kwargs)
