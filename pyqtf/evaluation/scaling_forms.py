"""Fit the curves that may relate loss to size, for many data sets at once.

Every form is fitted to the logarithm of the loss: residuals are relative errors. Arrays are
[..., K] for K models; leading axes are independent data sets (bootstrap samples, simulations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHA_MIN, ALPHA_MAX = 0.01, 5.0
_ITERATIONS = 60
_GRID = 81
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Curve:
    """Fitted curves level + slope * x(n), or for `power` exp(level + slope * x(n)).

    `alpha` is NaN where the form has none; `n_ref` is the size at which x is 1 (or 0 for logs).
    """

    form: str
    level: Floats
    slope: Floats
    alpha: Floats
    n_ref: float
    residuals: Floats

    def loss(self, n: Floats) -> Floats:
        """Predicted loss at sizes `n` [M], as [..., M]."""
        level, slope = self.level[..., None], self.slope[..., None]
        ratio = n / self.n_ref
        if self.form == "linear":
            return level + slope * ratio
        if self.form == "logarithmic":
            return level + slope * np.log(ratio)
        if self.form == "power":
            return np.asarray(np.exp(level + slope * np.log(ratio)))
        return np.asarray(level + slope * ratio ** -self.alpha[..., None])


def huber(residuals: Floats, delta: float) -> Floats:
    """Sum over the last axis of Huber's function; the sum of squares / 2 for infinite delta."""
    r = np.abs(residuals)
    return np.asarray(np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).sum(axis=-1))


def fit_form(form: str, n: Floats, loss: Floats, delta: float) -> Curve:
    """Fit one form to losses [..., K] of models of n [K] parameters.

    `form` is "linear" (a + b n), "logarithmic" (a + b log n), "power" (A n^-alpha) or "law"
    (E + A n^-alpha with E, A >= 0 and alpha between ALPHA_MIN and ALPHA_MAX).
    """
    n_ref = float(np.exp(np.log(n).mean()))
    ratio = n / n_ref
    none = np.full(loss.shape[:-1], np.nan)
    if form == "law":
        return _fit_law(ratio, n_ref, loss, delta)
    if form == "power":
        level, slope, residuals = _fit_power(np.log(ratio), np.log(loss), delta)
        return Curve(form, level, slope, -slope, n_ref, residuals)
    x = ratio if form == "linear" else np.log(ratio)
    level, slope, residuals = _fit_plane(x, loss, delta, bounded=False)
    return Curve(form, level, slope, none, n_ref, residuals)


def profile_law(alpha: Floats, n: Floats, loss: Floats, delta: float) -> tuple[Floats, Curve]:
    """Best objective and curve of the law at given exponents.

    `alpha` [..., G] and `loss` [..., K] share their leading axes; the objective is [..., G].
    """
    n_ref = float(np.exp(np.log(n).mean()))
    return _profile(alpha, n / n_ref, n_ref, loss, delta)


def _profile(
    alpha: Floats, ratio: Floats, n_ref: float, loss: Floats, delta: float
) -> tuple[Floats, Curve]:
    x = ratio ** -alpha[..., None]
    level, slope, residuals = _fit_plane(x, loss[..., None, :], delta, bounded=True)
    return huber(residuals, delta), Curve("law", level, slope, alpha, n_ref, residuals)


def _fit_law(ratio: Floats, n_ref: float, loss: Floats, delta: float) -> Curve:
    # The starts are a grid over alpha, with E and A at their best for each; then the cells beside
    # the best start are divided again and again. Descent from one start stops in flat valleys.
    log_alpha = np.broadcast_to(
        np.linspace(np.log(ALPHA_MIN), np.log(ALPHA_MAX), _GRID), (*loss.shape[:-1], _GRID)
    )
    for _ in range(_ROUNDS):
        objective, curve = _profile(np.exp(log_alpha), ratio, n_ref, loss, delta)
        best = objective.argmin(axis=-1)[..., None]
        last = log_alpha.shape[-1] - 1
        low = np.take_along_axis(log_alpha, np.maximum(best - 1, 0), -1)
        high = np.take_along_axis(log_alpha, np.minimum(best + 1, last), -1)
        log_alpha = low + (high - low) * np.linspace(0, 1, 17)
    return Curve(
        "law",
        np.take_along_axis(curve.level, best, -1)[..., 0],
        np.take_along_axis(curve.slope, best, -1)[..., 0],
        np.take_along_axis(curve.alpha, best, -1)[..., 0],
        n_ref,
        np.take_along_axis(curve.residuals, best[..., None], -2)[..., 0, :],
    )


def _fit_plane(
    x: Floats, loss: Floats, delta: float, *, bounded: bool
) -> tuple[Floats, Floats, Floats]:
    """Least Huber fit of log(level + slope * x) to log(loss), by reweighted Gauss-Newton.

    With `bounded`, level and slope are kept at 0 or above.
    """
    log_loss = np.log(loss)
    mean = np.broadcast_to(loss, np.broadcast_shapes(x.shape, loss.shape)).copy()
    for _ in range(_ITERATIONS):
        r = log_loss - np.log(mean)
        weight = _huber_weight(r, delta) / mean**2
        target = mean * (1 + r)
        level, slope = _weighted_line(x, target, weight)
        if bounded:
            level, slope = _into_bounds(level, slope, x, target, weight)
        # A straight line may cross 0 on its way; the loss stays above.
        before, mean = mean, np.maximum(level[..., None] + slope[..., None] * x, mean / 10)
        if np.abs(mean - before).max() <= 1e-12 * np.abs(mean).max():
            break
    return level, slope, log_loss - np.log(mean)


def _fit_power(x: Floats, log_loss: Floats, delta: float) -> tuple[Floats, Floats, Floats]:
    r = np.zeros_like(log_loss)
    for _ in range(_ITERATIONS):
        level, slope = _weighted_line(x, log_loss, _huber_weight(r, delta))
        r = log_loss - level[..., None] - slope[..., None] * x
    return level, slope, r


def _huber_weight(r: Floats, delta: float) -> Floats:
    return np.asarray(delta / np.maximum(np.abs(r), delta)) if np.isfinite(delta) else np.ones(1)


def _weighted_line(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    weight = np.broadcast_to(weight, np.broadcast_shapes(x.shape, y.shape))
    total = weight.sum(axis=-1)
    x_mean = (weight * x).sum(axis=-1) / total
    y_mean = (weight * y).sum(axis=-1) / total
    dx = x - x_mean[..., None]
    slope = (weight * dx * (y - y_mean[..., None])).sum(axis=-1) / (weight * dx**2).sum(axis=-1)
    return y_mean - slope * x_mean, slope


def _into_bounds(
    level: Floats, slope: Floats, x: Floats, y: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    """Best line with level and slope >= 0; x and y are positive, so only one can be below."""
    through_0 = (weight * x * y).sum(axis=-1) / (weight * x**2).sum(axis=-1)
    flat = (weight * y).sum(axis=-1) / np.broadcast_to(weight, y.shape).sum(axis=-1)
    return (
        np.where(level < 0, 0.0, np.where(slope < 0, flat, level)),
        np.where(level < 0, through_0, np.maximum(slope, 0.0)),
    )
