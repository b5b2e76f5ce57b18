"""What a ``config.json`` says of the rotary embedding: its base, its part, its scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyqtf.formats import FormatError
from pyqtf.models.fields import Fields


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
