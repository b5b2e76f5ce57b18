"""The benchmark runs and its figures hang together; how large they are is nobody's test."""

import json

import pytest

from pyqtf import bench, cli
from pyqtf.bench.shapes import SHAPES, write_random_model
from pyqtf.costs import products_per_token
from pyqtf.models.registry import tensor_shapes


@pytest.fixture(scope="module")
def result():
    return bench.benchmark("tiny", "q8", 40, 2, long=True)


def test_figures_hang_together(result):
    score = result["score"]
    assert score["n_tokens"] == 40 and len(score["seconds"]) == 2
    assert score["share_of_limit"] > 0
    loading = result["loading"]
    # 4,096 tokens, 2 layers of width 64 with 2 of 4 heads for keys and values, 172 between.
    assert loading["bytes"] > 2 * (4096 * 64 + 2 * 64 * (64 + 64 + 64 + 3 * 172))
    for times in (loading["quantise"], loading["map"]):
        assert len(times["seconds"]) == 2 and min(times["seconds"]) > 0
        assert times["median"] == pytest.approx(sum(times["seconds"]) / 2)
    decode = result["decode"]
    assert decode["tokens_per_second"] > 0 and len(decode["shares"]) == 2
    assert min(decode["shares"]) <= decode["share_of_memory_read"] <= max(decode["shares"])
    assert [row["tokens"] for row in result["attention"]] == [512, 2048, 8192, 32768]
    for row in result["attention"]:
        shares = row["shares_of_f32_limit"]
        assert 0 < min(shares) <= row["share_of_f32_limit"] <= max(shares)
        assert row["seconds_per_token"] > 0
    assert [row["cache"] for row in result["prefill"]] == ["bf16", "f32"]
    for row in result["prefill"]:
        assert row["tokens"] == 8192
        assert row["ratio"] == pytest.approx(
            row["tokens_per_second"] / row["short_tokens_per_second"]
        )
    rows = result["long_decode"]
    assert [row["cache"] for row in rows] == ["f32", "f16", "bf16", "q8"]
    # Of 2 layers, keys and values, 2 heads: 16 numbers and for q8 one scale.
    assert [row["bytes"] for row in rows] == [8192 * 8 * n for n in (64, 32, 32, 20)]
    for row in rows:
        assert len(row["ratios"]) == 8 and row["tokens_per_second"] > 0
        assert min(row["ratios"]) <= row["ratio"] <= max(row["ratios"])
    assert rows[0]["ratio"] == 1
    assert (
        sum(v for k, v in result["kernel_seconds"].items() if k != "all")
        <= (result["kernel_seconds"]["all"])
    )
    assert result["peak_rss"] >= result["load_peak_rss"] > 0
    assert json.loads(json.dumps(result)) == result


def test_report_has_every_figure(result):
    text = bench.render(result)
    words = ("tiny with random weights, q8", "of the limit", "memory read (")
    for part in (
        *words,
        "load from bfloat16 ",
        "load what was saved ",
        "prefill 8,192, bf16 ",
        "decode at 8,192, q8 ",
        "text of 32,768 ",
        "of the f32 limit",
        "where the time",
    ):
        assert part in text


def test_report_without_a_long_text(result):
    text = bench.render({**result, "prefill": [], "long_decode": []})
    assert "prefill" not in text and "decode at" not in text and "text of 8,192 " in text


def test_a_loop_of_two_storages_is_shown_once(result):
    limits = {**result["limits"], "q8_instructions": "dot", "q4_instructions": "dot"}
    text = bench.render({**result, "limits": limits})
    assert sum(line.startswith("  dot ") for line in text.splitlines()) == 1
    limits["q4_instructions"] = "dot 4"
    text = bench.render({**result, "limits": limits})
    assert sum(line.startswith("  dot ") for line in text.splitlines()) == 2


def test_products_are_those_of_the_matrices(tmp_path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    config = write_random_model(tmp_path / "model", "tiny", tokenizer)
    shapes = tensor_shapes(config)
    matrices = sum(s[0] * s[1] for name, s in shapes.items() if len(s) == 2)
    assert products_per_token(config, head=True) == matrices  # the tied embedding is the head
    assert products_per_token(config, head=False) == matrices - config.vocab_size * 64


def test_command_prints_json(monkeypatch, capsys, result):
    monkeypatch.setattr(bench, "benchmark", lambda *args: {**result, "args": args})
    assert cli.main(["bench", "--shape", "tiny", "--tokens", "40", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["args"] == ["tiny", "q8", 40, 5, False]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("no-such",), "shape: expected one of qwen2.5-0.5b"),
        (("tiny", "q8", 1), "tokens: expected from 2 to"),
        (("tiny", "q8", 40, 0), "repetitions: expected at least 1"),
    ],
)
def test_arguments_are_checked(args, words):
    with pytest.raises(ValueError, match=words):
        bench.benchmark(*args)
    assert "tiny" in SHAPES
