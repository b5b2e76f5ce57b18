"""Score one text: the loss of each token, and the perplexity they add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.calibrated import warn_if_calibrated_with
from pyqtf.evaluation.interface import LanguageModel, Tokenizer
from pyqtf.evaluation.losses import TokenLosses
from pyqtf.evaluation.protocol import PER_STORY
from pyqtf.evaluation.receipt import Receipt, make_receipt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Score", "TokenLosses", "compute_perplexity", "encode", "score"]

Text = str | Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Score:
    """The loss of every scored token of one text under one model.

    The logits at position i-1 predict token i, so the first token of a text without context is
    not scored: T tokens give T-1 losses. Behind a context all T tokens of the text are scored.

    Attributes
    ----------
    model_name : str
        Model that gave the losses.
    text : str
        The text, without its context.
    ids : int32 [n_context + n_tokens]
        Ids of the context, then of the text.
    n_context : int
        How many of `ids` are context: seen by the model, not scored.
    losses : TokenLosses
        Losses of the scored tokens, `n_scored` of them.
    pieces : tuple of bytes, [n_tokens]
        UTF-8 bytes of every token of the text; a token may end within a character.
    top_tokens : tuple of tuple of str, [n_scored][k]
        The k most likely tokens at each position as text.
    receipt : Receipt
        What the losses depend on: its protocol must match that of another score to compare both.
    """

    model_name: str
    text: str
    ids: NDArray[np.int32]
    n_context: int
    losses: TokenLosses
    pieces: tuple[bytes, ...]
    top_tokens: tuple[tuple[str, ...], ...]
    receipt: Receipt

    @property
    def n_tokens(self) -> int:
        """Tokens of the text, context not counted."""
        return len(self.ids) - self.n_context

    @property
    def n_scored(self) -> int:
        """Tokens that have a loss: all of the text, or all but the first without a context."""
        return len(self.losses)

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of the scored tokens."""
        return sum(map(len, self._scored_pieces))

    @property
    def nll(self) -> float:
        """Sum of the negative log-likelihoods, in nats (exactly rounded)."""
        return math.fsum(self.losses.nll)

    @property
    def mean_nll(self) -> float:
        """Nats per scored token."""
        return self.nll / self.n_scored

    @property
    def perplexity(self) -> float:
        """Exp of the mean negative log-likelihood; infinite above about 709 nats per token."""
        return exp(self.mean_nll)

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte of the scored tokens: the figure to compare across tokenizers."""
        return self.nll / (math.log(2) * self.n_bytes) if self.n_bytes else math.nan

    def to_frame(self) -> pd.DataFrame:
        r"""One row per scored token.

        Returns
        -------
        DataFrame
            Columns ``position`` (of the token in the text, from 0), ``token_id``, ``token`` (bytes
            that are no whole character show as ``\xe2``), ``n_bytes``, ``nll`` (nats), ``rank``,
            ``entropy`` (nats), and for each of the k alternatives ``top1``, ``top1_prob``, ...
        """
        import pandas as pd  # a third of a second that scoring alone need not pay

        first = self.n_tokens - self.n_scored
        columns: dict[str, object] = {
            "position": np.arange(first, self.n_tokens),
            "token_id": self.ids[self.n_context + first :].astype(np.int64),
            "token": [show_piece(piece) for piece in self._scored_pieces],
            "n_bytes": np.array([len(piece) for piece in self._scored_pieces], dtype=np.int64),
            "nll": self.losses.nll,
            "rank": self.losses.rank,
            "entropy": self.losses.entropy,
        }
        for j in range(self.losses.top_ids.shape[1]):
            columns[f"top{j + 1}"] = [tokens[j] for tokens in self.top_tokens]
            columns[f"top{j + 1}_prob"] = np.exp(self.losses.top_logprobs[:, j].astype(np.float64))
        return pd.DataFrame(columns)

    def words(self) -> pd.DataFrame:
        """One row per word: what stands between white space.

        A token belongs to the word in which its first byte that is no space lies, so every scored
        token is in exactly one row.

        Returns
        -------
        DataFrame
            ``position`` (of the word's first token in the text), ``word``, ``n_tokens``,
            ``n_scored`` (one less where the text's first token is not scored; a word without any
            scored token is left out), ``n_bytes`` (of its scored tokens), ``nll``: the exactly
            rounded sum over its scored tokens, in nats. The rows add up to `n_scored`, `n_bytes`
            and, but for the rounding of each row, to `nll`.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> model.score("The cat sat.").words()["word"].tolist()
        ['cat', 'sat.']
        """
        from pyqtf.evaluation.units import words

        return words(self)

    def sentences(self) -> pd.DataFrame:
        """One row per sentence, as `pyqtf.evaluation.context.split_sentences` cuts the text.

        Returns
        -------
        DataFrame
            As `words`, with ``sentence`` in place of ``word``.

        Examples
        --------
        >>> import pyqtf
        >>> model = pyqtf.load(pyqtf.bundled.names()[0])
        >>> model.score("The cat sat. It purred.").sentences()["sentence"].tolist()
        ['The cat sat.', 'It purred.']
        """
        from pyqtf.evaluation.units import sentences

        return sentences(self)

    def __repr__(self) -> str:
        return (
            f"Score({self.model_name}: perplexity {self.perplexity:.4g}, "
            f"{self.bits_per_byte:.4g} bits per byte, {self.n_scored} tokens scored)"
        )

    @property
    def _scored_pieces(self) -> tuple[bytes, ...]:
        return self.pieces[self.n_tokens - self.n_scored :]

    def _repr_html_(self) -> str:
        # The picture belongs to plot; imported here so that scoring never loads it.
        from pyqtf.plot.heatmap import tokens

        return str(tokens(self))


def score(model: LanguageModel, text: Text, *, context: Text = "", top_k: int = 0) -> Score:
    """Score a text under a model.

    Context and text are encoded separately and their ids put one after the other; no token is
    merged across the boundary, so the text has the same tokens with and without a context.
    No beginning-of-text token is added.

    Parameters
    ----------
    model : LanguageModel
        For instance what `pyqtf.load` returns.
    text : str or integers [T]
        The text to score, or its ids.
    context : str or integers
        What the model reads first. It is not scored, but the text's first token then is.
    top_k : int
        How many alternatives to keep per token.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        The text is empty, or a single token without context; an id is outside the vocabulary;
        context and text are longer than the model's `max_position_embeddings`; the model returns
        a loss that is not finite.
    TypeError
        `text` or `context` is neither str nor integers.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> one = score(model, "Once upon a time there was a cat.")
    >>> two = score(model, "Once upon a time there was a cat.", context="A story. ")
    >>> two.n_scored - one.n_scored
    1
    """
    return score_with(model, model.tokenizer, text, context=context, top_k=top_k)


def compute_perplexity(
    model: LanguageModel, tokenizer: Tokenizer, text: str, context: str = ""
) -> float:
    """Perplexity of a text, as the assignment asks for it.

    exp of the mean of -log p(token i | tokens before i) over the scored tokens: all but the first,
    or all of the text behind a context.

    Parameters
    ----------
    model : LanguageModel
        For instance what `pyqtf.load` returns.
    tokenizer : Tokenizer
        For instance ``model.tokenizer``.
    text : str
        The text to score.
    context : str
        Text put before it; see `score`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As `score`.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> compute_perplexity(model, model.tokenizer, "Once upon a time there was a cat.") > 1
    True
    """
    return score_with(model, tokenizer, text, context=context).perplexity


def score_with(
    model: LanguageModel,
    tokenizer: Tokenizer,
    text: Text,
    *,
    context: Text = "",
    top_k: int = 0,
) -> Score:
    """`score` with a tokenizer of the caller's choice."""
    check_model(model)
    if not hasattr(tokenizer, "encode"):
        raise TypeError(f"tokenizer is a {type(tokenizer).__name__}; expected model.tokenizer")
    if isinstance(top_k, bool) or not isinstance(top_k, Integral) or not top_k >= 0:
        raise ValueError(f"top_k is {top_k!r}; expected an integer of 0 or more")
    context_ids = encode(tokenizer, context, "context")
    text_ids = encode(tokenizer, text, "text")
    ids = np.concatenate([context_ids, text_ids])
    check_ids(model, ids, len(context_ids))
    warn_if_calibrated_with(model, [text_ids])
    (losses,) = model.token_losses([ids], top_k=top_k)
    words = text if isinstance(text, str) else tokenizer.decode(text_ids)
    return join(model, tokenizer, words, ids, len(context_ids), losses)


def check_model(model: object) -> None:
    """Raise TypeError unless `model` can score: its name is a frequent mistake."""
    if not hasattr(model, "token_losses") or isinstance(model, type):
        given = model if isinstance(model, str | type) else type(model).__name__
        raise TypeError(f"model is {given!r}; expected a loaded model: pyqtf.load(name)")


def encode(tokenizer: Tokenizer, text: Text, what: str) -> NDArray[np.int32]:
    """Ids of a str, or integers checked and converted; `what` names the argument in errors."""
    if isinstance(text, str):
        return np.asarray(tokenizer.encode(text), dtype=np.int32)
    if isinstance(text, bytes) or not isinstance(text, Sequence | np.ndarray):
        raise TypeError(f"{what} is a {type(text).__name__}; expected str or a list of token ids")
    ids = np.asarray(text) if len(text) else np.empty(0, np.int32)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(
            f"{what} is an array of {ids.dtype} with shape {ids.shape}; "
            "expected str or a flat list of integer token ids"
        )
    # Wide values are compared before they are narrowed: 2**32 must not turn into 0.
    if len(ids) and (ids.min() < 0 or ids.max() > np.iinfo(np.int32).max):
        raise ValueError(f"{what} holds the id {_worst(ids)}; ids are 0 or more")
    return ids.astype(np.int32)


def check_ids(model: LanguageModel, ids: NDArray[np.int32], n_context: int) -> None:
    """Raise ValueError unless `ids` (context, then text) can be scored by `model`."""
    n_text = len(ids) - n_context
    if n_text == 0:
        raise ValueError("the text is empty; expected at least two tokens, or one and a context")
    if len(ids) == 1:
        raise ValueError(
            "the text is a single token without context, so there is nothing to score; "
            "give a longer text or a context"
        )
    vocab_size = model.config.vocab_size
    if ids.max() >= vocab_size:
        raise ValueError(
            f"token id {ids.max()} is outside the vocabulary of {model.name}: "
            f"expected 0 to {vocab_size - 1}"
        )
    limit = model.config.max_position_embeddings
    if len(ids) > limit:
        parts = f" ({n_context} of context and {n_text} of text)" if n_context else ""
        raise ValueError(
            f"{len(ids)} tokens{parts} are more than {model.name} can read at once: "
            f"its max_position_embeddings is {limit}; give a shorter text"
        )


def join(
    model: LanguageModel,
    tokenizer: Tokenizer,
    text: str,
    ids: NDArray[np.int32],
    n_context: int,
    losses: TokenLosses,
) -> Score:
    """The `Score` of `ids` from the losses of the whole sequence, context included."""
    first = max(1, n_context)
    scored = losses.after(first - 1)
    if not np.isfinite(scored.nll).all():
        at = int(np.flatnonzero(~np.isfinite(scored.nll))[0])
        raise ValueError(
            f"{model.name} gives token {at + first - n_context} of the text a loss of "
            f"{scored.nll[at]}; expected a finite number, so its weights are damaged"
        )
    return Score(
        model_name=model.name,
        text=text,
        ids=ids,
        n_context=n_context,
        losses=scored,
        pieces=tuple(tokenizer.token_bytes(int(i)) for i in ids[n_context:]),
        top_tokens=tuple(
            tuple(_show_alternative(tokenizer, int(i)) for i in row) for row in scored.top_ids
        ),
        receipt=make_receipt(
            model,
            [text],
            [ids[n_context:]],
            PER_STORY,
            tokenizer=tokenizer,
            context=ids[:n_context],
        ),
    )


def exp(x: float) -> float:
    """Exp that is infinite where a float can't hold it, instead of an OverflowError."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def show_piece(piece: bytes) -> str:
    r"""A token as text; bytes that are no whole character show as ``\xe2``."""
    return piece.decode("utf-8", errors="backslashreplace")


def _show_alternative(tokenizer: Tokenizer, token_id: int) -> str:
    """Show a token; models are often padded to more ids than their tokenizer has tokens."""
    try:
        return show_piece(tokenizer.token_bytes(token_id))
    except ValueError:
        return f"<{token_id}>"


def _worst(ids: NDArray[np.integer]) -> int:
    return int(ids.min()) if ids.min() < 0 else int(ids.max())
