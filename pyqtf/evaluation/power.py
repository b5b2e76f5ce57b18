"""How many stories it takes to tell two models apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import chdtri, ndtr, stdtrit

from pyqtf.evaluation.statistics import paired_differences

_MOST = 10**7
_NODES, _WEIGHTS = (np.polynomial.legendre.leggauss(400)[i] / 2 for i in (0, 1))
_NODES = _NODES + 0.5  # from [-1, 1] to [0, 1]


def power(effect: float, n: int, *, level: float = 0.95) -> float:
    """Chance that a two-sided paired t test on n stories finds a difference.

    Parameters
    ----------
    effect : float
        The difference over its standard deviation from story to story.
    n : int
        Number of stories, at least 2.
    level : float
        1 minus the chance of finding a difference where there is none.

    Returns
    -------
    float

    Examples
    --------
    >>> round(power(0.5, 33), 3)
    0.795
    """
    limit = float(stdtrit(n - 1, 0.5 + level / 2))
    shift = abs(effect) * math.sqrt(n)
    # Given the estimated spread the test is normal; its chance is averaged over that spread.
    # SciPy's own noncentral t is NaN in places.
    spread = np.sqrt(chdtri(n - 1, _NODES) / (n - 1))
    found = ndtr(shift - limit * spread) + ndtr(-shift - limit * spread)
    return float(_WEIGHTS @ found)


def stories_needed(
    results: pd.DataFrame,
    *,
    pairs: str | Sequence[tuple[str, str]] = "neighbours",
    target: float = 0.8,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many stories like these a paired comparison needs to find the difference it saw here.

    The difference and its spread from story to story are taken from `results` as if they were
    exact; with few stories they are not, and neither is the answer.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns, at least two stories.
    pairs : "neighbours", "all", or list of (smaller, larger)
        As `pyqtf.paired_differences`.
    target : float
        Wanted chance of finding the difference.
    level : float
        Confidence level of the comparison.

    Returns
    -------
    DataFrame
        One row per pair: ``smaller``, ``larger``, ``difference`` (nats per token), ``spread`` (its
        standard deviation from story to story, of stories of average length), ``n_stories`` (here),
        ``power`` (at that number), ``n_needed`` (NaN for models that don't differ).

    Raises
    ------
    ValueError
        As `pyqtf.paired_differences`; `target` is not between 0 and 1; there is one story.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": ["s"] * 4 + ["l"] * 4, "quant": "f32",
    ...     "n_params": [1] * 4 + [2] * 4, "n_params_non_embedding": 0,
    ...     "story_idx": [0, 1, 2, 3] * 2, "n_scored": 10, "n_bytes": 40, "seconds": 1.0,
    ...     "nll": [30.0, 20.0, 25.0, 14.0, 29.0, 21.0, 22.0, 13.0]})
    >>> stories_needed(df)[["n_stories", "n_needed"]].values.tolist()
    [[4, 23]]
    """
    if not 0 < target < 1:
        raise ValueError(f"target is {target}; expected a chance between 0 and 1, such as 0.8")
    differences = paired_differences(results, pairs=pairs, level=level)
    rows = []
    for _, row in differences.iterrows():
        n = int(row["n_stories"])
        if n < 2:
            raise ValueError("there is one story; the spread of a difference needs at least two")
        spread = float(row["se"]) * math.sqrt(n)
        effect = _effect(float(row["difference"]), spread)
        rows.append(
            {
                "smaller": row["smaller"],
                "larger": row["larger"],
                "difference": row["difference"],
                "spread": spread,
                "n_stories": n,
                "power": power(effect, n, level=level) if math.isfinite(effect) else 1.0,
                "n_needed": _needed(effect, target, level),
            }
        )
    columns = ["smaller", "larger", "difference", "spread", "n_stories", "power", "n_needed"]
    return pd.DataFrame(rows, columns=columns).astype({"n_needed": "Int64"})


def _effect(difference: float, spread: float) -> float:
    if spread == 0:
        return 0.0 if difference == 0 else math.inf
    return difference / spread


def _needed(effect: float, target: float, level: float) -> int | None:
    """Smallest n with enough power; None where no number of stories would do."""
    if math.isinf(effect):
        return 2
    if effect == 0 or power(effect, _MOST, level=level) < target:
        return None
    low, high = 1, 2
    while power(effect, high, level=level) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if power(effect, middle, level=level) >= target else (middle, high)
        )
    return high
