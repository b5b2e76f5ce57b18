"""Vocabularies with scores, as GGUF files of Llama 2, Mistral and Gemma have them."""

import json
from itertools import pairwise

import llama2c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.evaluation.receipt import tokenizer_digest
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._gguf import read_vocabulary, vocabulary_metadata

pytest.importorskip("tokenizers")
from metaspace_tokenizers import BYTES, MARK, whole

SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = st.lists(st.sampled_from([*"abc ", MARK, "aa", "  ", "é", "\n", "<s>"]), max_size=24)


def metadata(pieces, scores, /, **more):
    """The keys under tokenizer.ggml, without their prefix."""
    tokens = [*SPECIAL, *BYTES, *pieces]
    values = {
        "model": "llama",
        "tokens": tokens,
        "scores": np.array([0.0] * 259 + list(scores), np.float32),
        "token_type": np.array([2, 3, 3] + [6] * 256 + [1] * len(pieces), np.int32),
        "bos_token_id": np.uint32(1),
        "eos_token_id": np.uint32(2),
        **more,
    }
    return {f"tokenizer.ggml.{name}": value for name, value in values.items() if value is not None}


def tokenizer(*args, **more):
    return Tokenizer.from_json(read_vocabulary(metadata(*args, **more)).json)


def merge_by_score(scores, text):
    """SentencePiece's rule, step by step: the best score first, the leftmost of equals."""
    symbols = list(text)
    while True:
        found = [
            (-scores[a + b], i) for i, (a, b) in enumerate(pairwise(symbols)) if a + b in scores
        ]
        if not found:
            return [
                part
                for s in symbols
                for part in ([s] if s in scores else [f"<0x{b:02X}>" for b in s.encode()])
            ]
        i = min(found)[1]
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.text(f"abc{MARK}", min_size=2, max_size=4), st.integers(-3, 0), min_size=3, max_size=14
    ),
    st.lists(TEXTS, min_size=4, max_size=8),
    st.booleans(),
)
def test_the_best_score_is_merged_first_and_the_leftmost_of_equals(made, texts, prefix):
    scores = {**dict.fromkeys(["a", "b", "c", MARK], -9), **made}
    ours = tokenizer(list(scores), scores.values(), add_space_prefix=prefix)
    for text in ("".join(parts).replace("<s>", "") for parts in texts):
        marked = (MARK * prefix * bool(text)) + text.replace(" ", MARK)
        assert ours.tokenize(text) == merge_by_score(scores, marked)


def test_what_the_keys_ask_for():
    pieces, scores = ["a", MARK, MARK + "a"], [-2, -3, -1]
    plain = tokenizer(pieces, scores)
    assert plain.tokenize("a<s>a") == [MARK + "a", "<s>", MARK + "a"]
    assert plain("a")["input_ids"].tolist() == [1, 261]
    assert plain.decode(plain.encode("a a")) == "a a"
    assert plain.all_special_tokens == SPECIAL
    bare = tokenizer(pieces, scores, add_space_prefix=False, add_bos_token=False,
                     add_eos_token=True)  # fmt: skip
    assert bare("a a")["input_ids"].tolist() == [259, 261, 2]
    assert bare.decode(bare.encode(" a")) == " a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, "scores is None, expected numbers"),
        ({"scores": np.zeros(3, np.float32)}, "260 tokens, but 3 finite scores"),
        ({"scores": np.full(260, np.nan, np.float32)}, "260 tokens, but 0 finite scores"),
        ({"token_type": np.ones(260, np.int32)}, "lacks <0x00>"),
        ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces is true"),
        ({"add_space_prefix": 1}, "add_space_prefix is 1, expected true or false"),
    ],
)
def test_broken_vocabularies(changes, message):
    if "token_type" in changes:
        changes = {**changes, "tokens": [f"t{i}" for i in range(260)]}
    with pytest.raises(ValueError, match=message):
        tokenizer(["a"], [-1], **changes)


def test_scores_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match="the order of its merges was lost"):
        tokenizer([f"{i:03}" for i in range(400)] , [-1000.0] * 400,
                  scores=np.full(659, -1000, np.float32))  # fmt: skip


def test_stories260k_has_the_ids_of_llama2_c(data_dir):
    encoder = llama2c.Encoder(data_dir / "models/stories260K/tok512.bin", 512)
    pieces = [piece.decode().replace(" ", MARK) for piece in encoder.pieces[259:]]
    ours = tokenizer(pieces, encoder._scores[259:])
    text = json.loads((data_dir / "tinystories/train_first50.json").read_text())[0]
    text = text if isinstance(text, str) else text["text"]
    for part in (text[:600], "aaaa   bbb", "Zoë\n\n", "the theatre"):
        assert ours.encode(part, add_special_tokens=True).tolist() == encoder.encode(part)
    keys = metadata(pieces, encoder._scores[259:])
    again = Tokenizer.from_json(read_vocabulary(keys | vocabulary_metadata(
        read_vocabulary(keys).json, 512, bos_token_id=1, eos_token_id=2, chat_template=None
    ) | {f"tokenizer.ggml.{name}_token_id": np.uint32(i) for name, i in (("bos", 1), ("eos", 2))}
    ).json)  # fmt: skip
    assert tokenizer_digest(again) == tokenizer_digest(ours)
    assert again.encode(text).tolist() == ours.encode(text).tolist()


@pytest.mark.parametrize("pipeline", ["llama", "gemma"])
def test_written_and_read_again(pipeline):
    text = json.dumps(whole(pipeline)).encode()
    before = Tokenizer.from_json(text)
    keys = vocabulary_metadata(text, 905, bos_token_id=1, eos_token_id=2, chat_template=None)
    after = Tokenizer.from_json(read_vocabulary(keys | {
        f"tokenizer.ggml.{name}": np.uint32(i) for name, i in
        (("bos_token_id", 1), ("eos_token_id", 2))}).json)  # fmt: skip
    assert after.get_vocab() == before.get_vocab()
    for text in ("Mia lost her ball.\n  Café </s> the end", " a", "", "你好"):
        assert after(text)["input_ids"].tolist() == before(text)["input_ids"].tolist()
        assert after.decode(after.encode(text)) == before.decode(before.encode(text))


def test_merges_that_scores_can_not_say_are_refused():
    found = whole("llama")
    del found["model"]["merges"][-1]
    with pytest.raises(ValueError, match=r"don't merge, though together they are a token"):
        vocabulary_metadata(json.dumps(found).encode(), 905, bos_token_id=1, eos_token_id=2,
                            chat_template=None)  # fmt: skip
