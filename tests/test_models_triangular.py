"""Float32 triangles against NumPy's linear algebra in float64."""

from __future__ import annotations

import numpy as np
import pytest

from pyqtf.models.triangular import cholesky, inverse, panels_of, solve_transposed

SIZES = [1, 2, 31, 127, 128, 129, 300]
WIDTHS = [128, 50]


def positive(k: int) -> np.ndarray:
    rng = np.random.default_rng(k)
    x = rng.standard_normal((2 * k + 3, k)) * np.exp2(rng.uniform(-6, 6, k))
    return (x.T @ x).astype(np.float32)


def cut(h: np.ndarray, width: int) -> list[np.ndarray]:
    return [h[i:, i : i + n].copy() for i, n in panels_of(len(h), width)]


def joined(panels: list[np.ndarray]) -> np.ndarray:
    out = np.zeros((len(panels[0]), len(panels[0])))
    for (i, n), panel in zip(panels_of(len(out), panels[0].shape[1]), panels, strict=True):
        out[i:, i : i + n] = panel
    return out


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("k", SIZES)
def test_factor(k, width):
    h = positive(k)
    panels = cut(h, width)
    cholesky(panels)
    expected = np.linalg.cholesky(h.astype(np.float64))
    scale = np.sqrt(np.diag(h).astype(np.float64))[:, None]
    np.testing.assert_allclose(joined(panels) / scale, expected / scale, rtol=0, atol=2e-5)


@pytest.mark.parametrize("k", [1, 2, 31, 128])
def test_inverse(k):
    lower = np.linalg.cholesky(positive(k).astype(np.float64)).astype(np.float32)
    found = inverse(lower).astype(np.float64)
    # Higham, Accuracy and Stability of Numerical Algorithms, theorem 8.5.
    bound = k * np.finfo(np.float32).eps * (np.abs(lower) @ np.abs(found))
    assert (np.abs(lower @ found - np.eye(k)) <= bound).all()
    assert not np.triu(inverse(lower), 1).any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("k", SIZES)
def test_solve(k, width):
    panels = cut(positive(k), width)
    cholesky(panels)
    a = np.random.default_rng(1).standard_normal((9, k)).astype(np.float32)
    parts = [a[:, i : i + n].copy() for i, n in panels_of(k, width)]
    solve_transposed(panels, parts)
    expected = np.linalg.solve(joined(panels), a.astype(np.float64).T).T
    found = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("k", [3, 200])
def test_what_is_not_positive_definite_is_refused(k):
    h = positive(k)
    h[-1, -1] = -1
    with pytest.raises(ArithmeticError, match="not positive definite"):
        cholesky(cut(h, 128))
