"""Rotary position embedding: which angle each pair of a head turns by at each position."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pyqtf.models.config import ModelConfig
from pyqtf.models.rope_scaling import RopeScaling

Floats = NDArray[np.float32]


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
