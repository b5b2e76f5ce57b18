"""The speed of loading, which a new process pays: ``python -m pyqtf.bench.loading PATH QUANT``."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pyqtf
from pyqtf.bench.process import run_module


def measure_loading(folder: Path, quant: str, n: int) -> dict[str, Any]:
    """Load a folder of safetensors, and what is saved of it, each in n new processes.

    Parameters
    ----------
    folder : Path
        With config, tokenizer and ``model.safetensors``; the saved model comes beside them.
    quant : {"q8", "q4", "f32"}
        How the weights are stored.
    n : int
        Loads of each.

    Returns
    -------
    dict
        ``bytes`` of the safetensors; ``quantise`` and ``map``: a list of seconds and their median.
    """
    saved = folder / "saved.pyqtf"

    def seconds(*task: str) -> float:
        return float(json.loads(run_module("pyqtf.bench.loading", *task)))

    # The first reads the files into the cache of the system and leaves the saved model.
    seconds(str(folder), quant, str(saved))
    result: dict[str, Any] = {"bytes": (folder / "model.safetensors").stat().st_size}
    for name, path in (("quantise", folder), ("map", saved)):
        times = [seconds(str(path), quant) for _ in range(n)]
        result[name] = {"seconds": times, "median": statistics.median(times)}
    saved.unlink()
    return result


def main(path: str, quant: str, target: str | None = None) -> None:
    """Print the seconds that loading takes; save the model if there is a target."""
    start = time.perf_counter()
    model = pyqtf.load(path, quant=quant)
    print(json.dumps(time.perf_counter() - start))
    if target is not None:
        model.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
