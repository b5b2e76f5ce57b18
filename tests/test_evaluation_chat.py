"""Base against Instruct: one story's tokens bare, behind a prompt, and behind a chat template."""

import json

import numpy as np
import pytest
from fakes import BigramModel

import pyqtf
from pyqtf.evaluation.chat import evaluate_chat
from pyqtf.evaluation.context import summarise_contexts
from pyqtf.evaluation.score import score
from pyqtf.tokenizer import Tokenizer

STORIES = ["The cat sat. It ran.", "A dog ran home. It was far.", "Once there was a fox."]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def model(name="m", template=TEMPLATE, seed=0):
    tokenizer = Tokenizer.from_json(Tokenizer.example_json(), chat_template=template)
    made = BigramModel(name, seed=seed)
    made.config.vocab_size = 259
    logits = np.random.default_rng(seed).standard_normal((259, 259))
    made.logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    made.tokenizer = tokenizer
    return made


def test_every_row_is_a_score_without_its_first_token():
    df = evaluate_chat(model(), STORIES, prompt="A tale, please.", system="Be brief.")
    before = {
        "none": "",
        "prompt": "Be brief.\n\nA tale, please.\n\n",
        "chat": "<|system|>Be brief.\n<|user|>A tale, please.\n<|assistant|>",
    }
    assert df["context"].tolist() == [*before] * len(STORIES)
    for row in df.itertuples():
        one = score(model(), STORIES[row.story_idx], context=before[row.context])
        nll = one.losses.nll if row.context == "none" else one.losses.nll[1:]
        assert row.n_context == one.n_context
        assert row.n_scored == len(nll) == one.n_tokens - 1
        assert row.nll == pytest.approx(nll.sum(), rel=1e-13)


def test_two_models_are_held_against_the_first_ones_bare_story():
    df = evaluate_chat([model("base"), model("instruct", seed=1)], STORIES)
    table = summarise_contexts(df, reference="base").set_index(["model_name", "context"])
    nll = df.groupby(["model_name", "context"])["nll"].sum()
    n = df[df["context"] == "none"].groupby("model_name")["n_scored"].sum()["base"]
    for key in nll.index:
        expected = (nll[key] - nll["base", "none"]) / n
        assert table.loc[key, "difference"] == pytest.approx(expected, rel=1e-12, abs=1e-15)
    own = summarise_contexts(df).set_index(["model_name", "context"])
    assert own.loc[("instruct", "none"), "difference"] == 0
    with pytest.raises(ValueError, match="no model is named 'bass'; there are: base, instruct"):
        summarise_contexts(df, reference="bass")


def test_a_given_template_serves_a_base_model():
    with pytest.raises(ValueError, match="m: this tokenizer has no chat template"):
        evaluate_chat(model(template=None), STORIES)
    with_own = evaluate_chat(model(), STORIES)
    given = evaluate_chat(model(template=None), STORIES, chat_template=TEMPLATE)
    assert with_own.equals(given)


def test_what_is_refused():
    with pytest.raises(ValueError, match="two models are named 'm'"):
        evaluate_chat([model(), model()], STORIES)
    with pytest.raises(ValueError, match=r"story 1: .*single token"):
        evaluate_chat(model(), ["A cat.", "a"])
    with pytest.raises(ValueError, match=r"story 0: .* of context and .* of text"):
        evaluate_chat(model(), STORIES, prompt="x" * 4090)
    df = evaluate_chat([model("a"), model("b")], STORIES)
    df.loc[df["model_name"] == "b", "n_scored"] += 1
    with pytest.raises(ValueError, match="a and b read different tokens"):
        summarise_contexts(df)


def test_qwens_own_templates(data_dir):
    """Base and Instruct ship different templates, and both frame the story as the answer."""
    found = {}
    for which in ("Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct"):
        config = json.loads((data_dir / f"qwen2.5/tokenizer_config.{which}.json").read_text())
        tokenizer = Tokenizer.from_file(data_dir / "qwen2.5/tokenizer.json")
        tokenizer.chat_template = config["chat_template"]
        made = BigramModel(which)
        made.config.vocab_size = len(tokenizer)
        made.tokenizer = tokenizer
        made.token_losses = lambda sequences, *, top_k=0: [
            BigramModel().token_losses([np.asarray(ids) % 256])[0] for ids in sequences
        ]
        found[which] = evaluate_chat(made, STORIES[:1], prompt="Hi").set_index("context")
    base, instruct = found.values()
    user = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    for which, system in (
        (base, "You are a helpful assistant."),
        (instruct, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    ):
        text = f"<|im_start|>system\n{system}<|im_end|>\n{user}"
        assert which.loc["chat", "n_context"] == len(tokenizer.encode(text))
        assert which["n_scored"].nunique() == 1


def test_the_bundled_family_takes_a_template():
    df = pyqtf.evaluate_chat("stories-80k", pyqtf.bundled.stories()[:4], chat_template=TEMPLATE)
    assert (df.groupby("story_idx")["n_scored"].nunique() == 1).all()
    assert np.isfinite(df["perplexity"]).all()
