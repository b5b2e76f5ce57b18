"""Keys and values stored in 32, 16 and 8 bits: what is read back, its bits, and its memory."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import write_model
from test_kernels_attention import alone, normal, qkv

import pyqtf
from pyqtf import _core
from pyqtf.models.cache import cache_bytes

DTYPES = ["f32", "f16", "bf16", "q8"]
SIZES = {
    "hidden_size": 40, "intermediate_size": 72, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 18, "vocab_size": 259, "max_position_embeddings": 700,
}  # fmt: skip
WINDOW = 70


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pyqtf.load(write_model(tmp_path_factory.mktemp("models") / "full", **SIZES), quant="f32")


@pytest.fixture(scope="module")
def sliding(tmp_path_factory):
    """One layer with a window, one that sees all."""
    folder = tmp_path_factory.mktemp("models") / "sliding"
    kinds = ["sliding_attention", "full_attention"]
    options = {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": kinds}
    return pyqtf.load(write_model(folder, **SIZES, **options))


def stored(x, dtype):
    """Keys or values [n, heads, head_dim] as the core takes them: numbers, scales."""
    if dtype == "bf16":
        halves = np.empty(x.shape, np.uint16)
        _core.quantise_heads(x, halves)
        return halves, None
    if dtype != "q8":
        return x.astype({"f32": np.float32, "f16": np.float16}[dtype]), None
    out = np.empty(x.shape, np.int8)
    scales = np.empty((*x.shape[:2], -(-x.shape[2] // 32)), np.float32)
    _core.quantise_heads(x, out, scales)
    return out, scales


def attend(q, k, v, **options):
    (k, k_scales), (v, v_scales) = k, v
    return alone(q, k, v, k_scales=k_scales, v_scales=v_scales, **options)


def assert_same_bits(call):
    """What instruction sets with a fused multiply-add give, which must be one result."""
    names = [name for name in _core.cpu_info()["available"] if name != "baseline"]
    if "avx512vnni" not in names:
        pytest.skip("this processor or build lacks avx512vnni")
    before = _core.cpu_info()["isa"]
    results = set()
    for name in names:
        _core.use_isa(name)
        results.add(call().tobytes())
    _core.use_isa(before)
    assert len(results) == 1


@pytest.mark.parametrize("head_dim", [1, 8, 15, 16, 31, 32, 33, 48, 64, 80, 128])
def test_8_bits_are_those_of_the_definition(isa, head_dim):
    x = normal(head_dim, 20, 3, head_dim)
    x[3, 1] *= 1e4
    x[4] = 0.0
    x[5] = 1e-42  # a scale would be subnormal
    integers, scales = stored(x, "q8")
    expected, expected_scales = reference.quantise_groups(x.reshape(60, head_dim), 32)
    np.testing.assert_array_equal(integers.reshape(60, head_dim), expected)
    np.testing.assert_array_equal(scales.reshape(60, -1), expected_scales)


@pytest.mark.parametrize("dtype", ["f16", "q8"])
@pytest.mark.parametrize("head_dim", [1, 16, 20, 32, 40, 64, 80])
@pytest.mark.parametrize(("nq", "group"), [(1, 1), (1, 7), (1, 8), (2, 4), (9, 1), (60, 7)])
def test_attention_reads_what_is_stored_as_floats(isa, dtype, head_dim, nq, group):
    q, k, v = qkv(head_dim, nq, 150, 2 * group, 2, head_dim)
    v[:3] *= np.float32(1e-7)  # subnormal half floats
    keys, values = stored(k, dtype), stored(v, dtype)
    if dtype == "f16":
        wide = [x.astype(np.float32) for x, _ in (keys, values)]
    else:
        wide = [
            (x * np.repeat(scales, 32, axis=2)[:, :, :head_dim]).astype(np.float32)
            for x, scales in (keys, values)
        ]
        assert np.abs(wide[0] - k).max() <= np.abs(k).max() / 127
    got = attend(q, keys, values, window=100)
    assert got.tobytes() == alone(q, *wide, window=100).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group", [1, 3, 7, 8, 9])
def test_one_query_at_a_time_has_the_bits_of_the_whole(isa, dtype, group):
    """Few rows take another way through the tiles than many."""
    for head_dim in (13, 64):
        q, k, v = qkv(1, 140, 140, group, 1, head_dim)
        (k, k_scales), (v, v_scales) = stored(k, dtype), stored(v, dtype)
        for options in ({}, {"window": 70, "softcap": 1.5}):
            whole = attend(q, (k, k_scales), (v, v_scales), **options)
            for i in (0, 1, 15, 16, 31, 32, 63, 64, 65, 127, 128, 139):
                parts = (a if a is None else a[: i + 1] for a in (k, k_scales, v, v_scales))
                some = tuple(parts)
                one = attend(q[i : i + 1], some[:2], some[2:], **options)
                assert one.tobytes() == whole[i : i + 1].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nq", [1, 50])
def test_avx2_and_avx512_give_the_same_bits(dtype, nq):
    q, k, v = qkv(1, nq, 250, 14, 2, 64)
    assert_same_bits(lambda: attend(q, stored(k, dtype), stored(v, dtype)))


def test_heads_may_lie_apart(isa):
    for nq in (1, 40):
        q, k, v = qkv(0, nq, 130, 6, 2, 16)
        for dtype in DTYPES:
            pairs = stored(k, dtype), stored(v, dtype)
            heads_first = [
                [a if a is None else a.transpose(1, 0, 2).copy().transpose(1, 0, 2) for a in pair]
                for pair in pairs
            ]
            assert attend(q, *heads_first).tobytes() == attend(q, *pairs).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["model", "sliding"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_text_in_any_pieces_gives_the_same_bits(dtype, name, data, request):
    model = request.getfixturevalue(name)
    n = data.draw(st.integers(1, 450))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=6, unique=True)))
    ids = np.random.default_rng(n).integers(0, 259, n)
    whole = model.logits(ids, cache=pyqtf.KVCache(model.config, dtype))
    cache = pyqtf.KVCache(model.config, dtype)
    pieces = [model.logits(piece, cache=cache) for piece in np.split(ids, cuts) if len(piece)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert len(cache) == n
    if dtype == "f32":
        assert model.logits(ids).tobytes() == whole.tobytes()


@pytest.mark.parametrize("quant", ["f32", "q8", "q4"])
def test_a_model_attends_in_bfloat16_where_weights_are_quantised(quant, tmp_path):
    # Rows of 80 are quantised, rows of up to 64 are not.
    for hidden_size, attends in ((80, "f32" if quant == "f32" else "bf16"), (40, "f32")):
        folder = write_model(tmp_path / str(hidden_size), **{**SIZES, "hidden_size": hidden_size})
        model = pyqtf.load(folder, quant=quant)
        ids = np.random.default_rng(hidden_size).integers(0, 259, 200)
        alone = model.logits(ids).tobytes()
        through = {
            dtype: model.logits(ids, cache=pyqtf.KVCache(model.config, dtype)).tobytes()
            for dtype in (None, "f32", "bf16")
        }
        assert [dtype for dtype in through if through[dtype] == alone] == [None, attends]
        told = model(ids, output_attentions=True)
        assert told.logits.tobytes() == alone
        assert np.allclose(told.attentions[1].sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "q8"])
def test_threads_do_not_change_a_bit(dtype, model):
    ids = np.random.default_rng(0).integers(0, 259, 300)
    before = _core.get_num_threads()
    results = []
    for n in (1, 2, 3):
        _core.set_num_threads(n)
        cache = pyqtf.KVCache(model.config, dtype)
        results.append(model.logits(ids, cache=cache).tobytes())
        results[-1] += model.logits([7], cache=cache).tobytes()
    _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_fewer_bits_are_near_and_take_less_memory(model):
    ids = np.random.default_rng(0).integers(0, 259, 200)
    exact = model.logits(ids)
    caches = {dtype: pyqtf.KVCache(model.config, dtype) for dtype in DTYPES}
    errors = {
        dtype: np.abs(model.logits(ids, cache=cache) - exact).max() / exact.std()
        for dtype, cache in caches.items()
    }
    assert errors["f32"] == 0 < errors["f16"] < errors["bf16"] / 4 < 1e-2 < errors["q8"] < 0.2
    # Of 2 layers, keys and values, 2 heads: 18 numbers and for q8 one scale.
    head_bytes = {"f32": 18 * 4, "f16": 18 * 2, "bf16": 18 * 2, "q8": 18 + 4}
    for dtype, cache in caches.items():
        assert cache.bytes_per_token == 2 * 2 * 2 * head_bytes[dtype]
        assert cache.nbytes == 200 * cache.bytes_per_token


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_s_layer_forgets(dtype, sliding):
    cache = pyqtf.KVCache(sliding.config, dtype)
    ids = np.random.default_rng(5).integers(0, 259, 600)
    for i in range(0, 600, 20):
        sliding.logits(ids[i : i + 20], cache=cache)
    # The other layer keeps all; room is half as much again at most, and a window's layer holds two
    # windows, a tile and a piece at most.
    layer = cache.bytes_per_token / 2
    assert 600 * layer <= cache.nbytes <= 1.5 * layer * (600 + 2 * WINDOW + 64 + 20)


def test_what_a_long_text_takes_is_known_before(sliding):
    cache, held = pyqtf.KVCache(sliding.config, "f16"), []
    for i in range(600):
        sliding.logits([i % 259], cache=cache)
        held.append(len(cache) - cache._forgotten[0])
    layer = cache.bytes_per_token // 2
    told = cache_bytes(sliding.config, "f16", 600) // layer - 600
    assert 2 * WINDOW < max(held) <= told <= 2 * WINDOW + 64
    # As long as nothing is forgotten, exactly.
    assert cache_bytes(sliding.config, "f16", WINDOW) == 2 * WINDOW * layer


def test_what_is_forgotten_can_not_be_gone_back_to(sliding):
    cache = pyqtf.KVCache(sliding.config)
    ids = np.random.default_rng(5).integers(0, 259, 400)
    whole = sliding.logits(ids)
    sliding.logits(ids[:390], cache=cache)
    with pytest.raises(ValueError, match="length 100: layer 0 has forgotten the first 320 tokens"):
        cache.truncate(100)
    assert len(cache) == 390
    cache.truncate(389)
    assert sliding.logits(ids[389:], cache=cache).tobytes() == whole[389:].tobytes()
    cache.truncate(0)
    assert sliding.logits(ids, cache=cache).tobytes() == whole.tobytes()


def test_a_text_is_written_behind_what_was_read(model):
    ids = np.frombuffer(b"Once upon a time", np.uint8).astype(np.int64)
    expected = model.generate(ids, max_tokens=30, temperature=2.0, seed=0)
    cache = pyqtf.KVCache(model.config)
    model.logits(ids[:9], cache=cache)
    options = {"max_tokens": 30, "temperature": 2.0, "seed": 0, "cache": cache}
    assert model.generate(ids[9:], **options) == expected
    assert "".join(model.stream("x", max_tokens=9, cache=pyqtf.KVCache(model.config, "q8")))
    with pytest.raises(ValueError, match="tokens are more than full can read at once"):
        model.generate([1] * 680, cache=cache)
    room = model.config.max_position_embeddings - len(cache)
    model.logits([1] * room, cache=cache)
    assert len(cache) == 700


def test_a_cache_of_something_else_is_refused(model, sliding):
    for cache in ("q8", {}, [1, 2]):
        with pytest.raises(TypeError, match=r"expected pyqtf.KVCache\(model.config\)"):
            model.generate("a", cache=cache)
        with pytest.raises(TypeError, match=r"expected pyqtf.KVCache\(model.config\)"):
            model.logits([1], cache=cache)
    with pytest.raises(ValueError, match="the cache is for a model of another shape"):
        model.logits([1], cache=pyqtf.KVCache(sliding.config))
    with pytest.raises(TypeError, match="config is a Model; expected"):
        pyqtf.KVCache(model)


def test_a_cache_that_another_text_went_into_is_refused(model):
    cache = pyqtf.KVCache(model.config)
    first, second = (model.stream(text, cache=cache) for text in ("Once", "The cat"))
    next(first)
    with pytest.raises(ValueError, match="held 0 tokens of this text and holds 4 now"):
        next(second)
    model.logits([5], cache=cache)
    with pytest.raises(ValueError, match=r"give each text .* a cache of its own"):
        list(first)


def test_what_can_not_be_stored_is_said(model):
    with pytest.raises(ValueError, match="dtype: expected one of f32, f16, bf16, q8, got 'q4'"):
        pyqtf.KVCache(model.config, "q4")
    shape = 3, model.config.n_kv_heads, model.config.head_dim
    large = np.full(shape, 7e4, np.float32)
    with pytest.raises(ValueError, match='above 65504: use dtype="bf16" or "f32"'):
        pyqtf.KVCache(model.config, "f16").append(0, large, large)
    pyqtf.KVCache(model.config, "bf16").append(0, large, large)
    for bad in (np.nan, -np.inf, 3.4e38):  # which is rounded to infinity
        large[1, 1, 5] = bad
        with pytest.raises(ValueError, match="x: expected finite numbers"):
            pyqtf.KVCache(model.config, "bf16").append(0, large, large)
    large[1, 1, 5] = np.nan
    with pytest.raises(ValueError, match="x: expected finite numbers"):
        pyqtf.KVCache(model.config, "q8").append(0, large, large)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": np.zeros((4, 2, 8), np.float32)}, TypeError, "k: expected dtype int8, got float32"),
        ({"k_scales": None}, TypeError, "k: expected dtype float32, got int8"),
        ({"v_scales": np.zeros((4, 2, 2), np.float32)}, ValueError, "v_scales: expected 4 rows of"),
        ({"v_scales": np.zeros((3, 2, 1), np.float32)}, ValueError, "v_scales: expected 4 rows of"),
        ({"v_scales": np.zeros((4, 2, 1))}, TypeError, "v_scales: expected dtype float32"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    q = np.zeros((1, 2, 8), np.float32)
    ends = np.array([0, 1]), np.array([0, 4])
    numbers, scales = np.zeros((4, 2, 8), np.int8), np.zeros((4, 2, 1), np.float32)
    arguments = {"k": numbers, "v": numbers, "k_scales": scales, "v_scales": scales, **change}
    k, v = arguments.pop("k"), arguments.pop("v")
    with pytest.raises(error, match=message):
        _core.attention(q, k, v, *ends, 1.0, True, **arguments)


def test_the_target_of_integers_is_checked():
    x = np.zeros((4, 2, 8), np.float32)
    out, scales = stored(x, "q8")
    for bad in (out[:3], out[:, :, :7].copy()):
        with pytest.raises(ValueError, match="expected"):
            _core.quantise_heads(x, bad, scales)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected writable integers"):
        _core.quantise_heads(x, out, scales)
