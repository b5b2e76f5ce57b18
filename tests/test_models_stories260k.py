"""A small trained model, whose widths are no multiples of 32, against an independent run of it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from llama2c import Encoder, convert

import pyqtf
from pyqtf.generation import Sampling, new_ids


@pytest.fixture(scope="module")
def folder(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stories260K")
    convert(data_dir / "models" / "stories260K" / "stories260K.bin", folder)
    return folder


@pytest.fixture(scope="module")
def encoder(data_dir):
    return Encoder(data_dir / "models" / "stories260K" / "tok512.bin", 512)


@pytest.fixture(scope="module")
def texts(data_dir, encoder):
    stories = json.loads((data_dir / "tinystories" / "train_first50.json").read_text("utf-8"))
    return [encoder.encode(story)[:512] for story in stories]


@pytest.fixture(scope="module")
def reference(data_dir):
    path = data_dir / "reference" / "stories260K_train50_nll.json"
    return json.loads(path.read_text("utf-8"))


def test_f32_gives_the_reference_losses_of_all_stories(folder, texts, reference):
    losses = pyqtf.load(folder, quant="f32").token_losses(texts)
    for ids, one, row in zip(texts, losses, reference["rows"], strict=True):
        assert ids[:12] == row["first_ids"] and len(one) == row["n_scored"]
        assert abs(one.nll.mean() - row["mean_nll"]) < 1e-4
    total = sum(one.nll.sum() for one in losses) / reference["n_scored"]
    assert total == pytest.approx(reference["corpus_mean_nll"], rel=1e-5)


def test_q8_is_within_a_thousandth(folder, texts, reference):
    losses = pyqtf.load(folder, quant="q8").token_losses(texts)
    means = np.array([one.nll.mean() for one in losses])
    expected = np.array([row["mean_nll"] for row in reference["rows"]])
    assert abs((means - expected).mean()) < 1e-3 * expected.mean()
    assert np.abs(means - expected).max() < 0.02


def test_greedy_text_is_that_of_llama2c(data_dir, folder, encoder):
    notes = (data_dir / "models" / "stories260K" / "stories260K.md").read_text("utf-8")
    expected = notes.split("-t 0.0\n")[1].split("\n```")[0]
    decoder = pyqtf.load(folder, quant="f32")._decoder
    chosen = itertools.islice(new_ids(decoder, np.array([1]), 512, Sampling()), 256)
    ids = itertools.takewhile(lambda token: token != 1, chosen)
    assert encoder.decode(list(ids)).strip() == expected
