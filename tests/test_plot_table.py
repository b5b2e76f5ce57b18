"""Figures as text: aligned, within the width, nothing silently cut but names."""

import math

import numpy as np
import pytest
from fakes import BigramModel
from hypothesis import given
from hypothesis import strategies as st

from pyqtf.evaluation.evaluate import evaluate
from pyqtf.evaluation.score import score
from pyqtf.evaluation.statistics import paired_differences, summarise
from pyqtf.plot.table import (
    Table,
    change,
    differences_table,
    ends_text,
    interval,
    number,
    parameters,
    score_text,
    shorten,
    summary_table,
)

STORIES = ["A cat sat on a mat.", "A dog ran far away.", "It was late."]


def results(names):
    models = [
        BigramModel(name, 10 ** (i + 3), sharpness=0.3 * i, seed=i) for i, name in enumerate(names)
    ]
    return evaluate(models, STORIES, progress=False)


@pytest.mark.parametrize("names", [["a", "b"], ["Qwen/Qwen2.5-0.5B-Instruct-of-mine"] * 1 + ["é"]])
def test_tables_fit_eighty_columns(names):
    df = results(names)
    for table in (summary_table(summarise(df)), differences_table(paired_differences(df))):
        lines = table.to_text(80).splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) == 2 + len(table.rows) + sum(name in lines for name, *_ in table.rows)
        for row in table.rows:
            assert all(any(cell in line for line in lines) for cell in row[1:])


def test_summary_table_shows_the_summary():
    df = results(["small", "large"])
    summary = summarise(df)
    header, *rows = summary_table(summary).header, *summary_table(summary).rows
    assert header == ("model", "parameters", "perplexity", "95 % interval", "bits/byte", "tokens/s")
    assert rows[0][:3] == ("small", "1 k", number(summary["perplexity"][0]))
    assert rows[1][3] == interval(summary["perplexity_low"][1], summary["perplexity_high"][1])


def test_the_ends_of_a_family_are_compared_in_a_sentence():
    df = results(["small", "middle", "large"])
    row = paired_differences(df, pairs=[("small", "large")]).iloc[0]
    sentence = ends_text(df)
    assert "small to large: " + change(row["perplexity_ratio"]) in sentence
    assert f"{row['n_better']} of 3 stories won" in sentence
    assert ends_text(results(["small", "large"])) == ""


def test_html_is_escaped():
    page = Table(("<a>", "b"), (("x & y", "<script>"),)).to_html()
    assert "&lt;a&gt;" in page and "x &amp; y" in page and "<script>" not in page


def test_a_long_name_gets_its_own_line():
    rows = (("short", "1"), ("a name that is longer", "22"), ("x" * 40, "3"))
    assert Table(("name", "n"), rows).to_text(20).splitlines() == [
        "name    n",
        "---------",
        "short   1",
        "a name that...longer",
        "       22",
        "xxxxxxxxxxx...xxxxxx",
        "        3",
    ]


def test_columns_line_up():
    lines = Table(("name", "n"), (("a", "1"), ("bcd", "1000"))).to_text().splitlines()
    assert lines == ["name     n", "----------", "a        1", "bcd   1000"]


@given(st.floats(1e-3, 1e9))
def test_numbers_keep_four_digits(x):
    assert float(number(x)) == pytest.approx(x, rel=6e-4, abs=6e-5)


@given(st.integers(0, 10**14))
def test_parameters_keep_three_digits(n):
    value, *unit = parameters(n).split()
    size = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[unit[0]] if unit else 1
    assert float(value) * size == pytest.approx(n, rel=6e-3)
    assert len(parameters(n)) <= 8


@given(st.text(min_size=1), st.integers(8, 40))
def test_shortened_names_keep_both_ends(name, width):
    short = shorten(name, width)
    assert len(short) <= width
    assert short[0] == name[0] and short[-1] == name[-1]


def test_changes_that_are_no_number():
    assert change(math.nan) == "-"
    assert change(math.inf) == "-"
    assert number(math.inf) == "infinite"
    assert number(0) == "0.000"


def test_score_text_lists_the_costliest_tokens():
    one = score(BigramModel(), "A café, naïve.")
    lines = score_text(one, top=3).splitlines()
    assert number(one.perplexity) in lines[0]
    worst = one.to_frame()["nll"].max() / math.log(2)
    assert f"{worst:.2f}" in lines[6]
    assert len(lines) == 9
    assert score_text(one, top=0) == lines[0]
    assert max(map(len, score_text(one, top=100).splitlines())) <= 80
    assert np.isfinite(worst)
