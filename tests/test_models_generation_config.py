"""The tokens that end a text, from generation_config.json, and generation that stops at any."""

import json

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf.formats import FormatError
from pyqtf.models.generation_config import read_eos_ids

SIZES = {"vocab_size": 256, "max_position_embeddings": 200}


def write(folder, eos):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = write_model(tmp_path_factory.mktemp("models") / "random", **SIZES)
    (path / "tokenizer_config.json").write_text('{"eos_token": "!"}')
    return path


@pytest.mark.parametrize(
    ("eos", "expected"), [(5, (5,)), ([5, 7], (5, 7)), ([], ()), (None, ()), ([0], (0,))]
)
def test_an_id_a_list_or_nothing(eos, expected, tmp_path):
    write(tmp_path, eos)
    assert read_eos_ids(tmp_path) == expected


def test_a_file_that_is_absent_or_says_nothing(tmp_path):
    assert read_eos_ids(tmp_path) == ()
    (tmp_path / "generation_config.json").write_text('{"do_sample": true}')
    assert read_eos_ids(tmp_path) == ()


@pytest.mark.parametrize("eos", ["5", 5.0, True, -1, 2**31, [5, "7"], [[5]], {"id": 5}, [None]])
def test_what_is_no_id_is_refused(eos, tmp_path):
    write(tmp_path, eos)
    with pytest.raises(FormatError, match=r"generation_config\.json: 'eos_token_id' must be"):
        read_eos_ids(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[5]", '{"eos_token_id": NaN}', "\xff"])
def test_what_is_no_json_object_is_refused(text, tmp_path):
    (tmp_path / "generation_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"generation_config\.json"):
        read_eos_ids(tmp_path)


def test_the_real_file(data_dir, tmp_path):
    source = data_dir / "qwen2.5" / "generation_config.json"
    (tmp_path / "generation_config.json").write_bytes(source.read_bytes())
    expected = json.loads(source.read_text())["eos_token_id"]
    assert read_eos_ids(tmp_path) == tuple(expected if isinstance(expected, list) else [expected])


def test_generation_stops_at_any_of_them(folder, tmp_path):
    plain = pyqtf.load(folder, quant="f32")
    assert plain.eos_token_ids == (ord("!"),)
    options = {"max_tokens": 60, "temperature": 1.0, "seed": 3}
    free = plain.tokenizer.encode(plain.generate([1, 2, 3], **options))
    kinds, firsts = np.unique(free, return_index=True)
    late = kinds[np.argsort(firsts)][5:8].tolist()  # bytes that come first at three places
    assert len(late) == 3
    write(folder, late[:0:-1])
    try:
        model = pyqtf.load(folder, quant="f32")
    finally:
        (folder / "generation_config.json").unlink()
    assert model.eos_token_ids == tuple(late[:0:-1])
    text = model.generate([1, 2, 3], **options)
    model.save(tmp_path / "model.pyqtf")
    saved = pyqtf.load(tmp_path / "model.pyqtf")
    assert saved.eos_token_ids == model.eos_token_ids
    assert text == saved.generate([1, 2, 3], **options)
    end = min(free.tolist().index(token) for token in late[1:])
    assert model.tokenizer.encode(text).tolist() == free[:end].tolist()
