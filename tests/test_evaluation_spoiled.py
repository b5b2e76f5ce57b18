"""Spoiled stories: what each rule changes, and the arithmetic of their summary."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel, UniformModel
from hypothesis import given
from hypothesis import strategies as st

import pyqtf
from pyqtf.evaluation.context import split_sentences
from pyqtf.evaluation.evaluate import evaluate
from pyqtf.evaluation.spoiled import VERSIONS, spoil_stories, summarise_spoiled
from pyqtf.evaluation.statistics import clustered_mean, paired_differences

STORY = (
    "Once there was a boy, and Tom was his name. One day Tom met Ann.\n\nTom ran and Tom fell. "
    'Ann said, "Get up, Tom! It is late." Then Tom laughed. The end.'
)
OTHER = (
    "A fox met Miss Bell and the dog, Rex. They played in the snow. Rex ran to the house. "
    "After that, Rex slept on a mat. They were together."
)


def versions(stories, **options):
    frame = spoil_stories(stories, **options)
    return frame[frame["of_story"] == 0].set_index("version")["text"]


def test_each_rule_changes_what_it_says():
    texts = versions([STORY, OTHER])
    assert list(texts.index) == ["original", *VERSIONS]
    assert texts["original"] == STORY
    assert texts["swapped names"] == (
        "Once there was a boy, and Tom was his name. One day Tom met Ann.\n\nTom ran and Tom fell. "
        'Tom said, "Get up, Ann! It is late." Then Ann laughed. The end.'
    )
    assert texts["contradicted"] == STORY.replace("laughed", "cried")
    assert texts["other ending"] == STORY.replace(" The end.", " They were together.")
    start = "Once there was a boy, and Tom was his name. One day Tom met Ann."
    assert set(texts["looping"].split(start)) == {"", " "}
    assert len(STORY) <= len(texts["looping"]) < len(STORY) + len(start) + 1


def test_an_ending_takes_the_main_name_with_it():
    stories = [STORY.replace(" The end.", " Tom slept."), OTHER.replace(" They were", " Rex was")]
    assert versions(stories)["other ending"].endswith("Then Tom laughed. Tom was together.")


def test_an_ending_does_not_begin_within_a_quotation():
    story = 'A cat sat. It ran. It saw a dog. "Oh! You are big."'
    assert versions([story, OTHER])["other ending"] == (
        "A cat sat. It ran. It saw a dog. They were together."
    )


def test_an_ending_without_an_opposite_is_negated():
    story = "A cat sat down. It saw a bird. It was blue."
    assert versions([story])["contradicted"].endswith("It was not blue.")
    assert "contradicted" not in versions(["A cat sat. It ran."])
    already = "A cat sat down. It was not blue."
    assert "contradicted" not in versions([already])


def test_one_name_is_swapped_for_that_of_another_story():
    one = "He had a cat named Tom. Tom ran. Tom sat."
    assert versions([one, OTHER])["swapped names"] == "He had a cat named Tom. Rex ran. Rex sat."
    assert "swapped names" not in versions(["A cat sat. It ran."])
    assert "swapped names" not in versions([one])


def test_a_hero_column_names_the_main_character_and_goes_through():
    frame = spoil_stories([{"text": STORY, "hero": "Ann", "plot": "p"}, {"text": OTHER}])
    swapped = frame[frame["version"] == "swapped names"].iloc[0]
    assert swapped["plot"] == "p"
    assert 'Tom said, "Get up, Ann!' in swapped["text"]


def test_titles_and_days_are_no_names():
    story = "They saw Mr. Fox and Miss Bell on Monday, and Old Joe. They sat. They slept."
    assert "swapped names" not in versions([story])


def test_the_seed_decides_the_order_and_nothing_else():
    a, b = (versions([STORY, OTHER], seed=seed) for seed in (0, 1))
    assert a["shuffled"] != b["shuffled"]
    assert a.drop("shuffled").equals(b.drop("shuffled"))
    assert a.equals(versions([STORY, OTHER], seed=0))


SENTENCES = st.lists(
    st.sampled_from(["A cat sat.", "It ran!", "Was it late?", "Tom slept.", '"No," said Ann.']),
    min_size=1, max_size=8,
)  # fmt: skip


@given(SENTENCES, st.sampled_from([" ", "\n\n"]))
def test_shuffling_keeps_every_sentence_and_white_space(sentences, gap):
    text = gap.join(sentences)
    shuffled = versions([text]).get("shuffled")
    if len(set(sentences)) < 2:
        assert shuffled is None
        return
    pieces = [Counter(s.strip() for s in split_sentences(t)) for t in (text, shuffled or text)]
    assert pieces[0] == pieces[1]
    if shuffled is not None:
        assert len(shuffled) == len(text) and shuffled.count(gap) == text.count(gap)


def test_real_stories_have_nearly_every_version(data_dir):
    stories = pyqtf.read_stories(data_dir / "tinystories" / "train_first50.json")
    count = spoil_stories(stories)["version"].value_counts()
    assert count["original"] == count["shuffled"] == count["looping"] == 50
    assert count["contradicted"] >= 48 and count["other ending"] >= 48
    assert count["swapped names"] >= 40


def test_the_summary_is_the_paired_comparison_where_lengths_agree():
    """With equal tokens the interval of the ratio is that of the paired difference."""
    rng = np.random.default_rng(0)
    n, scored = 12, np.arange(50, 62)
    base = {"model_name": "m", "quant": "q8", "n_params": 10, "n_params_non_embedding": 5,
            "n_scored": scored, "n_bytes": 400, "seconds": 1.0, "of_story": range(n)}  # fmt: skip
    original = pd.DataFrame({**base, "story_idx": range(n), "version": "original",
                             "nll": rng.gamma(50, size=n)})  # fmt: skip
    spoiled = original.assign(version="shuffled", story_idx=range(n, 2 * n),
                              nll=original["nll"] * rng.uniform(0.9, 1.3, n))  # fmt: skip
    row = summarise_spoiled(pd.concat([original, spoiled])).iloc[0]
    twin = spoiled.assign(model_name="n", n_params=11, story_idx=range(n))
    expected = paired_differences(pd.concat([original, twin])).iloc[0]
    for ours, theirs in (("ratio", "perplexity_ratio"), ("ratio_low", "ratio_low"),
                         ("ratio_high", "ratio_high")):  # fmt: skip
        assert row[ours] == pytest.approx(expected[theirs], rel=1e-12)
    assert row["accuracy"] == (original["nll"] < spoiled["nll"]).mean()
    assert row["original"] == math.exp(clustered_mean(original["nll"], scored).value)


def test_the_ratio_of_unequal_lengths_covers_in_simulation():
    """Originals and versions of other lengths: the 95 % interval holds the true ratio."""
    rng = np.random.default_rng(1)
    n, runs, held = 40, 400, 0
    for _ in range(runs):
        length = rng.integers(100, 300, (2, n))
        level = rng.normal(1.0, 0.15, n)  # a story's own, shared by both
        nll = length * np.stack([level, level + 0.2 + rng.normal(0, 0.05, n)])
        frame = pd.DataFrame(
            {"model_name": "m", "quant": "q8", "n_params": 1, "n_params_non_embedding": 1,
             "n_bytes": 1, "seconds": 1.0, "story_idx": range(2 * n), "of_story": [*range(n)] * 2,
             "version": ["original"] * n + ["looping"] * n, "n_scored": length.ravel(),
             "nll": nll.ravel()}
        )  # fmt: skip
        row = summarise_spoiled(frame).iloc[0]
        held += row["ratio_low"] <= math.exp(0.2) <= row["ratio_high"]
    assert 0.92 <= held / runs <= 0.98


@pytest.mark.parametrize(
    ("n_won", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (8, 10, 0.490, 0.943)]
)
def test_accuracy_has_wilsons_interval(n_won, n, low, high):
    frame = pd.DataFrame(
        {"model_name": "m", "quant": "q8", "n_params": 1, "n_params_non_embedding": 1, "n_bytes": 1,
         "seconds": 1.0, "n_scored": 10, "story_idx": range(2 * n), "of_story": [*range(n)] * 2,
         "version": ["original"] * n + ["looping"] * n,
         "nll": [1.0] * n_won + [3.0] * (n - n_won) + [2.0] * n}
    )  # fmt: skip
    row = summarise_spoiled(frame).iloc[0]
    assert row["accuracy"] == n_won / n
    assert row[["accuracy_low", "accuracy_high"]].tolist() == pytest.approx([low, high], abs=5e-4)


def test_a_model_that_knows_nothing_is_fooled_by_nothing():
    df = evaluate(UniformModel(), spoil_stories([STORY, OTHER]), progress=False)
    summary = summarise_spoiled(df)
    assert summary["ratio"].tolist() == pytest.approx([1.0] * len(summary))


def test_other_results_are_refused():
    df = evaluate(BigramModel(), [STORY, OTHER], progress=False)
    with pytest.raises(ValueError, match="no column 'version'"):
        summarise_spoiled(df)
    spoiled = evaluate(BigramModel(), spoil_stories([STORY, OTHER]), progress=False)
    with pytest.raises(ValueError, match=r"story 1 \(shuffled\) has no original"):
        summarise_spoiled(spoiled[(spoiled["version"] != "original") | (spoiled["of_story"] == 0)])


def test_larger_bundled_models_choose_the_right_ending_while_names_leave_them_cold():
    names = pyqtf.bundled.names()
    spoiled = spoil_stories(pyqtf.bundled.stories())
    df = evaluate([names[0], names[-1]], spoiled, progress=False)
    summary = summarise_spoiled(df).set_index(["model_name", "version"])
    accuracy, ratio = summary["accuracy"], summary["ratio"]
    assert accuracy[names[-1], "other ending"] > 0.9 > 0.6 > accuracy[names[0], "other ending"]
    assert ratio[names[0], "looping"] < 1 < ratio[names[-1], "looping"]
    assert 0.99 < ratio[names[-1], "swapped names"] < 1.01
    assert summary["accuracy_low"][names[-1], "swapped names"] < 0.5
