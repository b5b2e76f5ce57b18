"""RMSNorm, rotary embedding and SwiGLU against the float64 oracle, on every instruction set."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core, ops

SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 131, 896]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tables(n_positions, half):
    angles = np.arange(n_positions)[:, None] * 10000.0 ** (-np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


@pytest.fixture
def threads():
    """Run a function with 1, 2 and 3 threads."""
    before = _core.get_num_threads()

    def run(function):
        results = []
        for n in (1, 2, 3):
            _core.set_num_threads(n)
            results.append(function())
        return results

    yield run
    _core.set_num_threads(before)


@pytest.mark.parametrize("d", SIZES)
def test_rms_norm_equals_the_oracle(isa, d):
    x, weight = normal(d, 5, d), normal(1, d)
    np.testing.assert_allclose(
        _core.rms_norm(x, weight, 1e-6),
        reference.rms_norm(x, weight, 1e-6),
        rtol=5e-7,
        atol=1e-12,
    )


def test_rms_norm_of_zeros_outliers_and_denormals(isa):
    x = normal(0, 4, 33)
    x[0] = 0
    x[1, 7] = 1e4
    x[2] = 1e-39
    x[3] = 1e12
    ones = np.ones(33, np.float32)
    got = _core.rms_norm(x, ones, 1e-6)
    np.testing.assert_allclose(got, reference.rms_norm(x, ones, 1e-6), rtol=1e-6, atol=1e-37)
    assert not got[0].any()


@pytest.mark.parametrize("half", [1, 2, 3, 6, 8, 10, 15, 16, 17, 32, 33, 48, 64])
def test_rope_equals_the_oracle_and_leaves_the_rest_of_a_row(isa, half):
    cos, sin = tables(40, half)
    n_heads = 3
    x = normal(half, 7, n_heads * 2 * half + 5)
    positions = np.array([0, 39, 3, 3, 17, 1, 2])
    expected = reference.rope(x, cos, sin, positions, n_heads)
    got = x.copy()
    assert _core.rope(got, cos, sin, positions, n_heads) is None
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(got[:, n_heads * 2 * half :], x[:, n_heads * 2 * half :])


@pytest.mark.parametrize("half", [1, 3, 8, 16, 17])
@pytest.mark.parametrize("rest", [1, 2, 15, 64])
def test_rope_turns_a_part_of_each_head(isa, half, rest):
    cos, sin = tables(40, half)
    x, positions = normal(half, 3, 3 * (2 * half + rest) + 1), np.array([39, 0, 7])
    expected = reference.rope(x, cos, sin, positions, 3, 2 * half + rest)
    got = x.copy()
    _core.rope(got, cos, sin, positions, 3, 2 * half + rest)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    for h in range(3):
        kept = slice(h * (2 * half + rest) + 2 * half, (h + 1) * (2 * half + rest))
        assert got[:, kept].tobytes() == x[:, kept].tobytes()


def test_public_rope_leaves_its_argument_alone():
    for shape in [(1, 1, 8), (1, 5, 8), (3, 1, 8), (3, 5, 8)]:
        x = normal(0, *shape)
        before = x.copy()
        assert not np.array_equal(ops.rope(x, np.full(shape[1], 3)), x)
        np.testing.assert_array_equal(x, before)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 900), st.integers(0, 900), st.integers(0, 100), st.integers(1, 12))
def test_rope_scores_depend_on_the_distance_alone(i, j, shift, half):
    q, k = normal(1, 1, 1, 2 * half), normal(2, 1, 1, 2 * half)

    def score(a, b):
        return float((ops.rope(q, [a]) * ops.rope(k, [b])).sum())

    assert score(i, j) == pytest.approx(score(i + shift, j + shift), abs=1e-3)


@pytest.mark.parametrize("f", SIZES)
def test_swiglu_equals_the_oracle(isa, f):
    gate_up = normal(f, 3, 2 * f) * 10
    np.testing.assert_allclose(
        _core.swiglu(gate_up), reference.swiglu(gate_up), rtol=1e-6, atol=1e-30
    )


def test_swiglu_far_from_zero(isa):
    gate = np.array([-1e38, -1e4, -100, -87.5, -0.0, 0.0, 87.5, 1e4, 1e38], np.float32)
    gate_up = np.concatenate([gate, np.ones(9, np.float32)])[None]
    got = _core.swiglu(gate_up)[0]
    np.testing.assert_allclose(got[3:], reference.swiglu(gate_up)[0, 3:], rtol=1e-6, atol=1e-36)
    assert np.all(np.abs(got[:3]) <= 1)


@pytest.mark.parametrize("rows", [1, 2, 100, 1001])
def test_results_do_not_depend_on_threads_or_rows(isa, threads, rows):
    x, weight = normal(0, rows, 96), normal(1, 96)
    cos, sin = tables(rows, 8)
    positions = np.arange(rows)

    def compute():
        turned = x.copy()
        _core.rope(turned, cos, sin, positions, 6)
        return _core.rms_norm(x, weight, 1e-6), turned, _core.swiglu(x)

    one, two, three = threads(compute)
    for a, b, c in zip(one, two, three, strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
    assert _core.rms_norm(x[-1:], weight, 1e-6).tobytes() == one[0][-1:].tobytes()


@pytest.mark.parametrize("d", [1, 17, 64, 200])
def test_avx2_and_avx512_give_the_same_bits(d):
    if "avx512vnni" not in _core.cpu_info()["available"]:
        pytest.skip("this processor or build lacks avx512vnni")
    x, weight = normal(d, 9, 2 * d) * 30, normal(1, 2 * d)
    cos, sin = tables(9, d)
    before = _core.cpu_info()["isa"]
    results = []
    for name in ("avx2", "avx512vnni"):
        _core.use_isa(name)
        turned = x.copy()
        _core.rope(turned, cos, sin, np.arange(9), 1)
        results.append((_core.rms_norm(x, weight, 1e-6), turned, _core.swiglu(x)))
    _core.use_isa(before)
    for a, b in zip(*results, strict=True):
        assert a.tobytes() == b.tobytes()


def test_out_is_written_and_returned():
    x, weight = normal(0, 4, 6), normal(1, 6)
    out = np.empty((4, 6), np.float32)
    assert _core.rms_norm(x, weight, 1e-6, out=out) is out
    assert out.tobytes() == _core.rms_norm(x, weight, 1e-6).tobytes()
    half = np.empty((4, 3), np.float32)
    assert _core.swiglu(x, half) is half


def test_no_rows_give_no_rows():
    x = np.empty((0, 6), np.float32)
    assert _core.rms_norm(x, np.ones(6, np.float32), 1e-6).shape == (0, 6)
    assert _core.swiglu(x).shape == (0, 3)
    _core.rope(x, *tables(1, 3), np.empty(0, np.int64), 1)


X = normal(0, 4, 6)
W = normal(1, 6)
COS, SIN = tables(4, 3)
P = np.arange(4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: _core.rms_norm([1.0], W, 0.0), TypeError, "x: expected a NumPy array of float32"),
        (lambda: _core.rms_norm(X.astype(float), W, 0.0), TypeError, "x: .*float32, got float64"),
        (lambda: _core.rms_norm(X[0], W, 0.0), ValueError, "x: expected 2 dimensions, got 1"),
        (lambda: _core.rms_norm(X, W[:5], 0.0), ValueError, r"weight: .*got 5 for x of \[4, 6\]"),
        (lambda: _core.rms_norm(X, W, -1.0), ValueError, "eps: "),
        (lambda: _core.rms_norm(X, W, float("nan")), ValueError, "eps: "),
        (lambda: _core.rms_norm(X, W, 0.0, out=X), ValueError, "out: .*overlap"),
        (lambda: _core.rms_norm(X, W, 0.0, out=X[:2].copy()), ValueError, "out: expected 4 along"),
        (lambda: _core.rope(X, COS, SIN, P, 2), ValueError, "n_heads: .*rows of 6, got 2"),
        (lambda: _core.rope(X, COS, SIN, P, -1), ValueError, "n_heads: "),
        (lambda: _core.rope(X, COS, SIN, P, 1, 5), ValueError, "head_dim: .* are 3 .* got 5"),
        (lambda: _core.rope(X, COS, SIN, P, 1, 7), ValueError, "n_heads: expected heads of 7"),
        (lambda: _core.rope(X, COS, SIN[:3], P, 1), ValueError, "sin: expected the shape of cos"),
        (
            lambda: _core.rope(X, COS, SIN, P + 1, 1),
            ValueError,
            r"positions\[3\]: .*3.* got 4",
        ),
        (lambda: _core.rope(X, COS, SIN, P - 1, 1), ValueError, r"positions\[0\]: .* got -1"),
        (lambda: _core.rope(X, COS, SIN, P[:3], 1), ValueError, "positions: .*4 rows, got 3"),
        (lambda: _core.rope(X[:, ::2], COS, SIN, P, 1), ValueError, "x: expected a writable C-con"),
        (lambda: _core.rope(X.tolist(), COS, SIN, P, 1), TypeError, "x: expected a NumPy array"),
        (lambda: _core.swiglu(X[:, :5].copy()), ValueError, "gate_up: expected an even number"),
        (lambda: _core.swiglu(X, out=X[:, :3]), ValueError, "out: "),
        (lambda: ops.rms_norm("abc", W), TypeError, "x: expected real numbers"),
        (lambda: ops.rms_norm(1.0, W), ValueError, "x: expected at least one dimension"),
        (lambda: ops.rope(X[None, :, :5]), ValueError, "x: expected an even head_dim"),
        (lambda: ops.rope(X[None], [0, 1, 2]), ValueError, "positions: expected 4 whole numbers"),
        (lambda: ops.rope(X[None], [0, 1, 2, -1]), ValueError, "positions: expected 0 or above"),
        (lambda: ops.rope(X[None], theta=0.0), ValueError, "theta: "),
        (lambda: ops.swiglu(X, X[:3]), ValueError, "up: expected gate's shape"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_rms_norm_takes_any_leading_axes():
    x = normal(0, 2, 3, 6)
    np.testing.assert_allclose(
        ops.rms_norm(x.astype(np.float64), W), reference.rms_norm(x, W, 1e-6), rtol=1e-6
    )
    assert ops.swiglu(x, x).shape == x.shape


def test_layers_equal_torch():
    torch = pytest.importorskip("torch")
    x, weight = normal(0, 11, 48), normal(1, 48)
    np.testing.assert_allclose(
        ops.rms_norm(x, weight, 1e-5),
        torch.nn.functional.rms_norm(torch.tensor(x), (48,), torch.tensor(weight), 1e-5).numpy(),
        rtol=2e-6,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        ops.swiglu(x, 2 * x),
        (torch.nn.functional.silu(torch.tensor(x)) * torch.tensor(2 * x)).numpy(),
        rtol=2e-6,
        atol=1e-6,
    )
