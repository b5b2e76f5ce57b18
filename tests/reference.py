"""The oracle: what each kernel means, in NumPy, as directly as it can be said."""

from __future__ import annotations

import math

import numpy as np


def quantise_groups(
    x: np.ndarray, group: int, paired: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Integers [rows, k] and scales [rows, n_groups] of the rows of float32 x [rows, k].

    In float32 step by step, so that every rounding is the definition's. With `paired` the scale
    takes the largest sum of two neighbours' magnitudes to 127, not the largest magnitude.
    """
    rows, k = x.shape
    integers = np.zeros((rows, k), np.int64)
    scales = np.zeros((rows, -(-k // group)), np.float32)
    for g in range(scales.shape[1]):
        part = x[:, g * group : (g + 1) * group]
        if paired:
            halves = np.pad(np.abs(part) / np.float32(2), ((0, 0), (0, part.shape[1] % 2)))
            scale = (halves[:, 0::2] + halves[:, 1::2]).max(axis=1) / np.float32(63.5)
        else:
            scale = np.abs(part).max(axis=1) / np.float32(127)
        scale[scale < np.finfo(np.float32).tiny] = 0
        with np.errstate(divide="ignore"):
            inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
        integers[:, g * group : (g + 1) * group] = np.rint(part * inverse[:, None])
        scales[:, g] = scale
    return integers, scales


def quantise_weights(w: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
    """The integers and scales of q8 weights."""
    return quantise_groups(w, group, paired=group >= 128)


def dequantise(integers: np.ndarray, scales: np.ndarray, group: int) -> np.ndarray:
    """The float64 values that integers [rows, k] with scales [rows, n_groups] stand for."""
    return integers * np.repeat(scales.astype(np.float64), group, axis=1)[:, : integers.shape[1]]


def matmul_q8(x: np.ndarray, w: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
    """x [rows, k] · wᵀ, both quantised to q8, and the sum of the groups' magnitudes, in float64."""
    return _add_groups(*quantise_groups(x, group), *quantise_weights(w, group), group)


def _add_groups(x_int, x_scales, w_int, w_scales, group):
    total = np.zeros((len(x_int), len(w_int)))
    magnitude = np.zeros_like(total)
    for g in range(x_scales.shape[1]):
        at = slice(g * group, (g + 1) * group)
        dots = (x_int[:, at] @ w_int[:, at].T).astype(np.float64)
        terms = dots * x_scales[:, g, None].astype(np.float64) * w_scales[:, g].astype(np.float64)
        total += terms
        magnitude += np.abs(terms)
    return total, magnitude


def unpack_q4(data: np.ndarray, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers [n, 128 * n_groups] and float64 scales [n, n_groups] from q4's packed bytes.

    An integer is scale * code - minimum. A block is 32 rows by 128 columns: 32 upper halves of
    floats, 4 x 32 scales, 2 x 32 x 2 minima, and codes of [4 runs, 8 steps, 16 rows, 4 columns],
    where the low four bits are of rows 0 to 15 and the high ones of rows 16 to 31.
    """
    blocks = data.reshape(-(-n // 32), -(-k // 128), 2368)
    panels, groups, _ = blocks.shape
    words = np.ascontiguousarray(blocks[:, :, :64]).view("<u2").astype(np.uint32) << 16
    scales = blocks[:, :, 64:192].reshape(panels, groups, 4, 32).astype(np.int64)
    minima = blocks[:, :, 192:320].reshape(panels, groups, 2, 32, 2).swapaxes(3, 4)
    bytes_ = blocks[:, :, 320:].reshape(panels, groups, 4, 8, 16, 4)
    codes = np.concatenate([bytes_ & 15, bytes_ >> 4], axis=4)  # [..., run, step, row, column]
    codes = codes.swapaxes(3, 4).reshape(panels, groups, 4, 32, 32).astype(np.int64)
    integers = scales[..., None] * codes - minima.reshape(scales.shape).astype(np.int64)[..., None]
    rows = integers.transpose(0, 3, 1, 2, 4).reshape(32 * panels, 128 * groups)
    d = words.view(np.float32).swapaxes(1, 2).reshape(32 * panels, groups)
    return rows[:n], d[:n].astype(np.float64)


def grid_q4(data: np.ndarray, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and minimum of each weight [n, k] in q4's packed bytes, see `unpack_q4`."""
    blocks = data.reshape(-(-n // 32), -(-k // 128), 2368)
    panels, groups, _ = blocks.shape
    scales = blocks[:, :, 64:192].reshape(panels, groups, 4, 32)
    minima = blocks[:, :, 192:320].reshape(panels, groups, 2, 32, 2).swapaxes(3, 4)
    rows = (
        part.reshape(panels, groups, 4, 32).transpose(0, 3, 1, 2).reshape(32 * panels, -1)
        for part in (scales, minima)
    )
    scale, minimum = (np.repeat(part, 32, axis=1)[:n, :k].astype(np.int64) for part in rows)
    return scale, minimum


def feedback_targets(
    w: np.ndarray, q: np.ndarray, x: np.ndarray, gap: np.ndarray, damping: float
) -> np.ndarray:
    """What each weight of W [n, k] should be, given that those behind it are rounded to Q's.

    The columns up to j that make the sum over tokens of ``|(W - Q) x + gap|**2`` least, with the
    share `damping` of each column's own square added, while the columns behind j are Q's: the last
    of them is the target for column j.
    """
    h = x.T @ x
    h[np.diag_indices(len(h))] *= 1 + damping
    cross = gap.astype(np.float64).T @ x
    off = w.astype(np.float64) - q
    targets = np.empty(w.shape)
    for j in range(w.shape[1]):
        known = off[:, j + 1 :] @ h[j + 1 :, : j + 1] + cross[:, : j + 1]
        free = -np.linalg.solve(h[: j + 1, : j + 1], known.T).T
        targets[:, j] = w[:, j] - free[:, j]
    return targets


def quantise_q4(
    w: np.ndarray, importance: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What `unpack_q4` finds in float32 w [n, k] packed: csrc/core/matmul.h has the method.

    In float32 step by step, sums in ascending order, so that every rounding is the definition's.
    """
    n, k = w.shape
    groups = -(-k // 128)
    weight = np.ones(k, np.float32) if importance is None else importance
    integers, d = np.zeros((n, 128 * groups), np.int64), np.zeros((n, groups))
    with np.errstate(all="ignore"):
        for g in range(groups):
            at = slice(128 * g, min(128 * (g + 1), k))
            x, top = w[:, at], np.abs(w[:, at]).max(axis=1)
            power = np.float32(2) ** (2 - np.frexp(top)[1]).astype(np.float32)
            power[top < 4096 * np.finfo(np.float32).tiny] = 0
            x = x * power[:, None]
            runs = [
                _Q4Run(x[:, i : i + 32], weight[at][i : i + 32]) for i in range(0, x.shape[1], 32)
            ]
            unit = _q4_unit(runs)
            for i, run in enumerate(runs):
                part = slice(128 * g + 32 * i, 128 * g + 32 * i + run.x.shape[1])
                integers[:, part] = run.round(unit) * (power > 0)[:, None]
            d[:, g] = np.where(power > 0, unit.astype(np.float64) / power, 0)
    return integers, d


class _Q4Run:
    """A run of each row: x [n, at most 32] is about scale * code - minimum."""

    def __init__(self, x: np.ndarray, weight: np.ndarray) -> None:
        self.x, self.weight = x, weight
        self.low = np.maximum(-x.min(axis=1), np.float32(0))
        span = self.low + np.maximum(x.max(axis=1), np.float32(0))
        self.shifted = x + self.low[:, None]
        self.sum, self.total = self._add(self.shifted), self._add(np.ones_like(x))
        self.plain = self.scale = span * np.float32(1 / 15)
        self.minimum, self.mean, self.spread = (np.zeros_like(span) for _ in range(3))
        self.error = np.full_like(span, np.inf)
        if self.total[0] > 0:
            for start in (14.25, 14.75, 15.25, 15.75):
                self._fit(np.where(span > 0, np.float32(start) / span, 0), np.zeros_like(span))
            inverse = np.where(span > 0, 1 / self.scale, 0)
            self._fit(inverse, self.minimum * inverse)
        self.minimum = self.minimum + self.low

    def _add(self, values: np.ndarray) -> np.ndarray:
        total = np.zeros(len(values), np.float32)
        for i, weight in enumerate(self.weight):
            total += values[:, i] * weight
        return total

    def _codes(self, inverse: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return np.rint(self.shifted * inverse[:, None] + offset[:, None]).clip(0, 15)

    def _fit(self, inverse: np.ndarray, offset: np.ndarray) -> None:
        codes, per_total = self._codes(inverse, offset), 1 / self.total
        weighted = codes * self.weight
        sq, sqq, sqx = np.zeros((3, len(codes)), np.float32)
        for i in range(codes.shape[1]):
            sq += weighted[:, i]
            sqq += weighted[:, i] * codes[:, i]
            sqx += weighted[:, i] * self.shifted[:, i]
        mean = sq * per_total
        spread = sqq - mean * sq
        scale = self._near((sqx - mean * self.sum) / spread)
        scale = np.where(spread > 0, scale, self.plain)
        minimum = (scale * sq - self.sum) * per_total
        negative = minimum < -self.low  # that of what x was
        scale = np.where(negative, self._near((sqx - self.low * sq) / sqq), scale)
        minimum = np.where(negative, -self.low, minimum)
        excess = scale * sq - self.sum
        error = scale * (scale * sqq - (sqx + sqx))
        error = error + minimum * (minimum * self.total - (excess + excess))
        better = error < self.error
        for name, new in {
            "scale": scale,
            "minimum": minimum,
            "mean": mean,
            "spread": spread,
        }.items():
            setattr(self, name, np.where(better, new, getattr(self, name)))
        self.error = np.where(better, error, self.error)

    def _near(self, scale: np.ndarray) -> np.ndarray:
        least, most = (self.plain * np.float32(f) for f in (0.75, 1.25))
        return np.minimum(np.where(scale > least, scale, least), most)

    def multiples(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scale and minimum over unit, rounded, and by how much the error grows."""
        inverse = 1 / unit
        scale = np.rint(self.scale * inverse).clip(1, 17)
        off = scale * unit - self.scale
        balanced = self.minimum + off * self.mean
        minimum = np.rint(balanced * inverse).clip(0, 255)
        shift = minimum * unit - balanced
        return scale, minimum, off * off * self.spread + shift * shift * self.total

    def round(self, unit: np.ndarray) -> np.ndarray:
        """scale * code - minimum, in multiples of unit."""
        scale, minimum, _ = self.multiples(unit)
        per_step = 1 / unit / scale
        codes = self._codes(per_step, minimum / scale - self.low * per_step)
        return scale[:, None] * codes - minimum[:, None]


def _q4_unit(runs: list[_Q4Run]) -> np.ndarray:
    largest = np.maximum(np.max([run.scale for run in runs], axis=0), np.float32(2**-20))
    units, errors = [], []
    for i in range(14):
        ratio = largest / np.float32(17.25 - 0.25 * i)
        c = ratio * np.float32(65537)
        units.append(c - (c - ratio))  # its lower 16 bits are zero
        error = np.zeros_like(largest)
        for run in runs:
            error += run.multiples(units[-1])[2]
        errors.append(error)
    return np.take_along_axis(np.array(units), np.argmin(errors, axis=0)[None], axis=0)[0]


def matmul_q4(x: np.ndarray, data: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """x [rows, k] in groups of 128 times q4's packed bytes, as `matmul_q8`."""
    x_int, x_scales = quantise_groups(x, 128)
    w_int, w_scales = unpack_q4(data, n, x.shape[1])
    return _add_groups(x_int, x_scales, w_int[:, : x.shape[1]], w_scales, 128)


def matmul_f32(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x [rows, k] · wᵀ and the sum of the products' magnitudes, in float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    return x @ w.T, np.abs(x) @ np.abs(w).T


def rms_norm(x, weight, eps):
    x = x.astype(np.float64)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def layer_norm(x, weight, bias, eps):
    x = x.astype(np.float64)
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d**2).mean(-1, keepdims=True) + eps) * weight + bias


def gelu(x):
    x = x.astype(np.float64)
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    x = x.astype(np.float64)
    return 0.5 * x * np.vectorize(math.erfc, otypes=[np.float64])(-x / np.sqrt(2))


def softcap(x, cap):
    return cap * np.tanh(x.astype(np.float64) / cap)


def rope(x, cos, sin, positions, n_heads, head_dim=None):
    """x [T, width]; pairs are (i, i + half) of each head of head_dim, half angles a position."""
    out = x.astype(np.float64)
    half = cos.shape[1]
    head_dim = head_dim or 2 * half
    c, s = cos[positions].astype(np.float64), sin[positions].astype(np.float64)
    for h in range(n_heads):
        first = slice(head_dim * h, head_dim * h + half)
        second = slice(head_dim * h + half, head_dim * h + 2 * half)
        a, b = out[:, first].copy(), out[:, second].copy()
        out[:, first], out[:, second] = a * c - b * s, b * c + a * s
    return out


def swiglu(gate_up):
    gate, up = np.split(gate_up.astype(np.float64), 2, axis=1)
    with np.errstate(over="ignore"):
        return gate / (1 + np.exp(-gate)) * up


def softmax(scores):
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = e.sum(-1, keepdims=True)
    return np.where(total > 0, e / np.where(total > 0, total, 1.0), 0.0)


def attention_weights(q, k, scale, causal, mask=None, window=0, softcap=0.0):
    """q [n_heads, Tq, head_dim], k [n_kv_heads, Tk, head_dim]."""
    group = q.shape[0] // k.shape[0]
    scores = scale * np.einsum(
        "hid,hjd->hij", q.astype(np.float64), np.repeat(k.astype(np.float64), group, axis=0)
    )
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    if causal:
        last = np.arange(q.shape[1])[:, None] + k.shape[1] - q.shape[1]
        keys = np.arange(k.shape[1])
        seen = (keys <= last) & (keys > last - (window or k.shape[1]))
        scores = np.where(seen, scores, -np.inf)
    return softmax(scores if mask is None else scores + mask)


def attention(q, k, v, scale, causal, mask=None, window=0, softcap=0.0):
    group = q.shape[0] // k.shape[0]
    weights = attention_weights(q, k, scale, causal, mask, window, softcap)
    return np.einsum("hij,hjd->hid", weights, np.repeat(v.astype(np.float64), group, axis=0))


def round_bf16(x):
    """The nearest bfloat16, halves to even, as float32; 0 for magnitudes below 2^-56."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float32).astype(np.float64))
    nearest = np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8)
    return np.where(np.abs(x) < 2.0**-56, 0.0, nearest).astype(np.float32)


def attention_bf16(q, k, v, scale, causal, window=0, softcap=0.0, tile=64):
    """As `attention`, with q, k, v and the weights of each tile of keys rounded to bfloat16."""
    group = q.shape[0] // k.shape[0]
    k, v = (np.repeat(round_bf16(x).astype(np.float64), group, axis=0) for x in (k, v))
    unit = 1 / softcap if softcap else np.log2(np.e)
    rows = round_bf16(q * np.float32(np.float32(scale) * unit)).astype(np.float64)
    scores = np.einsum("hid,hjd->hij", rows, k)
    if softcap:
        scores = softcap * np.log2(np.e) * np.tanh(scores)
    if causal:
        last = np.arange(q.shape[1])[:, None] + k.shape[1] - q.shape[1]
        keys = np.arange(k.shape[1])
        scores[:, (keys > last) | (keys <= last - (window or k.shape[1]))] = -np.inf
    top = np.full((*q.shape[:2], 1), -np.inf)
    out, total = np.zeros(q.shape), np.zeros(top.shape)
    for at in range(0, k.shape[1], tile):
        part = scores[:, :, at : at + tile]
        before, top = top, np.maximum(top, part.max(axis=2, keepdims=True))
        base = np.where(np.isfinite(top), top, 0.0)
        weights = round_bf16(np.exp2(part - base)).astype(np.float64)
        factor = np.exp2(before - base)
        out = factor * out + weights @ v[:, at : at + tile]
        total = factor * total + weights.sum(axis=2, keepdims=True)
    return out / total


def cross_entropy(logits, targets, top_k):
    """Of float64 logits [T, V]: nll, rank, entropy, top_ids, top_logprobs."""
    top = logits.max(-1, keepdims=True)
    logprobs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    rows = np.arange(len(logits))
    rank = 1 + (logits > logits[rows, targets][:, None]).sum(-1)
    entropy = -(np.exp(logprobs) * logprobs).sum(-1)
    top_ids = np.argsort(-logits, axis=-1, kind="stable")[:, :top_k]
    return -logprobs[rows, targets], rank, entropy, top_ids, logprobs[rows[:, None], top_ids]
