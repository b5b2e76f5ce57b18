"""Rounding with error feedback: against what NumPy's linear algebra says, and planted cases."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from pyqtf import _core
from pyqtf.models import feedback
from pyqtf.models.feedback import Problem

RNG = np.random.default_rng


def aligned(n_bytes: int) -> np.ndarray:
    room = np.empty(n_bytes + 64, np.uint8)
    return room[-room.ctypes.data % 64 :][:n_bytes]


def plain(w: np.ndarray) -> _core.Matrix:
    return _core.pack([w], "q4")


def solve(w, x, gap=None, gap_of="outputs") -> _core.Matrix:
    problem = Problem(w, gap_of)
    gap = np.zeros((len(x), len(w)), np.float32) if gap is None else gap
    half = len(x) // 2
    problem.add(x[:half], gap[:half])
    problem.add(x[half:], gap[half:])
    return problem.solve(aligned(plain(w).nbytes))


def missing(w, matrix, x, gap=0.0) -> float:
    """The squared error of the outputs."""
    return float((((w - matrix.dequantize()).astype(np.float64) @ x.T).T + gap).__pow__(2).sum())


def correlated(rng, n_tokens: int, k: int, rank: int) -> np.ndarray:
    """Inputs that nearly lie in a space of few dimensions, as a model's do."""
    x = rng.standard_normal((n_tokens, rank)) @ rng.standard_normal((rank, k))
    return (x + 0.1 * rng.standard_normal((n_tokens, k))).astype(np.float32)


@pytest.mark.parametrize(("n", "k"), [(1, 128), (33, 40), (40, 300), (70, 65), (5, 129)])
@pytest.mark.parametrize("gap_of", ["inputs", "outputs"])
def test_each_weight_is_nearest_to_what_least_squares_asks_for(n, k, gap_of):
    rng = RNG(n + k)
    w = rng.standard_normal((n, k)).astype(np.float32)
    x = correlated(rng, 400, k, 30)
    gap = 0.05 * rng.standard_normal((400, k if gap_of == "inputs" else n)).astype(np.float32)
    matrix = solve(w, x, gap, gap_of)
    x = x.astype(np.float64)
    outputs = gap if gap_of == "outputs" else gap @ w.T
    targets = reference.feedback_targets(
        w, matrix.dequantize(), x, outputs, feedback._DAMPING * k / 400
    )
    integers, d = reference.unpack_q4(_core.packed(matrix)[0], n, k)
    scales, minima = reference.grid_q4(_core.packed(matrix)[0], n, k)
    place = targets / np.repeat(d, 128, axis=1)[:, :k]
    off = np.abs(place - integers[:, :k])
    inside = (place > -minima) & (place < 15 * scales - minima)
    assert inside.mean() > 0.9
    assert (off / scales)[inside].max() < 0.5 + 1e-3
    # Outside, the code is the first or the last.
    ends = np.where(place < -minima, -minima, 15 * scales - minima)
    assert np.array_equal(integers[:, :k][~inside], ends[~inside])


def test_scales_are_those_of_the_weights_that_are_wanted():
    """Of the last group, which is rounded first, these are the weights themselves."""
    rng = RNG(2)
    w = rng.standard_normal((48, 200)).astype(np.float32)
    x = correlated(rng, 500, 200, 20).astype(np.float64)
    found = reference.grid_q4(_core.packed(solve(w, x.astype(np.float32)))[0], 48, 200)
    h = x.T @ x
    h[np.diag_indices(200)] *= 1 + feedback._DAMPING * 200 / 500
    importance = np.diag(np.linalg.cholesky(h))[128:] ** 2
    importance = (importance / importance.max()).astype(np.float32)
    last = _core.pack([w[:, 128:].copy()], "q4", importance=importance)
    expected = reference.grid_q4(_core.packed(last)[0], 48, 72)
    for mine, theirs in zip(found, expected, strict=True):
        assert np.array_equal(mine[:, 128:], theirs)


@pytest.mark.parametrize(("n", "k"), [(7, 64), (32, 128), (50, 256)])
def test_inputs_that_do_not_go_together_change_nothing(n, k):
    """Rows of a Hadamard matrix: every pair of columns is orthogonal, so there is no feedback."""
    x = np.ones((1, 1), np.float32)
    while len(x) < k:
        x = np.block([[x, x], [x, -x]])
    w = RNG(k).standard_normal((n, k)).astype(np.float32)
    assert np.array_equal(_core.packed(solve(w, x))[0], _core.packed(plain(w))[0])


def test_feedback_wins_where_inputs_go_together():
    rng = RNG(3)
    w = rng.standard_normal((64, 256)).astype(np.float32)
    x = correlated(rng, 4000, 256, 16)
    assert missing(w, solve(w, x), x) < 0.1 * missing(w, plain(w), x)
    # On inputs of the same kind that it has not seen, too.
    x = correlated(RNG(3), 8000, 256, 16)
    assert missing(w, solve(w, x[:4000]), x[4000:]) < 0.1 * missing(w, plain(w), x[4000:])


def test_twin_columns_share_one_error():
    """Where two inputs are always equal, only the sum of their weights counts."""
    rng = RNG(4)
    x = np.repeat(rng.standard_normal((500, 64)), 2, axis=1).astype(np.float32)
    w = rng.standard_normal((32, 128)).astype(np.float32)
    assert missing(w, solve(w, x), x) < 0.75 * missing(w, plain(w), x)


@pytest.mark.parametrize("gap_of", ["inputs", "outputs"])
def test_a_gap_that_was_there_before_is_filled(gap_of):
    rng = RNG(5)
    w = rng.standard_normal((48, 128)).astype(np.float32)
    true = correlated(rng, 3000, 128, 128)
    x = np.float32(0.9) * true
    gap = true - x
    outputs = gap @ w.T
    matrix = solve(w, x, gap if gap_of == "inputs" else outputs, gap_of)
    assert missing(w, matrix, x, outputs) < 0.3 * missing(w, solve(w, x), x, outputs)


def test_few_tokens_hardly_move_weights():
    """What three tokens say of 128 columns is mostly chance."""
    rng = RNG(6)
    w = rng.standard_normal((32, 128)).astype(np.float32)
    x = correlated(rng, 4000, 128, 64)
    few = solve(w, x[:4], 3 * rng.standard_normal((4, 32)).astype(np.float32))
    assert missing(w, few, x) < 1.5 * missing(w, plain(w), x)


@pytest.mark.parametrize("dead", [[0], [5, 127, 128], list(range(150))])
def test_dead_columns(dead):
    rng = RNG(7)
    w = rng.standard_normal((40, 150)).astype(np.float32)
    x = correlated(rng, 300, 150, 20)
    x[:, dead] = 0
    matrix = solve(w, x)
    found = matrix.dequantize()
    assert np.isfinite(found).all()
    assert np.abs(found - w).max() < 1.0
    if len(dead) == 150:
        assert np.array_equal(_core.packed(matrix)[0], _core.packed(plain(w))[0])


@pytest.mark.parametrize(("inputs", "gaps"), [(1e20, 1.0), (1e10, 1e30)])
def test_what_overflows_is_refused(inputs, gaps):
    w = RNG(10).standard_normal((3, 70)).astype(np.float32)
    x, gap = np.full((5, 70), inputs, np.float32), np.full((5, 3), gaps, np.float32)
    with pytest.raises(ValueError, match="hidden states overflow"):
        solve(w, x, gap)


def test_zero_weights_stay_zero():
    x = correlated(RNG(8), 300, 96, 20)
    w = np.zeros((33, 96), np.float32)
    assert not solve(w, x).dequantize().any()


def test_threads_and_instruction_sets_change_no_bit():
    rng = RNG(9)
    w = rng.standard_normal((70, 300)).astype(np.float32)
    x, gap = correlated(rng, 700, 300, 40), rng.standard_normal((700, 70)).astype(np.float32)
    before, threads = _core.cpu_info()["isa"], _core.get_num_threads()
    results = set()
    try:
        for isa in [name for name in _core.cpu_info()["available"] if name != "baseline"]:
            _core.use_isa(isa)
            for n_threads in (1, 2, 3):
                _core.set_num_threads(n_threads)
                results.add(_core.packed(solve(w, x, gap))[0].tobytes())
    finally:
        _core.use_isa(before)
        _core.set_num_threads(threads)
    assert len(results) == 1
