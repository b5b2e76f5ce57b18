"""The measuring process: ``python -m pyqtf.bench.measure '{"folder": …}'`` prints JSON."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyqtf
from pyqtf import _core
from pyqtf._memory import peak_memory
from pyqtf.bench.attention import measure_attention
from pyqtf.bench.decode import measure_decode, measure_long_decode
from pyqtf.bench.kernels import timed_kernels
from pyqtf.bench.limits import measure_limits
from pyqtf.bench.pairs import beside_limit
from pyqtf.bench.prefill import measure_prefill
from pyqtf.costs import products_per_token

# Stories of different lengths, 171 tokens on average.
_SHORT = (93, 121, 140, 152, 160, 166, 171, 178, 186, 205, 230, 250)
_LONG = 8192


def measure(folder: str, quant: str, tokens: int, n: int, long: bool) -> dict[str, Any]:
    """Load, score and profile; peak memory is read before the limits' buffer is made."""
    model = pyqtf.load(folder, quant=quant)
    load_rss = peak_memory()
    rng = np.random.default_rng(1)

    def text(length: int) -> NDArray[np.int64]:
        return rng.integers(0, model.config.vocab_size, length)

    one, short = [text(tokens)], [text(length) for length in _SHORT]
    model.token_losses(one)
    peak_rss = peak_memory()
    scoring = _rates(model, one, quant, n)
    stories = _rates(model, short, quant, n)
    decode = measure_decode(model._decoder, n)
    with timed_kernels() as kernels:
        start = time.perf_counter()
        model.token_losses(one)
        kernels["all"] = time.perf_counter() - start
    cpu = _core.cpu_info()
    return {
        "quant": quant,
        "tokens": tokens,
        "cpu": cpu["cpu"],
        "isa": cpu["isa"],
        "threads": cpu["threads"],
        "load_average": list(os.getloadavg()),
        "load_peak_rss": load_rss,
        "peak_rss": peak_rss,
        "score": scoring,
        "short_texts": stories,
        "decode": decode,
        "attention": measure_attention(model.config, n),
        "prefill": measure_prefill(model._decoder, _LONG) if long else [],
        "long_decode": measure_long_decode(model._decoder, _LONG, 4 * n) if long else [],
        "kernel_seconds": dict(sorted(kernels.items(), key=lambda item: -item[1])),
        "limits": asdict(measure_limits()),
    }


def _rates(model: Any, texts: list[NDArray[np.int64]], quant: str, n: int) -> dict[str, Any]:
    """Time n passes, each between two runs of the limit's loop."""
    n_tokens = sum(map(len, texts))
    # The head has no work for a text's last token.
    ops = 2 * n_tokens * products_per_token(model.config, head=False)
    ops += 2 * (n_tokens - len(texts)) * model.config.vocab_size * model.config.hidden_size
    seconds, limits = beside_limit(lambda: model.token_losses(texts), quant, n)
    shares = [ops / s / limit for s, limit in zip(seconds, limits, strict=True)]
    return {
        "n_tokens": n_tokens,
        "seconds": seconds,
        "tokens_per_second": n_tokens / statistics.median(seconds),
        "shares_of_limit": shares,
        "share_of_limit": statistics.median(shares),
    }


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
