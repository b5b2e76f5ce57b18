"""Words and sentences: every scored token is in one of them, and their sums are the score's."""

import math
import sys

import numpy as np
import pytest
from fakes import BigramModel, WordTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

import pyqtf
from pyqtf.evaluation.context import split_sentences
from pyqtf.evaluation.score import score

TEXT = "The cat sat. “Oh!” said Tom’s friend…  It  ran\n\naway (fast). "


def check(one, frame):
    """The sums that the documentation promises."""
    assert frame["n_scored"].sum() == one.n_scored
    assert frame["n_bytes"].sum() == one.n_bytes
    rounding = sys.float_info.epsilon / 2 * (frame["nll"].abs().sum() + abs(one.nll))
    assert abs(math.fsum(frame["nll"]) - one.nll) <= rounding
    assert frame["position"].is_monotonic_increasing
    tokens = one.to_frame().set_index("position")["nll"]
    for row in frame.itertuples():
        members = range(row.position, row.position + row.n_tokens)
        scored = [i for i in members if i in tokens.index]
        assert len(scored) == row.n_scored
        assert row.nll == math.fsum(tokens[i] for i in scored)


@pytest.mark.parametrize("name", ["stories-80k", None])
def test_words_are_what_stands_between_white_space(name):
    model = pyqtf.load(name) if name else BigramModel()
    one = score(model, TEXT, context="Hm.")
    frame = one.words()
    assert frame["word"].tolist() == TEXT.split()
    check(one, frame)


@pytest.mark.parametrize("name", ["stories-80k", None])
def test_sentences_are_those_of_the_splitter(name):
    model = pyqtf.load(name) if name else BigramModel()
    one = score(model, TEXT, context="Hm.")
    frame = one.sentences()
    assert frame["sentence"].tolist() == [part.strip() for part in split_sentences(TEXT)]
    check(one, frame)


def test_the_first_token_is_missing_without_a_context():
    one = score(BigramModel(), "ab cd")
    assert one.words()[["word", "n_tokens", "n_scored"]].values.tolist() == [
        ["ab", 2, 1],
        ["cd", 3, 3],
    ]
    words = score(BigramModel(tokenizer=WordTokenizer()), "ab cd ef")
    assert words.words()["word"].tolist() == ["cd", "ef"]
    check(words, words.words())


def test_a_character_may_span_tokens_and_ids_may_be_no_text():
    one = score(BigramModel(), np.array([0x20, 0xE2, 0x80, 0x20, 0xFF, 0x0A], np.int32))
    assert one.words()["word"].tolist() == [r"\xe2\x80", r"\xff"]
    check(one, one.words())
    check(one, one.sentences())


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab .!?\n”é　\u00a0", min_size=2, max_size=40))
def test_every_scored_token_counts_once(text):
    one = score(BigramModel(), text)
    check(one, one.words())
    check(one, one.sentences())
    both = score(BigramModel(), text, context="x")
    check(both, both.words())


def test_whole_stories():
    model = pyqtf.load("stories-80k")
    for story in pyqtf.bundled.stories()[:10]:
        one = model.score(story["text"])
        words, sentences = one.words(), one.sentences()
        check(one, words)
        check(one, sentences)
        assert words["word"].iloc[-5:].tolist() == story["text"].split()[-5:]
