"""Loss by group of tokens, against plain sums."""

import math

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel
from hypothesis import given
from hypothesis import strategies as st

from pyqtf.evaluation.breakdown import loss_by, position_bins, token_classes
from pyqtf.evaluation.evaluate import evaluate_tokens
from pyqtf.evaluation.statistics import clustered_mean

STORIES = ["A cat sat on a mat. 12 cats saw it.", "A dog ran far away.", "It was late."]


def tokens(n=2):
    models = [BigramModel(f"m{i}", seed=i) for i in range(n)]
    return evaluate_tokens(models, STORIES, progress=False)


def test_groups_make_up_the_whole():
    df = tokens()
    df["half"] = np.where(df["position"] % 2, "odd", "even")
    table = loss_by(df, "half")
    assert table["model_name"].tolist() == ["m0", "m0", "m1", "m1"]
    for name, rows in table.groupby("model_name"):
        one = df[df["model_name"] == name]
        assert rows["n_tokens"].sum() == len(one)
        assert math.isclose(rows["share_of_loss"].sum(), 1)
        assert math.isclose((rows["mean_nll"] * rows["n_tokens"]).sum(), one["nll"].sum())
        odd = one[one["half"] == "odd"].groupby("story_idx")["nll"]
        expected = clustered_mean(odd.sum(), odd.size())
        row = rows[rows["half"] == "odd"].iloc[0]
        assert (row["mean_nll"], row["low"], row["high"]) == (
            expected.value, expected.low, expected.high)  # fmt: skip


def test_a_group_in_one_story_has_no_interval():
    df = tokens(1)
    df["digit"] = df["token"].str.isdigit()
    row = loss_by(df, "digit").set_index("digit").loc[True]
    assert row["n_stories"] == 1 and math.isnan(row["low"])


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column 'kind'; there are: model_name, story_idx"):
        loss_by(tokens(1), "kind")


@given(st.integers(1, 10**6))
def test_a_bin_begins_at_a_power_of_two_and_holds_its_position(position):
    (first,) = position_bins(np.array([position]))
    assert first <= position < 2 * first
    assert math.log2(first) == int(math.log2(first))


def test_names_are_new_once_and_repeated_after():
    words = [" saw", " Tom", ".", " Tom", " hel", "ped", " Ann", ".", " 3"]
    df = pd.DataFrame({"model_name": "m", "story_idx": 0, "position": range(1, len(words) + 1),
                       "token": words, "nll": 1.0})  # fmt: skip
    assert token_classes(df)["token_class"].tolist() == [
        "word", "new name", "punctuation", "name again", "word", "rest of a word", "new name",
        "punctuation", "number"]  # fmt: skip
