"""An experiment on one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from pyqtf.evaluation.scaling_law import ScalingFit, fit_scaling_law
from pyqtf.evaluation.score import Score
from pyqtf.evaluation.statistics import concerns, paired_differences, summary_of
from pyqtf.plot._style import png
from pyqtf.plot.breakdown import classes, positions
from pyqtf.plot.figures import scaling, stories
from pyqtf.plot.heatmap import compare
from pyqtf.plot.heatmap import tokens as tokens_page
from pyqtf.plot.table import differences_table, ends_text, forms_table, summary_table


def report(
    results: pd.DataFrame,
    *,
    tokens: pd.DataFrame | None = None,
    scores: Sequence[Score] = (),
    story_idx: int = 0,
    source: str = "",
    facts: Mapping[str, str] | None = None,
    title: str = "Perplexity and size",
) -> str:
    """Tables, paired comparisons, pictures and explanations as a self-contained HTML page.

    Parameters
    ----------
    results : DataFrame
        What `pyqtf.evaluate` returns.
    tokens : DataFrame, optional
        What `pyqtf.evaluate_tokens` returns for the same models and stories.
    scores : sequence of Score
        Scores of one story to show token by token, for instance of the smallest and the largest
        model.
    story_idx : int
        Which story that is.
    source : str
        Where the stories are from, to complete the sentence "8 models read 50 stories ...".
    facts : mapping of str to str, optional
        What to say of the machine and versions.
    title : str
        Heading of the page.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ValueError
        A column of `results` is missing; see `pyqtf.summarise`.

    Examples
    --------
    >>> import pyqtf
    >>> df = pyqtf.evaluate(pyqtf.bundled.names()[:2], ["A cat sat.", "A dog ran."],
    ...     progress=False)
    >>> report(df).startswith("<!DOCTYPE html>")
    True
    """
    summary = summary_of(results)
    fit = _fit(summary)
    n_stories = int(summary["n_stories"].iloc[0])
    differences, ends, refusal = _differences(results)
    environment = Environment(loader=PackageLoader("pyqtf.plot", package_path="."), autoescape=True)
    return environment.get_template("report.html.j2").render(
        title=title,
        n_models=len(summary),
        n_stories=n_stories,
        source=f" ({source})" if source else "",
        concerns=concerns(results),
        summary_html=Markup(summary_table(summary).to_html()),
        scaling_png=_base64(png(scaling(results))),
        differences_html=differences,
        ends=ends,
        refusal=refusal,
        stories_png=_base64(png(stories(results))) if len(summary) > 1 and n_stories > 1 else "",
        fit=fit,
        forms_html=Markup(forms_table(fit).to_html()) if fit else "",
        law_png=_base64(png(scaling(results, fit=fit))) if fit else "",
        **_token_pictures(None if refusal else tokens, summary),
        heatmaps=[Markup(page) for page in _heatmaps(scores)],
        story_idx=story_idx,
        facts=dict(facts or {}),
    )


def _token_pictures(tokens: pd.DataFrame | None, summary: pd.DataFrame) -> dict[str, str]:
    """Loss by class and by position; nothing where models can't be told apart or compared."""
    names = summary["model_name"]
    if tokens is None or not names.is_unique:
        return {}
    ordered = pd.concat([tokens[tokens["model_name"] == name] for name in names])
    return {
        "classes_png": _base64(png(classes(ordered))),
        "positions_png": _base64(png(positions(ordered))),
    }


def _heatmaps(scores: Sequence[Score]) -> list[str]:
    """Each score's tokens, and what sets the last model apart from the first."""
    pages: list[str] = [tokens_page(score) for score in scores]
    if len(scores) > 1:
        with suppress(ValueError):  # other tokens, which can't be compared one by one
            pages.append(compare(scores[0], scores[-1]))
    return pages


def _differences(results: pd.DataFrame) -> tuple[Markup | None, str, str]:
    try:
        differences, ends = paired_differences(results), ends_text(results)
    except ValueError as error:
        return None, "", f"{error}."
    table = Markup(differences_table(differences).to_html()) if len(differences) else None
    return table, ends, ""


def _fit(summary: pd.DataFrame) -> ScalingFit | None:
    try:
        return fit_scaling_law(summary)
    except ValueError:  # fewer than three sizes, or tokenizers that don't compare
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
