"""The model that a user holds: a decoder, its tokenizer, and scoring."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import costs
from pyqtf._memory import available_memory
from pyqtf.evaluation.losses import TokenLosses
from pyqtf.evaluation.score import Score, Text
from pyqtf.evaluation.score import score as score_text
from pyqtf.generation import Sampling, StopScanner, check_count, new_ids, text_of
from pyqtf.models.cache import KVCache, n_cached
from pyqtf.models.config import ModelConfig
from pyqtf.models.decoder import Decoder
from pyqtf.models.saved import SavedModel, write_saved
from pyqtf.models.trace import ModelOutput, Trace
from pyqtf.tokenizer import Tokenizer

# Tokens of many texts that go through the decoder together.
_PASS_TOKENS = 1024


class Model:
    """A language model with its tokenizer. Made by `pyqtf.load`.

    Attributes
    ----------
    name : str
        The name it was loaded by, or that of its folder.
    config : ModelConfig
        Its shape.
    tokenizer : Tokenizer
        Text to ids and back.
    quant : str
        How its matrices are stored: ``"q8"``, ``"q4"`` or ``"f32"``.
    fingerprint : str
        A hash of its config and weights as they were before quantisation.
    calibration : str or None
        What its q4 weights were calibrated with: how many texts and tokens, and a hash of them.
    eos_token_ids : tuple of int
        The tokens that end a generated text: those that ``generation_config.json`` names, or else
        the tokenizer's.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        *,
        name: str,
        quant: str,
        source: str | None,
        tokenizer_json: Callable[[], bytes],
        eos_token_ids: Sequence[int] = (),
        calibration: str | None = None,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._tokenizer_json = tokenizer_json
        self.name = name
        self.config: ModelConfig = decoder.config
        self.tokenizer = tokenizer
        self.quant = quant
        self.fingerprint = decoder.weights.fingerprint
        self.calibration = calibration
        own = tokenizer.eos_token_id
        self.eos_token_ids = tuple(eos_token_ids) or (() if own is None else (own,))

    @property
    def n_params(self) -> int:
        """Number of parameters; tied ones count once."""
        return costs.n_params(self.config)

    @property
    def n_params_non_embedding(self) -> int:
        """Number of parameters without embeddings, learned positions and the output head."""
        return costs.n_params_non_embedding(self.config)

    def score(self, text: Text, *, context: Text = "", top_k: int = 0) -> Score:
        """Loss of every token of a text; see `pyqtf.evaluation.score.score`.

        Parameters
        ----------
        text : str or integers [T]
            The text, or its ids.
        context : str or integers
            What the model reads first. It is not scored, but the text's first token then is.
        top_k : int
            How many alternatives to keep per token.

        Returns
        -------
        Score

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> model.score("The cat sat on the mat.").perplexity > 1
        True
        """
        return score_text(self, text, context=context, top_k=top_k)

    def logits(
        self, ids: Sequence[int] | NDArray[np.integer], *, cache: KVCache | None = None
    ) -> NDArray[np.float32]:
        """Logits of every position: row i holds those of the token that follows ``ids[:i + 1]``.

        Parameters
        ----------
        ids : integers [T]
            Token ids.
        cache : KVCache, optional
            What the model has read before; `ids` go on from there and are added to it.

        Returns
        -------
        float32 [T, vocab_size]

        Raises
        ------
        ValueError
            There are no ids, more than `max_position_embeddings`, or one is out of range; the
            cache is for a model of another shape.
        MemoryError
            The logits don't fit into the memory that is free.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> ids = model.tokenizer.encode("Once upon a time")
        >>> model.logits(ids).shape == (len(ids), model.config.vocab_size)
        True
        """
        checked = self._check_ids(ids, n_cached(cache, self.config))
        size = f"{len(checked)} tokens x {self.config.vocab_size}"
        self._check_memory(4 * len(checked) * self.config.vocab_size, f"the logits of {size}")
        hidden = self._decoder(checked, np.array([0, len(checked)]), cache)
        return self._decoder.logits(hidden)

    def logit_blocks(
        self, ids: Sequence[int] | NDArray[np.integer], *, rows: int
    ) -> Iterator[NDArray[np.float32]]:
        """As `logits`, but a few rows at a time, so that they need not fit into memory together.

        Parameters
        ----------
        ids : integers [T]
            Token ids.
        rows : int
            The most positions in a block.

        Returns
        -------
        iterator of float32 [<= rows, vocab_size]
            Each block is computed when it is asked for.

        Raises
        ------
        ValueError
            As `logits`, or `rows` is below 1.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> [len(block) for block in model.logit_blocks([1, 2, 3, 4, 5], rows=2)]
        [2, 2, 1]
        """
        checked = self._check_ids(ids)
        if rows < 1:
            raise ValueError(f"rows must be 1 or more, got {rows}")
        hidden = self._decoder(checked, np.array([0, len(checked)]))
        blocks = (hidden[i : i + rows] for i in range(0, len(hidden), rows))
        return (self._decoder.logits(block) for block in blocks)

    def __call__(
        self,
        ids: Sequence[int] | NDArray[np.integer],
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> ModelOutput:
        """Return logits, and on request what lies between, under transformers' names.

        Parameters
        ----------
        ids : integers [T]
            Token ids.
        output_hidden_states, output_attentions : bool
            What to keep. Attention weights are told in float32, also where they were rounded.

        Returns
        -------
        ModelOutput

        Raises
        ------
        ValueError, MemoryError
            As `logits`; hidden states and attention weights count as well.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> out = model([5, 6, 7], output_hidden_states=True, output_attentions=True)
        >>> len(out.hidden_states) - 1 == len(out.attentions) == model.config.n_layers
        True
        """
        c, checked = self.config, self._check_ids(ids)
        n_tokens = len(checked)
        floats = n_tokens * c.vocab_size
        floats += output_hidden_states * (c.n_layers + 1) * n_tokens * c.hidden_size
        floats += output_attentions * c.n_layers * c.n_heads * n_tokens**2
        self._check_memory(4 * floats, f"what {n_tokens} tokens leave behind")
        trace = Trace([] if output_hidden_states else None, [] if output_attentions else None)
        hidden = self._decoder(checked, np.array([0, n_tokens]), trace=trace)
        return ModelOutput(
            self._decoder.logits(hidden),
            None if trace.hidden_states is None else tuple(trace.hidden_states),
            None if trace.attentions is None else tuple(trace.attentions),
        )

    def _check_memory(self, needed: int, what: str) -> None:
        available = available_memory()
        if needed > available:
            raise MemoryError(
                f"{what} take {needed / 1e9:.2g} GB, and {available / 1e9:.2g} GB are free; pass "
                "fewer tokens, or use model.score, which never holds them all"
            )

    def token_losses(
        self, sequences: Sequence[Sequence[int] | NDArray[np.integer]], *, top_k: int = 0
    ) -> list[TokenLosses]:
        """Losses of each sequence, every one scored alone; see TokenLosses.

        Short sequences share passes through the network, which changes no bit of a result.

        Parameters
        ----------
        sequences : sequence of integers [T]
            Token ids; T tokens give T - 1 losses.
        top_k : int
            How many alternatives to keep per token.

        Returns
        -------
        list of TokenLosses
            In the order of `sequences`.

        Raises
        ------
        ValueError
            As `logits`, or `top_k` is not from 0 to the size of the vocabulary.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> [len(losses) for losses in model.token_losses([[1, 2, 3], [4, 5]])]
        [2, 1]
        """
        if not 0 <= top_k <= self.config.vocab_size:
            raise ValueError(f"top_k must be from 0 to {self.config.vocab_size}, got {top_k}")
        checked = [self._check_ids(ids) for ids in sequences]
        return [losses for batch in _passes(checked) for losses in self._batch_losses(batch, top_k)]

    def _batch_losses(self, batch: list[NDArray[np.int64]], top_k: int) -> Iterator[TokenLosses]:
        """Score a few sequences in one pass."""
        offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in batch])])
        hidden = self._decoder(np.concatenate(batch), offsets)
        # The last token of a sequence predicts nothing that is there.
        hidden = np.delete(hidden, offsets[1:] - 1, axis=0)
        targets = np.concatenate([ids[1:] for ids in batch])
        results = self._decoder.losses(hidden, targets, top_k)
        splits = offsets[1:-1] - np.arange(1, len(batch))
        for parts in zip(*(np.split(result, splits) for result in results), strict=True):
            yield TokenLosses(*parts)

    def generate(
        self,
        prompt: Text,
        *,
        max_tokens: int = 100,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        cache: KVCache | None = None,
    ) -> str:
        """Continue a text.

        It ends with one of `eos_token_ids`, before a stop string, after `max_tokens`, or where the
        model can read no further.

        Parameters
        ----------
        prompt : str or integers [T]
            What to continue; not a part of the result.
        max_tokens : int
            The most tokens to add.
        temperature, top_k, top_p, seed
            How the next token is chosen, see `pyqtf.generation.Sampling`; by default it is always
            the most likely one.
        stop : str or sequence of str
            Texts that end the generation; they are not a part of the result.
        cache : KVCache, optional
            What the model has read before; the prompt and the new tokens but the last are added to
            it. Pass ``pyqtf.KVCache(model.config, "q8")`` to write long texts faster.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            The prompt is empty or too long, or an option is out of its range; `cache` is for a
            model of another shape, or another text goes into it meanwhile.
        TypeError
            `stop` or `cache` is something else.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> text = model.generate("Once upon a time", max_tokens=20, temperature=0.8, seed=1)
        >>> text == model.generate("Once upon a time", max_tokens=20, temperature=0.8, seed=1)
        True
        """
        sampling = Sampling(temperature, top_k, top_p, seed)
        return "".join(self._stream(prompt, max_tokens, sampling, stop, cache))

    def stream(
        self,
        prompt: Text,
        *,
        max_tokens: int = 100,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        cache: KVCache | None = None,
    ) -> Iterator[str]:
        """As `generate`, but piece by piece, as the tokens come; no character is cut.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> pieces = model.stream("Once upon a time", max_tokens=20)
        >>> "".join(pieces) == model.generate("Once upon a time", max_tokens=20)
        True
        """
        sampling = Sampling(temperature, top_k, top_p, seed)
        return self._stream(prompt, max_tokens, sampling, stop, cache)

    def _stream(
        self,
        prompt: Text,
        max_tokens: int,
        sampling: Sampling,
        stop: str | Sequence[str],
        cache: KVCache | None,
    ) -> Iterator[str]:
        check_count("max_tokens", max_tokens)
        scanner = StopScanner(stop)
        given = self.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        n_before = n_cached(cache, self.config)
        ids = self._check_ids(given, n_before)
        n_tokens = min(max_tokens, self.config.max_position_embeddings - n_before - len(ids))
        # A vocabulary padded with ids that stand for no text is cut to those that do.
        n_ids = min(len(self.tokenizer), self.config.vocab_size)
        new = itertools.islice(new_ids(self._decoder, ids, n_ids, sampling, cache), n_tokens)
        return text_of(self.tokenizer, new, scanner, self.eos_token_ids)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, as it is stored in memory, into one file that `pyqtf.load` maps back.

        The file is used where it lies: loading it copies nothing, and processes that load the same
        file share its memory. Its hash is checked when it is loaded.

        Parameters
        ----------
        path : path-like
            Replaced if it exists; written whole or not at all.

        Raises
        ------
        OSError
            The folder is missing or can't be written.

        Examples
        --------
        >>> import pyqtf, tempfile, pathlib
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(pathlib.Path(folder) / "small.pyqtf")
        ...     again = pyqtf.load(pathlib.Path(folder) / "small.pyqtf")
        >>> again.fingerprint == model.fingerprint
        True
        """
        names = ("bos_token", "eos_token", "chat_template")
        special = {name: getattr(self.tokenizer, name) for name in names}
        tokenizer = np.frombuffer(self.tokenizer_json(), np.uint8)
        write_saved(
            path,
            SavedModel(
                name=self.name,
                quant=self.quant,
                config=self.config,
                tokenizer=tokenizer,
                special=special,
                eos_token_ids=self.eos_token_ids,
                calibration=self.calibration,
                weights=self._decoder.weights,
            ),
        )

    def tokenizer_json(self) -> bytes:
        """Return the tokenizer as the contents of a ``tokenizer.json``."""
        return self._tokenizer_json()

    def _check_ids(
        self, ids: Sequence[int] | NDArray[np.integer], n_before: int = 0
    ) -> NDArray[np.int64]:
        array = np.asarray(ids)
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise ValueError(
                f"ids must be a flat list of integers, got {array.dtype} of shape {array.shape}"
            )
        if array.size == 0:
            raise ValueError("ids is empty; expected at least one token")
        limit = self.config.max_position_embeddings
        if n_before + array.size > limit:
            raise ValueError(
                f"{n_before + array.size} tokens are more than {self.name} can read at once: "
                f"its max_position_embeddings is {limit}"
            )
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"token id {low if low < 0 else high} is outside the vocabulary of {self.name}: "
                f"expected 0 to {self.config.vocab_size - 1}"
            )
        return array.astype(np.int64)

    def __repr__(self) -> str:
        quant = self.quant if self.calibration is None else f"{self.quant}, calibrated"
        return f"Model({self.name}: {self.n_params:,} parameters, {quant})"

    def __reduce__(self) -> tuple[Any, ...]:
        from pyqtf.loading import reload

        if self._source is None:
            raise TypeError(
                f"{self.name} was calibrated in this process; write it with model.save, and load "
                "the file"
            )
        return reload, (self._source, self.quant, self.name, self.fingerprint, self.calibration)


def _passes(sequences: list[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
    """Cut a list of sequences into runs of at most _PASS_TOKENS tokens, or one long sequence."""
    batch: list[NDArray[np.int64]] = []
    for ids in sequences:
        if batch and sum(map(len, batch)) + len(ids) > _PASS_TOKENS:
            yield batch
            batch = []
        batch.append(ids)
    if batch:
        yield batch
