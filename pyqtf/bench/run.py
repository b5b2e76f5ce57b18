"""One benchmark: a random model is written, and fresh processes load and score it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pyqtf.bench.loading import measure_loading
from pyqtf.bench.process import run_module
from pyqtf.bench.shapes import SHAPES, write_random_model


def benchmark(
    shape: str = "qwen2.5-0.5b",
    quant: str = "q8",
    tokens: int = 512,
    repetitions: int = 5,
    long: bool = False,
) -> dict[str, Any]:
    """Measure loading, scoring and prefill of a model with random weights.

    Every scoring pass is run between two measurements of the limit, so that a busy machine slows
    both: the share of the limit is the figure to compare, not the seconds.

    Parameters
    ----------
    shape : str
        One of ``pyqtf.bench.SHAPES``.
    quant : {"q8", "q4", "f32"}
        How the weights are stored.
    tokens : int
        Length of the long text; each token but the first gets its loss, at least 2.
    repetitions : int
        Passes, and loads, that are timed.
    long : bool
        Whether reading 8,192 tokens is measured too, beside 512, and writing behind them.

    Returns
    -------
    dict
        What ``pyqtf bench --json`` prints: plain numbers and strings, times in seconds.

    Raises
    ------
    ValueError
        An argument is none of the choices, or the process that measures failed.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape: expected one of {', '.join(SHAPES)}, got {shape!r}")
    limit = SHAPES[shape]["max_position_embeddings"]
    if not 2 <= tokens <= limit:
        raise ValueError(f"tokens: expected from 2 to {limit}, got {tokens}")
    if repetitions < 1:
        raise ValueError(f"repetitions: expected at least 1, got {repetitions}")
    from pyqtf import bundled

    with tempfile.TemporaryDirectory(prefix="pyqtf-bench-") as name:
        folder = Path(name) / shape
        tokenizer = bundled.path(bundled.names()[0]).parent / "tokenizer.json"
        write_random_model(folder, shape, tokenizer)
        # What is written in the background would slow what is measured first.
        with (folder / "model.safetensors").open("rb") as file:
            os.fsync(file.fileno())
        loading = measure_loading(folder, quant, repetitions)
        task = {
            "folder": str(folder),
            "quant": quant,
            "tokens": tokens,
            "n": repetitions,
            "long": long,
        }
        result: dict[str, Any] = json.loads(run_module("pyqtf.bench.measure", json.dumps(task)))
    return {"shape": shape, **result, "loading": loading}
