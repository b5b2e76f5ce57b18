"""Rotary position embedding: which angle each pair of a head turns by at each position."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyqtf.formats import FormatError

if TYPE_CHECKING:
    from pyqtf.models.config import Fields, ModelConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RopeScaling:
    """How a model stretches its rotary embedding to texts longer than it was first trained on.

    Attributes
    ----------
    kind : {"linear", "llama3", "yarn"}
        The method, as ``rope_type`` names it in ``config.json``.
    factor : float
        How much longer.
    original_length : int
        ``original_max_position_embeddings``: the longest text before; unused by "linear".
    fast, slow : float
        llama3: ``high_freq_factor`` and ``low_freq_factor``. yarn: ``beta_fast`` and ``beta_slow``.
        Pairs that turn more often than `fast` over the original length stay as they are, those
        that turn less often than `slow` are slowed by `factor`.
    attention_factor : float
        yarn: what cosines and sines are multiplied by.
    """

    kind: str
    factor: float
    original_length: int = 0
    fast: float = 0.0
    slow: float = 0.0
    attention_factor: float = 1.0

    def __post_init__(self) -> None:
        numbers = {"factor": self.factor, "attention_factor": self.attention_factor}
        if self.kind != "linear":
            numbers |= {"fast": self.fast, "slow": self.slow, "length": self.original_length}
        for name, value in numbers.items():
            if not (math.isfinite(value) and value > 0):
                raise FormatError(f"config: rope scaling's {name} must be positive, got {value}")
        if self.kind != "linear" and not self.fast > self.slow:
            raise FormatError(
                f"config: rope scaling expects its fast factor {self.fast} to be larger than its "
                f"slow one {self.slow}"
            )


def read_rope(
    fields: Fields,
    default_theta: float | None = None,
    *,
    name: str = "rope_theta",
    partial: bool = False,
) -> tuple[float, RopeScaling | None]:
    """Return ``rope_theta`` and the scaling, if any, in either dialect of ``config.json``.

    transformers 4 writes ``rope_theta`` and ``rope_scaling``, transformers 5 one object
    ``rope_parameters``.

    Parameters
    ----------
    fields : Fields
        Those of ``config.json``.
    default_theta : float, optional
        For families whose old configs don't say it.
    name : str
        Of the base in the older dialect.
    partial : bool
        Whether a part of each head may be turned, see `read_partial_rotary`.
    """
    if not partial:
        fields.require("partial_rotary_factor", 1.0)
    scaling = None
    if fields.has("rope_scaling"):
        scaling = _read_scaling(fields.section("rope_scaling"))
    if not fields.has("rope_parameters"):
        if default_theta is not None and not fields.has(name):
            return default_theta, scaling
        return fields.number(name), scaling
    rope = fields.section("rope_parameters")
    if not partial:
        rope.require("partial_rotary_factor", 1.0)
    theta = rope.number("rope_theta")
    fields.require(name, theta)
    return theta, _read_scaling(rope)


def read_rope_by_type(
    fields: Fields, default_theta: float, default_local: float
) -> tuple[float, RopeScaling | None, float]:
    """Return ``rope_theta`` and the scaling of full layers, and the base of sliding ones.

    The older dialect calls the latter ``rope_local_base_freq``; `default_theta` and `default_local`
    are for configs that don't say them.
    """
    if not fields.has("rope_parameters"):
        theta, scaling = read_rope(fields, default_theta)
        local = fields.number_or("rope_local_base_freq", default_local)
        return theta, scaling, default_local if local is None else local
    fields.require("rope_scaling")
    rope = fields.section("rope_parameters")
    full, sliding = rope.section("full_attention"), rope.section("sliding_attention")
    sliding.require("rope_type", "default")
    for part in (full, sliding):
        part.require("partial_rotary_factor", 1.0)
    return full.number("rope_theta"), _read_scaling(full), sliding.number("rope_theta")


def read_partial_rotary(fields: Fields, name: str, default: float) -> float:
    """Return the part of each head that is turned; `name` is what the older dialect calls it."""
    if fields.has("rope_parameters"):
        rope = fields.section("rope_parameters")
        if rope.has("partial_rotary_factor"):
            return rope.number("partial_rotary_factor")
    return fields.number(name) if fields.has(name) else default


def _read_scaling(rope: Fields) -> RopeScaling | None:
    name = "rope_type" if rope.has("rope_type") else "type"
    rope.require(name, "default", "linear", "llama3", "yarn")
    kind = rope.text(name)
    if kind == "default":
        return None
    factor = rope.number("factor")
    if kind == "linear":
        return RopeScaling(kind, factor)
    length = rope.integer("original_max_position_embeddings")
    if kind == "llama3":
        fast, slow = rope.number("high_freq_factor"), rope.number("low_freq_factor")
        return RopeScaling(kind, factor, length, fast, slow)
    for option in ("mscale", "mscale_all_dim"):
        rope.require(option)
    rope.require("truncate", True)
    fast = rope.number("beta_fast") if rope.has("beta_fast") else 32.0
    slow = rope.number("beta_slow") if rope.has("beta_slow") else 1.0
    if rope.has("attention_factor"):
        attention = rope.number("attention_factor")
    else:
        attention = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
    return RopeScaling(kind, factor, length, fast, slow, attention)


def rotary_angles(
    config: ModelConfig, n_positions: int, local: bool = False
) -> tuple[Floats, Floats]:
    """Cosines and sines of the rotary embedding (https://arxiv.org/abs/2104.09864).

    Without scaling, pair j of a head turns by ``position / rope_theta ** (2 j / rotary_dim)``. Each
    step is rounded to float32, as transformers does it, so that far positions turn by the same
    angles.

    Parameters
    ----------
    config : ModelConfig
        The shape.
    n_positions : int
        How many, from 0 on.
    local : bool
        Whether those of sliding layers are asked for, where they have a base of their own.

    Returns
    -------
    cos, sin : float32 [n_positions, rotary_dim / 2]
    """
    if local:
        config = replace(config, rope_theta=config.local_rope_theta, rope_scaling=None)
    if config.rope_theta is None:
        raise ValueError("a model with learned positions has no rotary angles")
    frequencies = rotary_frequencies(config, config.rope_theta)
    angles = np.arange(n_positions, dtype=np.float32)[:, None] * frequencies
    wide = angles.astype(np.float64)
    cos, sin = np.cos(wide).astype(np.float32), np.sin(wide).astype(np.float32)
    if config.rope_scaling is not None:
        factor = np.float32(config.rope_scaling.attention_factor)
        cos, sin = cos * factor, sin * factor
    return cos, sin


def rotary_frequencies(config: ModelConfig, theta: float) -> Floats:
    """Radians that each pair of a head turns by from one position to the next, [rotary_dim / 2]."""
    width = config.rotary_dim
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    powers = (theta ** exponents.astype(np.float64)).astype(np.float32)
    plain = np.float32(1) / powers
    scaling = config.rope_scaling
    if scaling is None:
        return plain
    if scaling.kind == "linear":
        return plain / np.float32(scaling.factor)
    if scaling.kind == "llama3":
        return _llama3(plain, scaling)
    return _yarn(plain, powers, scaling, theta)


def _llama3(plain: Floats, scaling: RopeScaling) -> Floats:
    """Slow the frequencies by how often they turn over the original length (Llama 3.1)."""
    factor, length = np.float32(scaling.factor), np.float32(scaling.original_length)
    wavelength = np.float32(2 * math.pi) / plain
    turns = length / wavelength
    # 1 where a pair turns more than `fast` times, 0 where it turns less than `slow` times.
    keep = (turns - np.float32(scaling.slow)) / np.float32(scaling.fast - scaling.slow)
    mixed = (1 - keep) * plain / factor + keep * plain
    slowed = np.where(wavelength > scaling.original_length / scaling.slow, plain / factor, mixed)
    result: Floats = np.where(wavelength < scaling.original_length / scaling.fast, plain, slowed)
    return result


def _yarn(plain: Floats, powers: Floats, scaling: RopeScaling, theta: float) -> Floats:
    """Slow the pairs behind a ramp over their number (https://arxiv.org/abs/2309.00071)."""
    half = len(plain)

    def pair(turns: float) -> float:
        """Twice the number of the pair that turns so often over the original length."""
        ratio = scaling.original_length / (turns * 2 * math.pi)
        return 2 * half * math.log(ratio) / (2 * math.log(theta))

    low = max(math.floor(pair(scaling.fast)), 0)
    high: float = min(math.ceil(pair(scaling.slow)), 2 * half - 1)
    if low == high:
        high += 0.001
    ramp = (np.arange(half, dtype=np.float32) - np.float32(low)) / np.float32(high - low)
    keep = 1 - np.clip(ramp, 0, 1)
    slowed = np.float32(1) / (np.float32(scaling.factor) * powers)
    result: Floats = slowed * (1 - keep) + plain * keep
    return result
