"""Attention against the float64 oracle, and the contract that neighbours never change a bit."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core, ops


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def qkv(seed, nq, nk, n_heads, n_kv_heads, head_dim):
    return (
        normal(seed, nq, n_heads, head_dim),
        normal(seed + 1, nk, n_kv_heads, head_dim),
        normal(seed + 2, nk, n_kv_heads, head_dim),
    )


def alone(q, k, v, causal=True, scale=None, **options):
    scale = q.shape[2] ** -0.5 if scale is None else scale
    ends = np.array([0, len(q)]), np.array([0, len(k)])
    return _core.attention(q, k, v, *ends, scale, causal, **options)


def oracle(q, k, v, causal=True, scale=None, **options):
    scale = q.shape[2] ** -0.5 if scale is None else scale
    heads_first = [a.transpose(1, 0, 2) for a in (q, k, v)]
    return reference.attention(*heads_first, scale, causal, **options).transpose(1, 0, 2)


@pytest.mark.parametrize("head_dim", [1, 4, 8, 12, 15, 16, 17, 20, 31, 32, 64, 80, 96, 128])
@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_the_oracle_for_every_head_dim(isa, head_dim, causal):
    q, k, v = qkv(head_dim, 70, 70, 4, 2, head_dim)
    np.testing.assert_allclose(alone(q, k, v, causal), oracle(q, k, v, causal), rtol=0, atol=2e-6)


@pytest.mark.parametrize("nq", [1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 131])
@pytest.mark.parametrize(("n_heads", "n_kv_heads"), [(1, 1), (4, 2), (7, 1), (14, 2), (3, 3)])
def test_attention_equals_the_oracle_for_every_length(isa, nq, n_heads, n_kv_heads):
    for extra in (0, 1, 66):
        q, k, v = qkv(nq, nq, nq + extra, n_heads, n_kv_heads, 16)
        np.testing.assert_allclose(alone(q, k, v), oracle(q, k, v), rtol=0, atol=2e-6)


def test_many_heads_share_one_key_head(isa):
    q, k, v = qkv(0, 5, 9, 300, 1, 8)
    np.testing.assert_allclose(alone(q, k, v), oracle(q, k, v), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [0.0, 1e-30, 30.0, 1e4])
def test_peaked_and_flat_scores(isa, size):
    q, k, v = qkv(3, 90, 90, 2, 1, 16)
    q *= size
    got, expected = alone(q, k, v), oracle(q, k, v)
    # A score of s is known to a few s * 2^-24, which is what its weight is off by, relatively.
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6 + 2e-5 * min(size, 100) / 4)
    if size == 0.0:
        np.testing.assert_allclose(got[:, 0], np.cumsum(v[:, 0], 0) / np.arange(1, 91)[:, None],
                                   atol=2e-6)  # fmt: skip


def test_identical_keys_average_the_values(isa):
    q, k, v = qkv(4, 65, 65, 2, 2, 12)
    k[:] = k[0]
    np.testing.assert_allclose(alone(q, k, v), oracle(q, k, v), rtol=0, atol=2e-6)
    v[:] = v[0]
    np.testing.assert_allclose(alone(q, k, v), np.broadcast_to(v[0], v.shape), rtol=1e-6)


def test_scores_far_below_the_first_tiles(isa):
    """The maximum sits in one tile and everything later is some 1e4 below it, or above."""
    q, k, v = qkv(5, 200, 200, 1, 1, 8)
    q[:] = 1.0
    for peak in (0, 63, 64, 150, 199):
        k[:] = -1e3
        k[peak] = 1e3
        np.testing.assert_allclose(alone(q, k, v), oracle(q, k, v), rtol=0, atol=2e-6)


def random_batch(rng, n):
    """Lengths of n sequences: queries, and keys that came before them."""
    return [(int(rng.integers(0, 90)), int(rng.integers(0, 150))) for _ in range(n)]


def batch_of(lengths, n_heads, n_kv_heads, head_dim):
    sequences = [
        qkv(10 * s, nq, nq + before, n_heads, n_kv_heads, head_dim)
        for s, (nq, before) in enumerate(lengths)
    ]
    q, k, v = (np.concatenate([s[i] for s in sequences]) for i in range(3))
    q_offsets = np.cumsum([0] + [len(s[0]) for s in sequences])
    k_offsets = np.cumsum([0] + [len(s[1]) for s in sequences])
    return sequences, (q, k, v, q_offsets, k_offsets)


@pytest.mark.parametrize("causal", [True, False])
def test_a_sequence_has_the_same_bits_alone_and_in_a_ragged_batch(isa, causal):
    lengths = [(90, 0), (1, 0), (0, 5), (17, 64), (33, 1), (64, 64), (0, 0), (5, 130)]
    sequences, batch = batch_of(lengths, 6, 2, 20)
    together = _core.attention(*batch, 0.3, causal)
    for s, (q, k, v) in enumerate(sequences):
        part = together[batch[3][s] : batch[3][s + 1]]
        assert len(q) == 0 or part.tobytes() == alone(q, k, v, causal, 0.3).tobytes()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_continued_text_has_the_bits_of_the_whole(data):
    n = data.draw(st.integers(1, 260))
    cached = data.draw(st.integers(0, n - 1))
    group = data.draw(st.sampled_from([1, 2, 7]))
    head_dim = data.draw(st.sampled_from([4, 16, 20]))
    q, k, v = qkv(n, n, n, 2 * group, 2, head_dim)
    whole = alone(q, k, v)
    assert alone(q[cached:], k, v).tobytes() == whole[cached:].tobytes()
    prefix = alone(q[: cached + 1], k[: cached + 1], v[: cached + 1])
    assert prefix.tobytes() == whole[: cached + 1].tobytes()


def test_one_query_at_a_time_has_the_bits_of_the_whole(isa):
    q, k, v = qkv(1, 140, 140, 7, 1, 24)
    whole = alone(q, k, v)
    for i in (0, 1, 15, 16, 62, 63, 64, 65, 127, 128, 139):
        one = alone(q[i : i + 1], k[: i + 1], v[: i + 1])
        assert one.tobytes() == whole[i : i + 1].tobytes()


def test_thousands_of_keys(isa):
    q, k, v = qkv(2, 150, 4200, 7, 1, 8)
    got = alone(q, k, v)
    np.testing.assert_allclose(got, oracle(q, k, v), rtol=0, atol=2e-6)
    before = alone(q[:10], k[:-140], v[:-140])  # 4060 keys: other tasks, the same bits
    assert before.tobytes() == got[:10].tobytes()


def test_zero_is_never_negative(isa):
    """-0 and 0 would depend on which later keys share a tile."""
    q, k, v = qkv(1, 20, 20, 2, 1, 8)
    v[:] = -0.0
    assert not np.signbit(alone(q, k, v)).any()


def test_threads_do_not_change_a_bit(isa):
    _, batch = batch_of([(200, 0), (31, 70), (1, 300), (64, 0)], 4, 2, 16)
    before = _core.get_num_threads()
    results = []
    for n in (1, 2, 3):
        _core.set_num_threads(n)
        results.append(_core.attention(*batch, 0.25, True).tobytes())
    _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("head_dim", [4, 12, 16, 20, 64, 80, 128])
@pytest.mark.parametrize("group", [1, 2, 7])
def test_avx2_and_avx512_give_the_same_bits(head_dim, group):
    if "avx512vnni" not in _core.cpu_info()["available"]:
        pytest.skip("this processor or build lacks avx512vnni")
    q, k, v = qkv(1, 130, 150, 2 * group, 2, head_dim)
    before = _core.cpu_info()["isa"]
    results = []
    for name in ("avx2", "avx512vnni"):
        _core.use_isa(name)
        results.append(alone(q, k, v).tobytes() + alone(q, k, v, causal=False).tobytes())
    _core.use_isa(before)
    assert results[0] == results[1]


def test_views_of_one_fused_buffer_are_read_in_place(isa):
    n_heads, n_kv_heads, head_dim = 6, 2, 12
    q, k, v = qkv(0, 50, 50, n_heads, n_kv_heads, head_dim)
    fused = np.concatenate([a.reshape(50, -1) for a in (q, k, v)], axis=1)
    a, b = n_heads * head_dim, (n_heads + n_kv_heads) * head_dim
    views = (
        fused[:, :a].reshape(50, n_heads, head_dim),
        fused[:, a:b].reshape(50, n_kv_heads, head_dim),
        fused[:, b:].reshape(50, n_kv_heads, head_dim),
    )
    assert all(np.shares_memory(view, fused) for view in views)
    assert alone(*views).tobytes() == alone(q, k, v).tobytes()
    reversed_rows = [view[::-1].copy()[::-1] for view in views]
    assert alone(*reversed_rows).tobytes() == alone(q, k, v).tobytes()


def test_not_a_number_reaches_the_queries_that_see_it(isa):
    q, k, v = qkv(0, 70, 70, 2, 1, 16)
    k[66, 0, 3] = np.nan
    got = alone(q, k, v)
    assert np.isfinite(got[:66]).all()
    assert np.isnan(got[66:]).all()


def random_mask(kind, n_heads, nq, nk):
    rng = np.random.default_rng(7)
    if kind == "boolean":
        mask = rng.random((nq, nk)) < 0.5
        mask[:, 0] = True
        return mask, np.where(mask, 0.0, -np.inf)
    mask = rng.standard_normal((n_heads, 1, nk)).astype(np.float32)
    return mask, mask


@pytest.mark.parametrize("kind", ["boolean", "additive"])
@pytest.mark.parametrize("causal", [True, False])
def test_masks_and_weights_equal_the_oracle(isa, kind, causal):
    q, k, v = (normal(i, h, n, 12) for i, (h, n) in enumerate([(4, 19), (2, 33), (2, 33)]))
    mask, added = random_mask(kind, 4, 19, 33)
    out, weights = ops.attention(q, k, v, mask, causal=causal, return_weights=True)
    expected = reference.attention_weights(q, k, 12**-0.5, causal, added)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        out, reference.attention(q, k, v, 12**-0.5, causal, added), rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)


def test_the_tiled_and_the_plain_way_agree(isa):
    q, k, v = (normal(i, h, 100, 20) for i, h in enumerate([6, 2, 2]))
    out, _ = ops.attention(q, k, v, return_weights=True)
    np.testing.assert_allclose(ops.attention(q, k, v), out, rtol=0, atol=2e-6)


def test_a_query_that_may_look_nowhere_gets_zeros():
    q = k = v = normal(0, 1, 3, 4)
    mask = np.array([[True, True, True], [False, False, False], [True, False, True]])
    out, weights = ops.attention(q, k, v, mask, causal=False, return_weights=True)
    assert not out[0, 1].any() and not weights[0, 1].any()
    assert np.isfinite(out).all()


def test_attention_equals_torch():
    torch = pytest.importorskip("torch")
    q, k, v = normal(0, 6, 40, 16), normal(1, 2, 40, 16), normal(2, 2, 40, 16)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.tensor(a)[None] for a in (q, k, v)), is_causal=True, enable_gqa=True
    )
    np.testing.assert_allclose(ops.attention(q, k, v), expected[0].numpy(), rtol=0, atol=2e-6)


Q, K, V = qkv(0, 4, 4, 4, 2, 8)
QO = np.array([0, 4])


def call(q=Q, k=K, v=V, q_offsets=QO, k_offsets=QO, scale=1.0, causal=True, out=None, **options):
    return _core.attention(q, k, v, q_offsets, k_offsets, scale, causal, out, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"q": Q.tolist()}, TypeError, "q: expected a NumPy array of float32, got list"),
        ({"q": Q.astype(float)}, TypeError, "q: expected dtype float32, got float64"),
        ({"q": Q[0]}, ValueError, "q: expected 3 dimensions, got 2"),
        ({"k": K[:, :, ::2]}, ValueError, "k: expected the last axis to be contiguous"),
        ({"v": V[:3]}, ValueError, "v: expected k's shape, got 3 for 4 along axis 0"),
        ({"q": Q[:, :3].copy()}, ValueError, "q: .*multiple of k's 2, got 3"),
        ({"q": Q[:, :, :4].copy()}, ValueError, "q: expected the head_dim of k, 8, .*got 4"),
        ({"q_offsets": [0, 4]}, TypeError, "q_offsets: expected a NumPy array of int64"),
        ({"q_offsets": np.array([0, 3])}, ValueError, "q_offsets: expected to span the 4 rows"),
        ({"q_offsets": np.array([1, 4])}, ValueError, "q_offsets: expected to span the 4 rows"),
        ({"k_offsets": np.array([0, 5])}, ValueError, "k_offsets: .*within the 4 rows, got 0 to 5"),
        ({"k_offsets": np.array([-1, 4])}, ValueError, "k_offsets: .*got -1 to 4"),
        ({"k_offsets": np.array([0, 3])}, ValueError, "k_offsets: .*at least 4 keys.*got 3"),
        ({"k_offsets": np.array([3, 3]), "causal": False}, ValueError, "at least 1 keys"),
        ({"k_offsets": np.array([0, 2, 4])}, ValueError, "k_offsets: expected as many numbers"),
        ({"q_offsets": np.empty(0, np.int64)}, ValueError, "k_offsets: expected as many"),
        (
            {"q_offsets": np.array([0, 3, 2, 4]), "k_offsets": np.array([0, 3, 3, 4])},
            ValueError,
            "q_offsets: expected numbers that do not fall, got 3, 2",
        ),
        ({"scale": float("inf")}, ValueError, "scale: expected a finite number"),
        ({"softcap": -1.0}, ValueError, "softcap: expected a finite number"),
        ({"softcap": float("nan")}, ValueError, "softcap: expected a finite number"),
        ({"window": -1}, ValueError, "window: expected 0 for none.*got -1"),
        ({"window": 1, "causal": False}, ValueError, "window: .* with causal attention.*got 1"),
        ({"out": Q}, ValueError, "out: expected memory apart"),
        ({"out": Q[:3].copy()}, ValueError, "out: expected 4 along axis 0, got 3"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        call(**arguments)


def test_out_may_not_lie_inside_a_strided_input():
    fused = normal(0, 4, 6, 8)
    with pytest.raises(ValueError, match="out: expected memory apart"):
        call(q=fused[:, :4], k=fused[:, 4:5], v=fused[:, 5:], out=fused.reshape(-1)[:128].reshape(4, 4, 8))  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": np.ones((2, 2), bool)}, "mask: expected a shape that broadcasts"),
        ({"v": np.ones((2, 4, 9))}, "v: expected k's shape"),
        ({"window": 0}, "window: expected 1 or more keys, got 0"),
        ({"window": 2, "causal": False}, "window: .* with causal attention"),
        ({"softcap": 0.0}, "softcap: expected a number above 0, got 0"),
        ({"softcap": 2.0, "return_weights": True, "causal": False, "window": 1}, "window: "),
        ({"k": np.ones((2, 3, 8)), "v": np.ones((2, 3, 8))}, "at least 4 keys"),
        (
            {"k": np.ones((2, 3, 8)), "v": np.ones((2, 3, 8)), "return_weights": True},
            "at least 4 keys",
        ),
    ],
)
def test_bad_arguments_of_the_public_function_are_named(arguments, message):
    given_arguments = {"q": np.ones((4, 4, 8)), "k": np.ones((2, 4, 8)), "v": np.ones((2, 4, 8))}
    with pytest.raises(ValueError, match=message):
        ops.attention(**{**given_arguments, **arguments})
