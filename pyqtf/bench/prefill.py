"""How fast a model reads a long text, beside a short one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pyqtf.models.cache import KVCache
from pyqtf.models.decoder import Decoder

_PIECE = 512
_CACHES = ("bf16", "f32")


def measure_prefill(decoder: Decoder, tokens: int) -> list[dict[str, Any]]:
    """Read a text in pieces of 512 tokens, each beside a text of its own of 512 tokens.

    No logits are computed. What is compared is a fraction of a second apart, so that a machine that
    is busy for a while slows all.

    Parameters
    ----------
    decoder : Decoder
        A loaded model's.
    tokens : int
        The long text's length, a multiple of 512.

    Returns
    -------
    list of dict
        For each ``cache`` of 32 and 16 bits with which attention computes in as many: ``tokens``;
        ``tokens_per_second`` of the long text and ``short_tokens_per_second``; ``ratio``, of the
        first to the second.
    """
    caches = {dtype: KVCache(decoder.config, dtype) for dtype in _CACHES}
    rng = np.random.default_rng(4)
    offsets = np.array([0, _PIECE])
    short, long = 0.0, dict.fromkeys(_CACHES, 0.0)
    decoder(np.zeros(_PIECE, np.int64), offsets)
    for _ in range(tokens // _PIECE):
        ids = rng.integers(0, decoder.config.vocab_size, _PIECE)
        start = time.perf_counter()
        decoder(ids, offsets)
        short += time.perf_counter() - start
        for dtype, cache in caches.items():
            start = time.perf_counter()
            decoder(ids, offsets, cache)
            long[dtype] += time.perf_counter() - start
    return [
        {
            "cache": dtype,
            "tokens": tokens,
            "tokens_per_second": tokens / seconds,
            "short_tokens_per_second": tokens / short,
            "ratio": short / seconds,
        }
        for dtype, seconds in long.items()
    ]
