"""Two models in lockstep: closed forms, the whole logits at once, and models that don't compare."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from fakes import BigramModel, ByteTokenizer, WordTokenizer

import pyqtf
from pyqtf.cli import main
from pyqtf.evaluation import compare

STORIES = ["A cat sat on a mat.", "It ran away, and then it came back.", "Oh!"]


class Shown(BigramModel):
    """A bigram model that shows its logits, shifted: a constant changes no prediction."""

    shift = 3.0

    def logit_blocks(self, ids, *, rows):
        assert rows >= 1
        for i in range(0, len(ids), rows):
            yield (self.logprobs[ids[i : i + rows]] + self.shift).astype(np.float32)


def certain(name, p, favourite):
    """Whatever came before: `favourite` with probability p, each other byte with the same rest."""
    model = Shown(name)
    model.logprobs = np.full((256, 256), np.log((1 - p) / 255))
    model.logprobs[:, favourite] = np.log(p)
    return model


@pytest.mark.parametrize("block", [1, 256, 1000, 1 << 22])
def test_closed_form(monkeypatch, block):
    monkeypatch.setattr(compare, "_BLOCK", block)
    a, b = certain("a", 0.5, ord("a")), certain("b", 0.2, ord("a"))
    done = pyqtf.compare_models(a, b, STORIES)
    kl = 0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8)
    assert done.kl.value == pytest.approx(kl, rel=1e-6)
    assert done.kl.se < 1e-6  # every token costs the same
    assert done.agreement.value == 1
    scored = "".join(text[1:] for text in STORIES)
    n, n_a = len(scored), scored.count("a")
    assert done.n_scored == n
    d = (n_a * np.log(0.5 / 0.2) + (n - n_a) * np.log(0.5 / 0.8)) / n
    assert done.difference.value == pytest.approx(d, rel=1e-5)
    assert done.perplexity_ratio[0] == pytest.approx(done.perplexity_b / done.perplexity_a)


def test_direction_of_kl():
    a, b = certain("a", 0.5, ord("a")), certain("b", 0.2, ord("a"))
    kl = 0.2 * np.log(0.2 / 0.5) + 0.8 * np.log(0.8 / 0.5)
    assert pyqtf.compare_models(b, a, STORIES).kl.value == pytest.approx(kl, rel=1e-6)


def test_disagreement_and_its_place():
    a, b = Shown("a"), Shown("b")
    b.logprobs = b.logprobs.copy()
    b.logprobs[ord("a")] = np.log(1 / 256)
    b.logprobs[ord("a"), a.logprobs[ord("a")].argmin()] += 1
    done = pyqtf.compare_models(a, b, STORIES)
    expected = [len(t) - 1 - t[:-1].count("a") for t in STORIES]
    assert done.stories["n_agree"].tolist() == expected
    assert (done.stories["kl"] > 0).tolist() == [True, True, False]


def test_intervals_are_those_of_the_paired_statistics():
    a, b = Shown("a", 1000, 1.0), Shown("b", 2000, 1.3, seed=4)
    done = pyqtf.compare_models(a, b, STORIES)
    row = pyqtf.paired_differences(pyqtf.evaluate([a, b], STORIES, progress=False)).iloc[0]
    found = done.difference
    assert [found.value, found.se, found.low, found.high] == pytest.approx(
        row[["difference", "se", "low", "high"]].tolist(), rel=1e-5
    )
    assert done.perplexity_ratio == pytest.approx(
        row[["perplexity_ratio", "ratio_low", "ratio_high"]].tolist(), rel=1e-5
    )


@pytest.fixture(scope="module")
def pair():
    name = pyqtf.bundled.names()[1]
    return pyqtf.load(name, quant="f32"), pyqtf.load(name, quant="q8")


def log_softmax(logits):
    logits = logits.astype(np.longdouble)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("rows", [1, 7, 10**6])
def test_bundled_model_against_whole_logits(pair, monkeypatch, rows):
    monkeypatch.setattr(compare, "_BLOCK", rows * pair[0].config.vocab_size)
    texts = [story["text"] for story in pyqtf.bundled.stories()[:3]]
    done = pyqtf.compare_models(*pair, texts)
    for text, (_, row) in zip(texts, done.stories.iterrows(), strict=True):
        ids = pair[0].tokenizer.encode(text)
        logits = [model.logits(ids)[:-1] for model in pair]
        p, q = map(log_softmax, logits)
        assert row["kl"] == pytest.approx(float((np.exp(p) * (p - q)).sum()), rel=1e-9)
        assert row["kl"] > 0
        at = np.arange(len(p)), ids[1:]
        assert row["nll_a"] == pytest.approx(float(-p[at].sum()), rel=1e-12)
        assert row["nll_b"] == pytest.approx(float(-q[at].sum()), rel=1e-12)
        top = [one.argmax(axis=1) for one in logits]
        assert row["n_agree"] == (top[0] == top[1]).sum()


def test_losses_are_those_of_score(pair):
    done = pyqtf.compare_models(*pair, STORIES)
    for column, model in zip(("nll_a", "nll_b"), pair, strict=True):
        expected = [model.score(text).nll for text in STORIES]
        assert done.stories[column].tolist() == pytest.approx(expected, rel=1e-6)


def test_a_model_and_itself_differ_in_no_bit(pair):
    for model in pair:
        done = pyqtf.compare_models(model, model, STORIES)
        assert (done.stories["kl"] == 0).all()
        assert (done.stories["n_agree"] == done.stories["n_scored"]).all()
        assert done.perplexity_ratio == (1, 1, 1)


def test_blocks_are_the_logits_to_the_bit(pair):
    ids = pair[0].tokenizer.encode(pyqtf.bundled.stories()[0]["text"])
    for model in pair:
        whole = model.logits(ids)
        for rows in (1, 5, len(ids), len(ids) + 1):
            blocks = list(model.logit_blocks(ids, rows=rows))
            assert max(map(len, blocks)) <= rows
            assert np.array_equal(np.concatenate(blocks), whole)


def test_blocks_of_no_rows_are_refused_at_once(pair):
    with pytest.raises(ValueError, match="rows must be 1 or more, got 0"):
        pair[0].logit_blocks([1, 2], rows=0)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        pair[0].logit_blocks([-1], rows=1)


def test_memory_does_not_grow_with_the_text(monkeypatch):
    monkeypatch.setattr(compare, "_BLOCK", 8 * 256)
    a, b = Shown("a"), Shown("b", seed=1)
    text = "abcdefgh" * 500
    tracemalloc.start()
    try:
        pyqtf.compare_models(a, b, [text])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(text) * 256 * 4 / 2  # half of one model's logits


def test_other_vocabularies_are_refused_by_name(pair):
    small = Shown("small")
    with pytest.raises(ValueError, match=r"stories-80k \(f32\).*small \(f32\) one of 256"):
        pyqtf.compare_models(pair[0], small, STORIES)
    other = Shown("other")
    small.tokenizer.vocab, other.tokenizer.vocab = {"a": 0, "b": 1}, {"a": 1, "b": 0}
    with pytest.raises(ValueError, match=r"small \(f32\) and other \(f32\).*different tokenizers"):
        pyqtf.compare_models(small, other, STORIES)


def test_other_cuts_are_refused_by_name():
    a = Shown("bytes", tokenizer=ByteTokenizer())
    b = Shown("words", tokenizer=WordTokenizer())
    with pytest.raises(ValueError, match=r"story 0: bytes \(f32\) and words \(f32\)"):
        pyqtf.compare_models(a, b, STORIES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_damaged_weights_are_named(bad):
    b = Shown("damaged")
    b.logprobs = b.logprobs.copy()
    b.logprobs[ord("O"), 9] = bad
    with pytest.raises(ValueError, match=r"story 2: damaged \(f32\) gives a logit"):
        pyqtf.compare_models(Shown("a"), b, STORIES)


def test_bad_arguments():
    a = Shown("a")
    with pytest.raises(TypeError, match="'stories-3m' is no loaded model"):
        pyqtf.compare_models(a, "stories-3m", STORIES)
    with pytest.raises(ValueError, match="story 1: the text is a single token"):
        pyqtf.compare_models(a, a, ["A cat.", "A"])
    short = Shown("short")
    short.config.max_position_embeddings = 10
    with pytest.raises(ValueError, match=r"story 0: 19 tokens .* short can read"):
        pyqtf.compare_models(a, short, STORIES)


def test_command(tmp_path, capsys):
    file = tmp_path / "stories.txt"
    file.write_text("\n<|endoftext|>\n".join(STORIES), encoding="utf-8")
    name = pyqtf.bundled.names()[-1]
    assert main(["compare", name, name, "--quant", "f32", "q8", "--stories", str(file)]) == 0
    out = capsys.readouterr().out
    models = [pyqtf.load(name, quant=quant) for quant in ("f32", "q8")]
    done = pyqtf.compare_models(*models, STORIES)
    assert f"A is {name} (f32), B is {name} (q8)\n3 stories, {done.n_scored} tokens" in out
    line = f"{done.kl.value:.3g} {done.kl.low:.3g} to {done.kl.high:.3g}"
    assert line in re.sub(" +", " ", out)
    assert f"{100 * done.agreement.value:.2f} %" in out
    assert f"{100 * (done.perplexity_ratio[0] - 1):+.2g} %" in out
    assert max(map(len, out.splitlines())) <= 80


def test_command_says_what_is_wrong(capsys):
    name = pyqtf.bundled.names()[0]
    assert main(["compare", name, "no-such-model"]) == 1
    assert "no-such-model" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", name, name, "--quant", "f32"])
    assert "expected 2 arguments" in capsys.readouterr().err
