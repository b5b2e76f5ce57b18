"""How fast a model writes: one token at a time, when reading the weights takes all the time."""

from __future__ import annotations

import statistics
import time
from dataclasses import fields
from typing import Any

import numpy as np

from pyqtf import _core
from pyqtf.models.cache import KVCache
from pyqtf.models.decoder import Decoder
from pyqtf.models.weights import Weights

# Tokens before the first one that is written, and tokens of a repetition.
_PROMPT, _TOKENS = 100, 8
_CACHES = ("f32", "f16", "bf16", "q8")


def bytes_per_token(weights: Weights) -> int:
    """Return the bytes of weights and scales that a token needs: all but an embedding of its own.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> bytes_per_token(model._decoder.weights) > model.n_params
    True
    """
    parts = [weights.norm, weights.norm_bias, weights.head]
    parts += [getattr(layer, field.name) for layer in weights.layers for field in fields(layer)]
    return sum(part.nbytes for part in parts if part is not None)


def measure_decode(decoder: Decoder, n: int) -> dict[str, Any]:
    """Time n runs of a few tokens each, every one between two measurements of reading memory.

    Parameters
    ----------
    decoder : Decoder
        A loaded model's.
    n : int
        Runs.

    Returns
    -------
    dict
        ``tokens_per_second``, and ``bytes_per_token`` with the keys and values read: medians;
        ``shares``, of memory read, one for each run; ``share_of_memory_read``: their median.
    """
    cache, vocabulary = KVCache(decoder.config), decoder.config.vocab_size
    ids, offsets = np.random.default_rng(2).integers(0, vocabulary, _PROMPT), np.array([0, 1])
    decoder(ids, np.array([0, _PROMPT]), cache)
    ids = ids[:1]
    buffer = np.ones(2**28, np.uint8)
    weights = bytes_per_token(decoder.weights)
    seconds, read, shares = [], [], []
    before = _core.limit("memory", 0.05, buffer)[1]
    for _ in range(n):
        start = time.perf_counter()
        for _ in range(_TOKENS):
            logits = _core.matmul(decoder(ids, offsets, cache), decoder.weights.head)
            ids = logits.argmax(axis=1)
        seconds.append((time.perf_counter() - start) / _TOKENS)
        read.append(weights + (len(cache) - _TOKENS / 2) * cache.bytes_per_token)
        after = _core.limit("memory", 0.05, buffer)[1]
        shares.append(read[-1] / seconds[-1] / (0.5 * (before + after)))
        before = after
    return {
        "tokens_per_second": 1 / statistics.median(seconds),
        "bytes_per_token": statistics.median(read),
        "shares": shares,
        "share_of_memory_read": statistics.median(shares),
    }


def measure_long_decode(decoder: Decoder, tokens: int, n: int) -> list[dict[str, Any]]:
    """Time single tokens behind a long text, with caches of every storage by turns.

    Parameters
    ----------
    decoder : Decoder
        A loaded model's.
    tokens : int
        Length of the text, whose keys and values are random.
    n : int
        Tokens that are written with each cache.

    Returns
    -------
    list of dict
        For each ``cache`` its ``bytes``, ``tokens_per_second``, ``ratios`` to the float32 cache's
        rate, one for each turn, and ``ratio``, their median.
    """
    c, rng = decoder.config, np.random.default_rng(5)
    caches = [KVCache(c, dtype) for dtype in _CACHES]
    shape = (tokens, c.n_kv_heads, c.head_dim)
    for layer in range(c.n_layers):
        keys, values = (rng.standard_normal(shape, np.float32) for _ in "kv")
        for cache in caches:
            cache.append(layer, keys, values)
    for cache in caches:
        cache.advance(tokens)
    ids, offsets = np.array([7]), np.array([0, 1])
    seconds = np.empty((n + 1, len(caches)))
    for turn in seconds:
        for i, cache in enumerate(caches):
            start = time.perf_counter()
            _core.matmul(decoder(ids, offsets, cache), decoder.weights.head)
            turn[i] = time.perf_counter() - start
    ratios = seconds[1:, :1] / seconds[1:]  # the first turn makes room
    return [
        {
            "cache": dtype,
            "tokens": tokens,
            "bytes": cache.bytes_per_token * tokens,
            "tokens_per_second": 1 / float(np.median(seconds[1:, i])),
            "ratios": ratios[:, i].tolist(),
            "ratio": float(np.median(ratios[:, i])),
        }
        for i, (dtype, cache) in enumerate(zip(_CACHES, caches, strict=True))
    ]
