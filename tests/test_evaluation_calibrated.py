"""Scoring what weights were rounded for: found, said, and kept apart in caches and files."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import pyqtf
from pyqtf import bundled, planning
from pyqtf.describe import inspect_model
from pyqtf.evaluation.calibrated import CalibratedTextsWarning, shared_texts, texts_label
from pyqtf.models.calibrate import working_bytes
from pyqtf.models.weights import needed_bytes

NAME = "stories-200k"
STORIES = [story["text"] for story in bundled.stories()]
TEXTS, OTHERS = STORIES[:3], STORIES[10:13]


def evaluate(models, stories, **options):
    return pyqtf.evaluate(models, stories, quant="q4", progress=False, **options)


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that was calibrated with TEXTS."""
    path = tmp_path_factory.mktemp("saved") / "calibrated.pyqtf"
    pyqtf.load(NAME, quant="q4", calibration=TEXTS, progress=False).save(path)
    return path


def words(first, last):
    return " ".join(f"w{i}" for i in range(first, last))


@pytest.mark.parametrize(
    ("text", "others", "found"),
    [
        ("A cat sat.", ["A cat sat."], True),
        ("A cat sat.", ["  a CAT\n sat"], True),
        ("A cat sat.", ["A cat sat there."], False),  # short ones count as a whole only
        (words(0, 100), [words(0, 100)], True),
        (words(0, 100), ["so " + words(0, 100) + " end"], True),
        (words(0, 100), [words(0, 20) + " x " + words(20, 100)], True),
        # 88 runs of 13 words; the first 60 words hold 48 of them, the first 50 hold 38.
        (words(0, 100), [words(0, 60)], True),
        (words(0, 100), [words(0, 50)], False),
        (words(0, 100), [words(0, 37), words(63, 100)], True),  # 25 runs of each
        (words(0, 100), [{"text": words(0, 100), "genre": "tale"}], True),
        (words(0, 100), [{"story": words(0, 100)}, list(range(100)), np.arange(100), 7], False),
        ("?!", ["?!", [1, 2]], False),
        ("", [], False),
    ],
)
def test_shared(text, others, found):
    assert shared_texts(["one that is nowhere", text], others) == ([1] if found else [])


def test_stories_of_one_program_are_not_taken_for_each_other():
    for which in ("generated", "handwritten"):
        texts = [story["text"] for story in bundled.stories(which)]
        assert shared_texts(texts[:25], texts[25:]) == []
        assert shared_texts(texts, texts[7:9]) == [7, 8]


def test_the_label_is_the_receipt_s():
    model = pyqtf.load(NAME, quant="q4", calibration=TEXTS, progress=False)
    ids = [model.tokenizer.encode(text) for text in TEXTS]
    assert model.calibration == texts_label(ids)
    assert texts_label(ids[:1]).startswith(f"1 text of {len(ids[0])} tokens ")
    parts = [np.concatenate(ids[:2]), ids[2]]
    assert texts_label(parts).split()[-1] != texts_label(ids).split()[-1]


def test_models_given_by_name_are_calibrated(silent):
    texts = iter(TEXTS)  # several models, and one pass over the texts
    results = evaluate([NAME, "stories-500k"], OTHERS, calibration=texts)
    for name, group in results.groupby("model_name"):
        model = pyqtf.load(name, quant="q4", calibration=TEXTS, progress=False)
        assert group["nll"].tolist() == evaluate(model, OTHERS)["nll"].tolist()
        assert group["nll"].tolist() != evaluate(name, OTHERS)["nll"].tolist()
        assert set(group["quant"]) == {"q4"}
        assert all(f"calibration={model.calibration}" in line for line in group["provenance"])
    tokens = pyqtf.evaluate_tokens(
        NAME, OTHERS, quant="q4", progress=False, calibration=pd.DataFrame({"text": TEXTS})
    )
    assert np.isclose(tokens["nll"].sum(), results["nll"][:3].sum())


def test_a_cache_keeps_calibrations_apart(tmp_path, silent):
    fresh = {kind: evaluate(NAME, OTHERS, calibration=kind)["nll"].tolist()
             for kind in (None, tuple(TEXTS), tuple(TEXTS[:2]))}  # fmt: skip
    for _ in range(2):
        for kind, expected in fresh.items():
            found = evaluate(NAME, OTHERS, calibration=kind, cache=tmp_path)
            assert found["nll"].tolist() == expected
    assert len(set(map(tuple, fresh.values()))) == len(list(tmp_path.glob("*.losses"))) == 3


def test_texts_that_are_scored_are_said_once():
    with pytest.warns(CalibratedTextsWarning) as said:
        evaluate([NAME, "stories-500k"], [*OTHERS, TEXTS[1]], calibration=TEXTS)
    assert len(said) == 1
    assert str(said[0].message).startswith(
        "1 of the 4 texts that are scored are among the calibration texts, the first is number 3: "
    )
    with pytest.warns(CalibratedTextsWarning) as said:
        evaluate(NAME, TEXTS, calibration=TEXTS)
    assert len(said) == 1


def test_a_model_knows_the_texts_that_it_was_calibrated_with(saved):
    with pytest.warns(CalibratedTextsWarning, match=r"stories-200k was calibrated with the texts"):
        evaluate(str(saved), TEXTS)
    model = pyqtf.load(saved)
    with pytest.warns(CalibratedTextsWarning, match="was calibrated"):
        pyqtf.compare_models(pyqtf.load(NAME), model, TEXTS)
    with pytest.warns(CalibratedTextsWarning, match="was calibrated"):
        pyqtf.measure(model, TEXTS, "per-story")
    one = pyqtf.load(NAME, quant="q4", calibration=TEXTS[:1], progress=False)
    with pytest.warns(CalibratedTextsWarning, match="was calibrated"):
        one.score(TEXTS[0])


def test_other_texts_are_no_reason_to_warn(saved, silent):
    model = pyqtf.load(saved)
    evaluate(model, OTHERS)
    model.score(OTHERS[0])
    pyqtf.measure(model, OTHERS, "per-story")
    pyqtf.compare_models(model, pyqtf.load(NAME), OTHERS)
    evaluate(NAME, TEXTS)


@pytest.mark.parametrize("quant", [None, "q8", "f32"])
def test_other_storages_take_none(quant):
    for call in (pyqtf.evaluate, pyqtf.evaluate_tokens):
        with pytest.raises(ValueError, match=f"for quant='q4', and quant is {quant!r}"):
            call(NAME, OTHERS, quant=quant, calibration=TEXTS, progress=False)
    with pytest.raises(ValueError, match=f"for quant='q4', and quant is {quant!r}"):
        pyqtf.estimate(NAME, OTHERS, quant=quant, calibration=TEXTS)


def test_workers_take_a_saved_model(saved):
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="save the calibrated model once"):
            evaluate(NAME, OTHERS, calibration=TEXTS, executor=pool)
        found = evaluate(str(saved), OTHERS, executor=pool)
    assert found["nll"].tolist() == evaluate(NAME, OTHERS, calibration=TEXTS)["nll"].tolist()


def test_a_single_text_is_no_list():
    with pytest.raises(TypeError, match=r"calibration is a str; expected a list of texts"):
        evaluate(NAME, OTHERS, calibration=TEXTS[0])


def test_the_estimate_counts_the_memory_of_calibrating(monkeypatch, capsys):
    monkeypatch.setattr(planning, "estimate_seconds", lambda *args: 1.0)
    info = inspect_model(NAME)
    n_tokens = sum(map(len, info.tokenizer.encode_batch(TEXTS)))
    plain = needed_bytes(info.config, "q4")
    needed = plain + working_bytes(info.config, n_tokens)
    (need,) = pyqtf.estimate(NAME, OTHERS, quant="q4", calibration=iter(TEXTS)).needs
    assert (need.quant, need.n_bytes) == ("calibrated q4", needed)
    assert needed > plain
    monkeypatch.setattr(planning, "available_memory", lambda: needed - 1)
    monkeypatch.setattr(pyqtf, "load", lambda *args, **kwargs: pytest.fail("it was loaded"))
    with pytest.raises(MemoryError, match=r"stories-200k in calibrated q4 needs .*: it fits in"):
        pyqtf.evaluate(NAME, OTHERS, quant="q4", calibration=TEXTS, progress=True)
