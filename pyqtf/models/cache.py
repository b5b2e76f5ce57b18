"""The keys and values of a text that a model has read, so that it can go on from there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._quants import part_quant
from pyqtf.models.config import ModelConfig

Floats = NDArray[np.float32]
# What the attention kernel reads, [n, n_kv_heads, …]: numbers, and scales where they are integers.
Stored = tuple[NDArray[Any], Floats | None]

# NumPy has no bfloat16: its bits.
DTYPES: dict[str, Any] = {
    "f32": np.float32,
    "f16": np.float16,
    "bf16": np.uint16,
    "q8": np.int8,
}


class KVCache:
    """Keys and values of every layer for the tokens of one text.

    A text that is read in pieces through a cache gives the same bits as in one piece through such a
    cache; through one without a `dtype`, the same as without a cache. Layers with a sliding window
    forget what no further token can see. A cache is used by one thread at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the model that fills the cache.
    dtype : {"f32", "f16", "bf16", "q8"}, optional
        How numbers are stored: float32, half floats, bfloat16, or 8-bit integers with a float32
        scale for every 32 numbers of a head. With bfloat16 attention also multiplies in bfloat16.
        Left out: as the model attends without a cache, bfloat16 in layers with quantised weights
        and float32 in others. A long text is written faster the fewer bytes it takes.

    Raises
    ------
    ValueError
        `dtype` is none of them.
    TypeError
        `config` is no model's.

    Notes
    -----
    README.md shows what fewer bits cost; ``benchmarks/quality_cache.py`` measures it.

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
    >>> small = pyqtf.KVCache(model.config, "q8")
    >>> _ = model.logits([5, 6, 7], cache=small)
    >>> small.bytes_per_token < cache.bytes_per_token / 2
    True
    """

    def __init__(self, config: ModelConfig, dtype: str | None = None) -> None:
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
        if not isinstance(config, ModelConfig):
            raise TypeError(f"config is a {type(config).__name__}; expected model.config")
        self.config = config
        self.dtype = dtype
        self._length = 0
        self._layers: list[tuple[_Rows, _Rows] | None] = [None] * config.n_layers
        self._forgotten = [0] * config.n_layers  # tokens of each layer, from the first on

    def __len__(self) -> int:
        """Tokens read so far."""
        return self._length

    def __repr__(self) -> str:
        return f"KVCache({self._length} tokens, {self.dtype or 'as the model attends'})"

    @property
    def nbytes(self) -> int:
        """Bytes taken, room for further tokens included."""
        return sum(rows.nbytes for layer in self._layers for rows in layer or ())

    @property
    def bytes_per_token(self) -> int:
        """Bytes that the keys and values of one token take in all layers that have read any."""
        return sum(rows.bytes_per_token for layer in self._layers for rows in layer or ())

    def truncate(self, length: int) -> None:
        """Forget all tokens but the first `length`.

        Raises
        ------
        ValueError
            There are fewer, or a layer with a sliding window has forgotten what the next token
            would see; 0 is always possible.
        """
        if not 0 <= length <= self._length:
            raise ValueError(f"length must be from 0 to {self._length}, got {length}")
        if length == 0:
            self._forgotten = [0] * self.config.n_layers
        for layer, forgotten in enumerate(self._forgotten):
            if forgotten > self._first_seen(layer, length):
                raise ValueError(
                    f"length {length}: layer {layer} has forgotten the first {forgotten} tokens, "
                    "which lie before its window; truncate to 0 and read the text again"
                )
        self._length = length

    def append(
        self, layer: int, keys: Floats, values: Floats, attends: str = "f32"
    ) -> tuple[Stored, Stored]:
        """Write one layer's keys and values of new tokens behind those that are there.

        They count when `advance` is called, so that a pass that fails leaves the cache as it was.

        Parameters
        ----------
        layer : int
            The layer's number.
        keys, values : float32 [n, n_kv_heads, head_dim]
            Of n new tokens; keys are rotated already.
        attends : {"f32", "bf16"}
            How the layer attends without a cache; this is how numbers are stored where the cache
            has no `dtype`.

        Returns
        -------
        keys, values : (array [m, n_kv_heads, head_dim], scales or None)
            Views of the last m tokens: all that the layer has not forgotten.

        Raises
        ------
        ValueError
            A number is not finite or too large for half floats.
        """
        start = self._length - self._forgotten[layer]
        stored = self._layers[layer]
        if stored is None:
            dtype = self.dtype or attends
            stored = self._layers[layer] = _Rows(self.config, dtype), _Rows(self.config, dtype)
        stored_keys, stored_values = stored
        return stored_keys.write(start, keys), stored_values.write(start, values)

    def advance(self, n_tokens: int) -> None:
        """Count tokens that `append` has written in every layer."""
        self._length += n_tokens
        for layer, stored in enumerate(self._layers):
            # Whole tiles, by which the kernel adds up, or bits would change.
            first = self._first_seen(layer, self._length) // _core.KEY_TILE * _core.KEY_TILE
            unseen = first - self._forgotten[layer]
            # Once in a window's length: a token costs a constant number of copies.
            if unseen > self.config.window(layer):
                for rows in stored or ():
                    rows.keep(unseen, self._length - self._forgotten[layer])
                self._forgotten[layer] = first

    def _first_seen(self, layer: int, length: int) -> int:
        """Return the first token that the next one sees, of a text of this length."""
        window = self.config.window(layer)
        return max(0, length + 1 - window) if window else 0


def attention_dtype(quant: str) -> str:
    """Return how a layer attends whose matrix for queries, keys and values is stored so.

    Beside rounded weights, a product in bfloat16 loses nothing that could be measured.
    """
    return "f32" if quant == "f32" else "bf16"


def default_dtype(config: ModelConfig, quant: str) -> str:
    """Return how a cache without a `dtype` stores numbers of a model that is loaded so.

    Examples
    --------
    >>> import pyqtf
    >>> config = pyqtf.load("stories-3m").config
    >>> default_dtype(config, "q8"), default_dtype(config, "f32")
    ('bf16', 'f32')
    """
    return attention_dtype(part_quant("layers.0.qkv", config.hidden_size, quant))


def cache_bytes(config: ModelConfig, dtype: str, n_tokens: int) -> int:
    """Return what the keys and values of a text take that is read token by token.

    A layer that slides keeps no more than twice its window and a tile of the kernel.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> cache_bytes(config, "f32", 1), cache_bytes(config, "q8", 512)
    (128, 24576)
    """
    windows = (config.window(i) for i in range(config.n_layers))
    kept = (min(n_tokens, 2 * w + _core.KEY_TILE) if w else n_tokens for w in windows)
    return 2 * _Rows(config, dtype).bytes_per_token * sum(kept)


def n_cached(cache: KVCache | None, config: ModelConfig) -> int:
    """Return how many tokens a model of this shape has read into `cache`.

    Raises
    ------
    TypeError
        It is no KVCache.
    ValueError
        It was made for a model of another shape.
    """
    if cache is None:
        return 0
    if not isinstance(cache, KVCache):
        raise TypeError(f"cache is a {type(cache).__name__}; expected pyqtf.KVCache(model.config)")
    if cache.config != config:
        raise ValueError(
            "the cache is for a model of another shape; make one with pyqtf.KVCache(model.config)"
        )
    return len(cache)


def to_bf16(x: Floats) -> NDArray[np.uint16]:
    """Round keys or values [n, n_kv_heads, head_dim] to the bits of bfloat16."""
    halves = np.empty(x.shape, np.uint16)
    _core.quantise_heads(x, halves)
    return halves


class _Rows:
    """Keys or values of one layer, heads first, so that attention reads a head's in one go."""

    def __init__(self, config: ModelConfig, dtype: str) -> None:
        heads, head_dim = config.n_kv_heads, config.head_dim
        self._dtype = dtype
        groups = -(-head_dim // _core.KV_GROUP) if dtype == "q8" else 0
        self._data: NDArray[Any] = np.empty((heads, 0, head_dim), DTYPES[dtype])
        self._scales: Floats = np.empty((heads, 0, groups), np.float32)

    @property
    def nbytes(self) -> int:
        return self._data.nbytes + self._scales.nbytes

    @property
    def bytes_per_token(self) -> int:
        arrays = (self._data, self._scales)
        return sum(array.itemsize * array.shape[0] * array.shape[2] for array in arrays)

    def write(self, start: int, new: Floats) -> Stored:
        """Put new rows [n, n_kv_heads, head_dim] behind the first `start`; return all of them."""
        end = start + len(new)
        if end > self._data.shape[1]:
            self._data = _longer(self._data, start, end)
            self._scales = _longer(self._scales, start, end)
        data = self._data[:, :end].transpose(1, 0, 2)
        if self._dtype == "q8":
            scales = self._scales[:, :end].transpose(1, 0, 2)
            _core.quantise_heads(new, data[start:], scales[start:])
            return data, scales
        if self._dtype == "bf16":
            _core.quantise_heads(new, data[start:])
            return data, None
        try:
            with np.errstate(over="raise"):
                data[start:] = new
        except FloatingPointError:
            raise ValueError('a key or value is above 65504: use dtype="bf16" or "f32"') from None
        return data, None

    def keep(self, start: int, end: int) -> None:
        """Drop all rows but those from start to end."""
        self._data = self._data[:, start:end].copy()
        self._scales = self._scales[:, start:end].copy()


def _longer(old: NDArray[Any], start: int, end: int) -> NDArray[Any]:
    """Return an array with room for `end` rows of a head, of which the first `start` are old's."""
    n_heads, room, width = old.shape
    # Half as much again: a token costs a constant number of copies.
    new = np.empty((n_heads, max(end, room * 3 // 2), width), old.dtype)
    new[:, :start] = old[:, :start]
    return new
