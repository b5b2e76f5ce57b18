"""The estimate before a run: tokens, memory, time, and what to do where it doesn't fit."""

import pytest
from fakes import BigramModel

import pyqtf
from pyqtf import planning
from pyqtf._quants import QUANTS
from pyqtf.describe import inspect_model
from pyqtf.models.weights import needed_bytes

NAMES = ["stories-80k", "stories-3m"]
STORIES = pyqtf.bundled.stories()[:5]


@pytest.fixture
def timed(monkeypatch):
    """Seconds by storage, in place of the clock."""
    rates = {"f32": 40.0, "q8": 10.0, "q4": 7.0}
    calls = []

    def seconds(config, quant, lengths):
        calls.append((quant, list(lengths)))
        return rates[quant] * sum(lengths)

    monkeypatch.setattr(planning, "estimate_seconds", seconds)
    return calls


def needed(name, quant):
    return needed_bytes(inspect_model(name).config, quant)


def free(monkeypatch, n_bytes):
    monkeypatch.setattr(planning, "available_memory", lambda: n_bytes)


def test_it_counts_the_tokens_that_are_scored(timed):
    found = pyqtf.estimate(NAMES, STORIES)
    results = pyqtf.evaluate(NAMES, STORIES, progress=False)
    for need, (_, group) in zip(
        found.needs, results.groupby("model_name", sort=False), strict=True
    ):
        assert need.n_tokens == group["n_tokens"].sum()
        assert need.seconds == 10.0 * need.n_tokens
        assert (need.n_bytes, need.fits) == (needed(need.name, "q8"), True)
        assert group["n_tokens"].tolist() == timed[0][1]
    assert found.seconds == sum(need.seconds for need in found.needs)


@pytest.mark.parametrize("quant", ["f32", "q8"])
def test_the_most_exact_storage_that_fits_is_proposed(monkeypatch, timed, quant):
    sizes = {q: needed("stories-3m", q) for q in QUANTS}
    order = sorted(QUANTS, key=lambda q: -sizes[q])
    below = order[order.index(quant) + 1]
    free(monkeypatch, sizes[below])
    (need,) = pyqtf.estimate("stories-3m", STORIES, quant=quant).needs
    assert (need.fits, need.smaller, need.seconds) == (False, below, 0.0)
    free(monkeypatch, sizes[order[-1]] - 1)
    found = pyqtf.estimate("stories-3m", STORIES, quant=quant)
    assert found.needs[0].smaller is None
    assert "choose a smaller model" in found.to_text()


def test_what_does_not_fit_stops_a_run_before_it_starts(monkeypatch):
    free(monkeypatch, needed(NAMES[1], "q4"))
    first = pyqtf.load(NAMES[0])
    monkeypatch.setattr(type(first), "token_losses", None)
    with pytest.raises(MemoryError, match=r"stories-3m in q8 needs .* are free: it fits in q4"):
        pyqtf.evaluate([first, NAMES[1]], STORIES, progress=True)


def test_a_long_run_is_offered_faster_storage(timed, monkeypatch):
    found = pyqtf.estimate(NAMES, STORIES, quant="f32")
    assert found.faster == ("q4", pytest.approx(found.seconds * 7 / 40))
    assert 'With quant="q4" it takes about' in found.to_text()
    monkeypatch.setattr(planning, "_PATIENCE", found.seconds)
    assert pyqtf.estimate(NAMES, STORIES, quant="f32").faster is None
    assert pyqtf.estimate(NAMES, STORIES, quant="q4").faster is None


def test_loaded_models_take_no_more_memory_and_keep_their_storage(timed, monkeypatch):
    model = pyqtf.load(NAMES[0], quant="f32")
    free(monkeypatch, 0)
    found = pyqtf.estimate(model, STORIES)
    assert (found.needs[0].n_bytes, found.needs[0].quant, found.faster) == (0, "f32", None)
    assert "loaded" in found.to_text()


def test_a_saved_model_is_asked_for_in_its_own_storage(timed, tmp_path):
    path = tmp_path / "small.pyqtf"
    pyqtf.load(NAMES[0], quant="q4").save(path)
    found = pyqtf.estimate(path, STORIES)
    assert (found.needs[0].quant, found.faster) == ("q4", None)


@pytest.mark.parametrize("short", [0.0, 1e30])
def test_long_runs_say_what_they_take_and_short_ones_start(capsys, monkeypatch, timed, short):
    monkeypatch.setattr(planning, "_SHORT", short)
    pyqtf.evaluate(NAMES, STORIES, progress=True)
    words = capsys.readouterr().err
    assert ("Scoring takes about" in words) == (short == 0.0)
    assert "10/10" in words
    pyqtf.evaluate(NAMES[:1], STORIES, progress=False)
    assert capsys.readouterr().err == ""


def test_models_that_pyqtf_does_not_know_are_not_estimated():
    with pytest.raises(TypeError, match="is no model of pyqtf"):
        pyqtf.estimate(BigramModel(), STORIES)
    with pytest.raises(FileNotFoundError, match="no-such"):
        pyqtf.estimate("no-such", STORIES)


def test_the_probe_runs():
    found = pyqtf.estimate(NAMES[0], STORIES)
    assert 0 < found.seconds < 600
