"""Intervals and comparisons against closed forms, SciPy, statsmodels and simulation."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api
from fakes import BigramModel, UniformModel, WordTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pyqtf.evaluation.evaluate import evaluate
from pyqtf.evaluation.statistics import (
    clustered_mean,
    concerns,
    holm,
    labels,
    paired_differences,
    summarise,
)


def results(losses, sizes, names=None, quants=None, n_params=None):
    """Results of len(losses) models; losses [model][story], sizes [story]."""
    frames = []
    for i, one in enumerate(losses):
        frames.append(
            pd.DataFrame(
                {
                    "model_name": names[i] if names else f"m{i}",
                    "n_params": n_params[i] if n_params else 10 ** (i + 3),
                    "n_params_non_embedding": 10 ** (i + 2),
                    "quant": quants[i] if quants else "f32",
                    "story_idx": range(len(sizes)),
                    "n_scored": sizes,
                    "n_bytes": 4 * np.asarray(sizes),
                    "nll": one,
                    "seconds": 0.5,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def random_results(rng, n_models=3, n=50, gap=0.1):
    sizes = np.round(170 * np.exp(0.4 * rng.standard_normal(n))).astype(int)
    hardness = 2 + 0.3 * rng.standard_normal(n)
    return results(
        [sizes * (hardness - gap * i + 0.05 * rng.standard_normal(n)) for i in range(n_models)],
        sizes,
    )


def test_mean_is_the_closed_form():
    e = clustered_mean([2.0, 12.0, 10.0], [2, 6, 4])
    mean = 24 / 12
    se = math.sqrt(3 / 2 * ((2 - 4) ** 2 + (12 - 12) ** 2 + (10 - 8) ** 2)) / 12
    reach = scipy.stats.t.ppf(0.975, 2) * se
    expected = (mean, se, mean - reach, mean + reach)
    assert (e.value, e.se, e.low, e.high) == pytest.approx(expected, rel=1e-14)


def test_standard_error_is_that_of_a_cluster_robust_regression():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 60, 20)
    story = np.repeat(np.arange(20), sizes)
    loss = rng.exponential(2, len(story)) + rng.normal(0, 1, 20)[story]
    fit = statsmodels.api.OLS(loss, np.ones(len(loss))).fit(
        cov_type="cluster", cov_kwds={"groups": story}, use_t=True
    )
    e = clustered_mean(np.bincount(story, loss), sizes)
    low, high = fit.conf_int(0.05)[0]
    assert (e.value, e.se) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-12)
    assert (e.low, e.high) == pytest.approx((low, high), rel=1e-12)


def test_equal_sizes_give_the_ordinary_t_interval():
    values = np.random.default_rng(1).normal(3, 1, 12)
    e = clustered_mean(7 * values, np.full(12, 7), level=0.9)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (e.low, e.high) == pytest.approx(tuple(expected), rel=1e-12)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4, allow_subnormal=False), st.integers(1, 1000)),
        min_size=2,
        max_size=20,
    ),
    st.randoms(),
)
def test_order_of_stories_changes_nothing(stories, random):
    shuffled = random.sample(stories, len(stories))
    a = clustered_mean(*zip(*stories, strict=True))
    b = clustered_mean(*zip(*shuffled, strict=True))
    assert a == b


@pytest.mark.parametrize(
    ("totals", "sizes", "words"),
    [
        ([], [], "two equal lists"),
        ([1.0], [1, 2], "two equal lists"),
        ([1.0, math.nan], [1, 1], "not finite"),
        ([1.0, 2.0], [1, 0], "not above 0"),
    ],
)
def test_sums_that_are_refused(totals, sizes, words):
    with pytest.raises(ValueError, match=words):
        clustered_mean(totals, sizes)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_is_a_probability(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        clustered_mean([1.0, 2.0], [1, 1], level=level)


def test_summary_of_uniform_models_is_exact():
    stories = ["A cat sat.", "A dog ran far away."]
    summary = summarise(evaluate(UniformModel(), stories, progress=False)).iloc[0]
    for column in ("perplexity", "perplexity_low", "perplexity_high", "story_perplexity"):
        assert summary[column] == pytest.approx(256, rel=1e-12)
    assert summary["bits_per_byte"] == pytest.approx(8, rel=1e-12)
    assert summary["mean_nll_se"] == pytest.approx(0, abs=1e-12)
    assert summary["n_scored"] == 9 + 18


def test_token_and_story_perplexity_are_different_figures():
    df = results([[10 * math.log(2), 30 * math.log(8)]], [10, 30])
    row = summarise(df).iloc[0]
    assert row["perplexity"] == pytest.approx(2 ** ((10 + 90) / 40))
    assert row["story_perplexity"] == pytest.approx((2 + 8) / 2)
    assert row["bits_per_byte"] == pytest.approx((10 + 90) / 160)
    assert row["tokens_per_second"] == pytest.approx(40 / 1.0)


def test_summary_intervals_are_those_of_their_definitions():
    df = random_results(np.random.default_rng(2), n_models=1)
    row = summarise(df, level=0.9).iloc[0]
    nll = clustered_mean(df["nll"], df["n_scored"], level=0.9)
    assert row["mean_nll_se"] == nll.se
    assert row["perplexity_low"] == math.exp(nll.low)
    each = np.exp(df["nll"] / df["n_scored"])
    story = scipy.stats.ttest_1samp(each, 0).confidence_interval(0.9)
    assert row["story_perplexity_low"] == pytest.approx(story.low, rel=1e-12)
    assert row["story_perplexity_high"] == pytest.approx(story.high, rel=1e-12)
    bits = clustered_mean(df["nll"] / math.log(2), df["n_bytes"], level=0.9)
    assert (row["bits_per_byte_low"], row["bits_per_byte_high"]) == (bits.low, bits.high)


def test_summary_is_sorted_by_size():
    df = random_results(np.random.default_rng(3))
    shuffled = df.sample(frac=1, random_state=0)
    summary = summarise(shuffled)
    assert summary["model_name"].tolist() == ["m0", "m1", "m2"]
    pd.testing.assert_frame_equal(summary, summarise(df))


def test_one_story_has_no_interval_and_says_so():
    with pytest.warns(UserWarning, match="only one story, so there are no intervals"):
        row = summarise(results([[30.0]], [10])).iloc[0]
    assert row["perplexity"] == pytest.approx(math.exp(3))
    assert row[["perplexity_low", "perplexity_high", "mean_nll_se"]].isna().all()
    difference = paired_differences(results([[30.0], [20.0]], [10])).iloc[0]
    assert difference["difference"] == -1
    assert difference[["low", "high", "p", "p_holm"]].isna().all()


@pytest.mark.parametrize(("sigma", "warned"), [(0.4, False), (1.2, True)])
def test_few_heavy_stories_are_named(sigma, warned):
    sizes = np.exp(sigma * scipy.stats.norm.ppf((np.arange(50) + 0.5) / 50)) * 170
    df = results([2 * sizes], sizes.astype(int))
    sentences = concerns(df)
    assert bool(sentences) == warned
    if warned:
        heavy = int(sentences[0].split()[1])
        ordered = np.sort(sizes)[::-1]
        assert ordered[:heavy].sum() >= sizes.sum() / 2 > ordered[: heavy - 1].sum()
        with pytest.warns(UserWarning, match="too narrow"):
            summarise(df)


def test_no_warning_for_ordinary_stories():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summarise(random_results(np.random.default_rng(4)))


def test_paired_difference_is_a_paired_t_test_when_stories_are_equally_long():
    rng = np.random.default_rng(5)
    a, b = rng.normal(3, 1, (2, 20))
    row = paired_differences(results([10 * a, 10 * b], [10] * 20)).iloc[0]
    test = scipy.stats.ttest_rel(b, a)
    low, high = test.confidence_interval()
    assert row["difference"] == pytest.approx((b - a).mean(), rel=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-12)
    assert row["p"] == pytest.approx(test.pvalue, rel=1e-9)
    assert row["perplexity_ratio"] == pytest.approx(math.exp((b - a).mean()))
    assert row["n_better"] == (b < a).sum()


def test_pairs():
    df = random_results(np.random.default_rng(6), n_models=4)
    names = ["m0", "m1", "m2", "m3"]

    def pairs(**kwargs):
        frame = paired_differences(df, **kwargs)
        return list(zip(frame["smaller"], frame["larger"], strict=True))

    assert pairs() == [("m0", "m1"), ("m1", "m2"), ("m2", "m3")]
    assert pairs(pairs="all") == [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert pairs(pairs=[("m0", "m3")]) == [("m0", "m3")]
    assert len(paired_differences(df[df["model_name"] == "m0"])) == 0
    with pytest.raises(ValueError, match="no model is named 'x'; there are: m0, m1"):
        paired_differences(df, pairs=[("m0", "x")])
    with pytest.raises(ValueError, match="'neighbors'"):
        paired_differences(df, pairs="neighbors")


def test_pairing_sees_what_marginal_intervals_hide():
    df = random_results(np.random.default_rng(7), n_models=2, gap=0.03)
    summary = summarise(df)
    assert summary["perplexity_low"][0] < summary["perplexity_high"][1]  # they overlap
    assert paired_differences(df)["high"][0] < 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
@settings(max_examples=15, deadline=None)
def test_holm_is_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_leaves_out_what_has_no_p():
    np.testing.assert_array_equal(holm([math.nan, 0.01, 0.04]), [math.nan, 0.02, 0.04])


def test_equal_models_differ_by_nothing():
    row = paired_differences(results([[5.0, 7.0]] * 2, [3, 4])).iloc[0]
    assert (row["difference"], row["se"], row["p"]) == (0, 0, 1)


def test_labels_tell_the_storage_only_where_names_repeat():
    df = results([[1.0]] * 3, [1], names=["a", "b", "b"], quants=["q8", "q8", "f32"])
    assert labels(df) == ["a", "b (q8)", "b (f32)"]


def test_other_tokens_are_not_compared():
    stories = ["one two three one", "two two one"]
    words = BigramModel("words", 10, tokenizer=WordTokenizer())
    df = evaluate([BigramModel("bytes", 5), words], stories, progress=False)
    df = df.drop(columns=["protocol", "provenance"])
    with pytest.raises(ValueError, match=r"story 0 has 16 and 3 scored tokens.*bits per byte"):
        paired_differences(df)
    with pytest.warns(UserWarning, match="scored different bytes"):
        assert len(summarise(df)) == 2


def test_other_stories_are_not_compared():
    df = results([[1.0, 2.0, 3.0]] * 2, [1, 1, 1]).iloc[:-1]
    with pytest.raises(ValueError, match=r"different stories \(3 and 2\)"):
        paired_differences(df)


def test_tables_that_are_no_results():
    df = results([[1.0, 2.0]], [1, 1])
    with pytest.raises(ValueError, match="no column 'n_scored'"):
        summarise(df.drop(columns="n_scored"))
    with pytest.raises(ValueError, match="no rows"):
        summarise(df.iloc[:0])
    with pytest.raises(ValueError, match=r"story 1 of m0 \(f32\) is there twice"):
        summarise(pd.concat([df, df.iloc[1:]]))


RUNS = 20_000


def coverage(losses, sizes, truth):
    """Share of runs [RUNS, n] whose t interval holds the truth."""
    n = sizes.shape[1]
    mean = losses.sum(axis=1) / sizes.sum(axis=1)
    squares = ((losses - mean[:, None] * sizes) ** 2).sum(axis=1)
    reach = scipy.stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * squares) / sizes.sum(axis=1)
    for run in range(5):  # the same intervals as the library's, many at once
        e = clustered_mean(losses[run], sizes[run])
        assert (e.low, e.high) == pytest.approx((mean[run] - reach[run], mean[run] + reach[run]))
    return (np.abs(mean - truth) <= reach).mean()


def log_normal(rng, sigma):
    """Lengths log-normal, and longer stories harder, so that a plain mean of stories is off."""
    noise = rng.standard_normal((2, RUNS, 50))
    sizes = 170 * np.exp(sigma * noise[0])
    losses = sizes * (2 + 0.15 * noise[0] + 0.3 * noise[1])
    # E[L] / E[T] for log-normal T: the mean of the first noise under weights T is sigma.
    return losses, sizes, 2 + 0.15 * sigma


def test_intervals_cover_with_lengths_that_go_with_loss():
    covered = coverage(*log_normal(np.random.default_rng(8), 0.4))
    assert 0.93 <= covered <= 0.97


def test_very_skewed_lengths_cover_less_and_are_warned_of():
    losses, sizes, truth = log_normal(np.random.default_rng(8), 1.2)
    assert coverage(losses, sizes, truth) < 0.9
    warned = [bool(concerns(results([losses[run]], sizes[run]))) for run in range(50)]
    assert np.mean(warned) > 0.9


def test_intervals_cover_on_real_stories(data_dir):
    path = data_dir / "reference" / "stories260K_train50_nll.json"
    rows = json.loads(path.read_text())["rows"]
    losses = np.array([row["sum_nll"] for row in rows])
    sizes = np.array([row["n_scored"] for row in rows])
    drawn = np.random.default_rng(9).integers(0, 50, (RUNS, 50))
    covered = coverage(losses[drawn], sizes[drawn], losses.sum() / sizes.sum())
    assert 0.93 <= covered <= 0.97
