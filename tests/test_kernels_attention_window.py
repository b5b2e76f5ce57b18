"""Sliding windows and soft-capped scores: against the oracle, and the contract of their bits."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_attention import alone, batch_of, normal, oracle, qkv

from pyqtf import _core, ops

# One key, within a tile, a tile, across tiles, and more keys than there are.
WINDOWS = [1, 2, 17, 63, 64, 65, 100, 128, 129, 1000]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("n_heads", "n_kv_heads"), [(1, 1), (7, 1), (6, 3)])
def test_a_window_equals_the_oracle(isa, window, n_heads, n_kv_heads):
    for nq, extra in [(1, 0), (1, 200), (16, 131), (70, 3), (260, 0)]:
        q, k, v = qkv(nq, nq, nq + extra, n_heads, n_kv_heads, 12)
        q *= 3
        got = alone(q, k, v, window=window)
        np.testing.assert_allclose(got, oracle(q, k, v, window=window), rtol=0, atol=5e-6)


def test_a_window_over_all_keys_changes_no_bit(isa):
    q, k, v = qkv(0, 150, 200, 4, 2, 20)
    assert alone(q, k, v, window=200).tobytes() == alone(q, k, v).tobytes()
    assert alone(q, k, v, window=2**62).tobytes() == alone(q, k, v).tobytes()
    assert alone(q, k, v, window=199).tobytes() != alone(q, k, v).tobytes()


def test_a_window_of_one_key_gives_its_value(isa):
    q, k, v = qkv(0, 90, 130, 2, 2, 8)
    np.testing.assert_array_equal(alone(q, k, v, window=1), v[40:])


@pytest.mark.parametrize("window", [1, 17, 64, 100])
@pytest.mark.parametrize("softcap", [0.0, 2.0])
def test_a_sequence_has_the_same_bits_alone_and_in_a_ragged_batch(isa, window, softcap):
    lengths = [(90, 0), (1, 0), (0, 5), (17, 164), (33, 1), (164, 64), (0, 0), (5, 330)]
    sequences, batch = batch_of(lengths, 6, 2, 20)
    options = {"window": window, "softcap": softcap}
    together = _core.attention(*batch, 0.3, True, **options)
    for s, (q, k, v) in enumerate(sequences):
        part = together[batch[3][s] : batch[3][s + 1]]
        assert len(q) == 0 or part.tobytes() == alone(q, k, v, True, 0.3, **options).tobytes()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_continued_text_has_the_bits_of_the_whole(data):
    n = data.draw(st.integers(1, 400))
    cached = data.draw(st.integers(0, n - 1))
    group = data.draw(st.sampled_from([1, 2, 7]))
    window = data.draw(st.integers(1, 300))
    q, k, v = qkv(n, n, n, 2 * group, 2, 16)
    whole = alone(q, k, v, window=window)
    assert alone(q[cached:], k, v, window=window).tobytes() == whole[cached:].tobytes()
    # What no query sees need not be there; tiles count from the first key, so it goes by tiles.
    forgotten = max(0, cached + 1 - window) // 64 * 64
    rest = alone(q[cached:], k[forgotten:], v[forgotten:], window=window)
    assert rest.tobytes() == whole[cached:].tobytes()


def test_one_query_at_a_time_has_the_bits_of_the_whole(isa):
    q, k, v = qkv(1, 340, 340, 7, 1, 24)
    whole = alone(q, k, v, window=70, softcap=1.5)
    for i in (0, 1, 15, 16, 63, 64, 69, 70, 71, 127, 128, 133, 134, 200, 339):
        one = alone(q[i : i + 1], k[: i + 1], v[: i + 1], window=70, softcap=1.5)
        assert one.tobytes() == whole[i : i + 1].tobytes()


def test_threads_do_not_change_a_bit(isa):
    _, batch = batch_of([(200, 0), (31, 370), (1, 300), (64, 0)], 4, 2, 16)
    before = _core.get_num_threads()
    results = []
    for n in (1, 2, 3):
        _core.set_num_threads(n)
        results.append(_core.attention(*batch, 0.25, True, window=65, softcap=3.0).tobytes())
    _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("head_dim", [4, 12, 64, 80])
def test_avx2_and_avx512_give_the_same_bits(head_dim):
    if "avx512vnni" not in _core.cpu_info()["available"]:
        pytest.skip("this processor or build lacks avx512vnni")
    q, k, v = qkv(1, 230, 250, 14, 2, head_dim)
    before = _core.cpu_info()["isa"]
    results = []
    for name in ("avx2", "avx512vnni"):
        _core.use_isa(name)
        results.append(alone(q, k, v, window=77, softcap=2.5).tobytes())
    _core.use_isa(before)
    assert results[0] == results[1]


def test_what_lies_in_tiles_before_the_window_is_not_read(isa):
    q, k, v = qkv(0, 300, 300, 2, 1, 16)
    expected = alone(q, k, v, window=50)
    k[:64], v[:64] = np.nan, np.inf
    got = alone(q, k, v, window=50)
    # Query 112 is the last to see the tile; up to 15 more share its vectors of rows.
    assert got[128:].tobytes() == expected[128:].tobytes()
    assert not np.isfinite(got[:64]).any()


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("softcap", [0.5, 5.0, 50.0])
def test_softcapped_scores_equal_the_oracle(isa, size, softcap):
    q, k, v = qkv(3, 90, 130, 4, 2, 16)
    q *= size
    for causal in (True, False):
        got = alone(q, k, v, causal, softcap=softcap)
        expected = oracle(q, k, v, causal, softcap=softcap)
        # A score of s is known to a few s * 2^-24, which is what its weight is off by, relatively.
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6 + 5e-6 * min(size, 100))


@pytest.mark.parametrize("window", [None, 1, 40])
@pytest.mark.parametrize("softcap", [None, 3.0])
def test_the_public_function_and_its_weights_equal_the_oracle(isa, window, softcap):
    q, k, v = (normal(i, h, n, 12) for i, (h, n) in enumerate([(4, 90), (2, 133), (2, 133)]))
    q *= 4
    options = {"window": window, "softcap": softcap}
    out, weights = ops.attention(q, k, v, **options, return_weights=True)
    expected = reference.attention_weights(q, k, 12**-0.5, True, None, window or 0, softcap or 0.0)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=5e-6)
    np.testing.assert_allclose(ops.attention(q, k, v, **options), out, rtol=0, atol=2e-5)


def test_a_window_comes_on_top_of_a_mask(isa):
    q, k, v = (normal(i, 1, 9, 4) for i in range(3))
    mask = np.ones((9, 9), bool)
    mask[:, 5] = False
    _, weights = ops.attention(q, k, v, mask, window=3, return_weights=True)
    rows, columns = np.indices((9, 9))
    seen = (columns <= rows) & (columns > rows - 3) & (columns != 5)
    np.testing.assert_array_equal(weights[0] > 0, seen)
