"""What attention adds to the time of a token, the more the longer the text is."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np

from pyqtf import _core
from pyqtf.bench.pairs import beside_limit
from pyqtf.models.config import ModelConfig

# Lengths of texts, the queries that are timed of each, and seconds spent on a length at most.
_LENGTHS, _QUERIES, _SECONDS = (512, 2048, 8192, 32768), 512, 1.0


def measure_attention(config: ModelConfig, n: int) -> list[dict[str, Any]]:
    """Time the attention of one layer for texts of several lengths.

    Of a text, the queries in its middle are timed: together they see as many keys as all queries do
    on average.

    Parameters
    ----------
    config : ModelConfig
        The shape: heads and layers.
    n : int
        Repetitions, fewer where they take long.

    Returns
    -------
    list of dict
        For each length ``tokens``, ``seconds_per_token`` in all layers, ``shares_of_f32_limit`` of
        the repetitions, and ``share_of_f32_limit``, their median.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> [row["tokens"] for row in measure_attention(model.config, 1)][:1]
    [512]
    """
    rng, rows = np.random.default_rng(3), []
    for tokens in _LENGTHS:
        if tokens > config.max_position_embeddings:
            break
        n_queries = min(tokens, _QUERIES)
        n_keys = (tokens + n_queries) // 2
        heads = config.n_heads + 2 * config.n_kv_heads
        qkv = rng.standard_normal((n_keys, heads, config.head_dim), np.float32)
        q = qkv[:n_queries, : config.n_heads]
        k, v = np.split(qkv[:, config.n_heads :], 2, axis=1)
        ends = np.array([0, n_queries]), np.array([0, n_keys])
        call = partial(_core.attention, q, k, v, *ends, config.attention_scale, True)
        seconds, limits = beside_limit(call, "f32", n, _SECONDS)
        # A multiply-add for each number of a key and of a value.
        ops = n_queries * 4 * config.q_size * (tokens + 1) / 2
        shares = [ops / s / limit for s, limit in zip(seconds, limits, strict=True)]
        rows.append(
            {
                "tokens": tokens,
                "seconds_per_token": statistics.median(seconds) / n_queries * config.n_layers,
                "shares_of_f32_limit": shares,
                "share_of_f32_limit": statistics.median(shares),
            }
        )
    return rows
