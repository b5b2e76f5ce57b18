"""One tokenizer in several threads, on any number of pool threads, and in a forked child."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyqtf import _core
from pyqtf.tokenizer import patterns, train_bpe

TEXTS = [f"Story {i}: {'very ' * (i % 7)}old owls say 'hoo' {i * i} times.\n" for i in range(400)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(TEXTS, 400, splits=(patterns.QWEN2,))


@pytest.fixture(scope="module")
def expected(tokenizer):
    return [tokenizer.encode(text).tolist() for text in TEXTS]


def encode_all(tokenizer):
    return [ids.tolist() for ids in tokenizer.encode_batch(TEXTS)]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_any_number_of_threads_gives_the_same_ids(tokenizer, expected, n):
    before = _core.get_num_threads()
    _core.set_num_threads(n)
    try:
        assert encode_all(tokenizer) == expected
    finally:
        _core.set_num_threads(before)


def test_several_python_threads(tokenizer, expected):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encode_all(tokenizer), range(20)):
            assert found == expected


def test_a_forked_child(tokenizer, expected):
    encode_all(tokenizer)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(encode_all(tokenizer)))
    process.start()
    assert receiver.recv() == expected
    process.join()
    assert process.exitcode == 0
