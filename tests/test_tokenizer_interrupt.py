"""Ctrl-C inside one long text or word, and while other threads encode."""

import signal

import pytest

from pyqtf.tokenizer import Tokenizer, train_bpe

WORDS = "the cat and the hat, "
CASES = {
    "a text": lambda t: t.encode(WORDS * 1_500_000),
    "a word": lambda t: t.encode("thecat" * 1_000_000),
    "offsets": lambda t: t._core.encode_offsets(WORDS * 1_500_000, False, False, True),
    "a batch": lambda t: t.encode_batch([WORDS * 1_500_000] * 2),
    "training": lambda t: train_bpe([WORDS * 3_000_000], 300),
}


class StoppedError(Exception):
    """What the handler raises; a stray one does not end the test run."""


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_json(Tokenizer.example_json())


@pytest.mark.parametrize("name", CASES)
def test_signals_are_answered_while_a_call_runs(tokenizer, name):
    """Signals that wait for the end of a call come as one; three of them came while it ran."""
    answered = 0

    def answer(number, frame):
        nonlocal answered
        answered += 1
        if answered == 3:
            raise StoppedError

    before = signal.signal(signal.SIGALRM, answer)
    signal.setitimer(signal.ITIMER_REAL, 0.03, 0.01)
    try:
        with pytest.raises(StoppedError):
            CASES[name](tokenizer)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert tokenizer.encode("the hat").tolist() == [257, 220, 71, 258]
