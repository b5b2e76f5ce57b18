"""The whole scaling experiment: models and stories in, four files and two tables out."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pyqtf._about import about
from pyqtf._files import write_atomically
from pyqtf.calibration import hold_texts
from pyqtf.evaluation.calibrated import shared_texts
from pyqtf.evaluation.comparable import check_comparable
from pyqtf.evaluation.evaluate import Scored, iter_scores, results_frame
from pyqtf.evaluation.models import Models, as_models
from pyqtf.evaluation.statistics import concerns, paired_differences, summary_of
from pyqtf.evaluation.stories import read_stories
from pyqtf.plot import png, report, scaling
from pyqtf.plot.table import differences_table, ends_text, summary_table
from pyqtf.sources import find_local, find_on_hub

if TYPE_CHECKING:
    from pyqtf.calibration import Texts
    from pyqtf.evaluation.stories import Story

_BUNDLED = {
    "generated": "generated stories that come with pyqtf and that no bundled model was trained on",
    "handwritten": "hand-written stories that come with pyqtf, unlike those the bundled models "
    "were trained on",
}


_PROTOCOL = (
    "per-story: every story alone, nothing put before it, its first token not scored; "
    "one mean over all scored tokens"
)


@dataclass(frozen=True, eq=False)
class ScalingRun:
    """A finished experiment.

    Attributes
    ----------
    results, tokens : DataFrame
        What `pyqtf.evaluate` and `pyqtf.evaluate_tokens` return.
    out : Path
        Folder with results.csv, tokens.csv, receipts.json, scaling.png and report.html.
    """

    results: pd.DataFrame
    tokens: pd.DataFrame
    out: Path

    def to_text(self, width: int = 80) -> str:
        """Both tables, what weakens them, and where the files are."""
        parts = [summary_table(summary_of(self.results)).to_text(width)]
        differences = paired_differences(self.results)
        if len(differences):
            parts.append(
                "From one model to the next, story by story:\n\n"
                + differences_table(differences).to_text(width)
            )
        if ends := ends_text(self.results):
            parts.append(textwrap.fill(ends, width))
        parts += [textwrap.fill(sentence, width) for sentence in concerns(self.results)]
        parts.append(
            f"The report is {self.out / 'report.html'}\n"
            "Beside it: results.csv, tokens.csv, receipts.json, scaling.png"
        )
        return "\n\n".join(parts)


def run_scaling(
    models: Models | None = None,
    stories: str | Path = "generated",
    *,
    out: str | Path = "pyqtf-scaling",
    quant: str | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
    calibration: Texts | None = None,
) -> ScalingRun:
    """Score stories under models of several sizes and write tables, plot and report.

    An interrupted run keeps what it finished in ``out/cache``; the same call goes on from there.

    Parameters
    ----------
    models : names, paths or models, optional
        By default the family that comes with pyqtf.
    stories : {"generated", "handwritten"} or path
        A set that comes with pyqtf, or a file for `pyqtf.read_stories`.
    out : path
        Folder for the files, made if it is missing. Each file appears whole or not at all.
    quant : {"q8", "q4", "f32"}, optional
        How to store the weights of models given by name; by default as `pyqtf.load` does.
    progress : bool, optional
        Show a progress bar, and before a long run an estimate of its time and memory; by default
        only on a terminal.
    executor : concurrent.futures.Executor, optional
        Where to score, as `pyqtf.evaluate` takes it.
    calibration : list of str, of dict with "text" or of ids; or DataFrame with "text"; optional
        Texts that models given by name are calibrated with, as `pyqtf.evaluate` takes them.

    Returns
    -------
    ScalingRun

    Raises
    ------
    ValueError, TypeError, OSError, RuntimeError
        As `pyqtf.evaluate` and `pyqtf.read_stories`; or `out` can't be written.

    Examples
    --------
    >>> import tempfile, pyqtf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = run_scaling(pyqtf.bundled.names()[:2], out=folder, progress=False)
    ...     sorted(file.name for file in Path(folder).iterdir())
    ['cache', 'receipts.json', 'report.html', 'results.csv', 'scaling.png', 'tokens.csv']
    """
    items, source = _stories(stories)
    if models is None:
        from pyqtf import bundled

        models = bundled.names()
    wanted = as_models(models)
    for given in wanted:
        # Said before the others are scored, which may take hours. Workers may see other files.
        if executor is None and isinstance(given, str | Path) and find_local(given) is None:
            find_on_hub(given)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"out is {folder}, which is a file; expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    texts = None if calibration is None else hold_texts(calibration)
    done: list[Scored] = []
    for scored in iter_scores(
        wanted,
        items,
        quant=quant,
        progress=sys.stderr.isatty() if progress is None else progress,
        cache=folder / "cache",
        executor=executor,
        calibration=texts,
    ):
        done.append(scored)
        # Said of each model before the ones that are left are scored in vain.
        if len(done) % len(items) == 0:
            both = (*done[: len(items)], *done[-len(items) :])
            check_comparable(results_frame(one.row() for one in both))
    results = results_frame(scored.row() for scored in done)
    tokens = pd.concat([scored.tokens() for scored in done], ignore_index=True)
    page = report(
        results,
        tokens=tokens,
        scores=[scored.score for scored in _extremes(done)],
        source=source,
        facts={**about(), "protocol": _PROTOCOL, **_calibrations(done, texts or ())},
    )
    write_atomically(folder / "results.csv", results.to_csv(index=False, lineterminator="\n"))
    write_atomically(folder / "tokens.csv", tokens.to_csv(index=False, lineterminator="\n"))
    receipts = [asdict(scored.receipt) for scored in done if scored.story_idx == 0]
    write_atomically(folder / "receipts.json", json.dumps(receipts, indent=1, ensure_ascii=False))
    write_atomically(folder / "scaling.png", png(scaling(results)))
    write_atomically(folder / "report.html", page)
    return ScalingRun(results, tokens, folder)


def _calibrations(done: Sequence[Scored], texts: Iterable[object]) -> dict[str, str]:
    """What models were calibrated with, and how many of the stories that is too."""
    first = [scored for scored in done if scored.story_idx == 0]
    labels = dict.fromkeys(str(scored.receipt.provenance["calibration"]) for scored in first)
    if set(labels) == {"none"}:
        return {}
    stories = [s.story["text"] for s in done if s.model_name == done[0].model_name]
    n = len(shared_texts(stories, texts))
    among = f"; {n} of the {len(stories)} stories are among these texts" if n else ""
    return {"calibrated with": ", ".join(labels) + among}


def _stories(stories: str | Path) -> tuple[list[Story], str]:
    if isinstance(stories, str) and stories in _BUNDLED:
        from pyqtf import bundled

        return list(bundled.stories(stories)), _BUNDLED[stories]
    return read_stories(stories), f"from {Path(stories).name}"


def _extremes(done: Sequence[Scored]) -> list[Scored]:
    """The first story under the smallest and the largest model."""
    first = sorted((s for s in done if s.story_idx == 0), key=lambda s: s.n_params)
    return first if len(first) < 2 else [first[0], first[-1]]
