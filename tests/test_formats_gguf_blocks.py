"""Quantised blocks, with the gguf package as the oracle."""

import hashlib

import numpy as np
import pytest
from gguf_files import GOLDEN, QUANTIZED, bits, golden_blocks, random_blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf.formats import read_gguf
from pyqtf.formats.gguf_blocks import dequantize
from pyqtf.formats.gguf_quantize import quantize
from pyqtf.formats.gguf_types import READABLE, TYPE_NAMES


@pytest.mark.parametrize("name", QUANTIZED)
def test_random_blocks_dequantise_to_the_bits_of_the_gguf_package(name):
    gguf = pytest.importorskip("gguf")
    kind = gguf.GGMLQuantizationType[name]
    assert gguf.GGML_QUANT_SIZES[kind] == (READABLE[name].block_size, READABLE[name].block_bytes)
    blocks = random_blocks(name, 1500)
    expected = gguf.quants.dequantize(blocks.reshape(-1), kind).reshape(1500, -1)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(bits(dequantize(name, blocks)), bits(expected))


@pytest.mark.parametrize("name", QUANTIZED)
def test_what_llama_cpp_quantised_is_read_to_the_bits_that_it_reads(name):
    values = dequantize(name, golden_blocks(name))
    assert values.size == 4096 and 0.05 < values.std() < 0.1
    assert (
        hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()
        == (GOLDEN[name]["values_sha256"])
    )


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_what_the_gguf_package_quantises_is_read_to_its_bits(name, tmp_path):
    gguf = pytest.importorskip("gguf")
    kind = gguf.GGMLQuantizationType[name]
    weights = np.random.default_rng(1).normal(size=(7, 96)).astype(np.float32)
    raw = gguf.quants.quantize(weights, kind)
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "qwen2")
    writer.add_tensor("w", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensor = read_gguf(tmp_path / "x.gguf").tensors["w"]
    assert (tensor.dtype, tensor.shape) == (name, (7, 96))
    np.testing.assert_array_equal(bits(tensor.array()), bits(gguf.quants.dequantize(raw, kind)))
    assert abs(tensor.array() - weights).max() < 0.6


def test_type_numbers_are_those_of_the_gguf_package():
    gguf = pytest.importorskip("gguf")
    for kind in gguf.GGMLQuantizationType:
        assert TYPE_NAMES.get(kind.value, kind.name) == kind.name  # newer ones are unknown


def test_block_formulas_by_hand():
    """One block of each legacy type, worked out on paper, for machines without the gguf package."""
    half, two = b"\x00\x38", b"\x00\x40"
    low_1_high_15 = b"\xf1" * 16
    expected = {
        "Q8_0": (half + b"\xff" * 32, -0.5, -0.5),
        "Q4_0": (half + low_1_high_15, -3.5, 3.5),
        "Q4_1": (half + two + low_1_high_15, 2.5, 9.5),
        "Q5_0": (half + b"\x00\x00\xff\xff" + low_1_high_15, -7.5, 7.5),
        "Q5_1": (half + two + b"\xff\xff\x00\x00" + low_1_high_15, 10.5, 9.5),
        "IQ4_NL": (half + low_1_high_15, -52, 56.5),
        "Q2_K": (b"\x21" * 16 + b"\x03" * 64 + half + two, -2.5, -4),
        "Q3_K": (b"\xff" * 32 + b"\x02" * 64 + bytes(12) + half, -32, 0),
        "Q6_K": (b"\xf1" * 64 + bytes(64) + bytes(64) + b"\xff" * 16 + half, 15.5, 8.5),
    }
    for name, (block, first, other) in expected.items():
        values = dequantize(name, np.frombuffer(block, np.uint8)[None])[0]
        at = {"Q2_K": 32, "Q3_K": 32, "Q6_K": 64}.get(name, 16)
        assert (values[0], values[at]) == (first, other), name


@pytest.mark.parametrize("name", QUANTIZED)
def test_dequantise_refuses_what_is_no_block(name):
    size = READABLE[name].block_bytes
    wrong = [np.zeros((2, size + 1), np.uint8), np.zeros(size, np.uint8), np.zeros((2, size))]
    for blocks in wrong:
        with pytest.raises(ValueError, match=rf"uint8 \[n, {size}\] for {name}"):
            dequantize(name, blocks)
    with pytest.raises(ValueError, match="IQ1_S"):
        dequantize("IQ1_S", np.zeros((2, size), np.uint8))


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0"])
def test_quantising_gives_the_bytes_of_the_gguf_package(name):
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(4000, 32)) * 10.0 ** rng.integers(-9, 4, (4000, 1))
    weights[0], weights[1, 1:], weights[2] = 0, 0, 1e-42
    weights[3] = np.arange(32) - 15.5
    weights = weights.astype(np.float32)
    ours = quantize(name, weights)
    with np.errstate(all="ignore"):
        theirs = gguf.quants.quantize(weights, gguf.GGMLQuantizationType[name])
    kept = np.arange(4000) != 2  # 1 / scale overflows there; theirs is noise
    np.testing.assert_array_equal(ours[kept], theirs.reshape(4000, -1)[kept])
    assert not dequantize(name, ours)[2].any()


@given(
    weights=st.lists(st.floats(-60000, 60000, width=32), min_size=32, max_size=32),
    name=st.sampled_from(["Q8_0", "Q4_0"]),
)
@settings(max_examples=200, deadline=None)
def test_quantised_weights_are_the_nearest_of_their_scale(weights, name):
    values = np.array(weights, np.float32)
    block = quantize(name, values)
    scale = abs(block[0, :2].view("<f2").astype(np.float64)[0])
    error = abs(dequantize(name, block)[0].astype(np.float64) - values).max()
    # Half a step (a whole one where Q4_0 lacks +8), and what rounding the scale adds.
    largest = abs(values).max()
    assert error <= scale * (0.5 if name == "Q8_0" else 1) + largest * 2**-10 + 2**-16
