"""Functions of tables say what they expect when they get something else."""

import math

import pandas as pd
import pytest
from fakes import BigramModel, UniformModel

import pyqtf
from pyqtf import plot
from pyqtf.evaluation.evaluate import evaluate
from pyqtf.evaluation.score import score

TAKE_A_TABLE = {
    "evaluate": (
        pyqtf.summarise, pyqtf.paired_differences, pyqtf.stories_needed, pyqtf.summarise_spoiled,
        pyqtf.bootstrap_intervals, pyqtf.fit_scaling_law, plot.scaling, plot.stories,
    ),
    "evaluate_tokens": (pyqtf.token_classes, pyqtf.token_features, plot.classes, plot.positions),
    "evaluate_contexts": (pyqtf.summarise_contexts,),
    "summarise_spoiled": (plot.spoiled,),
}  # fmt: skip


@pytest.mark.parametrize("given", [None, "results.csv", [1.0, 2.0]])
@pytest.mark.parametrize(
    ("maker", "function"),
    [(maker, function) for maker, all_of in TAKE_A_TABLE.items() for function in all_of],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_no_table(maker, function, given):
    with pytest.raises(TypeError, match=f"is no DataFrame; .*pyqtf.{maker}"):
        function(given)
    with pytest.raises(ValueError, match=f"no column .*pyqtf.{maker}"):
        function(pd.DataFrame({"a": [1]}))


def test_what_is_no_score():
    one = score(UniformModel(), "A cat sat.")
    for wrong in (None, "A cat sat.", pd.DataFrame()):
        with pytest.raises(TypeError, match=r"expected what model.score\(text\) returns"):
            plot.tokens(wrong)
        with pytest.raises(TypeError, match=r"expected what model.score\(text\) returns"):
            plot.compare(one, wrong)


def test_a_table_without_rows():
    empty = pd.DataFrame(columns=["model_name", "context", "n_sentences", "story_idx", "n_scored",
                                  "nll"])  # fmt: skip
    with pytest.raises(ValueError, match="the results have no rows"):
        pyqtf.summarise_contexts(empty)


def test_no_pairs_need_no_stories():
    results = evaluate([UniformModel()], ["A cat sat."], progress=False)
    table = pyqtf.stories_needed(results)
    assert len(table) == 0 and "n_needed" in table.columns


@pytest.mark.parametrize("change", [{"nll": math.nan}, {"nll": math.inf}, {"n_scored": 0}])
def test_losses_that_are_none_get_no_interval(change):
    results = evaluate([BigramModel()], ["A cat sat.", "A dog ran."], progress=False)
    with pytest.raises(ValueError, match="total that is not finite, or a size that is not above 0"):
        pyqtf.bootstrap_intervals(results.assign(**change))
