"""How weights are rounded to q4, against the oracle, on every instruction set."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core


def randoms(seed: int, n: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, k), dtype=np.float32)


def check(w: np.ndarray, importance: np.ndarray | None = None) -> None:
    """Every byte is the definition's."""
    packed = _core.packed(_core.pack([w], "q4", importance=importance))[0]
    integers, d = reference.unpack_q4(packed, *w.shape)
    want, want_d = reference.quantise_q4(w, importance)
    assert np.array_equal(d, want_d)
    k = w.shape[1]
    assert np.array_equal(integers[:, :k], want[:, :k])


@pytest.mark.parametrize("n", [1, 16, 31, 33])
@pytest.mark.parametrize("k", [1, 3, 31, 32, 33, 97, 128, 129, 300])
def test_bytes_are_the_definition(isa, n, k):
    check(randoms(1000 * n + k, n, k))


def test_weights_of_all_kinds_are_the_definition(isa):
    w = randoms(1, 40, 256)
    w[0] = 0
    w[1] = 1
    w[2] = -1
    w[3, :32] = 0
    w[4] = np.abs(w[4])
    w[5] = -np.abs(w[5])
    w[6] *= 1e-38
    w[7] *= 1e-36
    w[8] *= 1e38 / np.abs(w[8]).max()
    w[9] = np.finfo(np.float32).max
    w[10, ::50] *= 1000
    w[11, 5] = 1e30
    w[12, 128:] = 0
    w[13] = np.rint(w[13])
    check(w)


def test_importance_counts_as_the_definition_says(isa):
    w, rng = randoms(2, 37, 300), np.random.default_rng(3)
    importance = np.exp(2 * rng.standard_normal(300)).astype(np.float32)
    check(w, importance)
    importance[::20] = 1e6
    importance[1::20] = 0
    importance[64:96] = 0
    check(w, importance)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 70), st.integers(1, 300), st.integers(-30, 30), st.integers(0, 10**6))
def test_any_shape_and_scale(n, k, exponent, seed):
    check(randoms(seed, n, k) * np.float32(10.0**exponent))


def plain_q4(w: np.ndarray) -> np.ndarray:
    """Each run of 32 rounded to the 16 numbers from its least to its largest, zero included."""
    n, k = w.shape
    runs = np.zeros((n, -(-k // 32) * 32))
    runs[:, :k] = w
    runs = runs.reshape(n, -1, 32)
    low = np.minimum(runs.min(-1, keepdims=True), 0)
    step = (np.maximum(runs.max(-1, keepdims=True), 0) - low) / 15
    return (np.rint((runs - low) / step) * step + low).reshape(n, -1)[:, :k]


@pytest.mark.parametrize("spread", [1, 30])
def test_q4_rounds_better_than_plainly(isa, spread):
    """Its scales are coarse, seventeen to a group, and its search more than makes up for it."""
    w = randoms(30, 64, 300)
    w *= np.exp(np.random.default_rng(1).uniform(0, np.log(spread), w.shape)).astype(np.float32)
    error = ((_core.pack([w], "q4").dequantize() - w) ** 2).mean()
    assert error < 0.97 * ((plain_q4(w) - w) ** 2).mean()


def test_q4_rounds_important_columns_better(isa):
    w = randoms(31, 64, 256)
    importance = np.ones(256, np.float32)
    importance[::16] = 100
    errors = [
        ((_core.pack([w], "q4", importance=given).dequantize() - w) ** 2).mean(axis=0)
        for given in (None, importance)
    ]
    assert errors[1][::16].mean() < 0.5 * errors[0][::16].mean()
    assert errors[1].mean() < 1.5 * errors[0].mean()
    same = _core.pack([w], "q4", importance=np.full(256, 8, np.float32)).dequantize()
    assert np.array_equal(same, _core.pack([w], "q4").dequantize())
    for bad in (-1, np.nan, 1e7):
        importance[5] = bad
        with pytest.raises(
            ValueError, match="importance: expected numbers from 0 to 1e6, not so at"
        ):
            _core.pack([w], "q4", importance=importance)
    with pytest.raises(ValueError, match="importance: expected 256 elements, got 255"):
        _core.pack([w], "q4", importance=importance[:255].copy())


def test_columns_of_no_importance_leave_finite_weights(isa):
    w = randoms(32, 33, 128)
    w[:, 5] *= 1e20
    importance = np.zeros(128, np.float32)
    assert np.isfinite(_core.pack([w], "q4", importance=importance).dequantize()).all()
    importance[64:] = 1
    values = _core.pack([w], "q4", importance=importance).dequantize()
    assert np.isfinite(values).all()
