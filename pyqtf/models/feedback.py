"""Rounding a matrix to q4 so that its products with given inputs stay what they were.

Rounding every weight to its nearest number keeps weights close, not outputs. Here columns are
rounded one after the other, and those still to come take up the error, as far as the inputs of both
go together: GPTQ (https://arxiv.org/abs/2210.17323).

With inputs x [k] of the matrix W [n, k], the outputs' gap d [n] that was there before (its inputs
differ from those of the model as it was trained: https://arxiv.org/abs/2504.02692), and the sums
over tokens ``H = sum x x.T`` and ``A = sum d x.T``, the rounded Q is to make ::

    sum |(W - Q) x + d|**2 = |(W - Q) L + Y|**2 + const,   H = L L.T,   Y = A inv(L).T

small. L is a lower triangle, so column j of the right side holds only columns j and after of
``W - Q``. They are rounded from the last to the first; behind those, the best number for column j
is ``w_j + (y_j + sum over i > j of (w_i - q_i) L_ij) / L_jj``, and an error there costs
``L_jj**2``, which is its weight in the choice of scales.

Mean KL divergence from f32 on 25 of the bundled stories, calibrated with the other 25; wide256 is
another model of the family (tools/train_family.py). The first four were simulated:

=============================================================  ==========  =======
rounding                                                       stories-3m  wide256
=============================================================  ==========  =======
nearest numbers                                                4.9e-3      4.0e-3
feedback, d = 0                                                3.0e-3      2.6e-3
and columns in the order of their squares                      2.9e-3      2.6e-3
feedback, d from the inputs alone                              2.4e-3      2.0e-3
as here: with what the hidden states lack, damped by tokens    2.0e-3      1.9e-3
=============================================================  ==========  =======
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf.models.q4_blocks import GROUP, RUN, as_matrix, read_blocks, read_grid, write_codes
from pyqtf.models.triangular import (
    Floats,
    add_product,
    cholesky,
    inverse,
    panels_of,
    product,
    solve_transposed,
)

# Of H's diagonal, k / tokens times this is added to it: few tokens say little of many columns. KL
# of stories-3m and of wide256 by this factor, calibrated with generated stories of another seed:
#
#   stories (tokens)  0.3              1                3                10
#   1 (203)                                             3.8e-3  3.5e-3   4.0e-3
#   3 (635)                            3.3e-3           3.1e-3  2.8e-3   3.3e-3
#   10 (2,172)                         2.9e-3  2.7e-3   2.7e-3  2.4e-3   2.7e-3  2.5e-3
#   50 (11,260)       2.1e-3  1.8e-3   2.1e-3  1.8e-3   2.0e-3  1.7e-3   2.0e-3  1.8e-3
#
# With 0.01 of the diagonal whatever the tokens, 1 story gives stories-3m 9.7e-3, plain q4 4.9e-3.
_DAMPING = 3.0


class Problem:
    """The sums over tokens that decide how one matrix is rounded.

    Parameters
    ----------
    weights : float32 [n, k]
        The matrix W.
    gap_of : {"inputs", "outputs"}
        What `add` is given: g [k] with ``d = W @ g``, or d [n] itself.
    """

    def __init__(self, weights: Floats, gap_of: str) -> None:
        n, k = weights.shape
        rows = k if gap_of == "inputs" else n
        self._weights = weights
        self._gap_of = gap_of
        self._panels = panels_of(k, GROUP)  # so that each holds what is rounded together
        self._hessian = [np.zeros((k - start, width), np.float32) for start, width in self._panels]
        self._cross = [np.zeros((rows, width), np.float32) for _, width in self._panels]
        self._n_tokens = 0

    def add(self, x: Floats, gap: Floats) -> None:
        """Take in some tokens: inputs [T, k], and gaps [T, n] or [T, k]."""
        columns, gaps = x.T.copy(), gap.T.copy()
        for (start, width), h, a in zip(self._panels, self._hessian, self._cross, strict=True):
            # Packed once for both products.
            w = _core.pack([columns[start : start + width]], "f32")
            _core.matmul(columns[start:], w, residual=h, out=h)
            _core.matmul(gaps, w, residual=a, out=a)
        self._n_tokens += len(x)

    def solve(self, memory: NDArray[np.uint8]) -> _core.Matrix:
        """Round the matrix into memory of its size. The sums are used up.

        Raises
        ------
        ValueError
            The inputs or gaps were not finite, or overflow when they are squared.
        """
        factor, y = self._hessian, self._cross
        if not all(np.isfinite(part).all() for part in (*factor, *y)):
            raise ValueError("the model's hidden states overflow: its weights are damaged")
        _damp(factor, self._n_tokens)
        cholesky(factor)
        if self._gap_of == "inputs":
            y = [product(self._weights, part.T) for part in y]
        solve_transposed(factor, y)
        return _round(self._weights, factor, y, memory)


def _damp(panels: list[Floats], n_tokens: int) -> None:
    """Add to the diagonal, so that H says no more than so many tokens can."""
    share = np.float32(_DAMPING * len(panels[0]) / n_tokens)
    diagonals = [np.einsum("ii->i", panel[: panel.shape[1]]) for panel in panels]
    # A column that was never used must not leave a zero there.
    least = np.float32(1e-6) * max(float(d.max()) for d in diagonals) or np.float32(1)
    for diagonal in diagonals:
        diagonal += share * diagonal + least


def _round(
    weights: Floats, factor: list[Floats], y: list[Floats], memory: NDArray[np.uint8]
) -> _core.Matrix:
    """Round group by group, from the last to the first."""
    n, k = weights.shape
    off = np.zeros_like(weights)  # W - Q, as far as it is rounded
    groups = []
    panels = list(zip(panels_of(k, GROUP), factor, y, strict=True))
    for (start, width), panel, target in reversed(panels):
        here = slice(start, start + width)
        if start + width < k:
            add_product(target, off[:, start + width :], panel[width:].T)
        blocks, off[:, here] = _round_group(weights[:, here], panel[:width], target)
        groups.append(blocks)
    return as_matrix(np.stack(groups[::-1], axis=1), (n, k), memory)


def _round_group(w: Floats, factor: Floats, target: Floats) -> tuple[NDArray[np.void], Floats]:
    """Round one group of columns [n, width]; return its blocks [n_panels] and ``W - Q``.

    `target` is Y and what the columns behind the group left, and is used up.
    """
    n, width = w.shape
    wanted = w.copy()
    add_product(wanted, target, inverse(factor).T)
    importance = np.diag(factor) ** 2
    importance = (importance / importance.max()).clip(1e-6)
    blocks = read_blocks(_core.pack([wanted], "q4", importance=importance))[:, 0]
    grid = read_grid(blocks, n)
    columns, rest = w.T.copy(), target.T.copy()  # a row is a column of the matrix
    codes, off = np.empty((width, n), np.uint8), np.empty((width, n), np.float32)
    for first in reversed(range(0, width, RUN)):
        end = min(first + RUN, width)
        for j in reversed(range(first, end)):
            best = columns[j] + rest[j] / factor[j, j]
            codes[j], rounded = grid.round(j // RUN, best)
            off[j] = columns[j] - rounded
            rest[first:j] += factor[j, first:j, None] * off[j]
        if first:
            add_product(rest[:first], factor[first:end, :first].T, off[first:end].T)
    write_codes(blocks, codes)
    return blocks, off.T
