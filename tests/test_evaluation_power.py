"""Bootstrap intervals and the number of stories a comparison needs."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower
from test_evaluation_statistics import random_results, results

from pyqtf.evaluation.bootstrap import bootstrap_intervals
from pyqtf.evaluation.power import power, stories_needed
from pyqtf.evaluation.statistics import paired_differences, summarise


def test_bootstrap_is_scipys():
    df = random_results(np.random.default_rng(0), n_models=1)
    row = bootstrap_intervals(df, runs=4000, level=0.9).iloc[0]
    nll, scored = df["nll"].to_numpy(), df["n_scored"].to_numpy()
    expected = scipy.stats.bootstrap(
        (nll, scored),
        lambda a, b, axis=-1: np.exp(a.sum(axis=axis) / b.sum(axis=axis)),
        paired=True,
        confidence_level=0.9,
        method="percentile",
        n_resamples=4000,
        rng=1,
    ).confidence_interval
    width = expected.high - expected.low
    assert row["perplexity_low"] == pytest.approx(expected.low, abs=0.05 * width)
    assert row["perplexity_high"] == pytest.approx(expected.high, abs=0.05 * width)


def test_bootstrap_lies_beside_the_t_interval():
    df = random_results(np.random.default_rng(1))
    drawn, exact = bootstrap_intervals(df), summarise(df)
    assert drawn["model_name"].tolist() == exact["model_name"].tolist()
    for column in ("perplexity", "story_perplexity"):
        width = exact[f"{column}_high"] - exact[f"{column}_low"]
        ratio = (drawn[f"{column}_high"] - drawn[f"{column}_low"]) / width
        assert ((ratio > 0.8) & (ratio < 1.1)).all()


def test_bootstrap_ignores_the_order_of_rows():
    df = random_results(np.random.default_rng(2))
    shuffled = df.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(bootstrap_intervals(df), bootstrap_intervals(shuffled))


def test_bootstrap_of_one_story_has_no_interval():
    assert bootstrap_intervals(results([[30.0]], [10])).iloc[0, 2:].isna().all()


@pytest.mark.parametrize("kwargs", [{"level": 95}, {"runs": 99}])
def test_bootstrap_refuses(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        bootstrap_intervals(results([[1.0, 2.0]], [1, 1]), **kwargs)


@given(st.floats(0, 3), st.integers(2, 3000))
def test_power_is_statsmodels(effect, n):
    expected = TTestPower().power(effect, n, 0.05)
    if math.isnan(expected):  # statsmodels fails now and then where power is near 1
        assert effect * math.sqrt(n) > 5
        assert 1 >= power(effect, n) > (0.6 if n == 2 else 0.9)
    else:
        assert power(effect, n) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_the_number_needed_is_the_smallest_with_enough_power(target):
    df = random_results(np.random.default_rng(3), gap=0.004)
    for _, row in stories_needed(df, target=target).iterrows():
        effect = row["difference"] / row["spread"]
        assert power(effect, row["n_needed"]) >= target
        assert row["n_needed"] == 2 or power(effect, row["n_needed"] - 1) < target
        assert row["power"] == power(effect, row["n_stories"])


def test_experiments_of_the_needed_size_find_the_difference():
    pilot = random_results(np.random.default_rng(4), n_models=2, n=4000, gap=0.03)
    n = int(stories_needed(pilot)["n_needed"].iloc[0])
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        stories = rng.choice(4000, n, replace=False)
        small = pilot[pilot["story_idx"].isin(stories)]
        found += paired_differences(small)["p"].iloc[0] < 0.05
    assert 0.7 < found / 300 < 0.9


def test_equal_models_are_never_told_apart():
    table = stories_needed(results([[5.0, 7.0]] * 2, [3, 4]))
    assert table["n_needed"].isna().all()


def test_models_that_differ_the_same_everywhere_need_two_stories():
    table = stories_needed(results([[30.0, 60.0], [20.0, 40.0]], [10, 20]))
    assert table["n_needed"].tolist() == [2]
    assert table["power"].tolist() == [1.0]


def test_what_is_refused():
    df = results([[5.0, 7.0]] * 2, [3, 4])
    with pytest.raises(ValueError, match=r"target is 1\.5"):
        stories_needed(df, target=1.5)
    with pytest.raises(ValueError, match="at least two"):
        stories_needed(results([[5.0]] * 2, [3]))
