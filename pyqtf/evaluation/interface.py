"""What the evaluation layer needs from a model and a tokenizer, and nothing more.

`pyqtf.model.Model` fits these protocols; so does any object with the same few members,
which is how the tests use closed-form models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyqtf.evaluation.losses import TokenLosses


class Config(Protocol):
    """The two limits of a model that scoring checks before it starts."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids the model knows."""

    @property
    def max_position_embeddings(self) -> int:
        """Longest sequence, in tokens."""


class Tokenizer(Protocol):
    """Text to ids and back."""

    def encode(self, text: str) -> NDArray[np.int32]:
        """Ids of `text`, without added special tokens."""

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """Text of `ids`."""

    def token_bytes(self, token_id: int) -> bytes:
        """UTF-8 bytes one token stands for, maybe part of a character; ValueError if none does."""


class LanguageModel(Protocol):
    """A model as evaluation sees it: ids in, the loss of every token out."""

    @property
    def name(self) -> str:
        """Name shown in tables and plots."""

    @property
    def config(self) -> Config:
        """Limits of the model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer the model was trained with."""

    @property
    def n_params(self) -> int:
        """Number of parameters, embeddings included."""

    @property
    def n_params_non_embedding(self) -> int:
        """Number of parameters without the embedding tables."""

    @property
    def quant(self) -> str:
        """Storage of the weights: "q8", "q4" or "f32"."""

    def token_losses(
        self, sequences: Sequence[NDArray[np.int32]], *, top_k: int = 0
    ) -> list[TokenLosses]:
        """Losses of each sequence, every one scored alone."""
