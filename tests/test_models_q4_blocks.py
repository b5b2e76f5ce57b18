"""q4's memory seen from Python, against the unpacking in tests/reference.py."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from pyqtf import _core
from pyqtf.models import q4_blocks

SHAPES = [(1, 4), (32, 128), (45, 200), (70, 300)]


def packed(n, k):
    w = np.random.default_rng(n).standard_normal((n, k)).astype(np.float32)
    matrix = _core.pack([w], "q4")
    return matrix, np.asarray(_core.packed(matrix)[0])


@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_grid_and_codes_make_the_matrix_again(n, k):
    matrix, data = packed(n, k)
    integers, d = reference.unpack_q4(data, n, k)
    blocks = q4_blocks.read_blocks(matrix)
    weights = matrix.dequantize()
    for g in range(blocks.shape[1]):
        at = slice(128 * g, min(k, 128 * g + 128))
        grid = q4_blocks.read_grid(blocks[:, g], n)
        rounded = [grid.round(i // 32, column) for i, column in enumerate(weights[:, at].T)]
        codes = np.array([codes for codes, _ in rounded])
        assert np.array_equal(np.array([values for _, values in rounded]), weights[:, at].T)
        assert np.array_equal(grid.d, d[:, g])
        scales, minima = reference.grid_q4(data, n, k)
        found = scales[:, at].T * codes.astype(np.int64) - minima[:, at].T
        assert np.array_equal(found, integers[:, at].T)
        blocks["codes"][:, g] = 255
        q4_blocks.write_codes(blocks[:, g], codes)
    room = np.empty(len(data) + 64, np.uint8)
    again = q4_blocks.as_matrix(blocks, (n, k), room[-room.ctypes.data % 64 :][: len(data)])
    assert np.array_equal(again.dequantize(), weights)
    assert again.shape == (n, k)


def test_values_beyond_the_grid_take_its_ends():
    matrix, data = packed(32, 128)
    grid = q4_blocks.read_grid(q4_blocks.read_blocks(matrix)[:, 0], 32)
    scales, minima = reference.grid_q4(data, 32, 128)
    for value, code in ((-1e3, 0), (1e3, 15)):
        codes, weights = grid.round(3, np.full(32, value, np.float32))
        assert (codes == code).all()
        expected = grid.d.astype(np.float64) * (code * scales[:, 127] - minima[:, 127])
        assert np.array_equal(weights, expected)
