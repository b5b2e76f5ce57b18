"""Tokenizers of one vocabulary compare where they cut a text alike, and only there."""

import json

import pandas as pd
import pytest
from random_models import write_model

import pyqtf
from pyqtf.evaluation.receipt import ProtocolMismatchError, make_receipt
from pyqtf.tokenizer import Tokenizer, patterns
from pyqtf.tokenizer._files import byte_alphabet, byte_level_json

MERGES = [("a", "b"), ("b", "c"), ("1", "2")]
VOCAB = {token: i for i, token in enumerate([*byte_alphabet(), "ab", "bc", "12", "abc"])}
ALIKE = "The cat sat."


def document(merges=MERGES, splits=(patterns.GPT2,), *, nfc=False, special=(), whole=False):
    found = byte_level_json(VOCAB, merges, splits, nfc=nfc, special=special)
    found["model"]["ignore_merges"] = whole
    return json.dumps(found)


OTHERS = {
    "the order of merges": (document(MERGES[::-1]), "abc"),
    "fewer merges": (document(MERGES[:2]), "12"),
    "words that are tokens": (document(whole=True), "abc"),
    "the split": (document(splits=(patterns.DIGIT, patterns.GPT2)), "12"),
    "the normaliser": (document(nfc=True), "e\u0301"),
    "an added token": (document(special=["bc"]), "abc"),
}


def load(folder, text):
    write_model(folder, vocab_size=len(VOCAB))
    (folder / "tokenizer.json").write_text(text)
    return pyqtf.load(folder, quant="f32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(tmp_path_factory.mktemp("folder") / "one", document())


@pytest.mark.parametrize(("text", "shows"), OTHERS.values(), ids=OTHERS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of two short stories there is much to say
def test_whatever_decides_the_ids_is_in_the_receipt(model, tmp_path, text, shows):
    shows += " x"
    other = load(tmp_path / "other", text)
    assert other.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    model.score(ALIKE).receipt.check_comparable(other.score(ALIKE).receipt)
    with pytest.raises(ProtocolMismatchError, match=r"don't compare: ids is [0-9a-f]{20} for one"):
        model.score(shows).receipt.check_comparable(other.score(shows).receipt)
    measured = [pyqtf.measure(one, shows).receipt for one in (model, other)]
    with pytest.raises(ProtocolMismatchError, match="ids is"):
        measured[0].check_comparable(measured[1])

    results = pd.concat(
        pyqtf.evaluate(one, [ALIKE, shows], progress=False) for one in (model, other)
    )
    with pytest.raises(
        ProtocolMismatchError,
        match=r"cut into other tokens in 1 of 2 stories, first in story 1\. .*unit='byte'",
    ):
        pyqtf.summarise(results)
    pyqtf.summarise(results, unit="byte")
    pyqtf.summarise(results[results["story_idx"] == 0])


def test_a_written_gguf_compares_with_what_it_was_written_from(tmp_path):
    name = pyqtf.bundled.names()[0]
    pyqtf.export_gguf(name, tmp_path / "x.gguf", dtype="F32")
    models = pyqtf.load(name), pyqtf.load(tmp_path / "x.gguf")
    texts = [story["text"] for story in pyqtf.bundled.stories()[:9]]
    one, two = (pyqtf.measure(model, texts).receipt for model in models)
    assert one.protocol == two.protocol


def test_one_vocabulary_is_the_same_from_all_of_its_files(model, data_dir):
    """GPT-2's two files, llama.cpp's GGUF and OpenAI's tiktoken file."""
    text = (data_dir / "wikitext2/wiki.test.raw").read_text("utf-8")[:200_000]
    files = (
        "tokenizers/gpt2",
        "tokenizer-tests/llama.cpp/ggml-vocab-gpt-2.gguf",
        "tokenizers/tiktoken/r50k_base.tiktoken",
    )
    fields = []
    for name in files:
        tokenizer = Tokenizer.from_file(data_dir / name)
        receipt = make_receipt(
            model,
            [text],
            [tokenizer.encode(text)],
            pyqtf.evaluation.protocol.PER_STORY,
            tokenizer=tokenizer,
        )
        fields.append(receipt.protocol)
    assert fields[0] == fields[1] == fields[2]
