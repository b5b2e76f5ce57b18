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
QWEN3_5 = QWEN2.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(
    r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    TEKKEN.replace("]+|", "]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|", 1)
    .replace("]*|", "]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|", 1)
    .replace(r"|\p{N}|", r"|\p{N}{1,3}|")
)
DEEPSEEK = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)
DEEPSEEK_CODER = (
    "[\r\n]",
    r"\s?\p{L}+",
    r"\s?\p{P}+",
    "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    r"\p{N}",
)

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


def document(*patterns, nfc=False, prefix_space=False, digits=None, trim=False, added=()):
    """A small trained vocabulary under one of the pre-tokenisers."""
    pre = tokenizers.pre_tokenizers
    byte_level = pre.ByteLevel(add_prefix_space=prefix_space, use_regex=not patterns)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    splits = [pre.Split(tokenizers.Regex(pattern), "isolated") for pattern in patterns]
    if digits is not None:
        splits.append(pre.Digits(individual_digits=digits))
    tokenizer.pre_tokenizer = pre.Sequence([*splits, byte_level])
    if nfc:
        tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(
        trim_offsets=trim, add_prefix_space=prefix_space
    )
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
    "gpt2": ((), {"trim": True}),
    "gpt2-prefix": ((), {"prefix_space": True, "trim": True}),
    "starcoder": ((), {"digits": True, "trim": True}),
    "digit-runs": ((), {"digits": False}),
    "qwen2": ((QWEN2,), {"nfc": True}),
    "qwen2-added": ((QWEN2,), {"nfc": True, "added": ADDED}),
    "qwen3.5": ((QWEN3_5,), {}),
    "llama3": ((LLAMA3,), {"trim": True}),
    "llama3-prefix-added": ((LLAMA3,), {"prefix_space": True, "added": ADDED}),
    "o200k": ((O200K,), {}),
    "tekken": ((TEKKEN,), {}),
    "deepseek": (DEEPSEEK, {}),
    "deepseek-coder": (DEEPSEEK_CODER, {}),
}


@pytest.fixture(scope="module", params=CASES)
def pair(request):
    patterns, options = CASES[request.param]
    oracle = document(*patterns, **options)
    return oracle, Tokenizer.from_json(oracle.to_str()), options.get("nfc", False)


def is_comparable(oracle, text):
    """Whether tokenizers' NFC, which lags behind the standard, agrees with it here."""
    if any(unicodedata.category(c) == "Cn" for c in text):
        return (
            oracle.normalizer.normalize_str(text)
            == text
            == NFC_ALONE.decode(NFC_ALONE.encode(text))
        )
    return oracle.normalizer.normalize_str(text) == unicodedata.normalize("NFC", text)


@settings(deadline=None, max_examples=150)
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


@settings(deadline=None, max_examples=80)
@given(text=TEXTS)
def test_offsets(pair, text):
    oracle, ours, nfc = pair
    if nfc and (oracle.normalizer.normalize_str(text) != text or not is_comparable(oracle, text)):
        return
    expected = oracle.encode(text)
    ids, offsets = ours.encode_offsets(text)
    assert ids.tolist() == expected.ids
    assert [tuple(pair) for pair in offsets.tolist()] == expected.offsets


@pytest.fixture(scope="module")
def untrimmed():
    return Tokenizer.from_json(document(QWEN2).to_str())


@settings(deadline=None, max_examples=80)
@given(text=TEXTS)
def test_byte_offsets_cut_the_text_into_the_bytes_of_its_tokens(untrimmed, text):
    data = text.encode()
    ids, offsets = untrimmed.encode_offsets(text, unit="bytes")
    assert [data[start:end] for start, end in offsets] == [untrimmed.token_bytes(i) for i in ids]


@pytest.mark.parametrize("end", ["A", "1", ","])
def test_every_character_is_of_the_same_class(end):
    """The token of a character's last byte and `end` forms where both are in one piece."""
    characters = [
        chr(c) for c in (*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200))
    ]
    written = json.loads(document().to_str())
    alphabet = list(written["model"]["vocab"])[:256]
    joined = [byte + end for byte in alphabet]
    written["model"]["vocab"] = {token: i for i, token in enumerate(alphabet + joined)}
    written["model"]["merges"] = [[byte, end] for byte in alphabet]
    text = json.dumps(written)
    ours, oracle = Tokenizer.from_json(text), tokenizers.Tokenizer.from_str(text)
    for start in range(0, len(characters), 4096):
        block = "\n".join(c + end for c in characters[start : start + 4096])
        assert ours.encode(block).tolist() == oracle.encode(block).ids, hex(start)


@settings(deadline=None, max_examples=80)
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


def test_the_template_puts_special_tokens_round_a_text():
    oracle = document(added=ADDED)
    end = oracle.token_to_id("<|end|>")
    oracle.post_processor = tokenizers.processors.Sequence(
        [
            tokenizers.processors.ByteLevel(trim_offsets=True),
            tokenizers.processors.TemplateProcessing(
                single="<|e $A <|end|>",
                special_tokens=[("<|e", oracle.token_to_id("<|e")), ("<|end|>", end)],
            ),
        ]
    )
    ours = Tokenizer.from_json(oracle.to_str())
    for text in ("", "the word", " the"):
        for add in (False, True):
            expected = oracle.encode(text, add_special_tokens=add)
            ids, offsets = ours.encode_offsets(text, add)
            assert ids.tolist() == expected.ids
            assert [tuple(pair) for pair in offsets.tolist()] == expected.offsets
    assert ours("the")["input_ids"][-1] == end


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
