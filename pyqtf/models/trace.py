"""What a forward pass leaves behind when asked: hidden states and attention weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass
class Trace:
    """A list to be filled for each thing that is wanted, None for what is not.

    Attributes
    ----------
    hidden_states : list of float32 [T, hidden_size]
        The embeddings, then what each layer gives; the last one behind the final norm.
    attentions : list of float32 [n_heads, T, T]
        For each layer, how much of each token (columns) each token (rows) takes.
    """

    hidden_states: list[Floats] | None = None
    attentions: list[Floats] | None = None


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """What a model says about one text, under the names that transformers gives.

    Attributes
    ----------
    logits : float32 [T, vocab_size]
        Of the token that follows each one.
    hidden_states : tuple of float32 [T, hidden_size], length n_layers + 1, or None
        The embeddings, then what each layer gives; the last one behind the final norm.
    attentions : tuple of float32 [n_heads, T, T], length n_layers, or None
        For each layer, how much of each token (columns) each token (rows) takes; rows add up to 1.
    """

    logits: Floats
    hidden_states: tuple[Floats, ...] | None = field(default=None, repr=False)
    attentions: tuple[Floats, ...] | None = field(default=None, repr=False)
