"""Results of unlike protocols are refused by everything that compares, and the fields are named."""

import warnings

import pandas as pd
import pytest
from fakes import BigramModel, ByteTokenizer, WordTokenizer

import pyqtf
from pyqtf.evaluation.comparable import check_comparable, provenance_notes
from pyqtf.evaluation.evaluate import evaluate
from pyqtf.evaluation.receipt import ProtocolMismatchError, make_receipt, parse_line, to_line
from pyqtf.evaluation.score import score
from pyqtf.evaluation.statistics import concerns, paired_differences, summarise

STORIES = [f"Story {i} is about a cat. " + "It ran. " * (i % 5 + 1) for i in range(8)]


class Spelled(WordTokenizer):
    """Words with a vocabulary that receipts can see."""

    @property
    def vocab(self):
        return {word: i for i, word in enumerate(self.words)}


def run(name="a", stories=STORIES, seed=0, **kwargs):
    return evaluate(BigramModel(name, seed=seed, **kwargs), stories, progress=False)


def both(*frames):
    return pd.concat(frames, ignore_index=True)


COMPARERS = {
    "summarise": summarise,
    "paired_differences": paired_differences,
    "bootstrap_intervals": pyqtf.bootstrap_intervals,
    "stories_needed": pyqtf.stories_needed,
    "plot.scaling": pyqtf.plot.scaling,
    "plot.stories": pyqtf.plot.stories,
    "plot.report": pyqtf.plot.report,
}


@pytest.mark.parametrize("compare", COMPARERS.values(), ids=COMPARERS)
def test_other_texts_are_refused(compare):
    edited = [*STORIES[:-1], STORIES[-1] + "!"]
    with pytest.raises(
        ProtocolMismatchError, match=r"a \(f32\) and b \(f32\) don't compare: text .* story 7"
    ):
        compare(both(run(), run("b", edited, n_params=2000)))


@pytest.mark.parametrize("compare", COMPARERS.values(), ids=COMPARERS)
def test_separate_runs_of_one_protocol_compare(compare):
    compare(both(run(), run("b", seed=1, n_params=2000)))


def test_every_field_is_named_and_survives_a_file(tmp_path):
    one, two = run(), run("b")
    two["protocol"] = two["protocol"].str.replace("prefix=none", "prefix=bos")
    two["protocol"] = two["protocol"].str.replace("context=none", "context=9 tokens")
    both(one, two).to_csv(tmp_path / "results.csv", index=False)
    with pytest.raises(ProtocolMismatchError) as caught:
        summarise(pd.read_csv(tmp_path / "results.csv"))
    for words in ("prefix is none for one and bos for the", "context is none for one and 9 tokens"):
        assert words in str(caught.value)
    assert "text is another" not in str(caught.value)


def test_stories_may_be_left_out_alike_and_only_alike():
    results = both(run(), run("b"))
    summarise(results[results["story_idx"] < 3])
    fewer = results[(results["model_name"] == "a") | (results["story_idx"] < 3)]
    with pytest.raises(ProtocolMismatchError, match=r"different stories \(8 and 3 of them\)"):
        summarise(fewer)
    summarise(both(run(stories=STORIES[:3]), run("b")[:3]))


def test_a_model_with_rows_of_two_protocols_is_refused():
    odd = run()
    odd.loc[5, "protocol"] = odd.loc[5, "protocol"].replace("per-story", "gptq")
    with pytest.raises(ProtocolMismatchError, match=r"the rows of a .*protocol is .* gptq"):
        summarise(odd)


def test_tokenizers_are_refused_by_the_token_and_compared_by_the_byte():
    results = both(run(tokenizer=Spelled()), run("b"))
    with pytest.raises(ProtocolMismatchError, match=r"tokenizer is .*unit='byte'"):
        summarise(results)
    with pytest.warns(UserWarning, match="In 8 of 8 stories the models scored different bytes"):
        summary = summarise(results, unit="byte")
    assert not [name for name in summary.columns if "perplexity" in name or "nll" in name]
    by_hand = results.groupby("model_name")[["nll", "n_bytes"]].sum()
    expected = by_hand["nll"] / by_hand["n_bytes"] / 0.6931471805599453
    found = summary.set_index("model_name")["bits_per_byte"]
    assert found["a"] == pytest.approx(expected["a"], rel=1e-12)
    other = run("b", [*STORIES[:-1], "Quite another."])
    with pytest.raises(ProtocolMismatchError, match="text is another one in 1 of 8"):
        summarise(both(run(tokenizer=Spelled()), other), unit="byte")
    with pytest.raises(ValueError, match="unit is 'word'"):
        summarise(results, unit="word")


def test_provenance_may_differ_and_is_shown(monkeypatch):
    one = run()
    info = pyqtf._core.cpu_info()
    monkeypatch.setattr(pyqtf._core, "cpu_info", lambda: {**info, "isa": "another"})
    results = both(one, run("b"))
    with pytest.warns(UserWarning, match=r"isa is .* for a \(f32\) and another for b \(f32\)"):
        summarise(results)
    assert provenance_notes(results)[0] in concerns(results)
    assert provenance_notes(one) == []


def test_results_without_receipts_are_taken_as_they_are():
    bare = run().drop(columns=["protocol", "provenance"])
    check_comparable(bare)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summarise(bare)


def test_pyqtf_scaling_stops_before_it_scores_more(tmp_path, monkeypatch):
    models = [BigramModel("a", 100, tokenizer=Spelled()), BigramModel("b", 200), BigramModel("c")]
    monkeypatch.setattr("pyqtf.experiment.read_stories", lambda _: [{"text": t} for t in STORIES])
    with pytest.raises(ProtocolMismatchError, match="tokenizer is"):
        pyqtf.run_scaling(models, "stories.txt", out=tmp_path, progress=False)
    assert models[2].n_sequences == 0


def test_pyqtf_scaling_looks_at_the_tokens_of_every_story(tmp_path, monkeypatch):
    class Other(ByteTokenizer):
        def encode(self, text, add_special_tokens=False):
            return super().encode(text)[:: -1 if text == STORIES[-1] else 1]

    models = [BigramModel("a"), BigramModel("b", tokenizer=Other()), BigramModel("c")]
    monkeypatch.setattr("pyqtf.experiment.read_stories", lambda _: [{"text": t} for t in STORIES])
    with pytest.raises(ProtocolMismatchError, match=r"other tokens in 1 of 8 .* story 7"):
        pyqtf.run_scaling(models, "stories.txt", out=tmp_path, progress=False)
    assert models[2].n_sequences == 0


def test_scores_carry_receipts():
    model = BigramModel()
    bare, behind = score(model, STORIES[0]), score(model, STORIES[0], context="Hm. ")
    assert bare.receipt.protocol["first_token"] == "not scored"
    assert bare.receipt.protocol["context"] == "none"
    assert behind.receipt.protocol["first_token"] == "scored"
    assert str(behind.receipt.protocol["context"]).startswith("4 tokens ")
    assert str(behind.receipt.protocol["context"]).endswith("encoded apart")
    bare.receipt.check_comparable(score(BigramModel(seed=1), STORIES[0]).receipt)
    with pytest.raises(ProtocolMismatchError, match=r"first_token .*context"):
        bare.receipt.check_comparable(behind.receipt)
    other = score(model, STORIES[0], context="Oh. ")
    with pytest.raises(ProtocolMismatchError, match="context is"):
        behind.receipt.check_comparable(other.receipt)


def test_a_line_holds_a_receipt():
    protocol = score(BigramModel(), STORIES[0]).receipt.protocol
    read = parse_line(to_line(protocol))
    assert read == {name: str(value) for name, value in protocol.items() if value is not None}


def test_a_large_vocabulary_is_digested_once(monkeypatch):
    calls = []

    class Slow(WordTokenizer):
        @property
        def vocab(self):
            calls.append(1)
            return {"a": 0}

    model = BigramModel(tokenizer=Slow())
    first, second = (make_receipt(model, [text], [], pyqtf.evaluation.protocol.PER_STORY)
                     for text in "ab")  # fmt: skip
    assert first.protocol["tokenizer"] == second.protocol["tokenizer"]
    assert len(calls) == 1
