"""Trained vocabularies equal those of the references, merge by merge."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.tokenizer import Tokenizer, patterns, train_bpe

CORPUS = [
    "The cat sat on the mat; the bat sat at that.\n",
    "aaaa aaa aaaaaaa bananas banana ananas, nanana \n\n",
    "don't won't can't 1234 12 123 über Äpfel 你好 你们好\t",
] * 5


def merges_of(tokenizer_json):
    merges = json.loads(tokenizer_json)["model"]["merges"]
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]


def test_the_cs336_fixture(data_dir, tmp_path):
    folder = data_dir / "tokenizer-tests" / "cs336"
    corpus = (folder / "corpus.en").read_text("utf-8")
    path = tmp_path / "tokenizer.json"
    ours = train_bpe([corpus], 500, ties="lexicographic", path=path)
    lines = (folder / "train-bpe-reference-merges.txt").read_text("utf-8").splitlines()
    assert merges_of(path.read_text("utf-8")) == [tuple(line.split(" ")) for line in lines]
    expected = json.loads((folder / "train-bpe-reference-vocab.json").read_text("utf-8"))
    assert set(ours.vocab) == set(expected)


def oracle_of(texts, vocab_size, split=None, min_count=0):
    tokenizers = pytest.importorskip("tokenizers")
    pre = tokenizers.pre_tokenizers
    oracle = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte_level = pre.ByteLevel(add_prefix_space=False, use_regex=split is None)
    splits = [pre.Split(tokenizers.Regex(split), "isolated")] if split else []
    oracle.pre_tokenizer = pre.Sequence([*splits, byte_level])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre.ByteLevel.alphabet(),
        min_frequency=min_count,
        show_progress=False,
    )
    oracle.train_from_iterator(texts, trainer)
    return oracle


@pytest.mark.parametrize("split", [None, patterns.QWEN2])
@pytest.mark.parametrize("min_count", [1, 3])
def test_small_corpora_equal_tokenizers(tmp_path, split, min_count):
    path = tmp_path / "tokenizer.json"
    splits = (split,) if split else ()
    ours = train_bpe(CORPUS, 400, splits=splits, min_count=min_count, path=path)
    oracle = oracle_of(CORPUS, 400, split, min_count)
    assert merges_of(path.read_text("utf-8")) == merges_of(oracle.to_str())
    assert ours.vocab == oracle.get_vocab()


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.text(alphabet="ab \u00e9", max_size=40), max_size=8).filter(any))
def test_random_corpora_equal_tokenizers(texts):
    """Few letters make many ties and overlaps."""
    ours, oracle = train_bpe(texts, 300), oracle_of(texts, 300)
    assert ours.vocab == oracle.get_vocab()
    assert ours.encode("abba baba aabb").tolist() == oracle.encode("abba baba aabb").ids


def test_a_real_corpus_equals_tokenizers_which_loads_what_is_saved(data_dir, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    text = (data_dir / "text" / "frankenstein.txt").read_text("utf-8")
    texts = text.splitlines(keepends=True)
    path = tmp_path / "tokenizer.json"
    ours = train_bpe(texts, 3000, splits=(patterns.QWEN2,), nfc=True, path=path)
    oracle = oracle_of(texts, 3000, patterns.QWEN2)
    assert merges_of(path.read_text("utf-8")) == merges_of(oracle.to_str())
    loaded = tokenizers.Tokenizer.from_file(str(path))
    assert loaded.get_vocab() == ours.vocab
    assert loaded.encode(text).ids == ours.encode(text).tolist()
    assert Tokenizer.from_file(path).encode(text).tolist() == ours.encode(text).tolist()


def plain_training(words, n_merges):
    """BPE by the book: count all pairs anew, merge the most frequent, the greater of equals."""
    words = {tuple(bytes([b]) for b in word): n for word, n in words.items()}
    merges = []
    while len(merges) < n_merges:
        counts = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        merged = Counter()
        for word, n in words.items():
            out = []
            for token in word:
                if out and (out[-1], token) == best:
                    out[-1] = best[0] + best[1]
                else:
                    out.append(token)
            merged[tuple(out)] += n
        words = merged
    return merges


@settings(deadline=None, max_examples=60)
@given(
    words=st.dictionaries(
        st.text("abc", min_size=1, max_size=9), st.integers(1, 5), min_size=1, max_size=6
    )
)
def test_lexicographic_ties_equal_training_by_the_book(words):
    texts = [word for word, n in words.items() for _ in range(n)]
    ours = train_bpe(texts, 277, ties="lexicographic", special_tokens=())
    expected = plain_training({w.encode(): n for w, n in words.items()}, 21)
    tokens = [left + right for left, right in expected]
    found = [ours.token_bytes(i) for i in range(256, len(ours))]
    assert found == list(dict.fromkeys(tokens))[: len(found)]


def test_special_tokens_are_passed_over():
    ours = train_bpe(["ab<|endoftext|>ab"] * 3, 300)
    assert ours.eos_token_id == 0
    assert len(ours) == 258
    assert ours.encode("ab<|endoftext|>").tolist() == [257, 0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"vocab_size": 256}, ValueError, "at least 257"),
        ({"ties": "none"}, ValueError, "'lexicographic' or 'id'"),
        ({"texts": "one text"}, TypeError, "a list of texts"),
        ({"texts": ["a", 3]}, TypeError, "expected str or UTF-8 bytes, got int"),
        ({"texts": 3}, TypeError, "'int' object is not iterable"),
        ({"texts": []}, ValueError, r"texts to learn .*got none \(an iterator"),
        ({"texts": iter(())}, ValueError, "expected texts to learn merges from, got none"),
        ({"texts": ["", b""]}, ValueError, "got 2 empty ones"),
        ({"texts": ["\ud800"]}, ValueError, "lone surrogate"),
        ({"texts": [b"\xff"]}, ValueError, "not UTF-8"),
        ({"special_tokens": ["a"]}, ValueError, "twice or a byte"),
        ({"splits": ["[a-z]+"]}, ValueError, "not one of those known"),
        ({"texts": (1 // 0 for _ in [1])}, ZeroDivisionError, "division"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        train_bpe(**({"texts": ["a"], "vocab_size": 300} | options))


def test_texts_without_a_pair_give_the_bytes_and_no_texts_no_file(tmp_path):
    assert len(train_bpe(["", "a"], 300)) == 257
    with pytest.raises(ValueError, match="got none"):
        train_bpe([], 300, path=tmp_path / "tokenizer.json")
    assert not any(tmp_path.iterdir())
