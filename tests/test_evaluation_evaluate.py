"""Experiments over fake models: schema, order, batches, the cache and its damage."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from fakes import BigramModel, UniformModel

import pyqtf
from pyqtf.evaluation import evaluate as module
from pyqtf.evaluation.evaluate import evaluate, evaluate_tokens, iter_scores
from pyqtf.evaluation.score import score

STORIES = [f"Story {i} is about a cat. " + "It ran. " * (i % 7) for i in range(30)]
COLUMNS = [
    "model_name",
    "n_params",
    "n_params_non_embedding",
    "quant",
    "story_idx",
    "n_tokens",
    "n_scored",
    "n_bytes",
    "nll",
    "perplexity",
    "bits_per_byte",
    "seconds",
    "protocol",
    "provenance",
]


def models():
    return [BigramModel("small", 100, 0.5), BigramModel("large", 1000, 2.0, seed=1)]


def numbers(frame):
    return frame.drop(columns="seconds")


def test_results_follow_the_documented_schema():
    stories = [{"text": text, "genre": "tale", "n": i} for i, text in enumerate(STORIES)]
    df = evaluate(models(), stories, progress=False)
    assert list(df.columns) == [*COLUMNS, "genre", "n"]
    assert df["model_name"].tolist() == ["small"] * 30 + ["large"] * 30
    assert df["story_idx"].tolist() == [*range(30), *range(30)]
    assert (df["n"] == df["story_idx"]).all()
    assert (df["n_scored"] == df["n_tokens"] - 1).all()
    assert df["nll"].dtype == np.float64
    assert (df["seconds"] > 0).all()


def test_tokens_follow_the_documented_schema():
    df = evaluate_tokens(models(), STORIES, progress=False)
    assert list(df.columns) == (
        [
            "model_name",
            "story_idx",
            "position",
            "token_id",
            "token",
            "n_bytes",
            "nll",
            "rank",
            "entropy",
        ]
    )
    sums = df.groupby(["model_name", "story_idx"], sort=False)["nll"].sum()
    np.testing.assert_allclose(sums, evaluate(models(), STORIES, progress=False)["nll"], rtol=1e-13)


def test_every_row_is_the_score_of_its_story():
    df = evaluate(models(), STORIES, progress=False)
    for (_, row), (model, text) in zip(
        df.iterrows(), itertools.product(models(), STORIES), strict=True
    ):
        one = score(model, text)
        assert (row["nll"], row["perplexity"]) == (one.nll, one.perplexity)
        assert (row["n_bytes"], row["bits_per_byte"]) == (one.n_bytes, one.bits_per_byte)


@pytest.mark.parametrize("batch_tokens", [1, 100, 10**9])
def test_batches_and_order_change_no_number(monkeypatch, batch_tokens):
    expected = evaluate(models(), STORIES, progress=False)
    monkeypatch.setattr("pyqtf.evaluation.batches.BATCH_TOKENS", batch_tokens)
    df = evaluate(models()[::-1], STORIES[::-1], progress=False)
    df["story_idx"] = len(STORIES) - 1 - df["story_idx"]
    df = df.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(numbers(df), numbers(expected), check_exact=True)


def test_short_stories_share_calls():
    model = UniformModel()
    evaluate(model, STORIES, progress=False)
    assert model.n_sequences == len(STORIES)
    assert model.n_calls < len(STORIES) / 3


def test_stories_may_come_as_a_dataframe():
    frame = pd.DataFrame({"text": STORIES[:2], "genre": ["a", "b"]}, index=[7, 9])
    df = evaluate(UniformModel(), frame, progress=False)
    assert df["genre"].tolist() == ["a", "b"]
    assert df["story_idx"].tolist() == [0, 1]


def test_names_are_opened_one_at_a_time(monkeypatch):
    alive = []

    class Named(BigramModel):
        def __init__(self, name):
            assert not alive, "the model before is still in memory"
            alive.append(name)
            super().__init__(name)

        def __del__(self):
            alive.remove(self.name)

    monkeypatch.setattr(pyqtf, "load", lambda name, **_: Named(name), raising=False)
    df = evaluate(["a", "b", "c"], STORIES[:2], progress=False)
    assert df["model_name"].unique().tolist() == ["a", "b", "c"]


def test_progress_counts_every_story(capsys):
    evaluate(models(), STORIES[:3], progress=True)
    assert "6/6" in capsys.readouterr().err
    evaluate(models(), STORIES[:3], progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "stories", "error", "words"),
    [
        ([], STORIES, ValueError, "no models"),
        (5, STORIES, TypeError, "5 is no model"),
        ([UniformModel(), 5], STORIES, TypeError, "5 is no model"),
        (UniformModel(), [], ValueError, "no stories"),
        (UniformModel(), ["fine", "x"], ValueError, "story 1: .*nothing to score"),
        (UniformModel(), ["fine", "x" * 5000], ValueError, "story 1: 5000 tokens .* 4096"),
        (UniformModel(), [{"text": "ab", "nll": 1}], ValueError, "need themselves: nll"),
        ([UniformModel(), UniformModel()], STORIES, ValueError, "two models are named 'uniform'"),
    ],
)
def test_what_is_refused(given, stories, error, words):
    with pytest.raises(error, match=words):
        evaluate(given, stories, progress=False)


def test_a_cache_is_a_folder_and_an_executor_takes_tasks(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file, which is a file; expected a folder"):
        evaluate(UniformModel(), STORIES, progress=False, cache=tmp_path / "file")
    with pytest.raises(TypeError, match=r"executor is a int; expected one of concurrent\.futures"):
        evaluate(UniformModel(), STORIES, progress=False, executor=4)
    with pytest.raises(TypeError, match="UniformModel'> is no model"):
        evaluate(UniformModel, STORIES, progress=False)


@pytest.mark.parametrize("take", [pyqtf.load, lambda name: pyqtf.export_gguf(name, "x.gguf")])
def test_a_loaded_model_is_no_name(take, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (UniformModel(), None, b"stories-30k"):
        with pytest.raises(TypeError, match=r"a model's name is a .*; expected a name, a path or"):
            take(given)


class Interrupted(BigramModel):
    """Stops like Ctrl-C after some calls."""

    def __init__(self, calls, **kwargs):
        super().__init__(**kwargs)
        self.calls_left = calls

    def token_losses(self, sequences, *, top_k=0):
        if not self.calls_left:
            raise KeyboardInterrupt
        self.calls_left -= 1
        return super().token_losses(sequences, top_k=top_k)


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("pyqtf.evaluation.batches.BATCH_TOKENS", 100)
    expected = evaluate(BigramModel(), STORIES, progress=False)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Interrupted(4), STORIES, progress=False, cache=tmp_path)
    again = BigramModel()
    df = evaluate(again, STORIES, progress=False, cache=tmp_path)
    assert 0 < again.n_sequences - 1 < len(STORIES)  # one sequence is the probe
    pd.testing.assert_frame_equal(numbers(df), numbers(expected), check_exact=True)
    third = BigramModel()
    cached = evaluate(third, STORIES, progress=False, cache=tmp_path)
    assert third.n_sequences == 1
    pd.testing.assert_frame_equal(cached, df, check_exact=True)


def test_a_long_run_saves_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("pyqtf.evaluation.batches.BATCH_TOKENS", 100)
    monkeypatch.setattr(module, "_SAVE_EVERY_SECONDS", 0.0)
    seen = []

    class Model(BigramModel):
        def token_losses(self, sequences, *, top_k=0):
            seen.append(len(list(tmp_path.iterdir())))
            return super().token_losses(sequences, top_k=top_k)

    evaluate(Model(), STORIES, progress=False, cache=tmp_path)
    assert seen[:2] == [0, 0]  # the probe, then the first batch
    assert set(seen[2:]) == {1}


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"name": "other"},
        {"n_params": 7},
        {"sharpness": 1.0001},
    ],
)
def test_another_model_shares_no_cache(tmp_path, other):
    evaluate(BigramModel(), STORIES, progress=False, cache=tmp_path)
    model = BigramModel(**other)
    df = evaluate(model, STORIES, progress=False, cache=tmp_path)
    assert model.n_sequences == 1 + len(STORIES)
    pd.testing.assert_frame_equal(
        numbers(df), numbers(evaluate(BigramModel(**other), STORIES, progress=False))
    )


def test_a_models_fingerprint_is_part_of_its_cache(tmp_path):
    for fingerprint, n_scored in (("a", len(STORIES)), ("b", len(STORIES)), ("a", 0)):
        model = BigramModel()
        model.fingerprint = fingerprint
        evaluate(model, STORIES, progress=False, cache=tmp_path)
        assert model.n_sequences - 1 == n_scored


def test_another_version_or_instruction_set_shares_no_cache(tmp_path, monkeypatch):
    def n_scored():
        model = BigramModel()
        evaluate(model, STORIES, progress=False, cache=tmp_path)
        return model.n_sequences - 1

    assert n_scored() == len(STORIES)
    assert n_scored() == 0
    version = pyqtf.__version__
    monkeypatch.setattr(pyqtf, "__version__", "0.0.0")
    with pytest.warns(UserWarning, match=f"with pyqtf {version}, and this is pyqtf 0.0.0"):
        assert n_scored() == len(STORIES)
    info = pyqtf._core.cpu_info()
    monkeypatch.setattr(pyqtf._core, "cpu_info", lambda: {**info, "isa": "another"})
    with pytest.warns(UserWarning, match=f"30 stories of bigram .f32. with isa {info['isa']}"):
        assert n_scored() == len(STORIES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert n_scored() == 0, "said once: now the cache has them for this one too"


def test_an_edited_story_is_scored_again(tmp_path):
    evaluate(BigramModel(), STORIES, progress=False, cache=tmp_path)
    model = BigramModel()
    edited = [*STORIES[:-1], STORIES[-1] + "!"]
    df = evaluate(model, edited, progress=False, cache=tmp_path)
    assert model.n_sequences == 2
    assert df["nll"].iloc[-1] == score(model, edited[-1]).nll


def damage_truncate(data):
    return data[: len(data) // 2]


def damage_flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]


def damage_empty(data):
    return b""


def damage_text(data):
    return b"not a cache"


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip, damage_empty, damage_text])
def test_a_damaged_cache_is_reported_and_not_used(tmp_path, damage):
    expected = evaluate(BigramModel(), STORIES, progress=False, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    model = BigramModel()
    with pytest.warns(UserWarning, match="is damaged .* computed again"):
        df = evaluate(model, STORIES, progress=False, cache=tmp_path)
    assert model.n_sequences == 1 + len(STORIES)
    pd.testing.assert_frame_equal(numbers(df), numbers(expected), check_exact=True)


def test_every_single_byte_of_the_cache_is_guarded(tmp_path):
    stories = ["abc", "ab"]
    expected = numbers(evaluate(BigramModel(), stories, progress=False, cache=tmp_path))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        with pytest.warns(UserWarning, match="damaged"):
            df = evaluate(BigramModel(), stories, progress=False, cache=tmp_path)
        pd.testing.assert_frame_equal(numbers(df), expected, check_exact=True)


def test_two_writers_keep_each_others_work(tmp_path):
    one = iter_scores(BigramModel(), STORIES[:5], progress=False, cache=tmp_path)
    two = iter_scores(BigramModel(), STORIES[5:], progress=False, cache=tmp_path)
    next(one), next(two)
    list(one), list(two)
    model = BigramModel()
    evaluate(model, STORIES, progress=False, cache=tmp_path)
    assert model.n_sequences == 1


def test_names_that_are_no_file_names_are_cached(tmp_path):
    for name in ("Qwen/Qwen2.5-0.5B", "../up", "a\nb", "ü" * 300):
        evaluate(BigramModel(name), STORIES[:2], progress=False, cache=tmp_path / "new" / "folder")
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
