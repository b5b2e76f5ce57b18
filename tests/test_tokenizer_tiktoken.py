"""Ids of OpenAI's encodings equal tiktoken's."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.tokenizer import Tokenizer

tiktoken = pytest.importorskip("tiktoken")

PIECES = st.sampled_from(
    [
        *(" ", "  ", "\n", "\r\n", " \n ", "\t", "\u3000", "\x85", "\x00", "\u200d", "\ufffd", "/"),
        *("'s", "'S", "'\u017f", "'ll", "'LL", "'Re", "don't", "'", "_", "...", "!?", "//\n"),
        *("12", "1234567", "\u0661\u0662", "\u216b", "the", " The", "McDonald", "ABCdef", "aaaa"),
        *("e\u0301", "\u0301", "\u01c5", "\u02b0", "\u4f60\u597d", "\u0928\u093f", "\U00016d67"),
        *("\U0001f469\u200d\U0001f680", "<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>"),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join)


@pytest.fixture(scope="module", params=["r50k_base", "cl100k_base", "o200k_base"])
def pair(request, data_dir):
    from tiktoken_ext import openai_public

    folder = data_dir / "tokenizers" / "tiktoken"

    def load(url, expected_hash):
        lines = (folder / url.rsplit("/", 1)[-1]).read_bytes().splitlines()
        return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", load)
        oracle = tiktoken.Encoding(**getattr(openai_public, request.param)())
    return oracle, Tokenizer.from_file(folder / f"{request.param}.tiktoken")


@settings(deadline=None, max_examples=400)
@given(text=TEXTS)
def test_random_strings(pair, text):
    oracle, ours = pair
    ids = ours.encode(text)
    assert ids.tolist() == oracle.encode(text, allowed_special="all")
    assert ours.decode(ids) == text
    assert ours.encode(text, split_special_tokens=True).tolist() == oracle.encode_ordinary(text)


def test_a_book_and_an_encyclopedia(pair, data_dir):
    oracle, ours = pair
    for name in ("text/frankenstein.txt", "wikitext2/wiki.test.raw"):
        text = (data_dir / name).read_text("utf-8")
        assert ours.encode(text).tolist() == oracle.encode_ordinary(text)


def test_special_tokens(pair):
    oracle, ours = pair
    expected = {token: oracle.encode_single_token(token) for token in oracle.special_tokens_set}
    assert {token: ours.vocab[token] for token in expected} == expected
    assert ours.all_special_ids == sorted(expected.values())
