"""The streaming loss against the float64 oracle, and the contract that rows never meet."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqtf import _core, ops

EPS = np.finfo(np.float32).eps


def problem(seed, rows, vocabulary, d, size=1.0):
    rng = np.random.default_rng(seed)
    hidden = size * rng.standard_normal((rows, d), dtype=np.float32)
    head = rng.standard_normal((vocabulary, d), dtype=np.float32)
    return hidden, head, rng.integers(0, vocabulary, rows)


def bits(results):
    return [a.tobytes() for a in results]


def check(results, hidden, packed, targets, top_k, bias=None, softcap=0.0):
    """Against the logits of the matrix product, which has tests of its own."""
    nll, rank, entropy, top_ids, top_logprobs = results
    logits = _core.matmul(hidden, packed, bias)
    logits = _core.softcap(logits, softcap) if softcap else logits
    expected = reference.cross_entropy(logits.astype(np.float64), targets, top_k)
    np.testing.assert_allclose(nll, expected[0], rtol=2e-6, atol=2e-6)
    np.testing.assert_array_equal(rank, expected[1])
    np.testing.assert_allclose(entropy, expected[2], rtol=3e-6, atol=3e-6)
    np.testing.assert_array_equal(top_ids, expected[3])
    np.testing.assert_allclose(top_logprobs, expected[4], rtol=2e-6, atol=2e-6)
    assert [a.dtype for a in results] == [
        np.float64, np.int64, np.float64, np.int64, np.float32,
    ]  # fmt: skip


@pytest.mark.parametrize("quant", ["q8", "f32"])
@pytest.mark.parametrize(
    "vocabulary", [1, 2, 15, 16, 17, 31, 32, 33, 511, 512, 513, 527, 1024, 1999]
)
def test_loss_equals_the_oracle_for_every_vocabulary(isa, vocabulary, quant):
    hidden, head, targets = problem(vocabulary, 7, vocabulary, 20)
    packed = _core.pack([head], quant, 20)
    for top_k in {0, 1, min(5, vocabulary)}:
        check(_core.loss(hidden, packed, targets, top_k), hidden, packed, targets, top_k)


@pytest.mark.parametrize("rows", [1, 2, 59, 60, 61, 240, 241, 480, 481, 1000])
def test_loss_equals_the_oracle_for_every_number_of_rows(isa, rows):
    hidden, head, targets = problem(rows, rows, 700, 8)
    packed = _core.pack([head], "f32")
    check(_core.loss(hidden, packed, targets, 3), hidden, packed, targets, 3)


def test_logits_of_every_size(isa):
    hidden, head, targets = problem(1, 6, 1100, 4)
    hidden *= np.array([0, 1e-30, 1, 100, 1e4, -1e4], np.float32)[:, None]
    packed = _core.pack([head], "f32")
    check(_core.loss(hidden, packed, targets, 10), hidden, packed, targets, 10)


def test_equal_logits(isa):
    vocabulary = 1300
    packed = _core.pack([np.ones((vocabulary, 3), np.float32)], "f32")
    targets = np.array([0, 700, 1299])
    nll, rank, entropy, ids, logprobs = _core.loss(
        np.ones((3, 3), np.float32), packed, targets, 600
    )
    np.testing.assert_allclose(nll, np.log(vocabulary), rtol=1e-15)
    np.testing.assert_allclose(entropy, np.log(vocabulary), rtol=1e-15)
    np.testing.assert_array_equal(rank, 1)
    np.testing.assert_array_equal(ids, np.tile(np.arange(600), (3, 1)))
    np.testing.assert_allclose(logprobs, -np.log(vocabulary), rtol=1e-6)


def test_every_token_of_the_vocabulary_in_order(isa):
    hidden, head, targets = problem(3, 4, 900, 6)
    head[450:] = head[:450]
    packed = _core.pack([head], "f32")
    check(_core.loss(hidden, packed, targets, 900), hidden, packed, targets, 900)


def test_a_sure_prediction_keeps_its_small_loss(isa):
    head = np.zeros((1100, 1), np.float32)
    head[7] = 1.0
    packed = _core.pack([head], "f32")
    sizes = np.array([[8.0], [12.0], [20.0], [1e4]], np.float32)
    nll, rank, entropy, *_ = _core.loss(sizes, packed, np.full(4, 7))
    np.testing.assert_allclose(nll, np.log1p(1099 * np.exp(-sizes[:, 0])), rtol=1e-4, atol=1e-7)
    assert np.all(nll >= 0) and np.all(entropy >= 0) and np.all(rank == 1)
    assert nll[3] == 0


def test_an_impossible_token_keeps_its_large_loss(isa):
    head = np.zeros((600, 1), np.float32)
    head[7] = 1.0
    packed = _core.pack([head], "f32")
    nll, rank, *_ = _core.loss(np.array([[-1e4]], np.float32), packed, np.array([7]))
    np.testing.assert_allclose(nll, 1e4 + np.log(599), rtol=1e-12)
    assert rank[0] == 600


@pytest.mark.parametrize("quant", ["q8", "f32"])
@pytest.mark.parametrize("softcap", [0.0, 2.0, 30.0])
@pytest.mark.parametrize("vocabulary", [1, 31, 33, 511, 513, 1999])
def test_bias_and_softcap_equal_the_oracle(isa, vocabulary, softcap, quant):
    hidden, head, targets = problem(vocabulary, 62, vocabulary, 20)
    packed = _core.pack([head], quant, 20)
    bias = 3 * np.random.default_rng(0).standard_normal(vocabulary, dtype=np.float32)
    top_k = min(5, vocabulary)
    for b in (None, bias):
        results = _core.loss(hidden, packed, targets, top_k, b, softcap)
        check(results, hidden, packed, targets, top_k, b, softcap)
        alone = _core.loss(hidden[40:41], packed, targets[40:41], top_k, b, softcap)
        assert bits(alone) == bits([result[40:41] for result in results])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_row_has_the_same_bits_alone_and_among_others(data):
    rows = data.draw(st.integers(1, 300))
    vocabulary = data.draw(st.integers(1, 1200))
    quant = data.draw(st.sampled_from(["q8", "f32"]))
    hidden, head, targets = problem(rows + vocabulary, rows, vocabulary, 12)
    packed = _core.pack([head], quant, 12)
    top_k = data.draw(st.integers(0, min(vocabulary, 20)))
    together = _core.loss(hidden, packed, targets, top_k)
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    part = _core.loss(hidden[first:last].copy(), packed, targets[first:last], top_k)
    assert bits(part) == bits([a[first:last] for a in together])
    assert np.all(together[0] >= 0) and np.all(together[2] >= 0)
    assert np.all((together[1] >= 1) & (together[1] <= vocabulary))


@pytest.mark.parametrize("rows", [1, 70, 500])
def test_threads_do_not_change_a_bit(isa, rows):
    hidden, head, targets = problem(rows, rows, 3000, 16)
    packed = _core.pack([head], "q8", 16)
    before = _core.get_num_threads()
    results = []
    for n in (1, 2, 3):
        _core.set_num_threads(n)
        results.append(bits(_core.loss(hidden, packed, targets, 4)))
    _core.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("quant", ["q8", "q4", "f32"])
def test_avx2_and_avx512_give_the_same_bits(quant):
    if "avx512vnni" not in _core.cpu_info()["available"]:
        pytest.skip("this processor or build lacks avx512vnni")
    hidden, head, targets = problem(5, 33, 1777, 130, 0.3)
    packed = _core.pack([head], quant)
    before = _core.cpu_info()["isa"]
    results = []
    for name in ("avx2", "avx512vnni"):
        _core.use_isa(name)
        results.append(bits(_core.loss(hidden, packed, targets, 7)))
    _core.use_isa(before)
    assert results[0] == results[1]


def test_no_rows_give_no_results():
    packed = _core.pack([np.ones((3, 4), np.float32)], "q8", 4)
    results = _core.loss(np.empty((0, 4), np.float32), packed, np.empty(0, np.int64), 2)
    assert [a.shape for a in results] == [(0,), (0,), (0,), (0, 2), (0, 2)]


HIDDEN, HEAD, TARGETS = problem(0, 4, 40, 8)
PACKED = _core.pack([HEAD], "f32")


def spoiled(value):
    hidden = HIDDEN.copy()
    hidden[2, 3] = value
    return hidden


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: _core.loss(HIDDEN, HEAD, TARGETS), TypeError, "head: "),
        (lambda: _core.loss(HIDDEN[0], PACKED, TARGETS), ValueError, "hidden: expected 2 dim"),
        (lambda: _core.loss(HIDDEN[:, :7].copy(), PACKED, TARGETS), ValueError, "8 columns, got 7"),
        (lambda: _core.loss(HIDDEN, PACKED, TARGETS[:3]), ValueError, "targets: .*4 rows, got 3"),
        (
            lambda: _core.loss(HIDDEN, PACKED, TARGETS * 0 - 1),
            ValueError,
            r"targets\[0\]: .*got -1",
        ),
        (lambda: _core.loss(HIDDEN, PACKED, TARGETS * 0 + 40), ValueError, "0 to 39, .*got 40"),
        (lambda: _core.loss(HIDDEN, PACKED, TARGETS, -1), ValueError, "top_k: .*got -1"),
        (lambda: _core.loss(HIDDEN, PACKED, TARGETS, 41), ValueError, "top_k: .*0 to 40.*got 41"),
        (lambda: _core.loss(spoiled(np.nan), PACKED, TARGETS), ValueError, r"hidden\[2, 3\].*nan"),
        (lambda: _core.loss(spoiled(np.inf), PACKED, TARGETS), ValueError, r"\[2, 3\].*infinity"),
        (lambda: _core.loss(spoiled(3e38), PACKED, TARGETS), ValueError, "a logit overflows"),
        (lambda: ops.cross_entropy(HIDDEN, HEAD, [0.5] * 4), TypeError, "targets: expected whole"),
        (lambda: ops.cross_entropy(HIDDEN[0], HEAD, [1]), ValueError, "hidden: expected 2 dim"),
        (
            lambda: _core.loss(HIDDEN, PACKED, TARGETS, bias=np.ones(3, np.float32)),
            ValueError,
            "bias: expected one for each of head's .* rows, got 3",
        ),
        (
            lambda: _core.loss(HIDDEN, PACKED, TARGETS, softcap=-1.0),
            ValueError,
            "softcap: expected a finite number",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_quantised_head_refuses_what_is_not_finite(isa):
    packed = _core.pack([HEAD], "q8", 8)
    with pytest.raises(ValueError, match=r"hidden\[2, 3\]: expected finite numbers, got nan"):
        _core.loss(spoiled(np.nan), packed, TARGETS)


def test_cross_entropy_equals_torch():
    torch = pytest.importorskip("torch")
    hidden, head, targets = problem(9, 30, 777, 16)
    result = ops.cross_entropy(hidden, head, targets, top_k=5)
    logits = torch.tensor(hidden).double() @ torch.tensor(head).double().T
    distribution = torch.distributions.Categorical(logits=logits)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="none")
    np.testing.assert_allclose(result.nll, expected.numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(result.entropy, distribution.entropy().numpy(), rtol=0, atol=1e-5)
    top = torch.topk(logits.log_softmax(-1), 5)
    np.testing.assert_array_equal(result.top_ids, top.indices.numpy())
    np.testing.assert_allclose(result.top_logprobs, top.values.numpy(), rtol=0, atol=1e-5)
