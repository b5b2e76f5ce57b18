"""GGUF's blocks of Q8_0 are packed to the bits that the weights they stand for are packed to."""

import numpy as np
import pytest
from gguf_files import golden_blocks, random_blocks

from pyqtf import _core
from pyqtf.formats.gguf_blocks import dequantize

FORMATS = [("f32", 128), ("q4", 128), *(("q8", group) for group in (4, 8, 24, 32, 128, 4096))]


def rows_of(blocks, n_rows):
    """The same rows as blocks and as weights."""
    return blocks.reshape(n_rows, -1), dequantize("Q8_0", blocks).reshape(n_rows, -1)


def parts_of(matrix):
    return [part.tobytes() for part in _core.packed(matrix)]


@pytest.mark.parametrize(("quant", "group"), FORMATS)
@pytest.mark.parametrize("shape", [(1, 32), (33, 96), (70, 544), (5, 4160)])
def test_packed_as_their_weights_are(isa, quant, group, shape):
    blocks, weights = rows_of(random_blocks("Q8_0", shape[0] * shape[1] // 32), shape[0])
    assert weights.shape == shape
    found = _core.pack([blocks], quant, group)
    assert found.shape == shape
    assert parts_of(found) == parts_of(_core.pack([weights], quant, group))
    scales = np.exp2(np.arange(shape[1]) % 9 - 4).astype(np.float32)
    found = _core.pack([blocks], quant, group, column_scales=scales)
    expected = _core.pack([weights], quant, group, column_scales=scales)
    assert parts_of(found) == parts_of(expected)


@pytest.mark.parametrize("quant", ["f32", "q8", "q4"])
def test_stacked_with_other_types(isa, quant):
    blocks, weights = rows_of(golden_blocks("Q8_0")[:30], 10)
    below = np.random.default_rng(1).normal(size=(41, 96)).astype(np.float16)
    found = _core.pack([blocks[:3], below, blocks[3:]], quant, 128)
    stacked = np.vstack([weights[:3], below.astype(np.float32), weights[3:]])
    assert parts_of(found) == parts_of(_core.pack([stacked], quant, 128))
    read = iter([blocks[:3], below, blocks[3:]])
    assert parts_of(_core.pack(read, quant, 128, shape=(51, 96))) == parts_of(found)


@pytest.mark.parametrize("quant", ["f32", "q8", "q4"])
@pytest.mark.parametrize("scale", [np.inf, -np.inf, np.nan])
def test_scales_that_are_not_finite(isa, quant, scale):
    blocks = golden_blocks("Q8_0")[:30].copy()
    blocks[17, :2] = np.array([scale], "<f2").view(np.uint8)
    with pytest.raises(ValueError, match=r"parts\[0\]: expected finite weights"):
        _core.pack([blocks.reshape(10, -1)], quant)


def test_rows_that_are_no_blocks():
    blocks = golden_blocks("Q8_0")[:30].reshape(10, -1)
    with pytest.raises(
        ValueError, match=r"row of 1 columns, 34 bytes for every 32, got \[10, 96\]"
    ):
        _core.pack([blocks[:, :96]])
    with pytest.raises(ValueError, match=r"parts\[0\]: .* 128 columns, 34 .*got \[10, 102\]"):
        _core.pack(iter([blocks]), shape=(10, 128))
    with pytest.raises(
        ValueError, match=r"parts\[1\]: expected at least one row of 96 columns, got"
    ):
        _core.pack([blocks, np.zeros((2, 102), np.float32)])
