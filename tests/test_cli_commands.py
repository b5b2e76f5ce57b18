"""The command line over fake models: words, files, errors, interruption."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from fakes import BigramModel, WordTokenizer

import pyqtf
from pyqtf import _files
from pyqtf.cli import main
from pyqtf.evaluation.evaluate import RESULT_COLUMNS, TOKEN_COLUMNS
from pyqtf.plot.table import number

STORIES = [f"Story {i} is about a cat. " + "It ran. " * (i % 5) for i in range(12)]
SIZES = {"small": 1000, "middle": 5000, "large": 20000}
FILES = ["receipts.json", "report.html", "results.csv", "scaling.png", "tokens.csv"]


class Named(BigramModel):
    """A larger model is flatter, so that it predicts random text better."""

    loaded: list = []  # noqa: RUF012

    def __init__(self, name, quant=None):
        if name not in SIZES:
            raise ValueError(f"no model is named {name!r}; there are: {', '.join(SIZES)}")
        super().__init__(name, SIZES[name], sharpness=3000 / SIZES[name])
        self.quant = quant or "q8"
        self.loaded.append(self)


@pytest.fixture(autouse=True)
def family(monkeypatch, tmp_path):
    """Three fake models and two fake sets of stories in place of the bundled ones."""
    monkeypatch.setattr(pyqtf.bundled, "names", lambda: list(SIZES))
    stories = [{"text": text} for text in STORIES]
    monkeypatch.setattr(
        pyqtf.bundled, "stories", lambda which: [{**story, "which": which} for story in stories]
    )
    monkeypatch.setattr(
        pyqtf, "load", lambda name, quant=None, **_: Named(name, quant), raising=False
    )
    monkeypatch.setattr(Named, "loaded", [])
    monkeypatch.delenv("PYQTF_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave the drawing, most of the time a run takes, to the tests that look at it."""
    monkeypatch.setattr("pyqtf.experiment.report", lambda *args, **kwargs: "<!DOCTYPE html>")
    monkeypatch.setattr("pyqtf.experiment.scaling", lambda results: None)
    monkeypatch.setattr("pyqtf.experiment.png", lambda figure: b"\x89PNG")


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_scaling_without_arguments(tmp_path, capsys):
    assert main(["scaling"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "pyqtf-scaling"
    assert visible(folder) == FILES
    for words in (*SIZES, "perplexity", "95 % interval", "bits/byte", "tokens/s", "p (Holm)",
                  "small -> middle", "middle -> large", "small to large: ",
                  "pyqtf-scaling/report.html"):  # fmt: skip
        assert words in out
    assert max(map(len, out.splitlines())) <= 80


def test_result_files_follow_their_schema(tmp_path):
    assert main(["scaling", "--out", "o"]) == 0
    df = pd.read_csv(tmp_path / "o" / "results.csv")
    assert list(df.columns) == [*RESULT_COLUMNS, "which"]
    assert len(df) == 36
    assert set(df["which"]) == {"generated"}
    tokens = pd.read_csv(tmp_path / "o" / "tokens.csv", keep_default_na=False)
    assert list(tokens.columns) == list(TOKEN_COLUMNS)
    assert len(tokens) == df["n_scored"].sum()
    again = pyqtf.evaluate([Named("small")], STORIES, progress=False)
    assert df["nll"][:12].tolist() == again["nll"].tolist()  # CSV keeps every bit
    receipts = json.loads((tmp_path / "o" / "receipts.json").read_text(encoding="utf-8"))
    assert [receipt["provenance"]["model"] for receipt in receipts] == list(SIZES)
    protocols = [receipt["protocol"] for receipt in receipts]
    assert protocols[0]["protocol"] == "per-story" and protocols == protocols[:1] * 3
    assert (tmp_path / "o" / "scaling.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "avx" in page or "baseline" in page
    assert page.count("data:image/png") == 5


def test_options_are_passed_on(tmp_path, capsys, no_pictures):
    (tmp_path / "s.json").write_text('["One two three.", "Four five six."]')
    assert main(["scaling", "--models", "large", "small", "--stories", "s.json", "--out", "a/b",
                 "--quant", "f32"]) == 0  # fmt: skip
    df = pd.read_csv(tmp_path / "a" / "b" / "results.csv")
    assert df["model_name"].tolist() == ["large"] * 2 + ["small"] * 2
    assert set(df["quant"]) == {"f32"}
    assert main(["scaling", "--stories", "handwritten"]) == 0
    df = pd.read_csv(tmp_path / "pyqtf-scaling" / "results.csv")
    assert set(df["which"]) == {"handwritten"}


def test_one_story_prints_why_there_is_no_interval(tmp_path, capsys, no_pictures):
    (tmp_path / "s.txt").write_text("Only one story.")
    assert main(["scaling", "--stories", "s.txt"]) == 0
    captured = capsys.readouterr()
    assert "only one story" in captured.out
    assert captured.err == ""


def test_models_of_other_tokenizers_are_refused(monkeypatch, capsys, no_pictures):
    words = WordTokenizer()

    def load(name, quant=None, **_):
        model = Named(name, quant)
        if name == "large":
            model.tokenizer = words
        return model

    monkeypatch.setattr(pyqtf, "load", load)
    assert main(["scaling"]) == 1
    error = capsys.readouterr().err
    assert "small (q8) and large (q8) don't compare: text is cut into other tokens" in error


def test_an_interrupted_run_resumes_with_the_same_results(
    tmp_path, monkeypatch, capsys, no_pictures
):
    monkeypatch.setattr("pyqtf.evaluation.batches.BATCH_TOKENS", 60)
    assert main(["scaling", "--out", "whole"]) == 0

    def interrupted(self, sequences, *, top_k=0):
        if self.name == "middle" and self.n_calls == 3:
            raise KeyboardInterrupt
        return BigramModel.token_losses(self, sequences, top_k=top_k)

    with monkeypatch.context() as patch:
        patch.setattr(Named, "token_losses", interrupted)
        capsys.readouterr()
        assert main(["scaling", "--out", "broken"]) == 130
        err = capsys.readouterr().err
        assert err.strip().splitlines() == [
            "pyqtf: interrupted; finished stories are kept in broken/cache, "
            "the same command goes on from there"
        ]
        assert visible(tmp_path / "broken") == []
    Named.loaded.clear()
    assert main(["scaling", "--out", "broken"]) == 0
    small, middle, large = Named.loaded
    assert small.n_sequences == 1  # the probe alone
    assert 1 < middle.n_sequences < 13
    assert large.n_sequences == 13
    whole, resumed = (
        pd.read_csv(tmp_path / name / "results.csv").drop(columns="seconds")
        for name in ("whole", "broken")
    )
    pd.testing.assert_frame_equal(whole, resumed, check_exact=True)
    assert (tmp_path / "whole" / "tokens.csv").read_bytes() == (
        tmp_path / "broken" / "tokens.csv"
    ).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, capsys, name, no_pictures):
    assert main(["scaling", "--models", "small"]) == 0
    folder = tmp_path / "pyqtf-scaling"
    before = {file: (folder / file).read_bytes() for file in FILES}

    class Full:
        def __getattr__(self, attribute):
            return getattr(os, attribute)

        def fsync(self, handle):
            if name in str(Path(f"/proc/self/fd/{handle}").readlink()):
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files, "os", Full())
    assert main(["scaling", "--models", "large"]) == 1
    said = f"pyqtf: error: [Errno 28] No space left on device: 'pyqtf-scaling/{name}'\n"
    assert capsys.readouterr().err == said
    assert visible(folder) == FILES
    assert (folder / name).read_bytes() == before[name]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["scaling", "--stories", "none.txt"], "the stories file none.txt does not exist"),
        (["scaling", "--stories", "generate"], "the stories file generate does not exist"),
        (["scaling", "--stories", "folder"], "the stories file folder is a folder"),
        (["scaling", "--stories", "x.pdf"], "ends in '.pdf'"),
        (["scaling", "--stories", "x"], "x has no ending; expected one of .txt"),
        (["scaling", "--stories", "bad.txt"], "not UTF-8: byte 0xff at offset 2"),
        (["scaling", "--models", "none"], "(small, middle, large)"),
        (["scaling", "--models", "small", "small"], "two models are named 'small'"),
        (["scaling", "--out", "bad.txt"], "out is bad.txt, which is a file; expected a folder"),
        (["score", "", "--model", "small"], "text is empty"),
        (["score", "none.txt", "--model", "small"], "the file none.txt does not exist"),
        (["score", "folder", "--model", "small"], "folder is a folder; expected a text"),
        (["score", "ab", "--model", "none"], "no model is named"),
        (["scaling", "--models", "small", "smal"], "'smal' is neither a folder or file"),
        (["score", "A cat sat.", "--model", "small", "--top", "-1"], "--top is -1"),
        (["info", "none"], "'none' is neither a folder or file"),
        (["info", ""], "'' is neither a folder or file"),
        (["info", "bad.txt"], "a model is a folder, a GGUF file or a file that model.save wrote"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, argv, words):
    (tmp_path / "bad.txt").write_bytes(b"ab\xff")
    (tmp_path / "folder").mkdir()
    for name in ("x", "x.pdf"):
        (tmp_path / name).write_text("A cat sat.")
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("pyqtf: error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_a_wrong_name_is_said_before_anything_is_scored(capsys):
    assert main(["scaling", "--models", "small", "larg"]) == 1
    assert not Named.loaded and not Path("pyqtf-scaling").exists()


def test_a_surprise_is_one_line_too_and_can_be_traced(monkeypatch, capsys):
    def broken(name, quant, **_):
        raise RuntimeError("gears\njammed")

    monkeypatch.setattr(pyqtf, "load", broken)
    assert main(["scaling"]) == 1
    assert capsys.readouterr().err == (
        "pyqtf: error: RuntimeError: gears jammed (PYQTF_TRACEBACK=1 shows where)\n"
    )
    monkeypatch.setenv("PYQTF_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="gears"):
        main(["scaling"])


def test_a_warning_is_one_line(monkeypatch, capsys):
    def load(name, quant, **_):
        warnings.warn("the wheels squeak", stacklevel=2)
        return Named(name, quant)

    monkeypatch.setattr(pyqtf, "load", load)
    shown = warnings.showwarning
    assert main(["score", "A cat sat.", "--model", "small"]) == 0
    assert capsys.readouterr().err == "pyqtf: warning: the wheels squeak\n"
    assert warnings.showwarning is shown


@pytest.mark.parametrize("argv", [[], ["dance"], ["score"], ["scaling", "--quant", "q3"]])
def test_unknown_arguments_exit_with_two(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage: pyqtf" in capsys.readouterr().err


def test_score_takes_a_text_or_a_file(tmp_path, capsys):
    (tmp_path / "s.txt").write_text("A cat sat.")
    assert main(["score", "A cat sat.", "--model", "small", "--top", "3"]) == 0
    said = capsys.readouterr().out
    assert main(["score", "s.txt", "--model", "small", "--top", "3"]) == 0
    assert capsys.readouterr().out == said
    expected = pyqtf.evaluate(Named("small"), ["A cat sat."], progress=False)["perplexity"][0]
    assert f"perplexity {number(expected)}," in said
    assert main(["score", "x" * 3000, "--model", "small", "--context", "y"]) == 0
    assert "3000 of 3000" in capsys.readouterr().out


def test_info_tells_the_machine_and_the_versions(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    cpu = pyqtf._core.cpu_info()
    for words in (pyqtf.__version__, cpu["cpu"], cpu["isa"], cpu["isa_why"], "threads", "GiB",
                  "numpy", "Python"):  # fmt: skip
        assert words in out


# The package that this process tests, wherever it is.


def run_process(*code):
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, check=False)


def test_version_and_help_from_a_process():
    done = run_process("-m", "pyqtf", "--version")
    assert (done.returncode, done.stdout) == (0, f"pyqtf {pyqtf.__version__}\n")
    done = run_process("-m", "pyqtf", "--help")
    assert done.returncode == 0
    for command in ("scaling", "score", "info"):
        assert command in done.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from pyqtf.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'matplotlib', 'scipy', 'jinja2', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = run_process("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_leaves_early_is_no_error():
    code = (
        "import sys; from pyqtf.cli import main, info\n"
        "info.run = lambda args: [print('x' * 100) for _ in range(10000)]\n"
        "sys.exit(main(['info']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
