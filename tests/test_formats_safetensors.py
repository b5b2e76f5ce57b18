"""Reading and writing safetensors, and refusing what breaks the format."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.formats import FormatError, open_folder, read_safetensors, save_safetensors

DTYPES = ["<f8", "<f4", "<f2", "<u2", "<i8", "<i4", "<i2", "i1", "<u8", "<u4", "u1", "?"]


def write(path, header, data=b""):
    """A file with this header, a dict or raw bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@given(
    arrays=st.dictionaries(
        st.text(min_size=1).filter(lambda s: s != "__metadata__" and s.isprintable()),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)),
        max_size=4,
    ),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_what_is_saved_is_read_back(arrays, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    tensors = {
        name: rng.integers(0, 2, size=shape).astype(dtype)
        for name, (dtype, shape) in arrays.items()
    }
    path = tmp_path_factory.mktemp("saved") / "x.safetensors"
    save_safetensors(path, tensors, metadata={"format": "pt"})
    found = read_safetensors(path)
    assert set(found) == set(tensors)
    for name, expected in tensors.items():
        array = found[name].array()
        assert array.dtype == expected.dtype and array.shape == expected.shape
        np.testing.assert_array_equal(array, expected)
        found[name].release()
        np.testing.assert_array_equal(found[name].array(), expected)


def test_files_go_both_ways_with_the_safetensors_library(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    values = {
        "bf16": torch.randn(3, 5).bfloat16(),
        "f16": torch.randn(7).half(),
        "f32": torch.randn(2, 3, 4),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
    }
    library.save_file(values, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    found = read_safetensors(tmp_path / "theirs.safetensors")
    for name, value in values.items():
        bits = value.view(torch.uint16) if name == "bf16" else value
        np.testing.assert_array_equal(found[name].array(), bits.numpy())
    save_safetensors(
        tmp_path / "ours.safetensors", {name: tensor.array() for name, tensor in found.items()}
    )
    back = library.load_file(tmp_path / "ours.safetensors")
    assert all(torch.equal(back[name], value) for name, value in values.items())


def test_views_are_read_only_and_outlive_the_file_on_disk(tmp_path):
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"w": np.arange(4, dtype=np.float32)})
    array = read_safetensors(path)["w"].array()
    path.unlink()
    assert array.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"w": np.zeros(2, np.float32)})
    before = path.read_bytes()

    class Broken(dict):
        def values(self):
            yield np.ones(2, np.float32)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_safetensors(path, Broken(w=np.ones(2, np.float32)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    with pytest.raises(FormatError, match=r"'w'.*complex64"):
        save_safetensors(path, {"w": np.ones(2, np.complex64)})


D = b"\0" * 8
BAD_HEADERS = {
    "not json": (b"{", D, "expected JSON"),
    "not utf-8": (b'{"\xff": 1}', D, "UTF-8"),
    "a list": (b"[]", D, "JSON object"),
    "deep": (b'{"a":' + b"[" * 100_000, D, "deep|JSON"),
    "huge number": (b'{"a":' + b"9" * 5000 + b"}", D, "JSON|exactly"),
    "nan": (b'{"a": NaN}', D, "NaN"),
    "metadata no strings": ({"__metadata__": {"a": 1}, "a": entry()}, D, "object of strings"),
    "metadata no object": ({"__metadata__": [], "a": entry()}, D, "object of strings"),
    "twice": (
        b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2),
        D,
        "'a' is there twice",
    ),
    "entry is a number": ({"a": 1}, D, "dtype, shape and data_offsets"),
    "missing key": ({"a": {"dtype": "F32", "shape": [2]}}, D, "dtype, shape and data_offsets"),
    "extra key": ({"a": {**entry(), "x": 1}}, D, "dtype, shape and data_offsets"),
    "unknown dtype": ({"a": entry("F31")}, D, "F31"),
    "dtype no string": ({"a": entry(["F32"])}, D, "unknown dtype"),
    "negative size": ({"a": entry(shape=[-2, -1])}, D, "shape"),
    "size is a float": ({"a": entry(shape=[2.0])}, D, "shape"),
    "size is a bool": ({"a": entry(shape=[True, 2])}, D, "shape"),
    "2^63 elements": ({"a": entry(shape=[2**63])}, D, "shape"),
    "sizes of no array": ({"a": entry(shape=[2**62, 4, 0], offsets=(0, 0))}, b"", "shape"),
    "product overflows": ({"a": entry(shape=[2**62, 4], offsets=(0, 0))}, D, "takes"),
    "33 dimensions": ({"a": entry(shape=[1] * 33, offsets=(0, 4))}, D, "at most 32"),
    "too few bytes": ({"a": entry(offsets=(0, 4))}, D, "takes 8 bytes.*span 4"),
    "reversed": ({"a": entry(offsets=(8, 0))}, D, "span -8"),
    "one offset": ({"a": entry(offsets=(8,))}, D, "two positions"),
    "beyond the end": ({"a": entry(offsets=(4, 12))}, D, "truncated"),
    "overlap": ({"a": entry(), "b": entry(offsets=(4, 12))}, D + D[:4], "'a' and 'b' overlap"),
    "same bytes": ({"a": entry(), "b": entry()}, D, "overlap"),
    "hole": ({"a": entry(), "b": entry(offsets=(12, 20))}, D * 3, "take 16 bytes, but 24"),
    "bytes left over": ({"a": entry()}, D + b"x", "take 8 bytes, but 9"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_headers_are_refused(case, tmp_path):
    header, data, message = BAD_HEADERS[case]
    path = write(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(FormatError, match=message) as error:
        read_safetensors(path)
    assert "bad.safetensors" in str(error.value)


@pytest.mark.parametrize("length", [0, 3, 2**20, 2**63, 2**64 - 1])
def test_bad_header_lengths_are_refused(length, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a": 1}')
    with pytest.raises(FormatError):
        read_safetensors(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_safetensors(tmp_path / "none.safetensors")
    with pytest.raises(FormatError, match="regular file"):
        read_safetensors(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(FormatError, match="empty"):
        read_safetensors(tmp_path / "empty")


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "x.safetensors"
    save_safetensors(
        path,
        {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(5, dtype=np.uint16)},
    )
    return path.read_bytes()


def test_every_truncation_is_refused(good_bytes, tmp_path):
    path = tmp_path / "cut.safetensors"
    for length in range(len(good_bytes)):
        path.write_bytes(good_bytes[:length])
        with pytest.raises(FormatError):
            read_safetensors(path)


@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_mutated_file_reads_or_is_refused(edits, good_bytes, tmp_path_factory):
    mutated = bytearray(good_bytes)
    for position, value in edits:
        mutated[position % len(mutated)] = value
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(mutated)
    try:
        found = read_safetensors(path)
    except FormatError:
        return
    for tensor in found.values():
        assert tensor.array().tobytes() == bytes(mutated[tensor.start : tensor.stop])


def sharded(folder, weight_map=None):
    """Two shards and their index."""
    folder.mkdir(exist_ok=True)
    save_safetensors(folder / "s1.safetensors", {"a": np.zeros(2, np.float32)})
    save_safetensors(folder / "s2.safetensors", {"b": np.ones(3, np.float32)})
    weight_map = weight_map or {"a": "s1.safetensors", "b": "s2.safetensors"}
    index = {"metadata": {"total_size": 20}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_are_joined_and_may_be_links(tmp_path):
    folder = sharded(tmp_path / "model")
    found = open_folder(folder)
    assert {name: t.array().tolist() for name, t in found.items()} == {"a": [0, 0], "b": [1, 1, 1]}
    blob = tmp_path / "blob"
    (folder / "s1.safetensors").rename(blob)
    (folder / "s1.safetensors").symlink_to(blob)
    assert open_folder(folder)["a"].array().tolist() == [0, 0]


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "s1.safetensors"}, "'b'|no file"),
        ({"a": "s1.safetensors", "b": "s1.safetensors"}, "'b' should be in s1"),
        ({"a": "s1.safetensors", "b": "s2.safetensors", "c": "s2.safetensors"}, "'c' should be"),
        ({"a": "s2.safetensors", "b": "s1.safetensors"}, "but the index says"),
        ({"a": "../s1.safetensors"}, "beside the index"),
        ({"a": "/etc/s1.safetensors"}, "beside the index"),
        ({"a": "x\\s1.safetensors"}, "beside the index"),
        ({"a": "s1.bin"}, "beside the index"),
        ({"a": "\ud800.safetensors"}, "beside the index"),
        ({"a": "s" * 300 + ".safetensors"}, "beside the index"),
        ({"a": 3}, "beside the index"),
        ([], "weight_map"),
    ],
)
def test_an_index_that_lies_is_refused(weight_map, message, tmp_path):
    folder = sharded(tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    if weight_map == {"a": "s1.safetensors"}:
        save_safetensors(
            folder / "s1.safetensors", {k: np.zeros(2, np.float32) for k in ("a", "b")}
        )
    with pytest.raises(FormatError, match=message):
        open_folder(folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected model\.safetensors or"):
        open_folder(tmp_path)
    folder = sharded(tmp_path)
    (folder / "s2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"s2\.safetensors"):
        open_folder(folder)
