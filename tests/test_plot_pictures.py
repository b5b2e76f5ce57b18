"""Figures, coloured tokens and the report: what they hold, and that they need nothing else."""

import html.parser
import io
import math
import re

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel, UniformModel, WordTokenizer
from matplotlib.collections import PolyCollection
from matplotlib.image import imread
from matplotlib.text import Text

from pyqtf import plot
from pyqtf.evaluation.breakdown import loss_by, position_bins, token_classes
from pyqtf.evaluation.evaluate import evaluate, evaluate_tokens
from pyqtf.evaluation.scaling_law import fit_scaling_law
from pyqtf.evaluation.score import score
from pyqtf.evaluation.spoiled import VERSIONS, spoil_stories, summarise_spoiled
from pyqtf.evaluation.statistics import summarise

STORIES = ["A cat sat on a mat.", "A dog ran far away.", "It was late."]


def results(n=3, names=None, stories=STORIES, n_params=None):
    names = names or [f"model-{i}" for i in range(n)]
    sizes = n_params or [10 ** (i + 3) for i in range(n)]
    models = [BigramModel(name, size, sharpness=0.2 * i, seed=i)
              for i, (name, size) in enumerate(zip(names, sizes, strict=True))]  # fmt: skip
    return evaluate(models, stories, progress=False)


def overlapping(figure, texts):
    """Pairs of texts whose turned boxes meet, by the corners of their ink."""
    renderer = figure.canvas.get_renderer()
    boxes = []
    for text in texts:
        angle = text.get_rotation()
        text.set_rotation(0)
        box = Text.get_window_extent(text, renderer)  # without the annotation's leader
        text.set_rotation(angle)
        turn = math.radians(angle)
        anchor = np.array([box.x0, box.y0])
        along = np.array([math.cos(turn), math.sin(turn)])
        up = np.array([-math.sin(turn), math.cos(turn)])
        boxes.append((anchor @ along, anchor @ along + box.width, anchor @ up, box.height))
    pairs = []
    for i, (a0, a1, v, height) in enumerate(boxes):
        for b0, b1, w, _ in boxes[i + 1 :]:
            if a0 < b1 and b0 < a1 and abs(v - w) < 0.8 * height:
                pairs.append((v, w))
    return pairs


def test_scaling_draws_the_summary_on_both_kinds_of_axes():
    df = results()
    figure = plot.scaling(df)
    summary = summarise(df)
    linear, logarithmic = figure.axes
    assert (linear.get_xscale(), linear.get_yscale()) == ("linear", "linear")
    assert (logarithmic.get_xscale(), logarithmic.get_yscale()) == ("log", "log")
    for axes in figure.axes:
        x, y = axes.lines[0].get_data()
        np.testing.assert_array_equal(x, summary["n_params"])
        np.testing.assert_array_equal(y, summary["perplexity"])
        ends = np.array([segment[:, 1] for segment in axes.collections[0].get_segments()])
        np.testing.assert_allclose(ends[:, 0], summary["perplexity_low"])
        np.testing.assert_allclose(ends[:, 1], summary["perplexity_high"])
    assert [text.get_text() for text in logarithmic.texts] == summary["model_name"].tolist()


@pytest.mark.parametrize(
    "n_params",
    [
        [30_000, 60_000, 120_000, 250_000, 500_000, 1_000_000, 2_000_000, 3_000_000],
        [1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007],
        [494_032_768, 494_032_768, 1_543_714_304],
    ],
)
def test_names_do_not_overlap(n_params):
    df = results(len(n_params), [f"Qwen2.5-{n}-of-mine" for n in range(len(n_params))],
                 n_params=n_params)  # fmt: skip
    figure = plot.scaling(df)
    figure.draw_without_rendering()
    assert overlapping(figure, figure.axes[1].texts) == []


def test_long_names_stay_inside_the_picture():
    df = results(2, ["a" * 200, "b" * 200])
    figure = plot.scaling(df)
    renderer = figure.canvas.get_renderer()
    figure.draw_without_rendering()
    for text in figure.axes[1].texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width + 1
        assert box.y1 <= figure.bbox.height + 1


@pytest.mark.parametrize("n", [1, 2, 8])
@pytest.mark.parametrize("stories", [STORIES, STORIES[:1]])
def test_pictures_of_any_size_are_drawn(n, stories):
    for picture in (plot.scaling, plot.stories):
        pixels = imread(io.BytesIO(plot.png(picture(results(n, stories=stories)))))
        assert pixels.shape[0] > 400 and pixels.std() > 0.05


def test_the_law_is_drawn_with_its_band_and_dashed_beyond_the_models():
    sizes = [10**i for i in range(3, 8)]
    frame = pd.DataFrame(
        {"model_name": list("abcde"), "quant": "q8", "n_params": sizes,
         "mean_nll": [1.5 + 5 / n**0.2 * f for n, f in zip(sizes, (1, 1.01, 1, 0.99, 1),
                                                           strict=True)]}
    )  # fmt: skip
    fit = fit_scaling_law(frame)
    (axes,) = plot.scaling_law(fit).axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 4
    assert all(line.get_xdata()[0] == 1e7 for line in dashed)
    n_bands = len(axes.collections)
    (axes,) = plot.scaling_law(fit_scaling_law(frame[:3])).axes
    assert len(axes.collections) == n_bands - 1


def law_results(n=5):
    """Models on E + A / N^alpha, a little off."""
    off = (1, 1.01, 1, 0.99, 1.005)
    rows = [{"model_name": f"m{i}", "quant": "q8", "n_params": 10 ** (i + 3),
             "n_params_non_embedding": 10 ** (i + 2), "story_idx": s, "n_scored": 100,
             "n_bytes": 400, "seconds": 1.0,
             "nll": (100 + s) * (1.5 + 5 / 10 ** (0.2 * (i + 3)) * off[i])}
            for i in range(n) for s in range(3)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("axis", ["n_params", "n_params_non_embedding"])
def test_fits_are_drawn_as_perplexity_and_dashed_beyond_the_models(axis):
    df = law_results()
    fit = fit_scaling_law(df, axis=axis)
    for axes in plot.scaling(df, fit=fit, reach=4).axes:
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        solid = {line.get_label(): line for line in axes.lines if "N" in line.get_label()}
        assert len(dashed) == len(solid) == 4
        for line in dashed:
            x = line.get_xdata()
            assert (x[0], x[-1]) == pytest.approx((fit.sizes[-1], 4 * fit.sizes[-1]))
        x, y = solid["E + A / N^alpha"].get_data()
        np.testing.assert_allclose(y, np.exp(fit.predict(x)))
        assert x[-1] == pytest.approx(fit.sizes[-1])
        assert axes.get_xlabel() == fit.axis_label
        (points,) = (line for line in axes.lines if line.get_marker() == "o")
        np.testing.assert_array_equal(points.get_xdata(), fit.sizes)
        low, high = fit.band(4 * fit.sizes[-1:])
        (band,) = (c for c in axes.collections if isinstance(c, PolyCollection))
        ends = band.get_paths()[0].vertices
        at_end = ends[np.isclose(ends[:, 0], 4 * fit.sizes[-1]), 1]
        np.testing.assert_allclose([at_end.min(), at_end.max()], np.exp([low[0], high[0]]))


def test_the_slope_of_a_story_is_its_gain_per_doubling():
    df = results(2, n_params=[1000, 8000])
    _, slopes = plot.stories(df).axes
    (dots,) = (line for line in slopes.lines if line.get_marker() == "o")
    mean = (df["nll"] / df["n_scored"]).to_numpy().reshape(2, -1)
    np.testing.assert_allclose(dots.get_xdata(), np.sort((mean[1] - mean[0]) / 3))


def token_results(n=3, stories=STORIES):
    models = [BigramModel(f"m{i}", 10**i, seed=i) for i in range(n)]
    return evaluate_tokens(models, stories, progress=False)


def test_loss_by_position_is_drawn_for_bins_that_half_of_the_stories_reach():
    df = token_results(stories=[*STORIES, "one story of many more bytes than the others"])
    left, right = plot.positions(df).axes
    expected = loss_by(df.assign(bin=position_bins(df["position"].to_numpy())), "bin")
    expected = expected[expected["n_stories"] >= 2]
    for axes, x_of in ((left, sorted(expected["bin"].unique())), (right, range(10))):
        lines = [c.lines[0] for c in axes.containers]
        assert len(lines) == 3
        for line in lines:
            assert list(line.get_xdata()) == list(x_of)
    one = expected[expected["model_name"] == "m1"]
    np.testing.assert_array_equal(left.containers[1].lines[0].get_ydata(), one["mean_nll"])
    assert expected["bin"].max() == 16  # the bin from 32 on is in one story only


def test_loss_by_class_shows_means_and_shares():
    df = token_results()
    left, right = plot.classes(df).axes
    table = loss_by(token_classes(df), "token_class")
    last = table[table["model_name"] == "m2"].set_index("token_class")
    names = [label.get_text() for label in left.get_yticklabels()]
    assert set(names) == set(last.index)
    np.testing.assert_array_equal(left.containers[2].lines[0].get_xdata(),
                                  last.loc[names, "mean_nll"])  # fmt: skip
    assert [bar.get_width() for bar in right.patches] == last.loc[names, "share_of_loss"].tolist()


def test_spoiled_stories_are_drawn_with_their_summary():
    stories = ["Tom met Ann. And Tom ran. Then Ann was happy.", "A dog, Rex, ran. It was late."]
    models = [BigramModel("a", 100, seed=1), BigramModel("b", 1000, seed=2)]
    summary = summarise_spoiled(evaluate(models, spoil_stories(stories), progress=False))
    for axes, value in zip(plot.spoiled(summary).axes, ("ratio", "accuracy"), strict=True):
        lines = {c.get_label(): c.lines[0] for c in axes.containers}
        assert set(lines) == set(VERSIONS)
        for version, line in lines.items():
            rows = summary[summary["version"] == version]
            assert line.get_ydata().tolist() == rows[value].tolist()
            np.testing.assert_allclose(line.get_xdata(), rows["n_params"], rtol=0.07)


def test_larger_models_are_darker_in_grey():
    left, _ = plot.positions(token_results(6)).axes
    colours = np.array([c.lines[0].get_color()[:3] for c in left.containers])
    luminance = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(luminance) < -0.05).all()


def test_one_story_is_said_in_the_picture():
    figure = plot.scaling(results(stories=STORIES[:1]))
    assert "only one story" in figure.get_supxlabel()


def test_figures_leave_pyplot_alone():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = plot.scaling(results())
    assert plt.get_fignums() == before
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert imread(io.BytesIO(data)).shape[1] / size["width"] == 1.5


class Page(html.parser.HTMLParser):
    """Checks that tags are closed, and collects text, hints and references."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.titles, self.references, self.tags = [], "", [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.references.append(value)
            if name == "title":
                self.titles.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_tokens_show_the_text_and_escape_it():
    text = 'She said “hé” 🐈 & <script>alert("x")</script>\n\nEnd'
    page = Page(plot.tokens(score(BigramModel("<b>"), text, top_k=2), title=False))
    assert page.text.replace("↵", "") == text
    assert "script" not in page.tags
    assert any("most likely" in title for title in page.titles)
    assert "not scored" in page.titles[0]
    assert "<b>" in Page(plot.tokens(score(BigramModel("<b>"), text))).text


def test_a_character_of_several_tokens_is_one_span():
    page = Page(plot.tokens(score(UniformModel(), "a🐈b"), title=False))
    assert len(page.titles) == 3
    assert page.titles[1].count("8.00 bits, probability") == 4
    assert page.titles[1].startswith('"\\xf0": ')


@pytest.mark.parametrize("ids", [[255, 254], [97, 240, 159], [240, 159, 97, 98]])
def test_bytes_that_are_no_text_are_shown_too(ids):
    page = Page(plot.tokens(score(UniformModel(), ids), title=False))
    assert "\ufffd" in page.text


def test_colour_grows_with_the_loss():
    one = score(BigramModel(sharpness=2.0), STORIES[0])
    alphas = re.findall(r"rgba\([\d,]+,([\d.]+)\)", plot.tokens(one, title=False))
    order = np.argsort(one.losses.nll)
    assert (np.diff(np.array(alphas, float)[order]) >= 0).all()
    assert len(alphas) == one.n_scored


def test_a_context_is_not_shown_but_all_of_the_text_is_coloured():
    page = plot.tokens(score(BigramModel(), "cat", context="Before"), title=False)
    assert Page(page).text == "cat"
    assert page.count("rgba") == 3


def test_two_models_are_compared_token_by_token():
    a, b = BigramModel("<small>", seed=1), BigramModel("large", seed=2)
    text = "A café 🐈.\nEnd"
    one, two = score(a, text), score(b, text)
    page = plot.compare(one, two)
    read = Page(page)
    assert "<small>" in read.text and read.text.replace("↵", "").endswith(text)
    colours = re.findall(r"rgba\((0,114,178|213,94,0),", page)[2:]  # two stand in the legend
    assert len(colours) == len(read.titles) - 1
    gains = one.losses.nll - two.losses.nll
    singles = [i for i, piece in enumerate(one.pieces[1:]) if piece.isascii()]
    lines = re.findall(r"\);border-radius:2px(;text-decoration:underline)?\"", page)
    places = np.cumsum([0, *(len(c.encode()) for c in text[1:])])[:-1]
    by_place = dict(zip(places, zip(colours, map(bool, lines), strict=True), strict=True))
    for i in singles:
        colour = "0,114,178" if gains[i] > 0 else "213,94,0"
        assert by_place[i] == (colour, gains[i] < -0.5 * math.log(2))
    assert len(set(colours)) == 2
    bits = one.losses.nll[0] / math.log(2)
    assert f"{bits:.2f} bits under <small>" in read.titles[1]


def test_scores_of_other_tokens_are_not_compared():
    with pytest.raises(ValueError, match=r"scored different tokens \(3 and 4 ids\)"):
        plot.compare(score(BigramModel(), "cat"), score(BigramModel(), "cats"))
    with pytest.raises(ValueError, match="different tokens"):
        plot.compare(score(BigramModel(), "cat"), score(BigramModel(), "at", context="c"))


def test_a_score_shows_itself_in_a_notebook():
    one = score(BigramModel(), STORIES[0])
    assert one._repr_html_() == plot.tokens(one)
    assert plot.tokens(one)._repr_html_() == plot.tokens(one)


# What JupyterLab's sanitizer leaves of the styles of a notebook that was saved by someone else.
KEPT = {
    "background-color": r"rgba\(\d{1,3},\d{1,3},\d{1,3},(0|1|0\.\d+)\)",
    "border-radius": r"\d+px",
    "font-family": r"inherit",
    "font-size": r"\d+%",
    "line-height": r"[\d.]+",
    "margin-bottom": r"[\d.]+em",
    "opacity": r"0\.\d+",
    "overflow-wrap": r"normal|break-word",
    "padding": r"0 [\d.]+em",
    "text-decoration": r"underline",
    "white-space": r"pre-wrap|nowrap",
}


def test_a_notebook_that_is_not_trusted_keeps_the_colours():
    a, b = (score(BigramModel(name, seed=i), STORIES[0], top_k=2) for i, name in enumerate("ab"))
    for page in (plot.tokens(a), plot.compare(a, b)):
        styles = re.findall(r' style="([^"]*)"', page)
        assert len(styles) > 15
        for style in styles:
            for declaration in style.split(";"):
                name, value = declaration.split(":")
                assert re.fullmatch(KEPT[name], value), declaration
        assert set(re.findall(r" ([a-z-]+)=\"", re.sub(r'"[^"]*"', '""', page))) == {
            "title",
            "style",
        }


def test_report_is_one_file_with_everything():
    df = results(names=["a & b", "<i>", "c"])
    scores = [score(BigramModel(name, seed=i), STORIES[0]) for i, name in enumerate("xy")]
    models = [BigramModel(name) for name in ("a & b", "<i>", "c")]
    tokens = evaluate_tokens(models, STORIES, progress=False)
    facts = {"CPU": "a<b"}
    page = Page(plot.report(df, tokens=tokens, scores=scores, source="<made> up", facts=facts))
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert len(page.references) == 5
    assert "Which curve?" in page.text and "score a fourth size" in page.text
    assert "i" not in page.tags and "script" not in page.tags and "link" not in page.tags
    for words in ("a & b", "<i>", "(<made> up)", "a<b", "3 models read 3 stories", "y worse"):
        assert words in page.text
    assert page.text.count(STORIES[0]) == 3  # under both models, and their difference


def test_report_says_why_models_are_not_compared():
    words = BigramModel("words", 10, tokenizer=WordTokenizer())
    df = evaluate([BigramModel("bytes", 5), words], STORIES, progress=False)
    df = df.drop(columns=["protocol", "provenance"])  # with them, there is no report at all
    assert "Perplexities of different tokenizers don't compare" in Page(plot.report(df)).text


def test_report_of_one_model_and_one_story():
    page = Page(plot.report(results(1, stories=STORIES[:1])))
    assert "only one story" in page.text
    assert "Does the larger model" not in page.text
    assert "1 model read 1 story." in page.text
