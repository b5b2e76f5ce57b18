"""``--calibration``: the commands that take it, what they say, and what their files hold."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import pyqtf
from pyqtf import bundled
from pyqtf.cli import main
from pyqtf.describe import size
from pyqtf.evaluation.evaluate import RESULT_COLUMNS

NAME = "stories-200k"
STORIES = [story["text"] for story in bundled.stories()]
TEXTS, OTHERS = STORIES[:3], STORIES[10:13]
WARNING = "pyqtf: warning: "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of both sets of texts; each of another kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    (tmp_path / "others.txt").write_text("\n<|endoftext|>\n".join(OTHERS))
    (tmp_path / "both.json").write_text(json.dumps([OTHERS[0], TEXTS[1]]))
    return tmp_path


@pytest.fixture(scope="module")
def model():
    return pyqtf.load(NAME, quant="q4", calibration=TEXTS, progress=False)


def warned(err):
    return [line for line in err.splitlines() if line.startswith(WARNING)]


def test_scaling_records_it(folder, model, capsys):
    command = ["scaling", "--models", NAME, "--quant", "q4", "--stories"]
    assert main([*command, "others.txt", "--calibration", "texts.json"]) == 0
    assert warned(capsys.readouterr().err) == []
    results = pd.read_csv(folder / "pyqtf-scaling" / "results.csv")
    assert list(results.columns) == list(RESULT_COLUMNS)
    expected = pyqtf.evaluate(model, OTHERS, progress=False)
    assert results["nll"].tolist() == expected["nll"].tolist()
    assert all(f"calibration={model.calibration};" in line for line in results["provenance"])
    receipts = json.loads((folder / "pyqtf-scaling" / "receipts.json").read_text())
    assert receipts[0]["provenance"]["calibration"] == model.calibration
    page = (folder / "pyqtf-scaling" / "report.html").read_text()
    assert f"{model.calibration}</td>" in page
    # The same folder, without: nothing of it is taken from the cache.
    assert main([*command, "others.txt"]) == 0
    plain = pd.read_csv(folder / "pyqtf-scaling" / "results.csv")
    assert plain["nll"].tolist() != results["nll"].tolist()
    assert all("calibration=none" in line for line in plain["provenance"])
    assert "calibrated with" not in (folder / "pyqtf-scaling" / "report.html").read_text()


def test_scaling_says_that_texts_are_scored(folder, model, capsys):
    assert main(["scaling", "--models", NAME, "--quant", "q4", "--stories", "both.json",
                 "--calibration", "texts.json"]) == 0  # fmt: skip
    (said,) = warned(capsys.readouterr().err)
    assert "1 of the 2 texts that are scored are among the calibration texts" in said
    page = (folder / "pyqtf-scaling" / "report.html").read_text()
    assert f"{model.calibration}; 1 of the 2 stories are among these texts" in page


def test_score(folder, model, capsys):
    command = ["score", OTHERS[0], "--model", NAME, "--top", "0", "--quant", "q4"]
    assert main([*command, "--calibration", "texts.json"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(f"\ncalibrated with {model.calibration}\n")
    assert warned(err) == []
    assert main(command) == 0
    assert out.splitlines()[0] != capsys.readouterr().out.strip()
    (folder / "one.txt").write_text(TEXTS[0])
    assert main(["score", "one.txt", "--model", NAME, "--quant", "q4", "--calibration",
                 "texts.json"]) == 0  # fmt: skip
    (said,) = warned(capsys.readouterr().err)
    assert "the text that is scored is among the calibration texts" in said


@pytest.mark.parametrize("quants", [("f32", "q4"), ("q4", "q8"), ("q4", "q4")])
def test_compare_calibrates_what_is_q4(folder, model, capsys, quants):
    command = ["compare", NAME, NAME, "--quant", *quants, "--stories", "others.txt"]
    assert main([*command, "--calibration", "texts.json"]) == 0
    out, err = capsys.readouterr()
    assert warned(err) == []
    for letter, quant in zip("AB", quants, strict=True):
        assert (f"{letter} was calibrated with {model.calibration}" in out) == (quant == "q4")
        assert f"{letter} is {NAME} ({quant}{', calibrated' if quant == 'q4' else ''})" in out
    loaded = [model if quant == "q4" else pyqtf.load(NAME, quant=quant) for quant in quants]
    done = pyqtf.compare_models(*loaded, OTHERS)
    assert f"{done.kl.value:.3g}" in out


def test_compare_says_once_that_texts_are_scored(folder, capsys):
    for stories in ("texts.json", "both.json"):
        assert main(["compare", NAME, NAME, "--quant", "f32", "q4", "--stories", stories,
                     "--calibration", "texts.json"]) == 0  # fmt: skip
        (said,) = warned(capsys.readouterr().err)
        assert "among the calibration texts" in said


def test_save_writes_what_load_maps(folder, model, capsys):
    assert main(["save", NAME, "my.pyqtf", "--quant", "q4", "--calibration", "texts.json"]) == 0
    out = capsys.readouterr().out
    written = size((folder / "my.pyqtf").stat().st_size)
    assert out == f"my.pyqtf: {NAME} in q4, calibrated with {model.calibration}; {written}\n"
    again = pyqtf.load(folder / "my.pyqtf")
    assert (again.quant, again.calibration) == ("q4", model.calibration)
    expected = model.score(OTHERS[0])
    assert again.score(OTHERS[0]).nll == expected.nll
    assert main(["score", OTHERS[0], "--model", "my.pyqtf"]) == 0
    assert f"calibrated with {model.calibration}" in capsys.readouterr().out
    assert main(["save", NAME, "plain.pyqtf"]) == 0
    assert capsys.readouterr().out.startswith(f"plain.pyqtf: {NAME} in q8; ")
    assert pyqtf.load(folder / "plain.pyqtf").calibration is None


def test_a_bundled_set_is_named(folder, capsys):
    assert main(["save", NAME, "my.pyqtf", "--quant", "q4", "--calibration", "handwritten"]) == 0
    model = pyqtf.load(NAME, quant="q4", calibration=bundled.stories("handwritten"), progress=False)
    assert model.calibration in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["score", "a b", "--model", NAME], "for quant='q4', and quant is None"),
        (["save", NAME, "x.pyqtf", "--quant", "q8"], "for quant='q4', and quant is 'q8'"),
        (["scaling", "--models", NAME], "for quant='q4', and quant is None"),
        (["compare", NAME, NAME, "--quant", "f32", "q8"], "--calibration is for models in q4"),
        (["compare", NAME, NAME], "--calibration is for models in q4"),
    ],
)
def test_without_q4_it_is_refused(folder, capsys, argv, words):
    assert main([*argv, "--calibration", "texts.json"]) == 1
    assert words in capsys.readouterr().err
    assert not (folder / "x.pyqtf").exists()


def test_files_that_are_no_texts(folder, capsys):
    command = ["save", NAME, "x.pyqtf", "--quant", "q4", "--calibration"]
    assert main([*command, "none.txt"]) == 1
    assert "none.txt does not exist" in capsys.readouterr().err
    (folder / "short.txt").write_text("Too short.")
    assert main([*command, "short.txt"]) == 1
    assert "expected at least 100" in capsys.readouterr().err
    assert not (folder / "x.pyqtf").exists()
