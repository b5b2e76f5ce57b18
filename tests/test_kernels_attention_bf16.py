"""Attention in bfloat16: the rounding, the float64 oracle, and one result on every processor."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_attention import alone, oracle, qkv
from test_model_kv_cache import assert_same_bits, stored


def bits(x):
    return stored(np.ascontiguousarray(x, np.float32), "bf16")[0]


def attend(q, k, v, **options):
    return alone(q, bits(k), bits(v), **options)


def expected(q, k, v, causal=True, **options):
    heads_first = [a.transpose(1, 0, 2) for a in (q, k, v)]
    out = reference.attention_bf16(*heads_first, q.shape[2] ** -0.5, causal, **options)
    return out.transpose(1, 0, 2)


def assert_near(got, want, v):
    """Rounding of its float32 score may put a weight on the other side of a half, now and then."""
    error = np.abs(got - want).max(axis=2)
    assert (error < 2e-6).mean() > 0.9
    assert error.max() < 2**-7 * np.abs(v).max()


def test_rounding_is_to_the_nearest_and_halves_to_even(isa):
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    x = ((np.arange(2**16, dtype=np.uint32) << 16)[:, None] | lower).view(np.float32)
    with np.errstate(invalid="ignore"):
        want = np.where(np.abs(x) < 3.39e38, x, 1)
    for n in (1, 15, 16, 33):
        some = want.reshape(-1)[: want.size // n * n].reshape(-1, 1, n)
        nearest = reference.round_bf16(some)
        assert not (nearest.view(np.uint32) & 0xFFFF).any()
        np.testing.assert_array_equal(bits(some), nearest.view(np.uint32) >> 16)


@pytest.mark.parametrize("head_dim", [1, 2, 15, 16, 17, 31, 32, 33, 64, 80, 97, 128])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("nq", [1, 70])
def test_it_is_the_oracle_s_for_every_head_dim(isa, head_dim, causal, nq):
    q, k, v = qkv(head_dim, nq, 130, 4, 2, head_dim)
    want = expected(q, k, v, causal)
    assert_near(attend(q, k, v, causal=causal), want, v)
    # The whole difference to floats is that of the roundings.
    error = np.abs(want - oracle(q, k, v, causal))
    assert 1e-5 < error.max() < 0.05


@pytest.mark.parametrize("nk", [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191])
@pytest.mark.parametrize("group", [1, 2, 7, 9])
def test_it_is_the_oracle_s_for_every_length(isa, nk, group):
    for nq in {1, min(nk, 8), nk}:
        q, k, v = qkv(nk, nq, nk, 2 * group, 2, 24)
        assert_near(attend(q, k, v), expected(q, k, v), v)
        options = {"window": 33, "softcap": 1.5}
        assert_near(attend(q, k, v, **options), expected(q, k, v, **options), v)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_instruction_and_fused_multiply_adds_give_the_same_bits(data):
    nk = data.draw(st.integers(1, 200))
    nq = data.draw(st.integers(1, nk))
    group = data.draw(st.sampled_from([1, 2, 7, 8, 9]))
    q, k, v = qkv(nk, nq, nk, 2 * group, 2, data.draw(st.integers(1, 130)))
    # Peaked or flat weights, and a row of values of which little is left.
    q *= data.draw(st.sampled_from([1e-3, 1.0, 30.0]))
    v[nk // 2 :] *= data.draw(st.sampled_from([1.0, -1e4, 1e-14]))
    options = {"window": data.draw(st.integers(0, nk)), "softcap": data.draw(st.floats(0, 3))}
    assert_same_bits(lambda: attend(q, k, v, **options))


def test_what_some_processors_flush_does_not_arise():
    """Sums of products that cancel but for the last bits of the smallest numbers."""
    rng = np.random.default_rng(0)
    q, k, v = qkv(0, 40, 200, 4, 2, 32)
    v = np.ldexp(rng.integers(128, 256, v.shape) * rng.choice([-1, 1], v.shape), -63)
    v = v.astype(np.float32)
    assert np.abs(v).min() == 2.0**-56 and (bits(v) != 0).all()
    k[::2], v[1::2] = k[1::2], -v[::2]
    q *= 6  # down to the smallest weights
    got = attend(q, k, v)
    assert (np.abs(got[got != 0]) < 1e-25).any()
    assert_same_bits(lambda: attend(q, k, v))
    small = np.where(np.arange(32) % 2, 2.0**-56, 2.0**-57).astype(np.float32)
    np.testing.assert_array_equal(bits(small[None, None]) != 0, small[None, None] == 2.0**-56)


def test_tiny_scores_are_as_good_as_none(isa):
    q, k, v = qkv(1, 30, 90, 2, 1, 16)
    k[:] = 2.0**-40
    same = attend(q * 0, k, v)
    np.testing.assert_array_equal(attend(q * np.float32(2**-30), k, v), same)


def test_not_a_number_reaches_the_queries_that_see_it(isa):
    q, k, v = qkv(0, 70, 70, 2, 1, 16)
    every_bit = np.uint32(0x7FFFFFFF).view(np.float32)  # NaN, to which rounding may not add
    for bad in (np.nan, np.inf, every_bit):
        broken = q.copy()
        broken[66, 0, 3] = bad
        got = attend(broken, k, v)
        assert np.isnan(got[66, 0]).all()
        got[66, 0] = 0
        assert np.isfinite(got).all()
    keys = bits(k)
    for pattern in (0x7FC0, 0x7FFF, 0x7F81):
        keys[66, 0, 3] = pattern
        got = alone(q, keys, bits(v))
        assert np.isfinite(got[:64]).all() and np.isnan(got[66:]).all()


def test_both_or_neither_is_bfloat16():
    q, k, v = qkv(0, 4, 4, 2, 1, 8)
    for pair in ((bits(k), v), (k, bits(v))):
        with pytest.raises(TypeError, match=r"v: expected bfloat16 \(uint16\) where k is"):
            alone(q, *pair)
