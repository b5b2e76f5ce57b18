"""The experiment on the bundled family: what a newcomer's first run must show."""

import itertools
import json

import pandas as pd
import pytest

import pyqtf
from pyqtf.evaluation.statistics import labels


@pytest.fixture(scope="module")
def generated():
    names = pyqtf.bundled.names()
    return pyqtf.evaluate(names, pyqtf.bundled.stories(), progress=False)


def test_perplexity_falls_with_size(generated):
    summary = pyqtf.summarise(generated)
    assert len(summary) >= 6
    assert (summary["perplexity"].diff()[1:] < 0).all()
    assert (summary["n_stories"] == 50).all()


def test_every_paired_interval_of_neighbours_excludes_zero(generated):
    differences = pyqtf.paired_differences(generated)
    assert (differences["high"] < 0).all()
    assert (differences["p_holm"] < 0.001).all()


def test_on_handwritten_stories_the_largest_beats_the_smallest():
    names = pyqtf.bundled.names()
    df = pyqtf.evaluate([names[0], names[-1]], pyqtf.bundled.stories("handwritten"), progress=False)
    row = pyqtf.paired_differences(df).iloc[0]
    assert (row["smaller"], row["larger"]) == (names[0], names[-1])
    assert row["high"] < 0


def test_real_stories_run(data_dir):
    path = data_dir / "tinystories" / "train_first50.json"
    df = pyqtf.evaluate(pyqtf.bundled.names()[:2], pyqtf.read_stories(path), progress=False)
    assert len(df) == 100
    texts = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = pyqtf.load(pyqtf.bundled.names()[0]).tokenizer
    assert df["n_tokens"][:50].tolist() == [len(tokenizer.encode(text)) for text in texts]


def test_a_story_alone_or_among_others_scores_the_same(generated):
    name = pyqtf.bundled.names()[2]
    stories = pyqtf.bundled.stories()
    alone = [pyqtf.evaluate(name, [story], progress=False)["nll"][0] for story in stories[:8]]
    among = generated[generated["model_name"] == name]["nll"]
    assert alone == among.tolist()[:8]
    turned = pyqtf.evaluate(name, stories[::-1], progress=False)["nll"]
    assert turned.tolist()[::-1] == among.tolist()


def test_storages_stand_side_by_side():
    name = pyqtf.bundled.names()[-1]
    models = [pyqtf.load(name, quant=quant) for quant in ("q8", "f32")]
    df = pyqtf.evaluate(models, pyqtf.bundled.stories()[:10], progress=False)
    assert labels(df) == [f"{name} (q8)", f"{name} (f32)"]
    row = pyqtf.paired_differences(df).iloc[0]
    assert 0 < abs(row["difference"]) < 0.01


def test_the_law_of_the_family_has_an_interval(generated):
    fit = pyqtf.fit_scaling_law(pyqtf.summarise(generated))
    assert 0 < fit.alpha_low < fit.alpha_high
    table = fit.to_frame().set_index("form")
    assert table["degrees_of_freedom"].tolist() == [len(fit.sizes) - p for p in (2, 2, 2, 3)]
    assert table.loc["law", "scatter"] < table.loc["linear", "scatter"]


def test_tokens_add_up_to_the_stories(generated):
    name = pyqtf.bundled.names()[-1]
    tokens = pyqtf.evaluate_tokens(name, pyqtf.bundled.stories()[:5], progress=False)
    sums = tokens.groupby("story_idx")["nll"].sum()
    among = generated[generated["model_name"] == name].set_index("story_idx")["nll"][:5]
    pd.testing.assert_series_equal(sums, among, rtol=1e-12)
    texts = ["".join(t) for _, t in itertools.groupby(tokens["token"], key=lambda _: 0)]
    assert pyqtf.bundled.stories()[0]["text"][10:60] in texts[0]
