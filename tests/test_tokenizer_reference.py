"""Ids equal those recorded from the reference tokenizers."""

import json

import numpy as np
import pytest

from pyqtf.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def qwen(data_dir):
    return Tokenizer.from_file(data_dir / "qwen2.5" / "tokenizer.json")


def read(path):
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        ("qwen25_train50_ids.json", "tinystories/train_first50.json"),
        ("qwen25_blns_ids.json", "unicode/blns.json"),
    ],
)
def test_texts_give_the_reference_ids(qwen, data_dir, ids, texts):
    expected = read(data_dir / "reference" / ids)["ids"]
    texts = read(data_dir / texts)
    assert len(texts) == len(expected)
    found = qwen.encode_batch(texts)
    assert [row.tolist() for row in found] == expected
    assert [qwen.encode(text).tolist() for text in texts] == expected
    assert all(row.dtype == np.int32 for row in found)


def test_integration_cases_of_transformers(qwen, data_dir):
    cases = read(data_dir / "reference" / "qwen2_hf_integration_cases.json")["cases"]
    assert len(cases) == 3
    for case in cases:
        assert qwen.encode(case["text"]).tolist() == case["ids"]


def test_the_vocabulary(qwen, data_dir):
    assert len(qwen) == 151665
    vocab = read(data_dir / "qwen2.5" / "vocab.json")
    assert {token: qwen.vocab[token] for token in vocab} == vocab
    assert qwen.vocab["<|endoftext|>"] == 151643
    assert qwen.all_special_ids[:3] == [151643, 151644, 151645]


def test_decoding_undoes_encoding(qwen, data_dir):
    text = (data_dir / "text" / "frankenstein.txt").read_text("utf-8")
    assert qwen.decode(qwen.encode(text)) == text


def test_special_tokens_are_found_in_the_text_or_left_alone(qwen):
    text = "a<|im_end|>b"
    assert qwen.encode(text).tolist() == [64, 151645, 65]
    plain = qwen.encode(text, split_special_tokens=True)
    assert plain.size > 3
    assert qwen.decode(plain) == text
    assert qwen.decode([64, 151645, 65], skip_special_tokens=True) == "ab"


def test_normalisation_follows_the_standard(data_dir):
    """Every line of the Unicode normalisation test, through a tokenizer of bytes alone."""
    document = json.loads(Tokenizer.example_json())
    document["normalizer"] = {"type": "NFC"}
    tokenizer = Tokenizer.from_json(json.dumps(document))
    lines = (data_dir / "unicode" / "NormalizationTest.txt").read_text("utf-8").splitlines()
    checked = 0
    for line in lines:
        fields = line.split("#")[0].split(";")
        if len(fields) < 5:
            continue
        forms = ["".join(chr(int(c, 16)) for c in field.split()) for field in fields[:5]]
        for source, expected in zip(forms, (1, 1, 1, 3, 3), strict=True):
            assert tokenizer.decode(tokenizer.encode(source)) == forms[expected], line
        checked += 1
    assert checked > 18000
