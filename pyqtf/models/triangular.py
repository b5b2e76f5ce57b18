"""Cholesky factors and triangular systems in float32, with the same bits on every machine.

A library's depend on the processor and the number of threads. Here products are pyqtf's own, whose
sums have a fixed order, and the rest is NumPy element by element.

A lower triangle [k, k] is a list of panels of one width w: panel b holds columns ``w * b`` and on,
and rows from the diagonal down, [k - w b, <= w].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core

Floats = NDArray[np.float32]


def panels_of(k: int, width: int) -> list[tuple[int, int]]:
    """Return the first column and the width of each panel.

    Examples
    --------
    >>> panels_of(300, 128)
    [(0, 128), (128, 128), (256, 44)]
    """
    return [(start, min(width, k - start)) for start in range(0, k, width)]


def product(a: Floats, b: Floats) -> Floats:
    """Return ``a @ b.T`` [m, n]; a is [m, k] and b is [n, k]."""
    return _core.matmul(np.ascontiguousarray(a), _core.pack([np.ascontiguousarray(b)], "f32"))


def add_product(out: Floats, a: Floats, b: Floats) -> None:
    """Add ``a @ b.T`` to out [m, n]; a is [m, k] and b is [n, k]."""
    w = _core.pack([np.ascontiguousarray(b)], "f32")
    _core.matmul(np.ascontiguousarray(a), w, residual=out, out=out)


def cholesky(panels: Sequence[Floats]) -> None:
    """Turn a positive definite matrix H into its factor L, ``H = L @ L.T``, in place.

    Parameters
    ----------
    panels : list of float32 [k - w b, <= w]
        H's lower triangle; what lies above the diagonal is taken as its mirror image.

    Raises
    ------
    ArithmeticError
        H is not positive definite.
    """
    for b, panel in enumerate(panels):
        width = panel.shape[1]
        for c in range(b):
            rows = panels[c][(b - c) * panels[0].shape[1] :]
            add_product(panel, rows, -rows[:width])
        panel[:width] = _factor(panel[:width])
        if len(panel) > width:
            panel[width:] = product(panel[width:], inverse(panel[:width]))


def _factor(h: Floats) -> Floats:
    """Return the factor of a small matrix."""
    left = h.copy()
    for j in range(len(left)):
        if not left[j, j] > 0:
            raise ArithmeticError(f"the matrix is not positive definite: pivot {j} is {left[j, j]}")
        column = left[j:, j] / np.sqrt(left[j, j])
        left[j:, j] = column
        left[j + 1 :, j + 1 :] -= column[1:, None] * column[None, 1:]
    return np.tril(left)


def inverse(lower: Floats) -> Floats:
    """Return the inverse of a small lower triangle."""
    result = np.eye(len(lower), dtype=np.float32)
    for j in range(len(lower)):
        result[j] /= lower[j, j]
        result[j + 1 :] -= lower[j + 1 :, j, None] * result[j]
    return result


def solve_transposed(panels: Sequence[Floats], a: Sequence[Floats]) -> None:
    """Turn A into ``A @ inv(L).T``, in place.

    Parameters
    ----------
    panels : list of float32 [k - w b, <= w]
        L, from `cholesky`.
    a : list of float32 [n, <= w]
        A's columns, cut as L's are.
    """
    for b, part in enumerate(a):
        width = part.shape[1]
        for c in range(b):
            add_product(part, a[c], -panels[c][(b - c) * panels[0].shape[1] :][:width])
        part[:] = product(part, inverse(panels[b][:width]))
