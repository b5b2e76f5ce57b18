"""The measuring process: ``python -m pyqtf.bench.measure '{"folder": …}'`` prints JSON."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyqtf
from pyqtf import _core
from pyqtf.bench.decode import measure_decode
from pyqtf.bench.kernels import timed_kernels
from pyqtf.bench.limits import measure_limits
from pyqtf.costs import products_per_token

# Stories of different lengths, 171 tokens on average.
_SHORT = (93, 121, 140, 152, 160, 166, 171, 178, 186, 205, 230, 250)


def measure(folder: str, quant: str, tokens: int, n: int) -> dict[str, Any]:
    """Load, score and profile; peak memory is read before the limits' buffer is made."""
    start = time.perf_counter()
    model = pyqtf.load(folder, quant=quant)
    load_seconds = time.perf_counter() - start
    load_rss = _peak_rss()
    rng = np.random.default_rng(1)

    def text(length: int) -> NDArray[np.int64]:
        return rng.integers(0, model.config.vocab_size, length)

    long, short = [text(tokens)], [text(length) for length in _SHORT]
    model.token_losses(long)
    peak_rss = _peak_rss()
    scoring = _rates(model, long, quant, n)
    stories = _rates(model, short, quant, n)
    decode = measure_decode(model._decoder, n)
    with timed_kernels() as kernels:
        start = time.perf_counter()
        model.token_losses(long)
        kernels["all"] = time.perf_counter() - start
    cpu = _core.cpu_info()
    return {
        "quant": quant,
        "tokens": tokens,
        "cpu": cpu["cpu"],
        "isa": cpu["isa"],
        "threads": cpu["threads"],
        "load_average": list(os.getloadavg()),
        "load_seconds": load_seconds,
        "load_bytes": (Path(folder) / "model.safetensors").stat().st_size,
        "load_peak_rss": load_rss,
        "peak_rss": peak_rss,
        "score": scoring,
        "short_texts": stories,
        "decode": decode,
        "kernel_seconds": dict(sorted(kernels.items(), key=lambda item: -item[1])),
        "limits": asdict(measure_limits()),
    }


def _rates(model: Any, texts: list[NDArray[np.int64]], quant: str, n: int) -> dict[str, Any]:
    """Time n passes, each between two runs of the limit's loop."""
    n_tokens = sum(map(len, texts))
    # The head has no work for a text's last token.
    ops = 2 * n_tokens * products_per_token(model.config, head=False)
    ops += 2 * (n_tokens - len(texts)) * model.config.vocab_size * model.config.hidden_size
    seconds, shares = [], []
    before = _core.limit(quant, 0.1)[1]
    for _ in range(n):
        start = time.perf_counter()
        model.token_losses(texts)
        seconds.append(time.perf_counter() - start)
        after = _core.limit(quant, 0.1)[1]
        shares.append(ops / seconds[-1] / (0.5 * (before + after)))
        before = after
    return {
        "n_tokens": n_tokens,
        "seconds": seconds,
        "tokens_per_second": n_tokens / statistics.median(seconds),
        "shares_of_limit": shares,
        "share_of_limit": statistics.median(shares),
    }


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
