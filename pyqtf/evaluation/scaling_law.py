"""How loss falls with size: four forms side by side, and how sure the exponent is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import fdtri

from pyqtf.evaluation.columns import require_columns
from pyqtf.evaluation.scaling_forms import (
    ALPHA_MAX,
    ALPHA_MIN,
    Curve,
    Floats,
    fit_form,
    huber,
    profile_law,
)
from pyqtf.evaluation.statistics import labels, summary_of

FORMULAS = {
    "linear": "a + b N",
    "logarithmic": "a + b log N",
    "power": "A / N^alpha",
    "law": "E + A / N^alpha",
}
_N_PARAMETERS = {"linear": 2, "logarithmic": 2, "power": 2, "law": 3}
_AXES = {
    "n_params": "parameters, embeddings included",
    "n_params_non_embedding": "parameters without embeddings",
}


@dataclass(frozen=True, eq=False)
class ScalingFit:
    """Four forms fitted to the mean loss L (nats per token) of models of N parameters.

    Attributes
    ----------
    axis : str
        Which count of parameters N is: "n_params" or "n_params_non_embedding".
    names : list of str
        The models, smallest first.
    sizes, losses : float64 [K]
        Their N and L.
    curves : dict of str to Curve
        The fits, by form: "linear", "logarithmic", "power" and "law".
    irreducible, amplitude, alpha : float
        E (nats per token), A and alpha of the law E + A / N^alpha. At a fixed number of training
        tokens E also holds what more data would bring: it is not the entropy of the stories.
    alpha_low, alpha_high : float
        Profile-F interval of alpha; NaN where there is none, 0 or infinite where the models don't
        bound it.
    level : float
        Confidence level of that interval.
    notes : tuple of str
        What to know before the numbers are used.
    """

    axis: str
    names: list[str]
    sizes: Floats
    losses: Floats
    curves: dict[str, Curve]
    irreducible: float
    amplitude: float
    alpha: float
    alpha_low: float
    alpha_high: float
    level: float
    notes: tuple[str, ...]

    @property
    def axis_label(self) -> str:
        """What N counts, in words."""
        return _AXES[self.axis]

    def predict(self, n: float | Floats, *, form: str = "law") -> Floats:
        """Loss in nats per token that a form gives at `n` parameters (exp of it is perplexity).

        Raises
        ------
        ValueError
            There is no such form, or a size isn't above 0.
        """
        if form not in self.curves:
            raise ValueError(f"form is {form!r}; expected one of {', '.join(self.curves)}")
        sizes = np.asarray(n, dtype=np.float64)
        if not (sizes > 0).all():
            raise ValueError(f"n is {n}; expected numbers of parameters above 0")
        return self.curves[form].loss(sizes.ravel()).reshape(sizes.shape)

    def band(self, n: Floats, *, points: int = 41) -> tuple[Floats, Floats]:
        """Lowest and highest loss at `n` [M] of the laws whose alpha lies in the interval.

        NaN where alpha has no interval. It shows what the exponent leaves open if the law is true.
        """
        if math.isnan(self.alpha_low):
            return np.full(len(n), math.nan), np.full(len(n), math.nan)
        ends = max(self.alpha_low, ALPHA_MIN), min(self.alpha_high, ALPHA_MAX)
        alphas = np.append(np.geomspace(*ends, points), self.alpha)
        _, curve = profile_law(alphas, self.sizes, self.losses, math.inf)
        losses = np.vstack([curve.loss(n), self.predict(n)])
        return losses.min(axis=0), losses.max(axis=0)

    def to_frame(self) -> pd.DataFrame:
        """One row per form.

        Returns
        -------
        DataFrame
            ``form``, ``formula``, ``n_parameters``, ``degrees_of_freedom`` (models minus
            parameters), ``scatter`` (typical relative error of L at the models, corrected for the
            degrees of freedom; NaN without any), ``largest_predicted`` (L of the largest model
            from a fit to the others; NaN where they are fewer than the parameters),
            ``largest_error`` (relative error of that), ``gain_per_doubling`` (nats per token that
            the form promises for twice the largest model).
        """
        k = len(self.sizes)
        rows = []
        for form, curve in self.curves.items():
            degrees = k - _N_PARAMETERS[form]
            predicted = math.nan
            if degrees > 0:
                others = fit_form(form, self.sizes[:-1], self.losses[:-1], _DELTA)
                predicted = float(others.loss(self.sizes[-1:])[0])
            here, twice = curve.loss(self.sizes[-1] * np.array([1.0, 2.0]))
            squares = float((curve.residuals**2).sum())
            rows.append(
                {
                    "form": form,
                    "formula": FORMULAS[form],
                    "n_parameters": _N_PARAMETERS[form],
                    "degrees_of_freedom": degrees,
                    "scatter": math.sqrt(squares / degrees) if degrees else math.nan,
                    "largest_predicted": predicted,
                    "largest_error": predicted / float(self.losses[-1]) - 1,
                    "gain_per_doubling": float(here - twice),
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        interval = (
            "no interval"
            if math.isnan(self.alpha_low)
            else f"{100 * self.level:g} % interval {self.alpha_low:.3g} to {self.alpha_high:.3g}"
        )
        return (
            f"ScalingFit(L = {self.irreducible:.4g} + {self.amplitude:.4g} / N^{self.alpha:.4g} "
            f"from {len(self.sizes)} models; alpha: {interval})"
        )


# Hoffmann et al.'s width: beyond a relative error of 0.1 % a model counts linearly, not squared.
_DELTA = 1e-3


def fit_scaling_law(
    summary: pd.DataFrame, *, axis: str = "n_params", level: float = 0.95
) -> ScalingFit:
    """Fit loss against size: linear, logarithmic, power law, and a power law above a floor.

    Each form minimises Huber's function of the errors in log L over a grid of starts (Hoffmann et
    al., arXiv 2203.15556, approach 3, with the sum rather than the mean of the errors as corrected
    by Besiroglu et al., arXiv 2404.10102).

    The interval for alpha is where the least squares of log L, with E and A free, stay below
    ``S_min (1 + F(level; 1, K - 3) / (K - 3))``. It treats the scatter of the models about the
    law as noise. Three models leave no degree of freedom to see that scatter, so they get no
    interval. A bootstrap over stories would not help: it leaves the models and their scatter as
    they are; see `bootstrap_alpha`.

    Parameters
    ----------
    summary : DataFrame
        What `pyqtf.summarise` returns, or results of `pyqtf.evaluate`.
    axis : {"n_params", "n_params_non_embedding"}
        What N counts. Hoffmann et al. count all parameters, Kaplan et al. leave out embeddings;
        the exponents differ (arXiv 2406.12907).
    level : float
        Confidence level of the interval for alpha.

    Returns
    -------
    ScalingFit

    Raises
    ------
    ValueError
        There are fewer than three sizes; models have different tokenizers (their losses per token
        don't compare); a column is missing; `axis` is another one.

    Examples
    --------
    >>> import pandas as pd
    >>> n = [1e5, 1e6, 1e7, 1e8, 1e9]
    >>> fit = fit_scaling_law(pd.DataFrame({"model_name": list("abcde"), "quant": "f32",
    ...     "n_params": n, "mean_nll": [1.5 + 40 / x**0.3 for x in n]}))
    >>> round(fit.alpha, 4), round(fit.irreducible, 4)
    (0.3, 1.5)
    """
    if axis not in _AXES:
        raise ValueError(f"axis is {axis!r}; expected one of {', '.join(_AXES)}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    if "mean_nll" not in getattr(summary, "columns", ()):
        summary = summary_of(summary)
    sizes, losses, names = _data(summary, axis)
    curves = {form: fit_form(form, sizes, losses, _DELTA) for form in FORMULAS}
    law = curves["law"]
    alpha = float(law.alpha)
    low, high = _alpha_interval(sizes, losses, level)
    return ScalingFit(
        axis=axis,
        names=names,
        sizes=sizes,
        losses=losses,
        curves=curves,
        irreducible=float(law.level),
        amplitude=float(law.slope) * law.n_ref**alpha,
        alpha=alpha,
        alpha_low=low,
        alpha_high=high,
        level=level,
        notes=tuple(_notes(law, losses, low, high)),
    )


def bootstrap_alpha(
    results: pd.DataFrame, *, axis: str = "n_params", runs: int = 1000, seed: int = 0
) -> Floats:
    """Exponents of laws fitted to resampled stories.

    Conditional on the law being true: every run keeps the same models, so it shows how far the
    choice of stories moves alpha and nothing of how far models scatter about the law. With 0.5 %
    scatter the percentiles of these exponents cover the true one in only about 60 % of cases.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns; all models on the same stories.
    axis : {"n_params", "n_params_non_embedding"}
        What N counts.
    runs : int
        How many samples.
    seed : int
        Seed of the samples.

    Returns
    -------
    float64 [runs]

    Raises
    ------
    ValueError
        As `fit_scaling_law`; or the models were scored on different stories.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [{"model_name": f"m{i}", "quant": "f32", "n_params": 10**i,
    ...     "n_params_non_embedding": 10**i, "story_idx": s, "n_scored": 10 + s, "n_bytes": 40,
    ...     "nll": (10 + s) * (1 + s / 10) * (1 + 5 / 10 ** (0.3 * i)), "seconds": 1.0}
    ...     for i in range(3, 7) for s in range(4)]
    >>> bootstrap_alpha(pd.DataFrame(rows), runs=3).round(4).tolist()
    [0.3, 0.3, 0.3]
    """
    sizes, _, _ = _data(summary_of(results), axis)
    by = {"index": ["n_params", "model_name", "quant"], "columns": "story_idx"}
    nll = results.pivot(values="nll", **by).to_numpy(np.float64)
    scored = results.pivot(values="n_scored", **by).to_numpy(np.float64)
    if not (np.isfinite(nll).all() and (scored == scored[0]).all()):
        raise ValueError("the models were scored on different stories or tokens")
    draws = np.random.default_rng(seed).integers(0, nll.shape[1], (runs, nll.shape[1]))
    losses = nll[:, draws].sum(axis=-1).T / scored[0, draws].sum(axis=-1)[:, None]
    return fit_form("law", sizes, losses, _DELTA).alpha


def gains(summary: pd.DataFrame) -> pd.DataFrame:
    """What each step to the next larger model brings.

    Parameters
    ----------
    summary : DataFrame
        What `pyqtf.summarise` returns.

    Returns
    -------
    DataFrame
        One row per neighbouring pair: ``smaller``, ``larger``, ``doublings`` (log2 of the ratio of
        sizes), ``gain`` (nats per token), ``gain_per_doubling``, ``gigabytes`` (how much more
        memory the weights take as they are stored) and ``gain_per_gigabyte``. Pairs of one size
        are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> gains(pd.DataFrame({"model_name": ["s", "l"], "quant": "f32", "n_params": [1e9, 4e9],
    ...     "mean_nll": [2.5, 2.0]}))[["doublings", "gain_per_doubling", "gigabytes"]].values
    array([[ 2.  ,  0.25, 12.  ]])
    """
    ordered = summary.sort_values("n_params", kind="stable")
    names = labels(summary)
    rows = []
    for i in range(1, len(ordered)):
        a, b = ordered.iloc[i - 1], ordered.iloc[i]
        if a["n_params"] == b["n_params"]:
            continue
        doublings = math.log2(b["n_params"] / a["n_params"])
        gain = float(a["mean_nll"] - b["mean_nll"])
        gigabytes = (_weight_bytes(b) - _weight_bytes(a)) / 1e9
        rows.append(
            {
                "smaller": names[i - 1],
                "larger": names[i],
                "doublings": doublings,
                "gain": gain,
                "gain_per_doubling": gain / doublings,
                "gigabytes": gigabytes,
                "gain_per_gigabyte": gain / gigabytes if gigabytes > 0 else math.nan,
            }
        )
    return pd.DataFrame(rows)


def _data(summary: pd.DataFrame, axis: str) -> tuple[Floats, Floats, list[str]]:
    """Sizes and losses, smallest first, after checking that they can be compared."""
    needed = ("model_name", "quant", "mean_nll", axis)
    require_columns(summary, needed, "the summary has", "expected what pyqtf.summarise returns")
    # `labels` needs n_params only to order the models, which is done here by the chosen axis.
    names = labels(summary.assign(n_params=summary[axis]))
    ordered = summary.sort_values(axis, kind="stable")
    sizes = ordered[axis].to_numpy(np.float64)
    losses = ordered["mean_nll"].to_numpy(np.float64)
    if not ((sizes > 0).all() and (losses > 0).all() and np.isfinite(losses).all()):
        raise ValueError(f"a model has a {axis} or a mean_nll that is not a number above 0")
    n_sizes = len(np.unique(sizes))
    if n_sizes < 3:
        raise ValueError(
            f"there are models of {n_sizes} size{'s' if n_sizes != 1 else ''}; a scaling law "
            "needs at least three, and four to say how sure its exponent is"
        )
    if "n_scored" in summary.columns and summary["n_scored"].nunique() > 1:
        raise ValueError(
            "the models scored different numbers of tokens, so they have different tokenizers or "
            "stories and their losses per token don't compare"
        )
    return sizes, losses, names


def _alpha_interval(sizes: Floats, losses: Floats, level: float) -> tuple[float, float]:
    """Where the profile of alpha stays below the F limit; NaN without a degree of freedom."""
    degrees = len(sizes) - 3
    if degrees < 1:
        return math.nan, math.nan

    def squares(alpha: Floats) -> Floats:
        return profile_law(alpha, sizes, losses, math.inf)[0]

    best = fit_form("law", sizes, losses, math.inf)
    limit = float(huber(best.residuals, math.inf)) * (1 + fdtri(1, degrees, level) / degrees)
    grid = np.union1d(np.geomspace(ALPHA_MIN, ALPHA_MAX, 400), best.alpha)
    inside = np.flatnonzero(squares(grid) <= limit)
    if not len(inside):  # the models lie on the law to the last bit
        return float(best.alpha), float(best.alpha)

    def crossing(a: float, b: float) -> float:
        return float(brentq(lambda x: float(squares(np.array([x]))[0]) - limit, a, b, xtol=1e-10))

    first, last = int(inside[0]), int(inside[-1])
    low = 0.0 if first == 0 else crossing(grid[first - 1], grid[first])
    high = math.inf if last == len(grid) - 1 else crossing(grid[last], grid[last + 1])
    return low, high


def _notes(law: Curve, losses: Floats, low: float, high: float) -> list[str]:
    notes = []
    if (np.diff(losses) > 0).any():
        notes.append("A larger model predicts worse than a smaller one.")
    if law.slope == 0:
        notes.append("Loss doesn't fall with size here, so the law E + A / N^alpha says nothing.")
    elif law.level < 1e-6 * losses.min():
        notes.append("E is 0: a pure power law fits as well, these sizes show no floor.")
    elif law.alpha <= 1.01 * ALPHA_MIN:
        notes.append("alpha is close to 0: loss falls like log N, these sizes show no floor.")
    if math.isnan(low):
        notes.append(
            "Three models always fit a law of three parameters exactly. Nothing is left to show "
            "how far models scatter about it, so alpha has no interval: score a fourth size."
        )
    elif low == 0 or math.isinf(high):
        notes.append(
            "The models don't bound alpha on "
            + ("either side." if low == 0 and math.isinf(high) else "one side.")
        )
    return notes


def _weight_bytes(row: pd.Series) -> float:
    """About what the weights take in memory, with the scales of each 128."""
    per_weight = {"f32": 4.0, "q8": 1.0 + 4 / 128, "q4": 74 / 128}
    return float(row["n_params"]) * per_weight.get(row["quant"], math.nan)
