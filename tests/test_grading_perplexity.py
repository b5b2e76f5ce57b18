"""The exercise's check: right functions pass, and each mistake is called by its name."""

import math

import numpy as np
import pytest

import pyqtf
from pyqtf.grading import check_perplexity


@pytest.fixture(scope="module")
def model():
    return pyqtf.load("stories-80k", quant="f32")


def by_hand(model, tokenizer, text, context=""):
    before = tokenizer.encode(context)
    ids = np.concatenate([before, tokenizer.encode(text)])
    losses = -log_softmax(model.logits(ids))[np.arange(len(ids) - 1), ids[1:]]
    return np.exp(losses[max(len(before) - 1, 0) :].mean())


def log_softmax(logits):
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def with_losses(finish):
    """A function that takes the right losses, then does `finish` with them."""

    def function(model, tokenizer, text, context=""):
        ids = tokenizer.encode(text)
        return finish(-log_softmax(model.logits(ids))[np.arange(len(ids) - 1), ids[1:]])

    return function


def picking(rows, tokens):
    """A function that takes row i for token j with its own slices."""

    def function(model, tokenizer, text, context=""):
        ids = tokenizer.encode(text)
        logp = log_softmax(model.logits(ids))
        return np.exp(-logp[np.arange(len(ids))[rows], ids[tokens]].mean())

    return function


@pytest.mark.parametrize("context", [False, True])
def test_a_right_function_passes(model, context):
    check = check_perplexity(by_hand, model, context=context)
    assert check and check.passed and repr(check).startswith("Right")


def test_one_without_context_passes_the_first_check_only(model):
    def function(model, tokenizer, text):
        return by_hand(model, tokenizer, text)

    assert check_perplexity(function, model)
    check = check_perplexity(function, model, context=True)
    assert not check and 'compute_perplexity(model, tokenizer, text, "a context")' in check.message


@pytest.mark.parametrize("text", ["A cat sat.", "Ein schöner Tag 🐈, said Tom.", "no " * 200])
@pytest.mark.parametrize("context", ["", "Once upon a time "])
@pytest.mark.parametrize("quant", ["f32", "q8"])
def test_by_hand_agrees_with_pyqtf_to_a_millionth(text, context, quant):
    model = pyqtf.load("stories-500k", quant=quant)
    library = pyqtf.compute_perplexity(model, model.tokenizer, text, context)
    assert by_hand(model, model.tokenizer, text, context) == pytest.approx(library, rel=1e-6)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (picking(slice(None), slice(None)), "the logits at position i are taken for token i"),
        (picking(slice(-2), slice(2, None)), "two places away"),
        (picking(slice(1, None), slice(-1)), "the shift goes the wrong way"),
        (with_losses(lambda x: np.exp(x.sum() / (len(x) + 1))), "divided by T"),
        (with_losses(lambda x: np.exp(np.mean(x) / np.log(2))), "log base 2"),
        (with_losses(lambda x: np.exp(np.mean(x) / np.log(10))), "log base 10"),
        (with_losses(lambda x: 2 ** np.mean(x)), "take exp"),
        (with_losses(np.mean), "exp is missing"),
        (with_losses(np.sum), "mean and exp are missing"),
        (with_losses(lambda x: np.exp(np.sum(x))), "summed, not averaged"),
        (with_losses(lambda x: np.exp(-np.mean(x))), "sign is missing"),
        (with_losses(lambda x: np.mean(np.exp(x))), "1 / p is averaged"),
        (with_losses(lambda x: 1 / np.mean(np.exp(-x))), "p is averaged"),
        (with_losses(lambda x: math.nan), "subtract each row's maximum"),
        (with_losses(lambda x: 12.0), "Look at the shapes"),
        (with_losses(lambda x: "much"), "returns a str"),
        (with_losses(lambda x: str(np.exp(np.mean(x)))), "returns a str"),
        (with_losses(lambda x: 10**400), "returns a int"),
        (with_losses(lambda x: exit(3)), "raises SystemExit: 3."),
        (12.0, "a float was given in place of a function"),
        (with_losses(lambda x: x), "returns a ndarray"),
        (with_losses(lambda x: None), "returns nothing so far"),
        (with_losses(lambda x: 1 / 0), "raises ZeroDivisionError: division by zero."),
    ],
)
def test_a_mistake_is_named(model, function, words):
    check = check_perplexity(function, model)
    assert not check.passed
    assert words in check.message


def test_a_function_can_not_bend_the_numbers_it_is_compared_with():
    model = pyqtf.load("stories-80k")

    def function(model, tokenizer, text, context=""):
        model.token_losses = lambda sequences, top_k=0: 1 / 0
        return 12.0

    assert "returns 12, expected" in check_perplexity(function, model).message


@pytest.mark.parametrize("model", ["stories-80k", None, pyqtf.Model])
def test_a_name_is_no_model(model):
    with pytest.raises(TypeError, match="expected a loaded model"):
        check_perplexity(by_hand, model)
    with pytest.raises(TypeError, match="expected a loaded model"):
        pyqtf.compute_perplexity(model, None, "A cat sat.")


def test_the_first_token_taken_from_the_last_row_is_named(model):
    def rolled(model, tokenizer, text, context=""):
        ids = tokenizer.encode(text)
        logp = log_softmax(np.roll(model.logits(ids), 1, axis=0))
        return np.exp(-logp[np.arange(len(ids)), ids].mean())

    assert "which nothing predicts" in check_perplexity(rolled, model).message


@pytest.mark.parametrize(
    ("start", "words"), [(lambda n: 0, "context's own tokens"), (lambda n: n, "first token")]
)
def test_mistakes_with_a_context_are_named(model, start, words):
    def function(model, tokenizer, text, context=""):
        before = tokenizer.encode(context)
        ids = np.concatenate([before, tokenizer.encode(text)])
        losses = -log_softmax(model.logits(ids))[np.arange(len(ids) - 1), ids[1:]]
        return np.exp(losses[start(len(before)) :].mean())

    assert words in check_perplexity(function, model, context=True).message

    def deaf(model, tokenizer, text, context=""):
        return by_hand(model, tokenizer, text)

    assert "not read at all" in check_perplexity(deaf, model, context=True).message


def test_an_exercise_that_says_it_is_not_implemented_is_not_an_error(model):
    def function(model, tokenizer, text, context=""):
        raise NotImplementedError

    assert "nothing so far" in check_perplexity(function, model).message


def test_messages_are_escaped_in_a_notebook(model):
    def function(model, tokenizer, text, context=""):
        raise ValueError("<b>")

    page = check_perplexity(function, model)._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page
