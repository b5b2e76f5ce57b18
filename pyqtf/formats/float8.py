"""8-bit floating-point weights in safetensors files.

Two formats (https://arxiv.org/abs/2209.05433): E4M3 has a sign, four bits of exponent with bias 7
and three of mantissa, no infinities, and NaN where all bits but the sign are set; E5M2 is the upper
half of a float16. bfloat16 holds every value of either exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats.mapped import Tensor

# Weights that a block of rows holds at most, unless one row is longer.
_ROWS = 2**20


def _e4m3() -> NDArray[np.float32]:
    codes = np.arange(256)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    sizes: NDArray[np.float64] = np.where(
        exponent == 0, np.ldexp(mantissa, -9), np.ldexp(8 + mantissa, exponent - 10)
    )
    sizes[codes & 127 == 127] = np.nan
    values: NDArray[np.float32] = np.copysign(sizes, 127.5 - codes).astype(np.float32)
    return values


def _e5m2() -> NDArray[np.float32]:
    words = np.arange(256, dtype=np.uint16) << 8
    values: NDArray[np.float32] = words.view(np.float16).astype(np.float32)
    return values


# The bits of bfloat16 for each byte, by safetensors' name of the type.
_TABLES = {
    name: (values.view(np.uint32) >> 16).astype(np.uint16)
    for name, values in (("F8_E4M3", _e4m3()), ("F8_E5M2", _e5m2()))
}
FLOAT8 = tuple(_TABLES)


@dataclass(frozen=True)
class Float8Tensor(Tensor):
    """A tensor of 8-bit floats in a mapped file; arrays hold the bits of bfloat16, as uint16."""

    def array(self) -> NDArray[np.uint16]:
        """Return all weights. This is no view: it takes two bytes a weight."""
        return _TABLES[self.dtype][self.stored()]

    def rows(self, start: int, stop: int) -> NDArray[np.uint16]:
        """Return rows ``[start, stop)``."""
        return _TABLES[self.dtype][self.stored()[start:stop]]

    def row_blocks(self) -> Iterator[NDArray[np.uint16]]:
        """Yield the rows in order, about two megabytes at a time."""
        step = max(1, _ROWS // max(1, math.prod(self.shape[1:])))
        for start in range(0, self.shape[0], step):
            yield self.rows(start, start + step)

    def stored(self) -> NDArray[np.uint8]:
        """Return a read-only view of the bytes."""
        return self.file.view(np.uint8, self.shape, self.start)
