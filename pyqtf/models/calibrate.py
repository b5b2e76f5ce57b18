"""q4 weights that are rounded so that a text's activations stay what they were.

Two models read the calibration texts side by side, layer by layer: the exact one, and the one that
is being rounded, whose matrices up to here are q4. What the second gets into a matrix, and what is
missing in what it gives, decides how that matrix is rounded (`pyqtf.models.feedback`); so a matrix
makes up for errors of those before it.

Every sum has a fixed order, so the same texts give the same weights, to the bit, for every number
of threads, on processors with AVX2, with AVX-512 and on 64-bit ARM.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._memory import Arena
from pyqtf._quants import group_of, matrix_bytes, part_quant
from pyqtf.formats import Tensor
from pyqtf.models.config import ModelConfig
from pyqtf.models.decoder import Batch, Decoder
from pyqtf.models.feedback import Problem
from pyqtf.models.loader import Loader
from pyqtf.models.weights import (
    LayerWeights,
    Weights,
    check_memory,
    check_tensors,
    part_shapes,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Tokens that are read together.
_PASS_TOKENS = 1024
# A layer's matrices in the order in which a text meets them. What the last of each pair gives is
# added to the hidden states, behind this norm where a family has it.
_POST_NORMS = {"qkv": None, "o": "attn_post_norm", "gate_up": None, "down": "ffn_post_norm"}


def load_calibrated(
    tensors: Mapping[str, Tensor],
    config: ModelConfig,
    texts: Sequence[Ints],
    *,
    progress: bool = True,
) -> Weights:
    """Pack the weights of a model in q4, rounded for the activations of some texts.

    Parameters
    ----------
    tensors, config
        As for `pyqtf.models.loader.load_weights`.
    texts : sequence of int64 [T]
        Ids. Texts longer than 1,024 tokens are read in pieces.
    progress : bool
        Show a progress bar, which counts layers.

    Raises
    ------
    FormatError, MemoryError
        As `pyqtf.models.loader.load_weights`.
    """
    from tqdm.auto import tqdm

    check_tensors(tensors, config)
    check_memory(config, "q4", extra=working_bytes(config, sum(map(len, texts))))
    loader = Loader(tensors, config, "q4")
    frame = loader.frame()
    decoder = Decoder(config, frame)
    pairs = [_start(decoder, pieces) for pieces in _passes(texts, config)]
    layers = []
    numbers = range(config.n_layers)
    for i in tqdm(numbers, desc="calibrating", unit="layer", disable=not progress):
        layers.append(_round_layer(i, loader.layer(i, exact=True), pairs, loader.arena))
    return replace(frame, layers=tuple(layers), fingerprint=loader.digest.hexdigest())


def working_bytes(config: ModelConfig, n_tokens: int) -> int:
    """Return the memory that calibrating with so many tokens takes beside the q4 weights."""
    shapes = [s for name, s in part_shapes(config).items() if name.startswith("layers.0.")]
    matrices = [shape for shape in shapes if len(shape) == 2]
    exact = sum(map(math.prod, matrices))
    # The matrix, what it is rounded to, three as large for the gaps, and half of H.
    problem = max(5 * n * k + k * k // 2 for n, k in matrices)
    states = 2 * n_tokens * (2 * config.hidden_size + config.q_size)
    one_pass = 4 * _PASS_TOKENS * max(map(max, matrices))
    return 4 * (exact + problem + states + one_pass)


def _passes(texts: Sequence[Ints], config: ModelConfig) -> Iterator[list[Ints]]:
    """Cut texts into pieces, and put short ones together."""
    longest = min(_PASS_TOKENS, config.max_position_embeddings)
    together: list[Ints] = []
    for text in texts:
        for start in range(0, len(text), longest):
            piece = text[start : start + longest]
            if sum(map(len, together)) + len(piece) > _PASS_TOKENS:
                yield together
                together = []
            together.append(piece)
    yield together


@dataclass(eq=False)
class _Stream:
    """One model's way through some texts.

    Attributes
    ----------
    x : float32 [T, hidden_size]
        Its hidden states, in a layer those to which the next product is added.
    """

    decoder: Decoder
    batch: Batch
    x: Floats
    _mixed: Floats = field(init=False)
    _source: Floats = field(init=False)  # what the feed-forward network takes

    def input(self, name: str, i: int, layer: LayerWeights) -> Floats:
        """What a matrix of layer i takes; for each of them once, in order."""
        decoder = self.decoder
        if name == "qkv":
            return decoder.attention_input(layer, self.x)
        if name == "o":
            h = decoder.attention_input(layer, self.x)
            self._mixed = decoder.mix(i, layer, h, self.batch)
            return self._mixed
        if name == "gate_up":
            before, self.x = self.x, self.x.copy()
            decoder.add_mixed(layer, self.x, self._mixed)
            self._source = before if decoder.config.parallel_residual else self.x
            return decoder.ffn_input(layer, self._source)
        return decoder.expand(layer, decoder.ffn_input(layer, self._source))

    def leave(self, layer: LayerWeights) -> None:
        """Go on to the next layer."""
        # Computed again: kept from `input`, inner values of all texts would be the most memory.
        inner = self.decoder.expand(layer, self.decoder.ffn_input(layer, self._source))
        self.decoder.add_expanded(layer, self.x, inner)


def _start(decoder: Decoder, texts: list[Ints]) -> tuple[_Stream, _Stream]:
    """Return both models before the first layer: the one that is rounded, and the exact one."""
    batch = decoder.batch(np.cumsum([0, *map(len, texts)]))
    x = decoder.embed(np.concatenate(texts), batch)
    return _Stream(decoder, batch, x), _Stream(decoder, batch, x.copy())


def _round_layer(
    i: int, exact: LayerWeights, pairs: Sequence[tuple[_Stream, _Stream]], arena: Arena
) -> LayerWeights:
    """Round the matrices of layer i one after the other, and lead both models through it."""
    made = exact
    for name, post_norm in _POST_NORMS.items():
        matrix: _core.Matrix = getattr(exact, name)
        problem = None
        if part_quant(name, matrix.shape[1], "q4") == "q4":
            problem = Problem(matrix.dequantize(), "outputs" if post_norm else "inputs")
        for ours, true in pairs:
            x, gap = ours.input(name, i, made), true.input(name, i, exact)
            if problem is None:
                continue
            gap = gap - x
            if post_norm:
                added = getattr(exact, post_norm) is None
                gap = _core.matmul(gap, matrix, residual=true.x - ours.x if added else None)
            problem.add(x, gap)
        if problem is not None:
            memory = arena.take(matrix_bytes(matrix.shape, "q4", group_of(matrix.shape[1], "q4")))
            rounded: dict[str, Any] = {name: problem.solve(memory)}
            made = replace(made, **rounded)
    for ours, true in pairs:
        ours.leave(made)
        true.leave(exact)
    return made
