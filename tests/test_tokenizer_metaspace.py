"""BPE of characters with byte fallback: ids, offsets and texts equal those of tokenizers."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
from metaspace_tokenizers import BYTES, MARK, PIPELINES, document  # noqa: E402

ADDED = [
    {"content": "<r>", "rstrip": True},
    {"content": "<l>", "lstrip": True, "special": True},
    {"content": "<w>", "single_word": True},
    {"content": "two words"},
    {"content": f"{MARK}x{MARK}"},
    {"content": "<n>", "normalized": True},
]
PIECES = st.sampled_from(
    [
        *(" ", "  ", "   ", MARK, MARK * 2, "\n", "\n\n", "\t", "\u00a0", "\x00", "\ufffd"),
        *("the", " the", "The", "a", "ab", "bababa", "aaaaaaa", "1.25", ", ", "don't", "\u2582"),
        *("é", "e\u0301", "你好", "世", "слово", "\U0001f469\u200d\U0001f680", "<0x0A>", "<unk>"),
        *("<s>", "</s>", "<r>", "<l>", "<w>", "<n>", "two words", f"{MARK}x{MARK}", "x"),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join)


def both(*args, **options):
    text = json.dumps(document(*args, **options))
    return Tokenizer.from_json(text), tokenizers.Tokenizer.from_str(text)


def compare(ours, oracle, text, special=False):
    ids, offsets = ours.encode_offsets(text, special)
    expected = oracle.encode(text, add_special_tokens=special)
    assert ids.tolist() == expected.ids
    assert [tuple(pair) for pair in offsets.tolist()] == expected.offsets
    assert ours.encode(text, special).tolist() == expected.ids
    for skip in (False, True):
        decoded = oracle.decode(expected.ids, skip_special_tokens=skip)
        assert ours.decode(ids, skip_special_tokens=skip) == decoded
        stream = ours.stream(skip_special_tokens=skip)
        assert "".join(map(stream.feed, ids.tolist())) + stream.finish() == decoded


@pytest.mark.parametrize("words", ["words", "runs", "across"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_texts(pipeline, words):
    ours, oracle = both(pipeline, words, added=ADDED)

    @settings(max_examples=120, deadline=None)
    @given(TEXTS)
    def check(text):
        compare(ours, oracle, text)

    check()
    for text in (
        "",
        " ",
        MARK,
        "the cat",
        " the cat",
        "<s>the",
        "<s> the",
        "x<n>y",
        "the cat</s> a",
    ):
        compare(ours, oracle, text)
        compare(ours, oracle, text, special=True)


@pytest.mark.parametrize("pipeline", ["llama", "gemma", "metaspace-first"])
def test_words_that_are_tokens_stay_whole_where_the_file_says_so(pipeline):
    ours, oracle = both(pipeline, ignore_merges=True, merges=[])
    for text in (
        *("the", " the", "the the", "é", "a", f"{MARK}the", "<0x0A>", "<0xE4>", " <0x0A>"),
        *("<0x0a>", "<0x0A><0x0A>", "é<0x0A>", "<s><0x0A></s>", "the<s><0x0A>"),
    ):
        compare(ours, oracle, text)
        compare(ours, oracle, text)  # as it was remembered
    merged, _ = both(pipeline, merges=[])
    text = " the" if pipeline == "gemma" else "the"
    assert len(ours.encode(text)) == 1 < len(merged.encode(text))


@pytest.mark.parametrize("pipeline", ["llama", "gemma"])
@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 260) | st.integers(0, 899), max_size=12), st.booleans())
def test_any_ids_decode_alike_at_once_and_one_by_one(pipeline, ids, skip):
    ours, oracle = both(pipeline)
    expected = oracle.decode(ids, skip_special_tokens=skip)
    assert ours.decode(ids, skip_special_tokens=skip) == expected
    stream = ours.stream(skip_special_tokens=skip)
    assert "".join(map(stream.feed, ids)) + stream.finish() == expected


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_ids_that_go_on_from_others_keep_their_space(pipeline):
    ours, oracle = both(pipeline)
    text = "the cat ran é ▁ away"
    ids = oracle.encode(text, add_special_tokens=False).ids
    for cut in range(1, len(ids)):
        stream = ours.stream(goes_on=True)
        rest = "".join(map(stream.feed, ids[cut:])) + stream.finish()
        # A cut inside a character leaves bytes that only together are one.
        if "\ufffd" not in rest:
            assert oracle.decode(ids[:cut]) + rest == oracle.decode(ids)


def test_a_broken_character_spoils_the_bytes_beside_it():
    ours, oracle = both("llama")
    ids = [*map(BYTES.index, ("<0x0A>", "<0xE4>", "<0xB8>"))]
    ids = [i + 3 for i in ids]
    assert ours.decode(ids) == oracle.decode(ids) == "\ufffd" * 3
    stream = ours.stream()
    assert [stream.feed(i) for i in ids] == ["", "", ""]
    assert stream.finish() == "\ufffd" * 3


def test_spellings_and_bytes_of_tokens():
    ours, oracle = both("llama", added=[{"content": "two words"}])
    assert ours.get_vocab() == oracle.get_vocab()
    tokens = [oracle.id_to_token(i) for i in range(len(ours))]
    assert ours.convert_ids_to_tokens(range(len(ours))) == tokens
    assert ours.convert_tokens_to_ids(tokens) == list(range(len(ours)))
    assert ours.convert_tokens_to_ids(["the cat", "<0x0a>", " the"]) == [None] * 3
    the = ours.convert_tokens_to_ids(MARK + "the")
    assert ours.token_bytes(the) == b" the"
    assert ours.token_bytes(3 + 0xE4) == b"\xe4"
    assert ours.token_bytes(ours.convert_tokens_to_ids("two words")) == b"two words"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_added_tokens_are_spelled_as_they_are_searched_for(pipeline):
    added = [
        {"content": "<n>", "normalized": True},
        {"content": "<q>", "normalized": True, "special": True},
        {"content": "y z"},
    ]
    if "metaspace" not in pipeline:
        added += [{"content": text, "normalized": True} for text in ("a b", f"x{MARK}")]
    ours, oracle = both(pipeline, added=added)
    tokens = [oracle.id_to_token(i) for i in range(len(ours))]
    assert ours.convert_ids_to_tokens(range(len(ours))) == tokens
    assert (f"{MARK}<n>" in tokens) == (pipeline == "llama")
    assert ours.get_vocab() == oracle.get_vocab()
    assert ours.all_special_tokens == ["<unk>", "<s>", "</s>", "<q>"]
    ours.eos_token_id = oracle.token_to_id("<q>")
    assert ours.eos_token == "<q>"
    for text in ("<n>", "a <n> b<q>", "x y z a b"):
        compare(ours, oracle, text)


def test_offsets_in_bytes_point_at_what_the_tokens_say():
    ours, _ = both("gemma")
    text = f"a {MARK} é世 the"
    ids, offsets = ours.encode_offsets(text, unit="bytes")
    parts = [text.encode()[a:b] for a, b in offsets.tolist()]
    assert [part.replace(MARK.encode(), b" ") for part in parts] == [*map(ours.token_bytes, ids)]


@pytest.mark.parametrize("words", ["words", "across"])
@pytest.mark.parametrize("unit", ["the cat and ", "bab", "你好", "\n \n"])
def test_long_texts_are_merged_as_one_word(words, unit):
    ours, oracle = both("llama", words)
    text = unit * 3000 + "the" + unit * 17
    compare(ours, oracle, text)


def test_a_batch_and_threads_give_what_one_text_gives():
    ours, _ = both("llama")
    rng = random.Random(0)
    texts = ["".join(rng.choice("ab é世\n") for _ in range(rng.randrange(99))) for _ in range(500)]
    assert [a.tolist() for a in ours.encode_batch(texts)] == [
        ours.encode(t).tolist() for t in texts
    ]


def changed(path, value, pipeline="llama"):
    found = document(pipeline)
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(found)


def without_byte():
    vocab = {t: i for t, i in document("llama")["model"]["vocab"].items() if t != "<0x41>"}
    return changed(["model", "vocab"], vocab)


STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "_"}
METASPACE = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": False}
RANKED = document("llama")["model"] | {"merges": []}
SPACED = {"content": "a b", "id": 900, "normalized": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (without_byte(), "lacks <0x41>"),
        (changed(["normalizer"], None), "turns spaces into"),
        (changed(["normalizer"], REPLACE), 'normalizer "Replace"'),
        (changed(["normalizer"], {"type": "NFC"}), 'normalizer "NFC"'),
        (changed(["normalizer", "normalizers", 0, "prepend"], "_"), 'normalizer "Prepend"'),
        (changed(["normalizer", "normalizers", 1], {"type": "Prepend", "prepend": MARK}),
         'normalizer "Prepend"'),
        (changed(["pre_tokenizer"], METASPACE), 'pre_tokenizer "Metaspace"'),
        (changed(["pre_tokenizer"], {"type": "ByteLevel"}), 'pre_tokenizer "ByteLevel"'),
        (changed(["pre_tokenizer", "pattern"], {"String": "a"}, "gemma"), 'pre_tokenizer "Split"'),
        (changed(["pre_tokenizer", "invert"], True, "gemma"), 'pre_tokenizer "Split"'),
        (changed(["normalizer"], METASPACE, "gemma"), 'normalizer "Metaspace"'),
        (changed(["pre_tokenizer", "replacement"], "_", "metaspace-first"), "replacement"),
        (changed(["pre_tokenizer", "prepend_scheme"], "last", "metaspace-first"), "prepend_scheme"),
        (changed(["pre_tokenizer", "add_prefix_space"], False, "metaspace-first"),
         "add_prefix_space"),
        (changed(["post_processor"], {"type": "ByteLevel"}), 'post_processor "ByteLevel"'),
        (changed(["decoder"], None), "decoder has 0 steps"),
        (changed(["decoder"], {"type": "ByteLevel"}), 'decoder "ByteLevel"'),
        (changed(["decoder", "decoders", 2], STRIP), 'decoder "Strip"'),
        (changed(["decoder", "decoders", 3], STRIP | {"start": 2}), 'decoder "Strip"'),
        (changed(["decoder", "decoders", 3], STRIP | {"stop": 1}), 'decoder "Strip"'),
        (changed(["model", "merges", 0], ["<0x41>", "a"]), "joined token is not in the vocabulary"),
        (changed(["model", "dropout"], 0.1), "dropout"),
        (changed(["model", "ranks"], [None, 0]), r"ranks is an array beside \d+ merges"),
        (changed(["model"], RANKED | {"ranks": 3}), "ranks is a number beside 0 merges"),
        (changed(["model"], RANKED | {"ranks": [-1]}), "ranks has a number for id 0"),
        (changed(["model"], RANKED | {"ranks": [None] * 5000 + [1]}), "for id 5000"),
        (changed(["added_tokens", 0], SPACED, "metaspace-first"), '"a b" .* has a space'),
        (changed(["added_tokens", 0], SPACED | {"lstrip": True}), "takes the spaces"),
        (changed(["added_tokens", 0], {"content": f"a {MARK}", "id": 900}), "both a space and"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_json(text)
