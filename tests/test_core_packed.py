"""A matrix's memory as arrays and back, without a copy."""

import gc

import numpy as np
import pytest

from pyqtf import _core

SHAPES = [(1, 1), (31, 5), (32, 128), (33, 129), (70, 260)]


def aligned(array):
    """A copy that begins on a cache line."""
    buffer = np.empty(array.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + array.nbytes].view(array.dtype)
    copy[:] = array
    return copy


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_over_copied_memory_gives_the_same_bits(quant, shape):
    rng = np.random.default_rng(1)
    w = rng.normal(size=shape).astype(np.float32)
    x = rng.normal(size=(3, shape[1])).astype(np.float32)
    matrix = _core.pack([w], quant=quant)
    data, scales = _core.packed(matrix)
    assert data.nbytes + scales.nbytes == matrix.nbytes
    again = _core.from_packed(aligned(data), aligned(scales), shape, quant, matrix.group)
    assert (again.shape, again.quant, again.group) == (shape, quant, matrix.group)
    gc.collect()
    assert _core.matmul(x, again).tobytes() == _core.matmul(x, matrix).tobytes()
    assert again.dequantize().tobytes() == matrix.dequantize().tobytes()


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
def test_a_matrix_is_packed_into_the_memory_it_is_given(quant):
    w = np.random.default_rng(2).normal(size=(37, 131)).astype(np.float32)
    matrix = _core.pack([w], quant)
    memory = aligned(np.full(matrix.nbytes, 0xAB, np.uint8))
    placed = _core.pack([w], quant, memory=memory)
    data, scales = _core.packed(placed)
    assert data.ctypes.data == memory.ctypes.data and placed.nbytes == memory.nbytes
    assert memory.tobytes() == b"".join(part.tobytes() for part in _core.packed(matrix))
    del memory, data, scales
    gc.collect()
    assert placed.dequantize().tobytes() == matrix.dequantize().tobytes()


def test_memory_to_pack_into_is_checked():
    w = np.ones((8, 8), np.float32)
    good = aligned(np.zeros(_core.pack([w]).nbytes, np.uint8))
    locked = good[:]
    locked.flags.writeable = False
    for bad in [good[1:], good[:-1], good.view(np.int8), good[::-1], locked, bytes(good), 3]:
        with pytest.raises(ValueError, match="memory: expected a writable contiguous array of 384"):
            _core.pack([w], memory=bad)
    _core.pack([w], memory=good)


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
def test_every_byte_of_a_packed_matrix_is_defined(quant):
    w = np.ones((33, 131), np.float32)
    first = [part.tobytes() for part in _core.packed(_core.pack([w], quant=quant))]
    rubbish = [np.full(33 * 140 * k, 0xAB, np.uint8) for k in range(1, 9)]
    del rubbish
    assert [part.tobytes() for part in _core.packed(_core.pack([w], quant=quant))] == first


def test_the_arrays_keep_the_matrix_and_the_matrix_keeps_the_arrays():
    data, scales = _core.packed(_core.pack([np.eye(8, dtype=np.float32)]))
    gc.collect()
    matrix = _core.from_packed(data, scales, (8, 8), "q8", 128)
    assert not data.flags.writeable
    del data, scales
    gc.collect()
    np.testing.assert_allclose(matrix.dequantize(), np.eye(8), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (0, 8)}, "shape: expected positive sizes"),
        ({"shape": (8, -1)}, "shape: expected positive sizes"),
        ({"shape": (2**62, 2**62)}, "shape: expected positive sizes"),
        ({"shape": (33, 8)}, "data: expected 512 bytes for this shape, got 256"),
        ({"quant": "q3"}, "quant: expected 'q8', 'q4' or 'f32'"),
        ({"quant": "q4", "group": 64}, "group: expected 128, as q4 always has"),
        ({"quant": "q4"}, "data: expected 2368 bytes for this shape, got 256"),
        ({"group": 3}, "group: expected a multiple of 4"),
        ({"group": 4}, "scales: expected 256 bytes"),
        ({"data": np.zeros(256, np.int8)}, "data: expected dtype uint8"),
        ({"data": aligned(np.zeros(257, np.uint8))[1:]}, "data: expected contiguous memory al"),
        ({"data": aligned(np.zeros(512, np.uint8))[::2]}, "data: expected contiguous memory al"),
        ({"scales": [1.0]}, "scales: expected a NumPy array"),
    ],
)
def test_memory_that_does_not_fit_is_refused(change, message):
    data, scales = _core.packed(_core.pack([np.eye(8, dtype=np.float32)]))
    good = {"data": data, "scales": scales, "shape": (8, 8), "quant": "q8", "group": 128}
    with pytest.raises((ValueError, TypeError), match=message):
        _core.from_packed(**{**good, **change})
    with pytest.raises(TypeError, match="expected a Matrix"):
        _core.packed(data)
