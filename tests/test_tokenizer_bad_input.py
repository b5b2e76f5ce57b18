"""Broken files and texts: one clear exception each, never a crash."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core
from pyqtf.tokenizer import Tokenizer, patterns

GOOD = Tokenizer.example_json()


def changed(path, value):
    """The example with one member replaced; None as the last step of a path adds to a list."""
    document = json.loads(GOOD)
    at = document
    for step in path[:-1]:
        at = at[step]
    if path[-1] is None:
        at.append(value)
    else:
        at[path[-1]] = value
    return json.dumps(document)


NEST = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON ends at byte 0, expected a value"),
        ("{", "JSON ends at byte 1, expected a member's name"),
        (GOOD[:-5], "JSON ends at byte"),
        (GOOD + "x", "has 'x' at byte .* expected the end"),
        (NEST, "at most 64 levels"),
        ("{}", 'no object "model"'),
        ("[]", 'no object "model"'),
        ("1", 'no object "model"'),
        ('{"a": 01}', "leading zeros"),
        ('{"a": 1.}', "a digit after the point"),
        ('{"a": "\\ud800"}', "a whole surrogate pair"),
        ('{"a": "\\x"}', "after a backslash"),
        ('{"a": "\n"}', "0x0a at byte 7, expected the closing quote"),
        ('{"a": tru}', "has 't' at byte 6, expected a value"),
        ('{"a" 1}', "expected ':'"),
        ('{"a": 1 2}', "',' or '}'"),
        ("[1 2]", "',' or ']'"),
        (b'{"a": "\xff"}', "not UTF-8: byte 0xff at byte 7"),
        (changed(["model", "type"], "Unigram"), '"Unigram"'),
        (changed(["model", "vocab"], []), '"vocab"'),
        (changed(["model", "merges"], None), '"merges"'),
        (changed(["model", "vocab", "q"], -1), 'token "q"'),
        (changed(["model", "vocab", "q"], 1.5), 'token "q"'),
        (changed(["model", "vocab", "q"], 2**31), "token id 2147483648"),
        (changed(["model", "vocab", "qq"], 5), "id 5 to two tokens"),
        (GOOD.replace('"!": 0', '"!": 0, "!": 999'), "again as id 999"),
        (changed(["model", "merges", None], ["x", "zz"]), '"zz", which is not in the vocabulary'),
        (changed(["model", "merges", None], ["x", "y"]), "joined token is not in the vocabulary"),
        (changed(["model", "merges", None], "xy"), "two tokens with a space"),
        (changed(["model", "merges", None], "x y z"), "two tokens with a space"),
        (changed(["model", "merges", None], [1, 2]), "expected two tokens"),
        (changed(["model", "byte_fallback"], True), 'pre_tokenizer "ByteLevel" .*byte_fallback'),
        (changed(["model", "dropout"], 0.1), "dropout"),
        (changed(["model", "end_of_word_suffix"], "</w>"), "end_of_word_suffix"),
        (changed(["model", "ignore_merges"], 1), "ignore_merges is a number"),
        (changed(["normalizer"], {"type": "NFKC"}), '"NFKC" is not supported'),
        (changed(["normalizer"], 3), "normalizer is a number"),
        (changed(["pre_tokenizer"], None), "no ByteLevel"),
        (changed(["pre_tokenizer"], {"type": "Metaspace"}), '"Metaspace"'),
        (
            changed(
                ["pre_tokenizer"],
                {"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Isolated"},
            ),
            r"not one of those known: \[a-z\]\+",
        ),
        (changed(["decoder"], {"type": "WordPiece"}), '"WordPiece"'),
        (changed(["truncation"], {"max_length": 3}), "truncation is set"),
        (changed(["added_tokens", None], {"content": "x"}), 'integer "id"'),
        (changed(["added_tokens", None], {"content": "x", "id": 999}), "vocabulary gives it id"),
        (changed(["added_tokens"], {}), "added_tokens is an object"),
    ],
)
def test_broken_tokenizer_files(text, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_json(text)


def test_a_missing_file_and_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        Tokenizer.from_file(tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError, match=r"expected tokenizer\.json"):
        Tokenizer.from_file(tmp_path)
    (tmp_path / "tokenizer.json").write_text(GOOD[:100])
    with pytest.raises(ValueError, match=r"JSON ends at byte 100"):
        Tokenizer.from_file(tmp_path)


def test_a_broken_config_beside_it(tmp_path):
    (tmp_path / "tokenizer.json").write_text(GOOD)
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"eos_token": "the", "bos_token": {"content": "at"}}')
    tokenizer = Tokenizer.from_file(tmp_path)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (258, 257)
    config.write_text('{"eos_token": "nope"}')
    with pytest.raises(ValueError, match="eos_token is 'nope'"):
        Tokenizer.from_file(tmp_path)
    config.write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json"):
        Tokenizer.from_file(tmp_path)
    config.write_text("{}")
    (tmp_path / "special_tokens_map.json").write_text("[]")
    with pytest.raises(ValueError, match=r"special_tokens_map\.json: expected an object"):
        Tokenizer.from_file(tmp_path)
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": 3}')
    with pytest.raises(ValueError, match="eos_token is 3, expected a token"):
        Tokenizer.from_file(tmp_path)


def test_broken_merges_and_vocab_files(tmp_path):
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "ab": 2}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = Tokenizer.from_file(tmp_path)
    assert tokenizer.encode("ab").tolist() == [2]
    with pytest.raises(ValueError, match="byte 0x63, for which the vocabulary has no token"):
        tokenizer.encode("abc")
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(ValueError, match="line 2: expected two tokens"):
        Tokenizer.from_file(tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": 0, "a": 1}')
    with pytest.raises(ValueError, match="twice"):
        Tokenizer.from_file(tmp_path)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_json(GOOD)


def test_texts_that_are_not_text(tokenizer):
    with pytest.raises(ValueError, match=r"lone surrogate U\+d800 at index 1"):
        tokenizer.encode("a\ud800")
    with pytest.raises(ValueError, match="not UTF-8: byte 0xff at byte 2"):
        tokenizer.encode(b"ab\xff")
    with pytest.raises(ValueError, match="not UTF-8: byte 0xed at byte 0"):
        tokenizer.encode_batch([b"fine", b"\xed\xa0\x80"])
    for text in (None, 3, ["a"], np.zeros(3)):
        with pytest.raises(TypeError, match="expected str or UTF-8 bytes"):
            tokenizer.encode(text)
    with pytest.raises(TypeError, match="a list of texts"):
        tokenizer.encode_batch("abc")
    assert tokenizer.encode("").tolist() == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode(tokenizer.encode("a\x00b")) == "a\x00b"


def test_a_call_takes_one_text_or_a_list(tokenizer):
    one = tokenizer("the hat", return_offsets_mapping=True)
    both = tokenizer(["the hat", ""], return_offsets_mapping=True)
    assert one["input_ids"].tolist() == both["input_ids"][0].tolist() == [257, 220, 71, 258]
    assert one["offset_mapping"].tolist() == both["offset_mapping"][0].tolist()
    assert both["offset_mapping"][1].shape == (0, 2)
    assert [ids.tolist() for ids in tokenizer(["the hat", ""])["input_ids"]] == [
        [257, 220, 71, 258],
        [],
    ]


def test_one_very_long_string():
    with pytest.raises(ValueError, match='no object "model"'):
        _core.Tokenizer(b'"' + b"a" * 100_000_000 + b'"')


@pytest.mark.parametrize("bad", [-1, 259, 2**31, 2**62])
def test_ids_out_of_range(tokenizer, bad):
    for call in (
        lambda: tokenizer.decode([bad]),
        lambda: tokenizer.token_bytes(bad),
        lambda: tokenizer.convert_ids_to_tokens([bad]),
    ):
        with pytest.raises(ValueError, match=f"token id {bad} is not in the vocabulary"):
            call()


def test_ids_that_are_not_integers(tokenizer):
    for ids in ([1.5], ["a"], np.zeros((2, 2), int)):
        with pytest.raises(TypeError, match="flat sequence of integers"):
            tokenizer.decode(ids)


def test_a_hole_in_the_vocabulary():
    tokenizer = Tokenizer.from_json(changed(["model", "vocab", "qq"], 300))
    assert len(tokenizer) == 260
    assert tokenizer.token_bytes(300) == b"qq"
    with pytest.raises(ValueError, match="token id 299"):
        tokenizer.decode([299])


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_files_never_crash(data):
    """Cut, repeat or overwrite a stretch of a good file: it loads or says why not."""
    good = GOOD.encode()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 40)))
    filling = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"", b'"', b"[", b"}"])))
    try:
        tokenizer = _core.Tokenizer(good[:start] + filling + good[end:])
    except ValueError as error:
        assert str(error)
    else:
        assert len(tokenizer) <= 259


def corpus():
    """What fuzzing found worth keeping: the first byte says what the rest is."""
    folder = Path(__file__).parent / "fuzz" / "tokenizer"
    yield from (path.read_bytes() for path in sorted(folder.glob("*.seed")))
    with zipfile.ZipFile(folder / "corpus.zip") as archive:
        yield from (archive.read(name) for name in archive.namelist())


def test_the_fuzzing_corpus(tokenizer):
    outcomes = set()
    for entry in corpus():
        kind, data = entry[:1], entry[1:]
        try:
            if kind == b"j":
                _core.Tokenizer(data)
            elif kind == b"t":
                _core.Tokenizer(data, patterns.CL100K)
            else:
                assert tokenizer.decode(tokenizer.encode(data)).encode() == data
            outcomes.add(kind in b"jt")
        except ValueError as error:
            assert str(error)
            outcomes.add(None)
    assert outcomes == {True, False, None}
