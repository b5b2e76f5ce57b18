"""How long a model would take on this machine, from its shape, without its weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._quants import group_of, part_quant
from pyqtf.models.config import ModelConfig
from pyqtf.models.decoder import Decoder
from pyqtf.models.weights import assemble, part_shapes

# Rows of the head that are timed; the rest takes as long for each row.
_HEAD_ROWS = 8192
# Tokens of one pass: as many as scoring puts together.
_PASS_TOKENS = 1024
_REPEATS = 3


def estimate_seconds(config: ModelConfig, quant: str, lengths: Sequence[int]) -> float:
    """Estimate how long scoring some texts takes, loading not included.

    One layer and a part of the head, of the model's shape and with random weights, are timed here.
    A few passes are made, and the median counts.

    Parameters
    ----------
    config : ModelConfig
        The model's shape.
    quant : {"q8", "f32"}
        How its weights are stored.
    lengths : sequence of int
        Tokens of each text.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    MemoryError
        Not even a layer fits into memory.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 2, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> estimate_seconds(config, "q8", [20, 30]) > 0
    True
    """
    rows = min(config.vocab_size, _HEAD_ROWS)
    small = replace(config, n_layers=1, layer_types=(), vocab_size=rows, tie_word_embeddings=True)
    decoder = _random_decoder(small, quant)
    sample = _sample(lengths, min(_PASS_TOKENS, config.max_position_embeddings))
    n_tokens = sum(sample)
    rng = np.random.default_rng(0)
    ids, offsets = rng.integers(0, rows, n_tokens), np.cumsum([0, *sample])
    hidden = decoder(ids, offsets)
    layer = _typical(lambda: decoder(ids, offsets))
    head = _typical(lambda: decoder.losses(hidden, ids, 0))
    total = config.n_layers * layer + config.vocab_size / rows * head
    return total / n_tokens * sum(lengths)


def _sample(lengths: Sequence[int], n_tokens: int) -> list[int]:
    """Return the lengths of texts that fill one pass, or a part of the first one."""
    sample = [min(lengths[0], n_tokens)]
    for length in lengths[1:]:
        if sum(sample) + length > n_tokens:
            break
        sample.append(length)
    return sample


def _typical(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _random_decoder(config: ModelConfig, quant: str) -> Decoder:
    """Return a decoder whose weights are random, norms 1 and biases 0."""
    parts: dict[str, Any] = {}
    shapes = part_shapes(config)
    pool = np.random.default_rng(1).standard_normal(
        2**16 + max(shape[-1] for shape in shapes.values()), np.float32
    )
    for name, shape in shapes.items():
        if len(shape) == 1:
            parts[name] = np.full(shape, not name.endswith("bias"), np.float32)
        else:
            kind = part_quant(name, shape[1], quant)
            group = group_of(shape[1], kind)
            parts[name] = _core.pack(_rows(pool, shape), kind, group, (shape[0], shape[1]))
    return Decoder(config, assemble(parts, config, fingerprint=""))


def _rows(pool: NDArray[np.float32], shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Return random rows, some hundred at a time, that lie over each other in memory."""
    n_rows, width = shape
    block = np.lib.stride_tricks.as_strided(
        pool * np.float32(width**-0.5), (256, width), (4, 4), writeable=False
    )
    return [block[: min(256, n_rows - start)] for start in range(0, n_rows, 256)]
