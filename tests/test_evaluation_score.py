"""Scores of one text against closed forms, and what is refused."""

import math

import numpy as np
import pytest
from fakes import BigramModel, ByteTokenizer, FakeConfig, UniformModel
from hypothesis import given
from hypothesis import strategies as st

from pyqtf.evaluation.losses import TokenLosses
from pyqtf.evaluation.score import compute_perplexity, score

TEXT = "Zoë said: “Hi!” 🐈"
MODEL = BigramModel()


def by_hand(model, context, text):
    """Losses of the text's tokens from the table, one by one."""
    ids = list((context + text).encode())
    first = max(1, len(context.encode()))
    return [-model.logprobs[ids[i - 1], ids[i]] for i in range(first, len(ids))]


@pytest.mark.parametrize("context", ["", "x", "Once upon a time "])
def test_each_loss_is_the_models_loss_of_that_token(context):
    one = score(MODEL, TEXT, context=context)
    expected = by_hand(MODEL, context, TEXT)
    np.testing.assert_allclose(one.losses.nll, expected, rtol=1e-15)
    assert one.n_context == len(context.encode())
    assert one.n_tokens == len(TEXT.encode())
    assert one.n_scored == one.n_tokens - (context == "") == len(expected)
    assert one.nll == math.fsum(one.losses.nll)
    assert one.perplexity == pytest.approx(math.exp(np.mean(expected)), rel=1e-14)
    assert one.bits_per_byte == pytest.approx(sum(expected) / math.log(2) / one.n_scored)


def test_uniform_model_has_the_vocabulary_as_perplexity():
    one = score(UniformModel(), TEXT)
    assert one.perplexity == pytest.approx(256, rel=1e-13)
    assert one.bits_per_byte == pytest.approx(8, rel=1e-13)  # a token is a byte here


def test_bytes_are_those_of_the_scored_tokens():
    assert score(MODEL, "é").n_bytes == 1
    assert score(MODEL, "é", context="a").n_bytes == 2


def test_compute_perplexity_is_the_scores():
    for context in ("", "Before. "):
        expected = score(MODEL, TEXT, context=context).perplexity
        assert compute_perplexity(MODEL, MODEL.tokenizer, TEXT, context) == expected


def test_compute_perplexity_uses_the_tokenizer_it_is_given():
    class Shouting(ByteTokenizer):
        def encode(self, text, add_special_tokens=False):
            return super().encode(text.upper())

    expected = score(MODEL, "A CAT").perplexity
    assert compute_perplexity(MODEL, Shouting(), "a cat") == expected


def test_ids_and_text_give_the_same_score():
    ids = MODEL.tokenizer.encode(TEXT)
    expected = score(MODEL, TEXT, context="Ab")
    for given_ids in (ids, list(map(int, ids)), tuple(ids), ids.astype(np.int64)):
        one = score(MODEL, given_ids, context=[65, 98])
        assert one.nll == expected.nll
        assert one.text == TEXT


def test_context_is_seen_but_not_scored():
    alone, after = score(MODEL, "cat"), score(MODEL, "cat", context="a")
    np.testing.assert_array_equal(after.losses.nll[1:], alone.losses.nll)
    assert after.losses.nll[0] == -MODEL.logprobs[ord("a"), ord("c")]


def test_frame_has_the_documented_columns():
    frame = score(MODEL, "café", context="a ", top_k=2).to_frame()
    assert list(frame.columns) == (
        [
            "position",
            "token_id",
            "token",
            "n_bytes",
            "nll",
            "rank",
            "entropy",
            "top1",
            "top1_prob",
            "top2",
            "top2_prob",
        ]
    )
    assert frame["position"].tolist() == [0, 1, 2, 3, 4]
    assert frame["token"].tolist() == ["c", "a", "f", "\\xc3", "\\xa9"]
    assert frame["n_bytes"].tolist() == [1] * 5
    assert (frame["top1_prob"] >= frame["top2_prob"]).all()
    assert frame["token_id"].tolist() == list("café".encode())
    assert score(MODEL, "café").to_frame()["position"].tolist() == [1, 2, 3, 4]


def test_an_alternative_that_the_tokenizer_lacks_shows_as_its_id():
    model = BigramModel()
    model.config = FakeConfig(vocab_size=300)
    model.logprobs = np.full((256, 300), np.log(0.1 / 299))
    model.logprobs[:, [299, 97]] = np.log([0.8, 0.1])
    frame = score(model, "ab", top_k=2).to_frame()
    assert frame[["token", "top1", "top2"]].values.tolist() == [["b", "<299>", "a"]]


def test_rank_one_is_the_first_alternative():
    frame = score(MODEL, TEXT * 5, top_k=1).to_frame()
    hit = frame["rank"] == 1
    assert (np.exp(-frame["nll"][hit]) == pytest.approx(frame["top1_prob"][hit], rel=1e-6)).all()


@given(st.text(min_size=1).filter(lambda text: len(text.encode()) > 1))
def test_the_pieces_of_a_score_are_the_text(text):
    assert b"".join(score(MODEL, text).pieces).decode() == text


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_sums_are_exact_and_nothing_is_clamped(size):
    class Model(BigramModel):
        def _losses(self, ids, top_k):
            n = len(ids) - 1
            nll = np.full(n, size)
            none = np.empty((n, 0))
            return TokenLosses(nll, np.ones(n, np.int64), nll, none.astype(int), none)

    one = score(Model(), "abcd")
    assert one.nll == 3 * size
    assert one.perplexity == (math.inf if size > 1 else 1.0)


@pytest.mark.parametrize(
    ("text", "context", "error", "words"),
    [
        ("", "", ValueError, "text is empty"),
        ("", "a context", ValueError, "text is empty"),
        ([], "", ValueError, "text is empty"),
        ("a", "", ValueError, "single token.*nothing to score"),
        ([1, 256], "", ValueError, "256 is outside the vocabulary of bigram.*0 to 255"),
        ([1, -1], "", ValueError, "-1"),
        ([1, 2**32], "", ValueError, "4294967296"),
        ([1.0, 2.0], "", TypeError, "float64"),
        ([True, False], "", TypeError, "bool"),
        ([[1, 2]], "", TypeError, r"shape \(1, 2\)"),
        (b"abc", "", TypeError, "bytes"),
        (None, "", TypeError, "text is a NoneType"),
        ("abc", 7, TypeError, "context is a int"),
        ("a" * 4097, "", ValueError, "4097 tokens are more.*max_position_embeddings is 4096"),
        ("a" * 4000, "b" * 97, ValueError, r"4097 tokens \(97 of context and 4000 of text\)"),
    ],
)
def test_what_cannot_be_scored_is_refused(text, context, error, words):
    with pytest.raises(error, match=words):
        score(MODEL, text, context=context)


def test_longest_text_is_scored():
    assert score(MODEL, "a" * 4096).n_scored == 4095


def test_a_count_of_numpy_and_a_tokenizer_that_is_none():
    assert len(score(MODEL, "abc", top_k=np.int64(2)).top_tokens[0]) == 2
    with pytest.raises(TypeError, match="tokenizer is a NoneType"):
        compute_perplexity(MODEL, None, "abc")


@pytest.mark.parametrize("top_k", [-1, 1.5, True])
def test_top_k_is_a_count(top_k):
    with pytest.raises(ValueError, match="top_k"):
        score(MODEL, "abc", top_k=top_k)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error(bad):
    model = BigramModel(name="broken")
    model.logprobs[ord("a"), ord("b")] = -bad
    with pytest.raises(ValueError, match="broken gives token 3 of the text"):
        score(model, "xxab")
    assert score(model, "b", context="xxa"[:2]).n_scored == 1


def test_repr_says_the_figures():
    assert "perplexity 256" in repr(score(UniformModel(), "abc"))
