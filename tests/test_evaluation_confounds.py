"""Features of tokens by hand, and regressions against statsmodels."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st

import pyqtf
from pyqtf.evaluation.confounds import regress_loss, token_features

TOKENS = [" day", ",", " Lu", "cy", " saw", " ", "3", " cats", ".", "\n", "Lucy", " said", ",",
          ' "', "I", " run", "!", '"', " She", " ran", "."]  # fmt: skip


def frame(tokens=TOKENS, story=0, model="m"):
    return pd.DataFrame(
        {
            "model_name": model,
            "story_idx": story,
            "position": range(1, len(tokens) + 1),
            "token": tokens,
            "nll": np.arange(len(tokens), dtype=float),
        }
    )


def test_kinds_by_hand():
    features = token_features(frame())
    assert features["kind"].tolist() == [
        "word", "punctuation", "name", "name", "word", "space", "number", "word", "punctuation",
        "space", "name", "word", "punctuation", "punctuation", "word", "word", "punctuation",
        "punctuation", "word", "word", "punctuation",
    ]  # fmt: skip
    starts = features["token"][~features["starts_word"]]
    assert starts.tolist() == ["cy"]


def test_names_are_first_or_repeated():
    features = token_features(frame())
    assert features["token"][features["repeated"]].tolist() == ["Lucy"]
    two = token_features(pd.concat([frame(), frame(story=1)]))
    assert two[two["story_idx"] == 1]["repeated"].sum() == 1  # each story begins anew


def test_dialogue_is_what_stands_in_quotes():
    features = token_features(frame())
    assert "".join(features["token"][features["dialogue"]]) == ' "I run!"'
    open_end = token_features(frame([' "', "Oh", "\n", "He", " left"]))
    assert open_end["dialogue"].tolist() == [True, True, True, False, False]


def test_place_length_and_frequency():
    features = token_features(pd.concat([frame(), frame([" a", ","], story=1)]))
    assert features["place"].iloc[[0, 20, 21, 22]].tolist() == [0, 1, 0, 1]
    assert features["log_length"].iloc[-1] == math.log(2)
    assert features["log_frequency"].iloc[1] == math.log(3)  # three commas
    single = token_features(frame([" a"]))
    assert single["place"].tolist() == [0]


def test_models_share_the_features_of_their_tokens():
    both = token_features(pd.concat([frame(), frame(model="n")]))
    a, b = (both[both["model_name"] == name].drop(columns="model_name") for name in "mn")
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))


@given(st.lists(st.text(alphabet=' aB1."\n', min_size=1, max_size=3), min_size=1, max_size=20))
def test_any_tokens_are_described(tokens):
    features = token_features(frame(tokens))
    assert len(features) == len(tokens)
    assert features["kind"].isin(["word", "name", "number", "punctuation", "space"]).all()
    assert features["place"].between(0, 1).all()


def random_features(seed=0, n_stories=25):
    rng = np.random.default_rng(seed)
    story = np.repeat(np.arange(n_stories), rng.integers(20, 60, n_stories))
    n = len(story)
    df = pd.DataFrame(
        {
            "model_name": "m",
            "story_idx": story,
            "place": rng.random(n),
            "kind": rng.choice(["word", "name", "punctuation"], n, p=[0.6, 0.2, 0.2]),
            "dialogue": rng.random(n) < 0.3,
        }
    )
    df["nll"] = (
        2 - df["place"] + (df["kind"] == "name") + 0.5 * df["dialogue"]
        + rng.normal(0, 0.3, n_stories)[story] + rng.exponential(1, n)
    )  # fmt: skip
    return df


def test_regression_is_statsmodels():
    df = random_features()
    table = regress_loss(df, ["place", "kind", "dialogue"]).set_index("term")
    fit = smf.ols(
        "nll ~ place + C(kind, Treatment('word')) + dialogue", df.astype({"dialogue": float})
    ).fit(cov_type="cluster", cov_kwds={"groups": df["story_idx"]}, use_t=True)
    names = {
        "intercept": "Intercept",
        "place": "place",
        "dialogue": "dialogue",
        "kind: name": "C(kind, Treatment('word'))[T.name]",
        "kind: punctuation": "C(kind, Treatment('word'))[T.punctuation]",
    }
    assert set(table.index) == set(names)
    low, high = fit.conf_int()[0], fit.conf_int()[1]
    for ours, theirs in names.items():
        row = table.loc[ours]
        assert row["estimate"] == pytest.approx(fit.params[theirs], rel=1e-9)
        assert row["se"] == pytest.approx(fit.bse[theirs], rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx((low[theirs], high[theirs]), rel=1e-9)
        assert row["p"] == pytest.approx(fit.pvalues[theirs], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("df", "terms", "words"),
    [
        (random_features(), ["place", "genre"], "no column 'genre'"),
        (random_features().assign(two=lambda d: 2 * d["place"]), ["place", "two"], "same twice"),
        (random_features().assign(flat=1.0), ["flat"], "never changes"),
        (random_features(n_stories=1), ["place"], "one story"),
        (pd.concat([random_features(), random_features().assign(model_name="n")]), ["place"],
         "several models"),
    ],
)  # fmt: skip
def test_what_is_refused(df, terms, words):
    with pytest.raises(ValueError, match=words):
        regress_loss(df, terms)


def test_tokens_without_their_columns_are_refused():
    with pytest.raises(ValueError, match="no column 'token'"):
        token_features(frame().drop(columns="token"))


def test_a_bundled_model_finds_rare_tokens_and_new_words_harder():
    model = pyqtf.load(pyqtf.bundled.names()[-1])
    tokens = pyqtf.evaluate_tokens(model, pyqtf.bundled.stories(), progress=False)
    features = token_features(tokens)
    table = regress_loss(features).set_index("term")
    assert table.loc["log_frequency", "high"] < 0
    assert table.loc["starts_word", "low"] > 0
    assert table.loc["kind: name", "low"] > 0
