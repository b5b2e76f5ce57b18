"""Public figures: the text they were measured on, the verdict; and transformers run live."""

import hashlib
import math
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel, UniformModel
from random_models import write_model

import pyqtf
from pyqtf.cli import main
from pyqtf.evaluation.measure import measure
from pyqtf.tokenizer import Tokenizer
from pyqtf.verification import against, figures
from pyqtf.verification.against import verify_against_transformers
from pyqtf.verification.figures import FIGURES, figures_for, rows_of_wikitext, verify_figures
from pyqtf.verification.tables import against_table

RAW = " \n = A cat = \n \n It sat on a mat . \n" + " And then it ran , and ran . \n" * 200


@pytest.fixture
def wikitext(tmp_path, monkeypatch):
    path = tmp_path / "wiki.test.raw"
    path.write_text(RAW, encoding="utf-8")
    monkeypatch.setattr(figures, "_SHA256", hashlib.sha256(RAW.encode()).hexdigest())
    return path


def test_the_rows_are_those_of_the_data_set(data_dir):
    """4,358 rows, and 287,644 tokens of GPT-2, as everyone who follows the guide sees."""
    raw = (data_dir / "wikitext2/wiki.test.raw").read_text(encoding="utf-8")
    assert hashlib.sha256(raw.encode()).hexdigest() == figures._SHA256
    rows = rows_of_wikitext(raw)
    assert len(rows) == 4358
    tokenizer = Tokenizer.from_file(data_dir / "tokenizers/gpt2")
    assert len(tokenizer.encode("\n\n".join(rows))) == 287644


@pytest.mark.parametrize("name", ["Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "qwen/qwen2.5-0.5b@main"])
def test_a_model_is_known_by_its_id_or_folder(name):
    assert [figure.perplexity for figure in figures_for(name)] == ["13.07", "13.895"]
    with pytest.raises(ValueError, match=r"no public figure .* 'Qwen2.5-7B'; there are some for: "):
        figures_for("Qwen2.5-7B")


def test_each_figure_is_measured_by_its_protocol(wikitext):
    model = BigramModel("gpt2-large")
    found = verify_figures(model, wikitext)
    text = "\n\n".join(rows_of_wikitext(RAW))
    expected = [
        measure(model, text, "hf-stride", window=1024, stride=stride).perplexity
        for stride in (1024, 512)
    ]
    assert found["measured"].tolist() == expected
    assert found["public"].tolist() == [19.44, 16.44]
    assert found["difference"].tolist() == [e / p - 1 for e, p in zip(expected, found["public"],
                                                                     strict=True)]  # fmt: skip
    assert not found["agrees"].any()
    llama = verify_figures(BigramModel("Qwen2.5-0.5B-Instruct"), wikitext)
    again = measure(BigramModel("Qwen2.5-0.5B-Instruct"), RAW, "llama.cpp")
    assert llama["measured"].tolist() == [again.perplexity], "llama.cpp reads the file itself"


def test_the_verdict_has_a_stated_tolerance(wikitext, monkeypatch):
    for perplexity, agrees in (
        ("256", True),
        ("255.5", True),
        ("255.0", False),
        ("257", True),
        ("257.0", False),
    ):
        public = figures.Figure("a/uniform", "llama.cpp", 512, None, perplexity, "hand")
        monkeypatch.setattr(figures, "FIGURES", (public,))
        found = verify_figures(UniformModel(), wikitext)
        assert found["agrees"].tolist() == [agrees], perplexity


def test_another_text_is_noticed(wikitext):
    wikitext.write_text(RAW + " More . \n", encoding="utf-8")
    with pytest.warns(UserWarning, match="is not wiki.test.raw as published"):
        verify_figures(BigramModel("gpt2"), wikitext)


def test_figures_name_known_protocols():
    for figure in FIGURES:
        changed = pyqtf.evaluation.protocol.get_protocol(figure.protocol).change(
            window=figure.window, stride=figure.stride
        )
        assert changed.window == figure.window
        assert math.isfinite(float(figure.perplexity))


def test_transformers_gives_the_same(tmp_path):
    pytest.importorskip("transformers")
    found = verify_against_transformers(["stories-80k"], pyqtf.bundled.stories()[:3])
    assert found["agrees"].all()
    assert found["difference"].abs().max() <= 1e-5
    assert found["max_nll_difference"].max() < 1e-4
    results = pyqtf.evaluate("stories-80k", pyqtf.bundled.stories()[:3], quant="f32",
                             progress=False)  # fmt: skip
    np.testing.assert_allclose(found["pyqtf"], results["perplexity"], rtol=1e-14)


def test_a_long_story_is_cut_for_both(tmp_path, capfd):
    """A folder without model_type, as pyqtf reads it, whose longest text is 64 tokens."""
    pytest.importorskip("transformers")
    write_model(tmp_path / "small", vocab_size=256)
    story = pyqtf.bundled.stories()[0]["text"]
    found = verify_against_transformers([tmp_path / "small"], [story, "A cat sat."])
    assert found["n_read"].tolist() == [64, 10]
    assert found["n_tokens"].tolist() == [len(story.encode()), 10]
    assert found["agrees"].all()
    expected = pyqtf.load(tmp_path / "small", quant="f32").score(story.encode()[:64].decode())
    assert found["pyqtf"][0] == expected.perplexity
    assert capfd.readouterr().err == "", "transformers' bars are no news"
    assert f"64 of {len(story)}" in against_table(found).to_text(100)


def test_a_difference_is_seen(monkeypatch):
    pytest.importorskip("transformers")
    ours = against._ours

    def shifted(name, texts):
        return [(ids, nll + 2e-5) for ids, nll in ours(name, texts)]

    monkeypatch.setattr(against, "_ours", shifted)
    found = verify_against_transformers(["stories-80k"], pyqtf.bundled.stories()[:1])
    assert found["agrees"].tolist() == [False]
    monkeypatch.setattr(against, "_ours", ours)
    monkeypatch.setattr(against, "_tokens", lambda *_: [[1, 2, 3]])
    found = verify_against_transformers(["stories-80k"], pyqtf.bundled.stories()[:1])
    assert (found["same_tokens"].tolist(), found["agrees"].tolist()) == ([False], [False])


def test_without_transformers_it_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    for missing in ("transformers", "torch"):
        monkeypatch.setitem(sys.modules, missing, None)
        assert main(["verify", "--against", "transformers"]) == 1
        assert f"{missing} is not installed" in capsys.readouterr().err


def test_a_single_file_is_refused(tmp_path):
    pytest.importorskip("transformers")
    pyqtf.load("stories-80k").save(tmp_path / "a.pyqtf")
    with pytest.raises(ValueError, match="single file; transformers needs the model's folder"):
        verify_against_transformers([tmp_path / "a.pyqtf"], ["A cat sat."])


def test_the_command(capsys, monkeypatch, wikitext):
    assert main(["verify"]) == 1
    assert "--wikitext FILE" in capsys.readouterr().err
    assert main(["verify", "--against", "transformers", "--stories", "0"]) == 1
    assert "expected 1 to 50" in capsys.readouterr().err
    for option in (["--quant", "q8"], ["--wikitext", str(wikitext)]):
        assert main(["verify", "--against", "transformers", *option]) == 1
        assert "are for public figures" in capsys.readouterr().err
    assert main(["verify", "stories-80k", "--wikitext", "none.txt"]) == 1
    assert "no public figure is known for 'stories-80k'" in capsys.readouterr().err
    rows = pd.DataFrame({"model_name": ["m"], "story_idx": 0, "n_tokens": 9, "n_read": 9,
                         "same_tokens": True,
                         "pyqtf": 2.0, "transformers": 2.5, "difference": -0.2,
                         "agrees": False})  # fmt: skip
    monkeypatch.setattr(against, "verify_against_transformers", lambda models, stories: rows)
    assert main(["verify", "--against", "transformers"]) == 1
    out, err = capsys.readouterr()
    assert "2.500000" in out
    assert "NO" in out
    assert "1 of 1 numbers differ" in err
    rows["agrees"] = True
    assert main(["verify", "--against", "transformers"]) == 0
    public = figures.Figure("pyqtf/stories-80k", "llama.cpp", 64, None, "99.9", "hand")
    monkeypatch.setattr(figures, "FIGURES", (public,))
    assert main(["verify", "stories-80k", "--wikitext", str(wikitext)]) == 1
    assert "llama.cpp, window 64" in " ".join(capsys.readouterr().out.split())
