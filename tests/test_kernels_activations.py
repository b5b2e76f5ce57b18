"""GEGLU, exact GELU and soft-capping against the float64 oracle, on every instruction set."""

import numpy as np
import pytest
import reference

from pyqtf import _core

SIZES = [1, 2, 15, 16, 17, 31, 33, 64, 97, 131, 768]
FUNCTIONS = {
    "geglu": lambda x: _core.geglu(np.hstack([x, x[:, ::-1]])),
    "gelu_erf": _core.gelu_erf,
    "softcap": lambda x: _core.softcap(x, 30.0),
}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("d", SIZES)
def test_geglu_equals_the_oracle(isa, d):
    gate_up = 4 * normal(d, 3, 2 * d)
    expected = reference.gelu(gate_up[:, :d]) * gate_up[:, d:]
    np.testing.assert_allclose(_core.geglu(gate_up), expected, rtol=3e-6, atol=2e-6)


@pytest.mark.parametrize("d", SIZES)
def test_gelu_erf_equals_the_oracle(isa, d):
    x = 4 * normal(d, 3, d)
    np.testing.assert_allclose(_core.gelu_erf(x), reference.gelu_erf(x), rtol=1e-5, atol=1e-7)


def test_gelu_erf_everywhere(isa):
    """Within 2^-20 of the result above -1; below, where exp's argument is rounded, 5e-6."""
    x = np.linspace(-9, 9, 180001, dtype=np.float32)[None]
    got, expected = _core.gelu_erf(x), reference.gelu_erf(x)
    np.testing.assert_allclose(got[x > -1], expected[x > -1], rtol=2.0**-20, atol=1e-30)
    np.testing.assert_allclose(got[x <= -1], expected[x <= -1], rtol=5e-6)


@pytest.mark.parametrize("d", SIZES)
def test_softcap_equals_the_oracle(isa, d):
    for size in (1e-4, 1.0, 20.0, 1e3):
        x = size * normal(d, 3, d)
        np.testing.assert_allclose(_core.softcap(x, 30.0), reference.softcap(x, 30.0), rtol=5e-7)


def test_the_ends(isa):
    x = np.array([[0.0, -0.0, 1e-30, -1e-30, 15, -15, 100, -100, 1e12, -1e12, 3e38, -3e38]], "f4")
    np.testing.assert_allclose(_core.gelu_erf(x), reference.gelu_erf(x), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(_core.softcap(x, 50.0), reference.softcap(x, 50.0), rtol=5e-7)
    nan = np.full((1, 17), np.nan, np.float32)
    for function in FUNCTIONS.values():
        assert np.isnan(function(nan)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_and_threads_change_no_bit(isa, name):
    x, function = 5 * normal(0, 700, 98), FUNCTIONS[name]
    before = _core.get_num_threads()
    results = []
    for n in (1, 2, 3):
        _core.set_num_threads(n)
        results.append(function(x).tobytes())
    _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]
    assert function(x[-1:]).tobytes() == function(x)[-1:].tobytes()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_avx2_and_avx512_give_the_same_bits(name):
    if "avx512vnni" not in _core.cpu_info()["available"]:
        pytest.skip("this processor or build lacks avx512vnni")
    x = 5 * normal(1, 5, 97)
    before = _core.cpu_info()["isa"]
    results = []
    for isa in ("avx2", "avx512vnni"):
        _core.use_isa(isa)
        results.append(FUNCTIONS[name](x).tobytes())
    _core.use_isa(before)
    assert results[0] == results[1]


def test_softcap_in_place():
    x = 40 * normal(0, 3, 5)
    expected = _core.softcap(x, 7.0)
    assert _core.softcap(x, 7.0, out=x) is x
    assert x.tobytes() == expected.tobytes()


X = normal(0, 4, 6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: _core.geglu(X[:, :5].copy()), ValueError, "gate_up: expected an even number"),
        (lambda: _core.geglu(X, out=X[:, :3]), ValueError, "out: "),
        (lambda: _core.gelu_erf([1.0]), TypeError, "x: expected a NumPy array of float32"),
        (lambda: _core.gelu_erf(X, out=X), ValueError, "out: .*overlap"),
        (lambda: _core.softcap(X, 0.0), ValueError, "cap: expected a finite number above 0"),
        (lambda: _core.softcap(X, float("nan")), ValueError, "cap: "),
        (lambda: _core.softcap(X, 1e39), ValueError, "cap: "),
        (lambda: _core.softcap(X, 1.0, out=X[::-1]), ValueError, "out: "),
        (lambda: _core.softcap(X[:, :0].copy(), 1.0), ValueError, "x to have columns"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_activations_equal_torch():
    torch = pytest.importorskip("torch")
    x = 3 * normal(0, 11, 48)
    t = torch.tensor(x)
    for got, expected in [
        (_core.gelu_erf(x), torch.nn.functional.gelu(t)),
        (_core.gelu(x), torch.nn.functional.gelu(t, approximate="tanh")),
        (_core.softcap(x, 4.0), 4 * torch.tanh(t / 4)),
    ]:
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-6, atol=1e-6)
