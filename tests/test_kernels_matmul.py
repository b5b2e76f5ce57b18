"""Packing, quantising and matrix products, on every instruction set, against the oracle."""

import weakref

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core, ops

EPS = np.finfo(np.float32).eps
ODD = [1, 15, 16, 17, 31, 32, 33, 97]
SHAPES = [(13, n, 67) for n in ODD] + [(7, 41, k) for k in [1, 2, 3, 5, *ODD, 127, 128, 129, 509]]
QUANTS = ["q8", "q4", "f32"]
SHAPES += [(rows, 37, 131) for rows in range(1, 27)] + [(251, 70, 300)]


def randoms(seed: int, *shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint32)


def check_q4(x: np.ndarray, w: np.ndarray) -> None:
    """The packed bytes mean what the format says; groups are exact as in q8."""
    packed = _core.pack([w], "q4")
    want, magnitude = reference.matmul_q4(x, _core.packed(packed)[0], len(w))
    roundings = 2 * -(-x.shape[1] // 128) + 4
    assert np.all(np.abs(_core.matmul(x, packed) - want) <= roundings * EPS * magnitude + 1e-36)


def product(x: np.ndarray, w: np.ndarray, quant: str, group: int = 128) -> np.ndarray:
    return _core.matmul(x, _core.pack([w], quant, group))


def check_q8(x: np.ndarray, w: np.ndarray, group: int) -> None:
    """Groups are exact; each addition and scale product rounds once or twice."""
    want, magnitude = reference.matmul_q8(x, w, group)
    got = product(x, w, "q8", group)
    roundings = 2 * -(-x.shape[1] // group) + 4
    assert np.all(np.abs(got - want) <= roundings * EPS * magnitude + 1e-36)


@pytest.mark.parametrize(("rows", "n", "k"), SHAPES)
def test_q8_equals_the_oracle(isa, rows, n, k):
    x, w = randoms(rows * 1000 + n + k, (rows, k), (n, k))
    for group in (4, 32, 128):
        check_q8(x, w, group)


@pytest.mark.parametrize(("rows", "n", "k"), SHAPES)
def test_q4_equals_the_oracle(isa, rows, n, k):
    x, w = randoms(rows * 1000 + n + k, (rows, k), (n, k))
    check_q4(x, w)


@pytest.mark.parametrize(("rows", "n", "k"), SHAPES)
def test_f32_equals_the_oracle(isa, rows, n, k):
    x, w = randoms(rows * 1000 + n + k, (rows, k), (n, k))
    want, magnitude = reference.matmul_f32(x, w)
    assert np.all(np.abs(product(x, w, "f32") - want) <= (k + 2) * EPS * magnitude)


def aligned(data: np.ndarray) -> np.ndarray:
    """A copy whose memory starts at a multiple of 64, as packed data must."""
    room = np.empty(data.nbytes + 64, np.uint8)
    room = room[-room.ctypes.data % 64 :][: data.nbytes]
    room[:] = data.reshape(-1).view(np.uint8)
    return room


def from_integers(w: np.ndarray, group: int) -> _core.Matrix:
    """A q8 matrix of w [n, k] in -128 … 127 with scales of 1, as a file may hold it."""
    n, k = w.shape
    panels, k4 = -(-n // 32), -(-k // 4)
    padded = np.full((32 * panels, 4 * k4), 128, np.uint8)
    padded[:n, :k] = w + 128
    data = padded.reshape(panels, 32, k4, 4).swapaxes(1, 2)
    scales = aligned(np.ones((panels, -(-k // group), 32), np.float32)).view(np.float32)
    return _core.from_packed(aligned(np.ascontiguousarray(data)), scales, w.shape, "q8", group)


@pytest.mark.parametrize("group", [4, 128, 4096])
@pytest.mark.parametrize("rows", [3, 7])
def test_the_largest_sums_of_q8_are_exact(isa, rows, group):
    """Weights of -128 … 127 times ±127 over 4096 values and 4 more: all sums fit 32 bits."""
    k = 4096 + 4
    rng = np.random.default_rng(8)
    w = rng.choice(np.array([-128, -127, -64, 0, 1, 127]), (33, k))
    w[0], w[1], w[2, 0::2], w[2, 1::2] = 127, -128, 127, -128
    w[3] = 64  # neighbours that add up to no more than 128
    w[4:] //= 1 + np.arange(29)[:, None]  # columns with large pairs beside columns without
    x = np.full((rows, k), 127, np.float32)
    x[1] = -127
    x[2, ::2] = -127
    want = x.astype(np.int64) @ w.T
    assert want.min() == -127 * 128 * k
    magnitude = np.abs(x.astype(np.int64)) @ np.abs(w.T)
    error = np.abs(_core.matmul(x, from_integers(w, group)) - want)
    assert np.all(error <= (k // group + 2) * EPS * magnitude)


@pytest.mark.parametrize("pair", [(64, 64), (127, 1), (65, 64), (-64, -65), (-128, -1)])
def test_products_next_to_16_bits_are_exact(isa, pair):
    """255 times 128 fits 16 bits, times 129 it does not."""
    w = np.tile(np.array(pair), (32, 64))
    x = np.full((7, 128), 127, np.float32)
    assert np.array_equal(_core.matmul(x, from_integers(w, 128)), x.astype(np.int64) @ w.T)


@pytest.mark.parametrize("group", [128, 256])
def test_neighbours_in_long_groups_add_up_to_128_at_most(isa, group):
    """Heavy tails, huge values whose sum overflows, and single large ones."""
    rng = np.random.default_rng(group)
    w = rng.standard_t(2, (64, 512)).astype(np.float32)
    w[0] = np.float32(3e38)
    w[1, 5] = 1e6
    packed = _core.pack([w], "q8", group)
    data, scales = _core.packed(packed)
    integers = data.reshape(2, 128, 32, 4).swapaxes(1, 2).reshape(64, 512).astype(np.int64) - 128
    pairs = np.abs(integers).reshape(64, 256, 2).sum(axis=2)
    assert pairs.max() == 128
    assert pairs.reshape(64, -1, group // 2).max(axis=2).min() >= 126  # nothing is given away
    want, _ = reference.quantise_weights(w, group)
    assert np.array_equal(integers, want)
    assert np.isfinite(np.frombuffer(scales, np.float32)).all()


def test_the_largest_sums_of_q4_are_exact(isa):
    """Codes 0 and 15 times ±127 over each run: 16-bit sums reach 30 480 and wrap nowhere."""
    k, n = 2 * 128, 64
    rng = np.random.default_rng(3)
    blocks = np.zeros((n // 32, k // 128, 2368), np.uint8)
    blocks[:, :, 1:64:2] = 0x3F  # 1, the upper half of a float
    blocks[:, :, 0:64:2] = 0x80
    blocks[:, :, 64:192] = 17
    blocks[1, :, 192:320] = rng.choice([0, 255], (2, 128))
    blocks[0, :, 320:] = 0xFF
    blocks[1, :, 320:] = rng.choice([0x00, 0x0F, 0xF0, 0xFF], (2, 2048))
    data = aligned(blocks)
    packed = _core.from_packed(data, np.empty(0, np.float32), (n, k), "q4", 128)
    w, _ = reference.unpack_q4(data, n, k)
    assert np.array_equal(packed.dequantize(), w.astype(np.float32))
    x = np.full((7, k), 127, np.float32)
    x[1] = -127
    x[2, ::2] = -127
    x[3, 64:] = 0
    want = x.astype(np.int64) @ w.T
    assert np.abs(want).max() == 17 * 15 * 127 * k < 2**24  # exact in float32
    assert np.array_equal(_core.matmul(x, packed), want)


@pytest.mark.parametrize("quant", QUANTS)
def test_instruction_sets_with_fma_agree_bit_for_bit(quant):
    available = [i for i in _core.cpu_info()["available"] if i != "baseline"]
    before = _core.cpu_info()["isa"]
    x, w = randoms(7, (29, 301), (101, 301))
    try:
        results = []
        for isa in available:
            _core.use_isa(isa)
            results.append(product(x, w, quant))
    finally:
        _core.use_isa(before)
    for other in results[1:]:
        assert np.array_equal(bits(results[0]), bits(other))


@pytest.mark.parametrize("quant", QUANTS)
def test_packing_is_the_same_on_every_instruction_set(isa, quant):
    (w,) = randoms(3, (45, 150))
    here = _core.packed(_core.pack([w], quant))
    _core.use_isa("baseline")
    there = _core.packed(_core.pack([w], quant))
    assert [part.tobytes() for part in here] == [part.tobytes() for part in there]


@pytest.mark.parametrize("quant", QUANTS)
def test_rows_alone_equal_rows_in_a_batch(isa, quant):
    x, w = randoms(11, (50, 261), (75, 261))
    packed = _core.pack([w], quant)
    whole = _core.matmul(x, packed)
    for start, stop in [(0, 1), (3, 4), (49, 50), (0, 11), (5, 17), (1, 14), (7, 32)]:
        part = _core.matmul(x[start:stop], packed)
        assert np.array_equal(bits(part), bits(whole[start:stop])), (start, stop)


@pytest.mark.parametrize("quant", QUANTS)
def test_threads_do_not_change_a_bit(isa, quant):
    x, w = randoms(12, (300, 200), (515, 200))
    packed = _core.pack([w], quant)
    before = _core.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            results.append(_core.matmul(x, packed))
    finally:
        _core.set_num_threads(before)
    assert all(np.array_equal(bits(results[0]), bits(other)) for other in results[1:])


@pytest.mark.parametrize("quant", QUANTS)
def test_columns_do_not_depend_on_their_neighbours(isa, quant):
    x, w = randoms(13, (9, 90), (40, 90))
    whole = product(x, w, quant)
    assert np.array_equal(bits(whole[:, 35:37]), bits(product(x, w[35:37].copy(), quant)))


@pytest.mark.parametrize("quant", QUANTS)
def test_bias_and_residual_are_added_in_this_order(isa, quant):
    x, w = randoms(14, (26, 50), (45, 50))
    bias, residual = randoms(15, (1, 45), (26, 45))
    packed = _core.pack([w], quant)
    plain = _core.matmul(x, packed)
    assert np.array_equal(_core.matmul(x, packed, bias[0]), plain + bias[0])
    assert np.array_equal(_core.matmul(x, packed, None, residual), plain + residual)
    want = (plain + bias[0]) + residual
    out = residual.copy()
    assert _core.matmul(x, packed, bias[0], out, out) is out
    assert np.array_equal(out, want)


@pytest.mark.parametrize("quant", QUANTS)
@pytest.mark.parametrize("f", [32, 96, 45])
def test_swiglu_behind_the_product_changes_no_bit(isa, quant, f):
    x, w = randoms(24, (261, 70), (2 * f, 70))
    packed = _core.pack([w], quant)
    fused = _core.matmul_swiglu(x, packed)
    assert np.array_equal(bits(fused), bits(_core.swiglu(_core.matmul(x, packed))))
    assert np.array_equal(bits(_core.matmul_swiglu(x[7:8], packed)), bits(fused[7:8]))


@pytest.mark.parametrize("quants", [("f32", "f32"), ("q8", "q8"), ("q8", "q4"), ("q4", "q8")])
@pytest.mark.parametrize(
    ("rows", "f", "group"),
    [(261, 160, 128), (31, 160, 16), (1, 384, 128), (67, 96, 8), (5, 45, 16), (40, 64, 36)],
)
def test_a_whole_mlp_has_the_bits_of_its_products(isa, quants, rows, f, group):
    x, w = randoms(26, (rows, 70), (2 * f, 70))
    v, residual = randoms(27, (33, f), (rows, 33))
    gate_up = _core.pack([w], quants[0])
    down = _core.pack([v], quants[1], *([group] if quants[1] == "q8" else []))
    inner = _core.matmul_swiglu(x, gate_up)
    assert np.array_equal(bits(_core.swiglu_mlp(x, gate_up, down)), bits(_core.matmul(inner, down)))
    want = _core.matmul(inner, down, None, residual)
    assert np.array_equal(bits(_core.swiglu_mlp(x, gate_up, down, residual)), bits(want))
    out = residual.copy()
    assert _core.swiglu_mlp(x, gate_up, down, out, out) is out
    assert np.array_equal(bits(out), bits(want))
    last = _core.swiglu_mlp(x[-1:], gate_up, down, residual[-1:])
    assert np.array_equal(bits(last), bits(want[-1:]))


def test_a_whole_mlp_checks_its_arguments():
    x, w, v = randoms(28, (3, 8), (64, 8), (8, 32))
    gate_up, down = _core.pack([w]), _core.pack([v], "q8", 32)
    with pytest.raises(ValueError, match="gate_up: expected an even number of rows"):
        _core.swiglu_mlp(x, _core.pack([w[1:]]), down)
    with pytest.raises(ValueError, match=r"down: expected 32 columns.*got \[32, 8\]"):
        _core.swiglu_mlp(x, gate_up, _core.pack([v.T.copy()]))
    with pytest.raises(ValueError, match=r"residual: expected shape \[3, 8\], got \[2, 8\]"):
        _core.swiglu_mlp(x, gate_up, down, x[:2])
    shifted = np.zeros(32, np.float32)
    with pytest.raises(ValueError, match="shares no memory"):
        _core.swiglu_mlp(x, gate_up, down, shifted[:24].reshape(3, 8), shifted[8:].reshape(3, 8))
    want = _core.swiglu_mlp(x, gate_up, down)
    assert np.array_equal(_core.swiglu_mlp(x, gate_up, down, None, x), want)  # read before
    assert _core.swiglu_mlp(x[:0], gate_up, down).shape == (0, 8)
    # Each of these is finite; SwiGLU of them is not, and 8 bits cannot hold it.
    with pytest.raises(ValueError, match="expected finite"):
        _core.swiglu_mlp(np.full_like(x, 1e37), gate_up, down)


def test_swiglu_behind_the_product_checks_its_arguments():
    x, w = randoms(25, (3, 8), (5, 8))
    with pytest.raises(ValueError, match="an even number of rows"):
        _core.matmul_swiglu(x, _core.pack([w]))
    square = _core.pack([np.vstack([np.eye(8), np.eye(8)]).astype(np.float32)])
    with pytest.raises(ValueError, match="shares no memory"):
        _core.matmul_swiglu(x, square, x)
    x[1, 1] = np.nan
    with pytest.raises(ValueError, match="x: expected finite"):
        _core.matmul_swiglu(x, square)


def test_quantised_rows_are_the_definition(isa):
    (w,) = randoms(16, (70, 203))
    w[5] = 0
    w[6, :64] = 0
    w[7] *= 1e-30
    for group in (4, 64, 4096):
        packed = _core.pack([w], "q8", group)
        integers, scales = reference.quantise_weights(w, group)
        want = integers.astype(np.float32) * np.repeat(scales, group, axis=1)[:, :203]
        assert np.array_equal(packed.dequantize(), want)
        ids = np.array([69, 0, 5, 5], np.int64)
        assert np.array_equal(packed.rows(ids), want[ids])


@pytest.mark.parametrize("quant", QUANTS)
def test_parts_are_stacked_and_keep_their_types(isa, quant):
    a, b, c = randoms(17, (5, 37), (33, 37), (30, 37))
    half = b.astype(np.float16)
    words = (c.view(np.uint32) >> 16).astype(np.uint16)
    packed = _core.pack([a, half, words], quant)
    widened = np.vstack([a, half.astype(np.float32), (words.astype(np.uint32) << 16).view("f4")])
    assert packed.shape == (68, 37)
    assert np.array_equal(packed.dequantize(), _core.pack([widened], quant).dequantize())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_columns_are_scaled_before_packing(isa, dtype):
    w = randoms(23, (40, 77))[0].astype(dtype)
    scales = np.exp2(np.arange(77) % 9 - 4).astype(np.float32)
    want = _core.pack([w * scales.astype(dtype)], "q8", 32).dequantize()
    got = _core.pack([w], "q8", 32, column_scales=scales).dequantize()
    assert np.array_equal(got, want)
    with pytest.raises(ValueError, match="column_scales: expected 77 elements, got 76"):
        _core.pack([w], column_scales=scales[:76].copy())


def test_half_precision_is_widened_exactly(isa):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves)]).reshape(32, -1)
    assert np.array_equal(_core.pack([halves], "f32").dequantize(), halves.astype(np.float32))
    words = np.arange(65536, dtype=np.uint16)
    values = (words.astype(np.uint32) << 16).view(np.float32)
    finite = np.isfinite(values)
    packed = _core.pack([words[finite][None]], "f32")
    assert np.array_equal(bits(packed.dequantize()[0]), bits(values[finite]))


def test_zeros_and_denormals(isa):
    x, w = randoms(18, (4, 64), (33, 64))
    for quant in ("q8", "q4"):
        assert not product(np.zeros_like(x), w, quant).any()
        assert not product(x, np.zeros_like(w), quant).any()
        assert not product(x, w * np.float32(1e-39), quant).any()
    check_q4(x * np.float32(1e-44), w)
    check_q4(x * np.float32(1e-37), w * np.float32(1e30))
    check_q8(x * np.float32(1e-44), w, 32)
    check_q8(x * np.float32(1e-37), w * np.float32(1e30), 32)
    x[:, :32] = 0
    check_q8(x, w, 32)
    w[:, 32:] = 0
    w[4] = 0
    check_q4(x, w)


def test_outliers(isa):
    x, w = randoms(19, (6, 200), (40, 200))
    x[:, [3, 77]] *= 1000
    w[:, 100] *= 1000
    check_q8(x, w, 64)
    check_q8(x * np.float32(1e30), w, 64)
    check_q4(x * np.float32(1e30), w)
    w[7] *= np.float32(3e34)  # 1e38: sums of squares would overflow
    check_q4(x, w)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(isa, bad):
    x, w = randoms(20, (3, 70), (35, 70))
    for at in [(0, 0), (2, 69), (1, 15), (1, 64)]:
        broken = x.copy()
        broken[at] = bad
        with pytest.raises(ValueError, match="x: expected finite"):
            product(broken, w, "q8")
        with pytest.raises(ValueError, match="x: expected finite"):
            product(broken, w, "q4")
        row = product(broken, w, "f32")
        assert not np.isfinite(row[at[0]]).any()
        assert np.isfinite(np.delete(row, at[0], axis=0)).all()
    for quant in QUANTS:
        for dtype in (np.float32, np.float16):
            for at in [(0, 0), (34, 69), (20, 16)]:
                broken = w.astype(dtype)
                broken[at] = bad
                with pytest.raises(ValueError, match=r"parts\[1\]: expected finite"):
                    _core.pack([w, broken], quant)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shape_scale_and_group(data):
    rows, n, k = (data.draw(st.integers(1, top)) for top in (30, 80, 300))
    group = 4 * data.draw(st.integers(1, 100))
    x, w = randoms(data.draw(st.integers(0, 10**6)), (rows, k), (n, k))
    x *= np.float32(10.0 ** data.draw(st.integers(-30, 15)))
    w *= np.float32(10.0 ** data.draw(st.integers(-20, 15)))
    before = _core.cpu_info()["isa"]
    try:
        for isa in _core.cpu_info()["available"]:
            _core.use_isa(isa)
            check_q8(x, w, group)
            check_q4(x, w)
    finally:
        _core.use_isa(before)


def test_empty_batch():
    (w,) = randoms(21, (5, 8))
    for quant in ("q8", "f32"):
        assert product(np.zeros((0, 8), np.float32), w, quant).shape == (0, 5)
    assert _core.pack([w]).rows(np.zeros(0, np.int64)).shape == (0, 8)


def test_arguments_are_checked():
    x, w = randoms(22, (2, 8), (5, 8))
    packed = ops.quantize(w)
    assert packed.shape == (5, 8) and packed.quant == "q8" and packed.group == 128
    assert packed.nbytes == 32 * 8 + 32 * 4
    assert repr(packed) == "<pyqtf Matrix [5, 8] q8>"
    with pytest.raises(TypeError, match="expected a Matrix"):
        _core.matmul(x, w)
    with pytest.raises(TypeError, match="w: expected real numbers"):
        ops.matmul(x, w.astype(np.complex64))
    with pytest.raises(TypeError, match=r"out: expected .*float32"):
        ops.matmul(x, packed, out=np.zeros((2, 5)))
    with pytest.raises(ValueError, match="x: expected 8 columns"):
        ops.matmul(x[:, :5].copy(), packed)
    with pytest.raises(ValueError, match="bias: expected 5 elements, got 4"):
        ops.matmul(x, packed, np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="residual: expected shape"):
        ops.matmul(x, packed, residual=np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="out: expected 5 along axis 1"):
        ops.matmul(x, packed, out=np.zeros((2, 4), np.float32))
    square = ops.quantize(np.eye(8, dtype=np.float32))
    with pytest.raises(ValueError, match="shares no memory"):
        ops.matmul(x, square, out=x)
    for group in (0, 3, 5, -4, 4100):
        with pytest.raises(ValueError, match="multiple of 4"):
            ops.quantize(w, group=group)
    with pytest.raises(ValueError, match="'q8', 'q4' or 'f32', got 'q3'"):
        ops.quantize(w, "q3")
    with pytest.raises(TypeError, match="uint16"):
        ops.quantize(w.astype(np.float64))
    with pytest.raises(ValueError, match=r"parts\[1\]: expected at least one row of 8 columns"):
        _core.pack([w, x[:, :4].copy()])
    with pytest.raises(ValueError, match="at least one row"):
        ops.quantize(np.zeros((0, 8), np.float32))
    with pytest.raises(ValueError, match="empty list"):
        _core.pack([])
    for ids in ([5], [-1], [0, 1, 2**40]):
        with pytest.raises(IndexError, match="from 0 to 4"):
            packed.rows(np.array(ids, np.int64))


def test_numbers_of_other_types_are_converted():
    x, w, bias = randoms(23, (2, 8), (5, 8), (5,))
    expected = ops.matmul(x, w, bias, residual=np.ones((2, 5), np.float32))
    wide = [array.astype(np.float64) for array in (x, w, bias)]
    assert np.array_equal(ops.matmul(*wide, residual=np.ones((2, 5), np.int64)), expected)
    lists = ops.matmul(x.tolist(), w.tolist(), bias.tolist())
    assert np.array_equal(lists, ops.matmul(x, w, bias))


@pytest.mark.parametrize("quant", QUANTS)
def test_an_iterator_is_packed_as_the_list_is(quant):
    (w,) = randoms(21, (37, 20))
    whole = _core.pack([w], quant)
    alive = []

    def blocks(sizes):
        for part in np.split(w, np.cumsum(sizes)[:-1]):
            block = part.copy()
            alive.append(weakref.ref(block))
            yield block
            del block, part
            assert alive[-1]() is None  # dropped before the next is asked for

    for sizes in ([37], [1, 15, 16, 5], [1] * 37):
        packed = _core.pack(blocks(sizes), quant, shape=(37, 20))
        assert packed.dequantize().tobytes() == whole.dequantize().tobytes()
        assert _core.matmul(w, packed).tobytes() == _core.matmul(w, whole).tobytes()


def test_an_iterator_that_does_not_fit_its_shape_is_refused():
    (w,) = randoms(22, (5, 8))
    for parts, shape, message in [
        ([w], (6, 8), "expected 6 rows, as shape says, got 5"),
        ([], (6, 8), "got 0"),
        ([w, w], (6, 8), "expected 6 rows, as shape says, got more"),
        ([w], (5, 9), "row of 9 columns"),
        ([w], (0, 8), "positive sizes"),
        ([w], (5, -8), "positive sizes"),
    ]:
        with pytest.raises(ValueError, match=message):
            _core.pack(iter(parts), "f32", shape=shape)
    with pytest.raises(TypeError, match="shape"):
        _core.pack([w], shape=(5,))
    with pytest.raises((MemoryError, ValueError)):
        _core.pack(iter([w]), shape=(2**62, 2**62))
    with pytest.raises(TypeError, match="iterable"):
        _core.pack(5, shape=(5, 8))

    def broken():
        yield w[:2]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        _core.pack(broken(), shape=(5, 8))
