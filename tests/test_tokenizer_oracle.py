"""Ids, decoding and spellings equal those of Hugging Face tokenizers."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

# What the patterns and flags distinguish, so that random strings meet it often.
PIECES = st.sampled_from(
    [
        *(" ", "  ", "\n", "\r\n", "\t", "\u3000", "\x85", "\x00", "\u200d", "\ufffd"),
        *("'s", "'S", "'\u017f", "'ll", "'LL", "'Re", "don't", "'", "_", "...", "!?"),
        *("12", "1234567", "\u0661\u0662", "\u216b", "the", " the", "The", "ab", "aaaaa"),
        *("e\u0301", "\u1100\u1161\u11a8", "\u4f60\u597d", "\u0928\u093f", "\U00016d67"),
        *("\U0001f469\u200d\U0001f680", "<|end|>", "<|e", "word", "[PAD]"),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join)


def document(pattern=None, *, nfc=False, prefix_space=False, added=()):
    """A small trained vocabulary under one of the pre-tokenisers."""
    pre = tokenizers.pre_tokenizers
    byte_level = pre.ByteLevel(add_prefix_space=prefix_space, use_regex=pattern is None)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = [pre.Split(tokenizers.Regex(pattern), "isolated")] if pattern else []
    tokenizer.pre_tokenizer = pre.Sequence([*split, byte_level])
    if nfc:
        tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
    )
    corpus = [
        "the word of the world 's 'll don't 1234 12  \n\n aaaaaaaa ",
        "\u4f60\u597d e\u0301 ...",
    ]
    tokenizer.train_from_iterator(corpus * 20, trainer)
    tokenizer.add_tokens(list(added))
    return tokenizer


def token(content, **flags):
    return tokenizers.AddedToken(content, **flags)


NFC_ALONE = Tokenizer.from_json(
    json.dumps(json.loads(Tokenizer.example_json()) | {"normalizer": {"type": "NFC"}})
)
ADDED = (
    token("<|end|>", special=True, normalized=False),
    token("<|e", special=True, normalized=False),
    token("[PAD]", special=True, normalized=False, lstrip=True),
    token("word", normalized=True, single_word=True),
    token("ab", normalized=True, rstrip=True),
    token("\u4f60", normalized=False, lstrip=True, rstrip=True),
)
CASES = {
    "gpt2": {},
    "gpt2-prefix": {"prefix_space": True},
    "qwen2": {"pattern": QWEN2, "nfc": True},
    "qwen2-added": {"pattern": QWEN2, "nfc": True, "added": ADDED},
    "llama3": {"pattern": LLAMA3},
    "llama3-prefix-added": {"pattern": LLAMA3, "prefix_space": True, "added": ADDED},
}


@pytest.fixture(scope="module", params=CASES)
def pair(request):
    oracle = document(**CASES[request.param])
    return oracle, Tokenizer.from_json(oracle.to_str()), CASES[request.param].get("nfc", False)


def is_comparable(oracle, text):
    """Whether tokenizers' NFC, which lags behind the standard, agrees with it here."""
    if any(unicodedata.category(c) == "Cn" for c in text):
        return (
            oracle.normalizer.normalize_str(text)
            == text
            == NFC_ALONE.decode(NFC_ALONE.encode(text))
        )
    return oracle.normalizer.normalize_str(text) == unicodedata.normalize("NFC", text)


@settings(deadline=None, max_examples=400)
@given(text=TEXTS)
def test_random_strings(pair, text):
    oracle, ours, nfc = pair
    if nfc and not is_comparable(oracle, text):
        return
    expected = oracle.encode(text).ids
    ids = ours.encode(text)
    assert ids.tolist() == expected
    assert ours.decode(ids) == oracle.decode(expected, skip_special_tokens=False)
    assert ours.decode(ids, skip_special_tokens=True) == oracle.decode(expected)
    assert ours.convert_ids_to_tokens(ids) == [oracle.id_to_token(i) for i in expected]


@settings(deadline=None, max_examples=200)
@given(ids=st.lists(st.integers(0, 399), max_size=20))
def test_decoding_any_ids(pair, ids):
    oracle, ours, _ = pair
    ids = [i % len(ours) for i in ids]
    assert ours.decode(ids) == oracle.decode(ids, skip_special_tokens=False)


def test_the_same_vocabulary(pair):
    oracle, ours, _ = pair
    assert ours.vocab == oracle.get_vocab()
    assert len(ours) == oracle.get_vocab_size()


def test_merges_as_strings_and_as_pairs(pair):
    oracle, ours, _ = pair
    written = json.loads(oracle.to_str())
    merges = written["model"]["merges"]
    written["model"]["merges"] = [
        " ".join(merge) if isinstance(merge, list) else merge.split(" ") for merge in merges
    ]
    again = Tokenizer.from_json(json.dumps(written))
    text = "the words of the world, aaaaaaaaaaa"
    assert again.encode(text).tolist() == ours.encode(text).tolist()


def test_ignore_merges():
    written = json.loads(document().to_str())
    written["model"]["vocab"]["zqzq"] = len(written["model"]["vocab"])
    for ignore in (False, True):
        written["model"]["ignore_merges"] = ignore
        text = json.dumps(written)
        ours, oracle = Tokenizer.from_json(text), tokenizers.Tokenizer.from_str(text)
        assert ours.encode("zqzq zqzq").tolist() == oracle.encode("zqzq zqzq").ids
        assert (ours.vocab["zqzq"] in ours.encode("zqzq")) == ignore


def test_long_words(pair):
    """The heap for long words merges like the scan for short ones."""
    oracle, ours, _ = pair
    for text in ("a" * 1000, "theword" * 300, "'l" * 200 + "the" * 100, "1" * 500):
        assert ours.encode(text).tolist() == oracle.encode(text).ids


def test_gpt2_from_its_two_files(data_dir):
    folder = data_dir / "tokenizers" / "gpt2"
    ours = Tokenizer.from_file(folder)
    oracle = tokenizers.ByteLevelBPETokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), add_prefix_space=False
    )
    text = (data_dir / "wikitext2" / "wiki.test.raw").read_text("utf-8")[:300_000]
    assert ours.encode(text).tolist() == oracle.encode(text).ids
    naughty = json.loads((data_dir / "unicode" / "blns.json").read_text("utf-8"))
    for line in naughty:
        assert ours.encode(line).tolist() == oracle.encode(line).ids
