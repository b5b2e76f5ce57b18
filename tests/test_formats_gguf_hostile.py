"""Broken GGUF files are refused, whatever they claim."""

import struct
from pathlib import Path

import numpy as np
import pytest
from gguf_files import build, entry, random_blocks, string, value, write
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.formats import FormatError, read_gguf

LONG = 2**64 - 1
F = bytes(128)  # the data of one F32 tensor of 32 weights
BAD = {
    "another magic": (b"GGML" + build()[4:], "begins with b'GGML'"),
    "version 1": (build(version=1), "version 1; pyqtf reads versions 2 and 3"),
    "version 4": (build(version=4), "version 4"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "short": (b"GGUF\3\0\0\0\0\0", "truncated"),
    "only the magic": (b"GGUF", "truncated"),
    "too many values": (build(counts=(0, LONG)), f"claims {LONG} metadata values and 0 tensors"),
    "too many tensors": (build(counts=(LONG, 0)), f"0 metadata values and {LONG} tensors"),
    "padding as values": (build(counts=(0, 2), align=64), "metadata '' is there twice"),
    "endless key": (build([struct.pack("<QI", LONG, 0) + b"a"]), f"takes {LONG} bytes"),
    "key no utf-8": (build([value(b"\xff", 0, b"a")]), "key of metadata value 0 is not UTF-8"),
    "unknown type": (build([value("k", 13, F)]), "metadata 'k' has type 13"),
    "type 2^32 - 1": (build([value("k", 2**32 - 1, F)]), "metadata 'k' has type 4294967295"),
    "key twice": (build([value("k", 0, b"a")] * 2), "metadata 'k' is there twice"),
    "bool is 2": (build([value("k", 7, b"\2")]), "'k': a bool is 2"),
    "bools are 255": (
        build([value("k", 9, struct.pack("<IQ", 7, 2) + b"\1\xff")]), "'k': a bool is 255"
    ),
    "endless text": (build([value("k", 8, struct.pack("<Q", LONG))]), "'k' takes"),
    "text no utf-8": (build([value("k", 8, string(b"\xc3\x28"))]), "metadata 'k' is not UTF-8"),
    "endless array": (
        build([value("k", 9, struct.pack("<IQ", 4, 2**62) + F)]), f"'k' claims {2**62} elements"
    ),
    "endless texts": (build([value("k", 9, struct.pack("<IQ", 8, 2**61) + F)]), "claims"),
    "endless arrays": (build([value("k", 9, struct.pack("<IQ", 9, 2**60) + F)]), "claims"),
    "endless element": (
        build([value("k", 9, struct.pack("<IQ", 8, 2) + string("a") + struct.pack("<Q", 2**63))]),
        r"'k'\[1\] is a string of 9223372036854775808 bytes",
    ),
    "element no utf-8": (
        build([value("k", 9, struct.pack("<IQ", 8, 2) + string("a") + string(b"\xff"))]),
        r"'k'\[1\] is not UTF-8",
    ),
    "array of unknown": (build([value("k", 9, struct.pack("<IQ", 99, 1) + F)]), "has type 99"),
    "deep arrays": (
        build([value("k", 9, struct.pack("<IQ", 9, 1) * 10_000)]), "nests arrays deeper than 4"
    ),
    "alignment 0": (
        build([value("general.alignment", 4, struct.pack("<I", 0))]), "multiple of 8"
    ),
    "alignment 12": (
        build([value("general.alignment", 4, struct.pack("<I", 12))]), "multiple of 8"
    ),
    "alignment is text": (build([value("general.alignment", 8, string("32"))]), "got '32'"),
    "endless name": (build(entries=[struct.pack("<QIQ", LONG, 1, 32) + F]), "tensor's name takes"),
    "5 dimensions": (build(entries=[entry(shape=(1,) * 5)], data=F), "'w' has 5 dimensions"),
    "2^32 - 1 dimensions": (
        build(entries=[string("w") + struct.pack("<I", 2**32 - 1) + F]), "dimensions"
    ),
    "no weights": (build(entries=[entry(shape=(0, 4))], data=F), r"got \[4, 0\]"),
    "2^63 weights": (build(entries=[entry(shape=(2**63,))], data=F), "sizes must be"),
    "product overflows": (
        build(entries=[entry(shape=(2**62, 2**62, 16))], data=F), "takes .* bytes"
    ),
    "unknown tensor type": (build(entries=[entry(kind=77)], data=F), "is type 77; pyqtf reads F32"),
    "type of others": (build(entries=[entry(kind=16)], data=F), "is IQ2_XXS; pyqtf reads F32, F16"),
    "rows of 33": (build(entries=[entry(shape=(33, 32), kind=8)], data=F), "33 weights.*Q8_0"),
    "scalar blocks": (build(entries=[entry(shape=(), kind=12)], data=F), "1 weights.*Q4_K"),
    "truncated data": (build(entries=[entry()], data=F[1:]), "takes 128 bytes.*truncated"),
    "offset beyond": (build(entries=[entry(offset=32)], data=F), "truncated"),
    "offset 2^64 - 32": (build(entries=[entry(offset=2**64 - 32)], data=F), "truncated"),
    "offset 1": (build(entries=[entry(offset=1)], data=F + F), "offset 1 is no multiple"),
    "tensor twice": (
        build(entries=[entry(), entry(offset=128)], data=F + F), "'w' is there twice"
    ),
    "same bytes": (build(entries=[entry(), entry("v")], data=F), "'w' and 'v' overlap"),
    "overlap": (
        build(entries=[entry("v", offset=96), entry()], data=F + F), "'w' and 'v' overlap"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(case, tmp_path):
    content, message = BAD[case]
    with pytest.raises(FormatError, match=message) as error:
        read_gguf(write(tmp_path, content))
    assert "x.gguf" in str(error.value) and len(str(error.value)) < 600


def test_missing_and_empty_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        read_gguf(tmp_path / "none.gguf")
    with pytest.raises(FormatError, match="regular file"):
        read_gguf(tmp_path)
    with pytest.raises(FormatError, match="empty"):
        read_gguf(write(tmp_path, b""))


def small_file():
    """A file with one of everything, a few hundred bytes long."""
    values = [
        value("general.architecture", 8, string("qwen2")),
        value("n", 4, struct.pack("<I", 2)),
        value("tokens", 9, struct.pack("<IQ", 8, 3) + string("a") + string("é") + string("bc")),
        value("types", 9, struct.pack("<IQ", 5, 3) + struct.pack("<3i", 1, 1, 3)),
        value("yes", 7, b"\1"),
    ]
    entries = [entry("a", (8, 2)), entry("b", (32, 2), 2, 64), entry("c", (256,), 12, 128)]
    data = np.arange(16, dtype="<f4").tobytes() + random_blocks("Q4_0", 2).tobytes().ljust(
        64, b"\0"
    )
    return build(values, entries, data + random_blocks("Q4_K", 1).tobytes())


SMALL = small_file()


def read_all(path):
    """Everything that a file holds, read to the end."""
    found = read_gguf(path)
    arrays = {name: tensor.array() for name, tensor in found.tensors.items()}
    for name, tensor in found.tensors.items():
        assert sum(len(block) for block in tensor.row_blocks()) <= arrays[name].size
    return found


def test_every_truncation_is_refused(tmp_path):
    read_all(write(tmp_path, SMALL))
    for length in range(len(SMALL)):
        with pytest.raises(FormatError, match=r"x\.gguf"):
            read_all(write(tmp_path, SMALL[:length]))


INTERESTING = [0, 1, 2, 7, 8, 9, 31, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**63, LONG]


@given(
    patches=st.lists(
        st.tuples(
            st.integers(0, len(SMALL) - 1),
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from(INTERESTING).map(lambda n: n.to_bytes(8, "little")),
                st.sampled_from(INTERESTING[:10]).map(lambda n: n.to_bytes(4, "little")),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    cut=st.integers(0, len(SMALL)),
    tail=st.binary(max_size=64),
)
@settings(max_examples=1500, deadline=None)
def test_damaged_files_are_read_or_refused(patches, cut, tail, tmp_path_factory):
    content = bytearray(SMALL)
    for at, data in patches:
        content[at : at + len(data)] = data
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(bytes(content[: cut or None]) + tail)
    try:
        read_all(path)
    except FormatError as error:
        assert "damaged.gguf" in str(error)


CORPUS = sorted((Path(__file__).parent / "fuzz" / "gguf").glob("*"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_corpus_of_broken_files_is_refused(path):
    with pytest.raises(FormatError, match=path.name):
        read_all(path)


def test_the_corpus_is_there():
    assert len(CORPUS) >= 10
