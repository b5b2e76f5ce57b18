"""From results to figures with an uncertainty: stories are the clusters, models are paired.

The standard errors follow Miller, "Adding Error Bars to Evals" (arXiv 2411.00640): tokens of one
story are not independent, stories are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from pyqtf.evaluation.columns import column_names, require_columns
from pyqtf.evaluation.comparable import check_comparable, provenance_notes, span_notes
from pyqtf.evaluation.score import exp

_KEYS = ["model_name", "quant"]
_NEEDED = (*_KEYS, "n_params", "n_params_non_embedding", "story_idx", "n_scored", "n_bytes", "nll",
           "seconds")  # fmt: skip
# Under this share of "effective" stories a simulated 95 % interval covers clearly less.
_FEW = 0.6


@dataclass(frozen=True)
class Estimate:
    """A ratio of sums over stories, with the interval of a t distribution of n - 1 degrees.

    Attributes
    ----------
    value, se, low, high : float
        The estimate, its standard error and its interval; the last three are NaN for one story.
    n : int
        Number of stories.
    """

    value: float
    se: float
    low: float
    high: float
    n: int


def clustered_mean(totals: ArrayLike, sizes: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean per unit, sum(totals) / sum(sizes), with a standard error clustered by story.

    m = sum(L) / sum(T); SE = sqrt(n / (n - 1) * sum((L_s - m T_s)^2)) / sum(T);
    interval m +- t(n - 1) * SE.

    Parameters
    ----------
    totals : float [n]
        A total of each story, for instance its NLL in nats.
    sizes : float [n]
        Its number of units, for instance scored tokens.
    level : float
        Confidence level between 0 and 1.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        The arrays are empty, of unequal length or not finite; a size is not above 0.

    Examples
    --------
    >>> estimate = clustered_mean([10.0, 30.0], [10, 10])
    >>> estimate.value, estimate.se
    (2.0, 1.0)
    """
    total = np.asarray(totals, dtype=np.float64)
    size = np.asarray(sizes, dtype=np.float64)
    if total.ndim != 1 or total.shape != size.shape or not len(total):
        raise ValueError(f"totals {total.shape} and sizes {size.shape} are not two equal lists")
    check_totals(total, size)
    n = len(total)
    all_units = math.fsum(size)
    mean = math.fsum(total) / all_units
    if n == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    se = math.sqrt(n / (n - 1) * math.fsum((total - mean * size) ** 2)) / all_units
    reach = _t(n - 1, level) * se
    return Estimate(mean, se, mean - reach, mean + reach, n)


def check_totals(totals: NDArray[np.float64], sizes: NDArray[np.float64]) -> None:
    """Raise ValueError unless totals are finite, and sizes finite and above 0."""
    if not (np.isfinite(totals).all() and np.isfinite(sizes).all() and (sizes > 0).all()):
        raise ValueError("a story has a total that is not finite, or a size that is not above 0")


def summarise(results: pd.DataFrame, *, level: float = 0.95, unit: str = "token") -> pd.DataFrame:
    """One row per model, smallest first, from the results of `evaluate`.

    Parameters
    ----------
    results : DataFrame
        What `evaluate` returns, or the same columns read from results.csv.
    level : float
        Confidence level of the intervals.
    unit : {"token", "byte"}
        By the byte, models may have different tokenizers, and of the figures below only bits per
        byte are given.

    Returns
    -------
    DataFrame
        ``model_name``, ``quant``, ``n_params``, ``n_params_non_embedding``, ``n_stories``,
        ``n_scored``, ``n_bytes``;
        ``mean_nll`` and ``mean_nll_se`` (nats per token, standard error clustered by story);
        ``perplexity``, ``perplexity_low``, ``perplexity_high``: exp of the mean over all tokens;
        ``story_perplexity``, ``..._low``, ``..._high``: plain mean of the stories' perplexities,
        another figure, and the one a table without token counts leads to;
        ``bits_per_byte``, ``..._low``, ``..._high``; ``tokens_per_second``.

    Raises
    ------
    ValueError
        A column is missing; a story counts twice for one model.
    ProtocolMismatchError
        The models were scored by different protocols (a ValueError too); it names the fields.

    Warns
    -----
    UserWarning
        There is one story, so no interval; or few stories hold most of the tokens, so that the
        intervals are too narrow; or machines, versions or scored bytes differ between models.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": "m", "quant": "f32", "n_params": 10,
    ...     "n_params_non_embedding": 5, "story_idx": [0, 1], "n_scored": [10, 10],
    ...     "n_bytes": [40, 40], "nll": [10.0, 30.0], "seconds": [0.5, 0.5]})
    >>> summarise(df)[["perplexity", "tokens_per_second"]].round(3).values.tolist()
    [[7.389, 20.0]]
    """
    summary = summary_of(results, level=level, unit=unit)
    for sentence in concerns(results):
        warnings.warn(sentence, stacklevel=2)
    return summary


def summary_of(results: pd.DataFrame, *, level: float = 0.95, unit: str = "token") -> pd.DataFrame:
    """`summarise` without warnings, for callers that show `concerns` themselves."""
    check_results(results, unit=unit)
    rows = []
    for (name, quant), group in results.groupby(_KEYS, sort=False):
        nll = clustered_mean(group["nll"], group["n_scored"], level=level)
        each = np.array([exp(m) for m in group["nll"] / group["n_scored"]])
        story = clustered_mean(each, np.ones(len(each)), level=level)
        bits = clustered_mean(group["nll"] / math.log(2), group["n_bytes"], level=level)
        seconds = float(group["seconds"].sum())
        n_scored = int(group["n_scored"].sum())
        rows.append(
            {
                "model_name": name,
                "quant": quant,
                "n_params": int(group["n_params"].iloc[0]),
                "n_params_non_embedding": int(group["n_params_non_embedding"].iloc[0]),
                "n_stories": nll.n,
                "n_scored": n_scored,
                "n_bytes": int(group["n_bytes"].sum()),
                "mean_nll": nll.value,
                "mean_nll_se": nll.se,
                "perplexity": exp(nll.value),
                "perplexity_low": exp(nll.low),
                "perplexity_high": exp(nll.high),
                "story_perplexity": story.value,
                "story_perplexity_low": story.low,
                "story_perplexity_high": story.high,
                "bits_per_byte": bits.value,
                "bits_per_byte_low": bits.low,
                "bits_per_byte_high": bits.high,
                "tokens_per_second": n_scored / seconds if seconds > 0 else math.nan,
            }
        )
    frame = pd.DataFrame(rows).sort_values("n_params", kind="stable", ignore_index=True)
    if unit == "byte":
        of_tokens = [name for name in frame.columns if "perplexity" in name or "mean_nll" in name]
        frame = frame.drop(columns=of_tokens)
    return frame


def paired_differences(
    results: pd.DataFrame,
    *,
    pairs: str | Sequence[tuple[str, str]] = "neighbours",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare models story by story.

    With d_s = L_b,s - L_a,s on the same tokens, the difference is sum(d) / sum(T) nats per token,
    its standard error is clustered by story as in `clustered_mean`, and p is two-sided from a t
    distribution with n - 1 degrees of freedom, then corrected for the number of pairs (Holm).

    Parameters
    ----------
    results : DataFrame
        What `evaluate` returns.
    pairs : "neighbours", "all", or list of (smaller, larger)
        Neighbours in size; all pairs; or pairs by name, as `labels` gives them.
    level : float
        Confidence level of each interval (not corrected).

    Returns
    -------
    DataFrame
        One row per pair: ``smaller``, ``larger``, ``difference`` (nats per token, larger minus
        smaller: below 0 the larger model predicts better), ``se``, ``low``, ``high``,
        ``perplexity_ratio`` = exp(difference) with ``ratio_low`` and ``ratio_high``,
        ``p``, ``p_holm``, ``n_stories``, ``n_better`` (stories on which the larger model wins).

    Raises
    ------
    ValueError
        Two models were not scored on the same stories and tokens (other tokenizers: compare bits
        per byte) or by the same protocol; a pair names an unknown model; a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"model_name": ["s", "s", "l", "l"], "quant": "f32",
    ...     "n_params": [1, 1, 2, 2], "n_params_non_embedding": 0, "story_idx": [0, 1, 0, 1],
    ...     "n_scored": 10, "n_bytes": 40, "nll": [30.0, 20.0, 25.0, 14.0], "seconds": 1.0})
    >>> paired_differences(df)[["smaller", "larger", "difference"]].values.tolist()
    [['s', 'l', -0.55]]
    """
    check_results(results)
    groups = {
        label: group.sort_values("story_idx").set_index("story_idx")
        for label, group in zip(labels(results), _by_size(results), strict=True)
    }
    rows = []
    for smaller, larger in _pairs(list(groups), pairs):
        a, b = groups[smaller], groups[larger]
        _check_same_tokens(smaller, a, larger, b)
        loss = (b["nll"] - a["nll"]).to_numpy(dtype=np.float64)
        d = clustered_mean(loss, a["n_scored"], level=level)
        rows.append(
            {
                "smaller": smaller,
                "larger": larger,
                "difference": d.value,
                "se": d.se,
                "low": d.low,
                "high": d.high,
                "perplexity_ratio": exp(d.value),
                "ratio_low": exp(d.low),
                "ratio_high": exp(d.high),
                "p": _two_sided(d),
                "p_holm": math.nan,
                "n_stories": d.n,
                "n_better": int((loss < 0).sum()),
            }
        )
    columns = "smaller larger difference se low high perplexity_ratio ratio_low ratio_high p p_holm"
    frame = pd.DataFrame(rows, columns=[*columns.split(), "n_stories", "n_better"])
    frame["p_holm"] = holm(frame["p"])
    return frame


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for their number (Holm 1979); NaN stays NaN and doesn't count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p, dtype=np.float64)
    corrected = np.full(raw.shape, math.nan)
    known = np.flatnonzero(~np.isnan(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    steps = raw[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def labels(results: pd.DataFrame) -> list[str]:
    """Names of the models from the smallest to the largest, with the storage where names repeat.

    Examples
    --------
    >>> import pandas as pd
    >>> labels(pd.DataFrame({"model_name": ["m", "m"], "quant": ["q8", "f32"], "n_params": 1}))
    ['m (q8)', 'm (f32)']
    """
    first = [group.iloc[0] for group in _by_size(results)]
    names = [str(row["model_name"]) for row in first]
    return [
        f"{row['model_name']} ({row['quant']})" if names.count(name) > 1 else name
        for name, row in zip(names, first, strict=True)
    ]


def concerns(results: pd.DataFrame) -> list[str]:
    """Sentences on what weakens these results or their intervals; an empty list if nothing does.

    Examples
    --------
    >>> import pandas as pd
    >>> concerns(pd.DataFrame({"model_name": "m", "quant": "q8", "n_scored": [100, 101, 99]}))
    []
    """
    return [*_few_stories(results), *provenance_notes(results), *span_notes(results)]


def _few_stories(results: pd.DataFrame) -> list[str]:
    sizes = next(iter(results.groupby(_KEYS, sort=False)))[1]["n_scored"].to_numpy(np.float64)
    n = len(sizes)
    if n == 1:
        return ["There is only one story, so there are no intervals: nothing shows how much "
                "perplexity varies from story to story."]  # fmt: skip
    effective = sizes.sum() ** 2 / (sizes**2).sum()
    if effective >= _FEW * n:
        return []
    largest = np.sort(sizes)[::-1]
    half = int(np.searchsorted(np.cumsum(largest), sizes.sum() / 2)) + 1
    return [
        f"The {half} longest of the {n} stories hold half of all tokens, so the intervals of the "
        "token perplexity are too narrow: treat them as a lower bound, or score more stories."
    ]


def _pairs(names: list[str], pairs: str | Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    if pairs == "neighbours":
        return list(pairwise(names))
    if pairs == "all":
        return list(combinations(names, 2))
    if isinstance(pairs, str):
        raise ValueError(f"pairs is {pairs!r}; expected 'neighbours', 'all' or pairs of names")
    for pair in pairs:
        for name in pair:
            if name not in names:
                raise ValueError(f"no model is named {name!r}; there are: {', '.join(names)}")
    return list(pairs)


def _by_size(results: pd.DataFrame) -> list[pd.DataFrame]:
    groups = [group for _, group in results.groupby(_KEYS, sort=False)]
    return sorted(groups, key=lambda group: int(group["n_params"].iloc[0]))


def _check_same_tokens(smaller: str, a: pd.DataFrame, larger: str, b: pd.DataFrame) -> None:
    if not a.index.equals(b.index):
        raise ValueError(
            f"{smaller} and {larger} were scored on different stories ({len(a)} and {len(b)}); "
            "a paired comparison needs the same ones"
        )
    for column, what in (("n_scored", "scored tokens"), ("n_bytes", "bytes of scored tokens")):
        unlike = a.index[a[column].to_numpy() != b[column].to_numpy()]
        if len(unlike):
            s = unlike[0]
            raise ValueError(
                f"{smaller} and {larger} read different tokens: story {s} has "
                f"{a.loc[s, column]} and {b.loc[s, column]} {what}. Perplexities of different "
                "tokenizers don't compare; compare bits per byte"
            )


def check_results(results: pd.DataFrame, *, unit: str = "token") -> None:
    """Raise ValueError unless `results` has what `pyqtf.evaluate` returns, by one protocol."""
    expected = f"expected what pyqtf.evaluate returns, got: {column_names(results)}"
    require_columns(results, _NEEDED, "the results have", expected)
    if not len(results):
        raise ValueError("the results have no rows; expected one per model and story")
    twice = results[results.duplicated([*_KEYS, "story_idx"])]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"story {row['story_idx']} of {row['model_name']} ({row['quant']}) is there twice; "
            "expected one row per model and story"
        )
    check_comparable(results, unit=unit)


def _t(degrees: int, level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    return float(stdtrit(degrees, 0.5 + level / 2))


def _two_sided(difference: Estimate) -> float:
    if difference.n == 1:
        return math.nan
    if difference.se == 0:
        return 1.0 if difference.value == 0 else 0.0
    return float(2 * stdtr(difference.n - 1, -abs(difference.value) / difference.se))
