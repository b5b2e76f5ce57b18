"""The keys and values of a text that a model has read, so that it can go on from there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqtf.models.config import ModelConfig

Floats = NDArray[np.float32]


class KVCache:
    """Keys and values of every layer for the tokens of one text.

    A text that is read in pieces through a cache gives the same bits as in one. A cache is used by
    one thread at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the model that fills the cache.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> cache = pyqtf.KVCache(model.config)
    >>> first = model.logits([5, 6, 7], cache=cache)
    >>> then = model.logits([8], cache=cache)
    >>> bool((then[0] == model.logits([5, 6, 7, 8])[3]).all())
    True
    >>> len(cache)
    4
    >>> cache.truncate(3)
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self._length = 0
        empty = np.empty((0, config.n_kv_heads, config.head_dim), np.float32)
        self._keys = [empty] * config.n_layers
        self._values = [empty] * config.n_layers

    def __len__(self) -> int:
        """Tokens read so far."""
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes taken, room for further tokens included."""
        return sum(array.nbytes for array in (*self._keys, *self._values))

    @property
    def bytes_per_token(self) -> int:
        """Bytes that the keys and values of one token take in all layers."""
        arrays = (*self._keys, *self._values)
        return sum(array.itemsize * array.shape[1] * array.shape[2] for array in arrays)

    def truncate(self, length: int) -> None:
        """Forget all tokens but the first `length`.

        Raises
        ------
        ValueError
            There are fewer.
        """
        if not 0 <= length <= self._length:
            raise ValueError(f"length must be from 0 to {self._length}, got {length}")
        self._length = length

    def append(self, layer: int, keys: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Write one layer's keys and values of new tokens behind those that are there.

        They count when `advance` is called, so that a pass that fails leaves the cache as it was.

        Parameters
        ----------
        layer : int
            The layer's number.
        keys, values : float32 [n, n_kv_heads, head_dim]
            Of n new tokens; keys are rotated already.

        Returns
        -------
        keys, values : float32 [len(cache) + n, n_kv_heads, head_dim]
            Views of all.
        """
        end = self._length + len(keys)
        return (
            _write(self._keys, layer, self._length, end, keys),
            _write(self._values, layer, self._length, end, values),
        )

    def advance(self, n_tokens: int) -> None:
        """Count tokens that `append` has written in every layer."""
        self._length += n_tokens


def _write(arrays: list[Floats], layer: int, start: int, end: int, new: Floats) -> Floats:
    old = arrays[layer]
    if end > len(old):
        # Half as much again: a token costs a constant number of copies.
        arrays[layer] = np.empty((max(end, len(old) * 3 // 2), *old.shape[1:]), np.float32)
        arrays[layer][:start] = old[:start]
    arrays[layer][start:end] = new
    return arrays[layer][:end]
