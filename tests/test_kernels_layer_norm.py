"""LayerNorm and GELU against the float64 oracle, on every instruction set."""

import numpy as np
import pytest
import reference

from pyqtf import _core

SIZES = [1, 2, 15, 16, 17, 31, 33, 64, 97, 131, 768]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("d", SIZES)
def test_layer_norm_equals_the_oracle(isa, d):
    x, weight, bias = 3 + normal(d, 5, d), normal(1, d), normal(2, d)
    got = _core.layer_norm(x, weight, bias, 1e-5)
    expected = reference.layer_norm(x, weight, bias, 1e-5)
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=3e-6)


def test_layer_norm_of_constants_outliers_and_far_means(isa):
    x = normal(0, 4, 33)
    x[0] = 7
    x[1, 7] = 1e5
    x[2] += 1000
    x[3] *= 1e-20
    ones, bias = np.ones(33, np.float32), normal(1, 33)
    got = _core.layer_norm(x, ones, bias, 1e-5)
    # The mean of numbers near 1000 is known to 6e-5, a ten-thousandth of their deviation.
    np.testing.assert_allclose(got, reference.layer_norm(x, ones, bias, 1e-5), atol=2e-4)
    np.testing.assert_allclose(got[0], bias, atol=1e-3)


@pytest.mark.parametrize("d", SIZES)
def test_gelu_equals_the_oracle(isa, d):
    x = 4 * normal(d, 3, d)
    np.testing.assert_allclose(_core.gelu(x), reference.gelu(x), rtol=3e-6, atol=3e-7)


def test_gelu_at_the_ends(isa):
    x = np.array([[0.0, -0.0, 1e-30, -1e-30, 9, -9, 100, -100, 1e12, -1e12, 3e38, -3e38]], "f4")
    got = _core.gelu(x)
    with np.errstate(over="ignore"):
        expected = reference.gelu(x)
    np.testing.assert_allclose(got, expected, rtol=3e-6, atol=1e-12)
    assert np.isnan(_core.gelu(np.full((1, 3), np.nan, np.float32))).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_and_threads_change_no_bit(isa, threads):
    x, weight, bias = normal(0, 700, 97), normal(1, 97), normal(2, 97)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        normed, activated = _core.layer_norm(x, weight, bias, 1e-5), _core.gelu(x)
    finally:
        _core.set_num_threads(before)
    for i in (0, 350, 699):
        row = np.ascontiguousarray(x[i : i + 1])
        assert _core.layer_norm(row, weight, bias, 1e-5).tobytes() == normed[i].tobytes()
        assert _core.gelu(row).tobytes() == activated[i].tobytes()


def test_bad_arguments_are_named():
    x, ones = normal(0, 3, 5), np.ones(5, np.float32)
    with pytest.raises(ValueError, match="weight and bias: expected one number for each"):
        _core.layer_norm(x, ones, ones[:4].copy(), 1e-5)
    with pytest.raises(ValueError, match="eps: expected a finite number"):
        _core.layer_norm(x, ones, ones, -1.0)
    with pytest.raises(TypeError, match="x: expected dtype float32"):
        _core.gelu(x.astype(np.float64))
    with pytest.raises(ValueError, match="out: expected memory apart"):
        _core.gelu(x, out=x)
