"""Time and memory of loading a model of Qwen2.5-0.5B's shape, beside transformers and llama.cpp.

    pip install '.[oracle,bench]'
    python benchmarks/bench_load.py

Weights are random, which costs what trained ones cost; files are in the system's cache. Each way is
a process of its own; they take turns, and medians are shown. Memory is the largest resident set of
the process, imports and mapped files included. As llama.cpp reads a mapped file only when it is
used, the time until a first short text is scored is shown as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pyqtf import bundled
from pyqtf.bench.shapes import SHAPES, write_random_model


class Way(NamedTuple):
    """A way to load: what it is called, the tool, its file, and how it keeps weights."""

    name: str
    tool: str
    file: str
    kept: str


WAYS = (
    Way("pyqtf, safetensors to q8", "pyqtf", "", "q8"),
    Way("pyqtf, safetensors to q4", "pyqtf", "", "q4"),
    Way("pyqtf, safetensors to f32", "pyqtf", "", "f32"),
    Way("pyqtf, its own file, q8", "pyqtf", "saved.pyqtf", "q8"),
    Way("pyqtf, GGUF Q8_0 to q8", "pyqtf", "q8_0.gguf", "q8"),
    Way("transformers, bfloat16", "transformers", "", "bfloat16"),
    Way("transformers, float32", "transformers", "", "float32"),
    Way("llama.cpp, GGUF Q8_0", "llama_cpp", "q8_0.gguf", "mapped"),
    Way("llama.cpp, GGUF Q8_0, no mmap", "llama_cpp", "q8_0.gguf", "read"),
)
# What a load imports first; the time for it is not counted.
_IMPORTED = {
    "pyqtf": "pyqtf.loading",
    "transformers": "transformers.models.qwen2.modeling_qwen2",
    "llama_cpp": "llama_cpp",
}
IDS = [11, 7, 301, 42, 5, 99, 1000, 3]


def load_pyqtf(path: Path, kept: str) -> Callable[[], object]:
    """Load with pyqtf; return what scores the short text."""
    import pyqtf

    model = pyqtf.load(path, quant=kept)
    return lambda: model.token_losses([IDS])


def load_transformers(path: Path, kept: str) -> Callable[[], object]:
    """Load with transformers; return what scores the short text."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, kept))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    ids = torch.tensor([IDS])

    def score() -> object:
        with torch.no_grad():
            return model(ids, labels=ids).loss, tokenizer

    return score


def load_llama_cpp(path: Path, kept: str) -> Callable[[], object]:
    """Load with llama.cpp; return what scores the short text."""
    from llama_cpp import Llama

    model = Llama(
        str(path), use_mmap=kept == "mapped", n_ctx=512, logits_all=True, verbose=False,
        n_threads=len(os.sched_getaffinity(0)),
    )  # fmt: skip
    return lambda: model.eval(IDS)


def measure(tool: str, path: Path, kept: str) -> None:
    """Load in this process, and print what it took."""
    import importlib
    import resource
    import time

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    importlib.import_module(_IMPORTED[tool])
    start = time.perf_counter()
    score = globals()[f"load_{tool}"](path, kept)
    loaded, load_peak = time.perf_counter() - start, peak()
    score()
    ready = time.perf_counter() - start
    figures = {"load": loaded, "ready": ready, "load_peak": load_peak, "peak": peak()}
    print(json.dumps(figures))


def prepare(folder: Path, shape: str, tokenizer: Path) -> None:
    """Write the model in its three formats, in a process that ends."""
    import pyqtf

    write_random_model(folder, shape, tokenizer)
    pyqtf.export_gguf(folder, folder / "q8_0.gguf", dtype="Q8_0")
    pyqtf.load(folder).save(folder / "saved.pyqtf")


def compare(folder: Path, repetitions: int, tools: Sequence[str]) -> dict[str, Any]:
    """Run every way of these tools in turn, some times; return the medians."""
    ways = [way for way in WAYS if way.tool in tools and find_spec(way.tool) is not None]
    runs: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    for _ in range(repetitions):
        for way in ways:
            task = [way.tool, str(folder / way.file), way.kept]
            done = subprocess.run(
                [sys.executable, __file__, "--measure", *task],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            runs[way.name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }


def main() -> None:
    """Write the model, compare, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json (default: a bundled one)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the model here, and use it if it exists")
    parser.add_argument("--tools", nargs="+", choices=_IMPORTED, default=[*_IMPORTED])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    tokenizer = args.tokenizer or bundled.path(bundled.names()[0]).parent / "tokenizer.json"
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]), args.measure[2])
        return
    if args.prepare:
        prepare(args.folder, args.shape, tokenizer)
        return
    with tempfile.TemporaryDirectory(prefix="pyqtf-bench-") as temporary:
        folder = args.folder or Path(temporary) / "model"
        if not (folder / "saved.pyqtf").exists():
            options = ["--prepare", "--folder", str(folder), "--shape", args.shape]
            command = [sys.executable, __file__, *options, "--tokenizer", str(tokenizer)]
            subprocess.run(command, check=True)
        found = compare(folder, args.repetitions, args.tools)
    print(f"{args.shape} with random weights, medians of {args.repetitions}")
    print(f"{'':31} {'load':>8} {'to a first score':>17} {'peak, loaded':>13} {'peak':>9}")
    for name, run in found.items():
        print(
            f"{name:31} {run['load']:6.2f} s {run['ready']:15.2f} s "
            f"{run['load_peak'] / 1e6:10.0f} MB {run['peak'] / 1e6:6.0f} MB"
        )
    missing = sorted({way.tool for way in WAYS if way.name not in found})
    if missing:
        print(f"left out: {', '.join(missing)}")


if __name__ == "__main__":
    main()
