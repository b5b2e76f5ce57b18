"""The memory of q4 matrices in NumPy: the grid that weights are rounded to, and codes on it.

csrc/kernels/q4.h has the layout and csrc/core/matmul.h the format: a weight is
``d * (scale * code - minimum)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core

# Columns of a block, and columns that share a scale and a minimum.
GROUP, RUN = _core.Q4_GROUP, _core.Q4_RUN
_PANEL = 32
BLOCK = np.dtype(
    [
        ("d", "<u2", (_PANEL,)),
        ("scales", "u1", (GROUP // RUN, _PANEL)),
        ("minima", "u1", (GROUP // RUN // 2, _PANEL, 2)),
        ("codes", "u1", (GROUP // 4, 64)),
    ]
)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """What the weights of one group of columns may be, row by row.

    Attributes
    ----------
    d : float32 [n]
        Of each row.
    scales, minima : float32 [4, n]
        Of each run of columns.
    """

    d: Floats
    scales: Floats
    minima: Floats

    def round(self, run: int, values: Floats) -> tuple[NDArray[np.uint8], Floats]:
        """Return the codes nearest to values [n] of one column, and the weights they stand for."""
        step, low = self.d * self.scales[run], self.d * self.minima[run]
        place = np.divide(values + low, step, out=np.zeros_like(step), where=step > 0)
        codes = np.rint(place).clip(0, 15)
        return codes.astype(np.uint8), self.d * (self.scales[run] * codes - self.minima[run])


def read_blocks(matrix: _core.Matrix) -> NDArray[np.void]:
    """Return a copy of a q4 matrix's blocks [n_panels, n_groups]."""
    n, k = matrix.shape
    data, _ = _core.packed(matrix)
    return data.view(BLOCK).reshape(-(-n // _PANEL), -(-k // GROUP)).copy()


def read_grid(blocks: NDArray[np.void], n: int) -> Grid:
    """Return the grid of n rows in the blocks [n_panels] of one group."""
    d = (blocks["d"].astype(np.uint32) << 16).view(np.float32)
    scales = blocks["scales"].transpose(1, 0, 2).reshape(GROUP // RUN, -1)
    minima = blocks["minima"].transpose(1, 3, 0, 2).reshape(GROUP // RUN, -1)
    return Grid(d.ravel()[:n], scales[:, :n].astype(np.float32), minima[:, :n].astype(np.float32))


def write_codes(blocks: NDArray[np.void], codes: NDArray[np.uint8]) -> None:
    """Put codes [width, n], one row a column of the matrix, into the blocks of one group."""
    width, n = codes.shape
    whole = np.zeros((GROUP, _PANEL * len(blocks)), np.uint8)
    whole[:width, :n] = codes
    steps = whole.reshape(GROUP // 4, 4, len(blocks), 2, 16)
    both = steps[:, :, :, 0] | steps[:, :, :, 1] << 4  # [steps, 4, n_panels, 16]
    blocks["codes"] = both.transpose(2, 0, 3, 1).reshape(len(blocks), GROUP // 4, 64)


def as_matrix(
    blocks: NDArray[np.void], shape: tuple[int, int], memory: NDArray[np.uint8]
) -> _core.Matrix:
    """Return the q4 matrix of these blocks, in memory that begins on a cache line."""
    memory[:] = np.ascontiguousarray(blocks).reshape(-1).view(np.uint8)
    return _core.from_packed(memory, np.empty(0, np.float32), shape, "q4", GROUP)
