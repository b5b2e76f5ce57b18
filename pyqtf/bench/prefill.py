"""How fast a model reads a long text, beside a short one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pyqtf.models.cache import KVCache
from pyqtf.models.decoder import Decoder

_PIECE = 512


def measure_prefill(decoder: Decoder, tokens: int) -> dict[str, Any]:
    """Read a text in pieces of 512 tokens, each beside a text of its own of 512 tokens.

    No logits are computed. The pairs are a fraction of a second apart, so that a machine that is
    busy for a while slows both.

    Parameters
    ----------
    decoder : Decoder
        A loaded model's.
    tokens : int
        The long text's length, a multiple of 512.

    Returns
    -------
    dict
        ``tokens``; ``tokens_per_second`` of the long text and ``short_tokens_per_second``;
        ``ratio``, of the first to the second.
    """
    cache = KVCache(decoder.config)
    rng = np.random.default_rng(4)
    offsets = np.array([0, _PIECE])
    long = short = 0.0
    decoder(np.zeros(_PIECE, np.int64), offsets)
    for _ in range(tokens // _PIECE):
        ids = rng.integers(0, decoder.config.vocab_size, _PIECE)
        start = time.perf_counter()
        decoder(ids, offsets)
        between = time.perf_counter()
        decoder(ids, offsets, cache)
        short += between - start
        long += time.perf_counter() - between
    return {
        "tokens": tokens,
        "tokens_per_second": tokens / long,
        "short_tokens_per_second": tokens / short,
        "ratio": short / long,
    }
