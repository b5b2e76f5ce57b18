"""Reading and writing GGUF, with the gguf package as the oracle."""

import itertools
import json
import struct

import numpy as np
import pytest
from gguf_files import QUANTIZED, bits, build, entry, random_blocks, string, value, write

from pyqtf.formats import FormatError, read_gguf, save_gguf
from pyqtf.formats.gguf_blocks import dequantize
from pyqtf.formats.gguf_types import READABLE


@pytest.mark.parametrize("name", QUANTIZED)
def test_rows_in_pieces_are_the_rows_of_the_whole(name, tmp_path):
    kind = READABLE[name]
    n_rows, width = 5, 3 * kind.block_size
    blocks = random_blocks(name, n_rows * 3, seed=2)
    content = build(entries=[entry(shape=(width, n_rows), kind=kind.number)], data=blocks.tobytes())
    tensor = read_gguf(write(tmp_path, content)).tensors["w"]
    whole = tensor.array()
    np.testing.assert_array_equal(bits(whole).reshape(-1), bits(dequantize(name, blocks)).ravel())
    for start, stop in itertools.combinations_with_replacement(range(n_rows + 1), 2):
        np.testing.assert_array_equal(bits(tensor.rows(start, stop)), bits(whole[start:stop]))
    tensor.release()
    np.testing.assert_array_equal(bits(np.concatenate([*tensor.row_blocks()])), bits(whole))
    for start, stop in [(-1, 2), (0, n_rows + 1), (3, 2)]:
        with pytest.raises(IndexError, match=r"'w' has 5 rows"):
            tensor.rows(start, stop)


def test_row_blocks_are_small_whatever_the_tensor(tmp_path):
    n_rows, width = 5000, 1024
    path = tmp_path / "x.gguf"
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(n_rows, width)).astype(np.float32)
    save_gguf(path, {}, {"w": ("Q8_0", weights)})
    blocks = [*read_gguf(path).tensors["w"].row_blocks()]
    assert len(blocks) > 4 and max(block.nbytes for block in blocks) <= 2**22
    assert abs(np.concatenate(blocks) - weights).max() < 0.025


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
def test_our_files_are_read_by_the_gguf_package(dtype, tmp_path):
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(4)
    weights = {
        "blk.0.attn_q.weight": rng.normal(size=(6, 64)).astype(np.float32),
        "blk.0.x": rng.normal(size=(3, 2, 32)).astype(np.float32),
        "blk.0.attn_q.bias": rng.normal(size=32).astype(np.float32),
    }
    metadata = {
        "general.architecture": "qwen2",
        "qwen2.block_count": 2,
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "general.offset": np.int64(-5),
        "general.double": np.float64(0.1),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.tokens": ["a", "é", "", "<|endoftext|>"],
        "tokenizer.ggml.token_type": np.array([1, 1, 1, 3], np.int32),
        "flags": np.array([True, False]),
        "none": [],
    }
    path = tmp_path / "x.gguf"
    save_gguf(path, metadata, {name: (dtype, array) for name, array in weights.items()})
    reader = gguf.GGUFReader(path)
    for key, expected in metadata.items():
        found = reader.fields[key].contents()
        if isinstance(expected, float):
            expected = np.dtype(np.float64 if key.endswith("double") else np.float32).type(expected)
        assert list(found) == list(expected) if np.ndim(expected) else found == expected, key
    assert reader.fields["qwen2.block_count"].types == [gguf.GGUFValueType.UINT32]
    ours = read_gguf(path)
    assert [tensor.name for tensor in reader.tensors] == list(weights)
    for tensor in reader.tensors:
        assert tensor.tensor_type.name == dtype
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        mine = ours.tensors[tensor.name]
        assert mine.shape == weights[tensor.name].shape == tuple(reversed(tensor.shape.tolist()))
        values = mine.array()
        if dtype == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_array_equal(bits(values).ravel(), bits(expected).ravel())
        exact = {"F32": 0, "F16": 2e-3, "BF16": 2e-2, "Q8_0": 2e-2, "Q4_0": 0.5}[dtype]
        assert abs(values - weights[tensor.name]).max() <= exact
    assert path.stat().st_size % 32 == 0


def test_bfloat16_is_rounded_to_nearest_even(tmp_path):
    words = np.array([0x3F80_8000, 0x3F81_8000, 0x3F80_8001, 0xBF80_7FFF, 1], np.uint32)
    path = tmp_path / "x.gguf"
    save_gguf(path, {}, {"w": ("BF16", words.view(np.float32))})
    found = read_gguf(path).tensors["w"].array()
    assert found.tolist() == [0x3F80, 0x3F82, 0x3F81, 0xBF80, 0]


@pytest.mark.parametrize("source", ["f16", "bf16"])
def test_half_precision_sources_are_written_without_loss(source, tmp_path):
    values = np.random.default_rng(5).normal(size=(4, 32)).astype(np.float16)
    wide = values.astype(np.float32)
    if source == "bf16":
        values = (wide.view(np.uint32) >> 16).astype(np.uint16)
        wide = (values.astype(np.uint32) << 16).view(np.float32)
    path = tmp_path / "x.gguf"
    save_gguf(path, {}, {"same": (source.upper(), values), "wide": ("F32", values)})
    tensors = read_gguf(path).tensors
    np.testing.assert_array_equal(tensors["same"].array(), values)
    np.testing.assert_array_equal(tensors["wide"].array(), wide)


def test_all_value_types_are_read(tmp_path):
    numbers = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8",
               11: "<i8", 12: "<f8"}  # fmt: skip
    expected, values = {}, []
    for kind, code in numbers.items():
        array = np.array([1, 0, 77], code)
        expected |= {f"scalar {code}": array[2], f"array {code}": array}
        values.append(value(f"scalar {code}", kind, array[2].tobytes()))
        data = struct.pack("<IQ", kind, 3) + array.tobytes()
        values.append(value(f"array {code}", 9, data))
    nested = struct.pack("<IQ", 9, 2) + 2 * (struct.pack("<IQ", 0, 2) + b"\1\2")
    values += [
        value("yes", 7, b"\1"),
        value("flags", 9, struct.pack("<IQ", 7, 2) + b"\0\1"),
        value("text", 8, string("ab\0é")),
        value("texts", 9, struct.pack("<IQ", 8, 2) + string("") + string("x")),
        value("nested", 9, nested),
        value("empty", 9, struct.pack("<IQ", 9, 0)),
    ]
    for version in (2, 3):
        found = read_gguf(write(tmp_path, build(values, version=version)))
        assert found.version == version
        for key, array in expected.items():
            assert found.metadata[key].dtype == array.dtype
            np.testing.assert_array_equal(found.metadata[key], array)
        rest = {key: v for key, v in found.metadata.items() if key not in expected}
        assert rest.pop("flags").tolist() == [False, True]
        assert [list(part) for part in rest.pop("nested")] == [[1, 2], [1, 2]]
        assert rest == {"yes": True, "text": "ab\0é", "texts": ["", "x"], "empty": []}
        assert rest["yes"] is True


def test_a_real_vocabulary_is_read_as_the_gguf_package_reads_it(data_dir):
    gguf = pytest.importorskip("gguf")
    path = data_dir / "tokenizer-tests/llama.cpp/ggml-vocab-gpt-2.gguf"
    found = read_gguf(path)
    fields = gguf.GGUFReader(path).fields
    assert set(found.metadata) == {key for key in fields if not key.startswith("GGUF.")}
    for key, mine in found.metadata.items():
        theirs = fields[key].contents()
        assert np.array_equal(mine, theirs) if np.ndim(mine) else mine == theirs, key
    assert found.tensors == {}


def test_a_real_vocabulary_is_the_one_it_was_made_from(data_dir):
    """By far quicker for 151,936 tokens than asking the gguf package."""
    found = read_gguf(data_dir / "tokenizer-tests/llama.cpp/ggml-vocab-qwen2.gguf").metadata
    vocab = json.loads((data_dir / "qwen2.5/vocab.json").read_text("utf-8"))
    merges = (data_dir / "qwen2.5/merges.txt").read_text("utf-8").splitlines()
    assert found["tokenizer.ggml.tokens"][: len(vocab)] == sorted(vocab, key=vocab.get)
    assert found["tokenizer.ggml.merges"] == merges
    assert found["tokenizer.ggml.token_type"].shape == (151936,)
    assert found["tokenizer.ggml.pre"] == found["general.architecture"] == "qwen2"


def test_metadata_survives_reading_and_writing(data_dir, tmp_path):
    found = read_gguf(data_dir / "tokenizer-tests/llama.cpp/ggml-vocab-gpt-2.gguf")
    save_gguf(tmp_path / "again.gguf", found.metadata, {})
    again = read_gguf(tmp_path / "again.gguf")
    assert again.metadata.keys() == found.metadata.keys()
    for key, mine in found.metadata.items():
        assert type(again.metadata[key]) is type(mine)
        assert np.array_equal(again.metadata[key], mine)


GOOD = np.ones((2, 32), np.float32)


class Lying:
    """Rows of another shape than it claims."""

    shape = (2, 32)

    def __getitem__(self, rows):
        return np.ones((1, 32), np.float32)


BAD_WRITES = {
    "unknown type": ({}, ("Q4_K", GOOD), "can't write 'Q4_K'; known: F32"),
    "no dimension": ({}, ("F32", np.float32(1).reshape(())), "one to four dimensions"),
    "five dimensions": ({}, ("F32", GOOD.reshape(2, 2, 2, 2, 4)), "one to four dimensions"),
    "empty": ({}, ("F32", GOOD[:0]), r"got \[0, 32\]"),
    "rows of 31": ({}, ("Q8_0", GOOD[:, :31]), "rows of 31 weights can't be Q8_0"),
    "float64": ({}, ("F32", GOOD.astype(np.float64)), "got float64"),
    "nan": ({}, ("F16", GOOD * np.nan), "must be finite"),
    "infinite": ({}, ("BF16", GOOD * np.inf), "must be finite"),
    "too large for F16": ({}, ("F16", GOOD * np.float32(70000)), "too large for F16"),
    "too large for BF16": ({}, ("BF16", GOOD * np.float32(3.4e38)), "too large for BF16"),
    "too large for Q8_0": ({}, ("Q8_0", GOOD * np.float32(1e7)), "too large for Q8_0"),
    "too large for Q4_0": ({}, ("Q4_0", GOOD * np.float32(1e6)), "too large for Q4_0"),
    "lying rows": ({}, ("F32", Lying()), r"shape \[1, 32\], which doesn't fit \[2, 32\]"),
    "negative int": ({"k": -1}, ("F32", GOOD), "'k': GGUF can't hold -1"),
    "huge int": ({"k": 2**32}, ("F32", GOOD), "'k': GGUF can't hold 4294967296"),
    "none": ({"k": None}, ("F32", GOOD), "'k': GGUF can't hold None"),
    "mixed list": ({"k": ["a", 1]}, ("F32", GOOD), "'k': GGUF can't hold"),
    "complex": ({"k": np.ones(2, complex)}, ("F32", GOOD), "'k': GGUF can't hold"),
    "two dimensions": ({"k": GOOD}, ("F32", GOOD), "'k': GGUF can't hold"),
    "surrogate": ({"k": "\ud800"}, ("F32", GOOD), "UTF-8"),
}


@pytest.mark.parametrize("case", BAD_WRITES)
def test_what_gguf_cannot_hold_is_not_written(case, tmp_path):
    metadata, tensor, message = BAD_WRITES[case]
    path = tmp_path / "x.gguf"
    path.write_bytes(b"old")
    with pytest.raises(FormatError, match=message):
        save_gguf(path, metadata, {"w": tensor})
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]
    with pytest.raises(FormatError, match="at most 63 bytes"):
        save_gguf(path, {}, {"w" * 64: ("F32", GOOD)})
