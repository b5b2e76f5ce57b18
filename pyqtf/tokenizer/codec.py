"""Text to ids and back, in C."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf.tokenizer.layout import refuse_options
from pyqtf.tokenizer.stream import StreamDecoder

Ids: TypeAlias = "NDArray[np.integer[Any]] | Iterable[int]"


class Codec:
    """The part of a `Tokenizer` that needs only its tables.

    Parameters
    ----------
    core
        The tables, in C.
    """

    def __init__(self, core: _core.Tokenizer) -> None:
        self._core = core
        self._vocab: dict[str, int] | None = None

    def __len__(self) -> int:
        """Return the number of tokens, added ones included."""
        return len(self._core)

    def encode_offsets(
        self,
        text: str | bytes,
        add_special_tokens: bool = False,
        *,
        split_special_tokens: bool = False,
        unit: Literal["characters", "bytes"] = "characters",
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the ids of a text and where each token stands in it.

        Parameters are those of :meth:`Tokenizer.encode`, and

        unit
            Count characters of the text, or bytes of its UTF-8. In characters, a token that is a
            part of a character gets the whole of it.

        Returns
        -------
        ids
            int32 [T].
        offsets
            int64 [T, 2]: start and end of each token; 0, 0 for one that the template added. A
            character that NFC rewrote together with its neighbours gets the span of all of them.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.encode_offsets("theé")[1].tolist()
        [[0, 3], [3, 4], [3, 4]]
        >>> tokenizer.encode_offsets("theé", unit="bytes")[1].tolist()
        [[0, 3], [3, 4], [4, 5]]
        """
        if unit not in ("characters", "bytes"):
            raise ValueError(f"unit: expected 'characters' or 'bytes', got {unit!r}")
        return self._core.encode_offsets(
            text, add_special_tokens, split_special_tokens, unit == "characters"
        )

    def encode_batch(
        self,
        texts: Iterable[str | bytes],
        add_special_tokens: bool = False,
        *,
        split_special_tokens: bool = False,
    ) -> list[NDArray[np.int32]]:
        """Return the ids of each text; the work is shared among threads.

        Parameters and errors are those of :meth:`Tokenizer.encode`.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"texts: expected a list of texts, got one {type(texts).__name__}")
        return self._core.encode_batch(tuple(texts), add_special_tokens, split_special_tokens)

    def decode(self, ids: Ids | int, skip_special_tokens: bool = False, **options: Any) -> str:
        """Return the text of some ids, or of one.

        Bytes that are not UTF-8, as at a cut inside a character, become U+FFFD. Where encoding puts
        a space before a text, as Llama 2's does, one is taken away again; no other is: of
        transformers' options ``clean_up_tokenization_spaces`` may only be false.

        Raises
        ------
        ValueError
            An id is not in the vocabulary.
        TypeError
            `ids` are not integers, or an option is not known.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.decode(257), tokenizer.decode([257, 220, 258])
        ('the', 'the at')
        """
        refuse_options("decode", options)
        data = self._core.decode(id_array(ids), skip_special_tokens)
        if self._core.strips_space():
            data = data.removeprefix(b" ")
        return data.decode("utf-8", "replace")

    def batch_decode(
        self,
        sequences: NDArray[Any] | Iterable[Ids],
        skip_special_tokens: bool = False,
        **options: Any,
    ) -> list[str]:
        """Return the text of each sequence of ids; options and errors are those of `decode`.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.batch_decode([[257], [257, 220, 258]])
        ['the', 'the at']
        """
        return [self.decode(ids, skip_special_tokens, **options) for ids in sequences]

    def stream(self, *, skip_special_tokens: bool = False, goes_on: bool = False) -> StreamDecoder:
        """Return a decoder for ids that come one at a time.

        Parameters
        ----------
        skip_special_tokens : bool
            Leave out special tokens, as `decode`.
        goes_on : bool
            The ids go on from others: the space before the first word is one, where at the start
            of a text tokenizers such as Llama 2's put it before all words and `decode` drops it.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> stream = tokenizer.stream()
        >>> [stream.feed(i) for i in tokenizer.encode("the é!")]
        ['the', ' ', '', 'é', '!']
        >>> stream.finish()
        ''
        """
        return StreamDecoder(self._core, skip_special_tokens, goes_on)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that one token stands for; ValueError when no token has the id."""
        return self._core.token_bytes(int(token_id))

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = ...) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Ids, skip_special_tokens: bool = ...) -> list[str]: ...
    def convert_ids_to_tokens(
        self, ids: Ids | int, skip_special_tokens: bool = False
    ) -> str | list[str]:
        """Return the spelling of a token in the vocabulary (``Ġ`` or ``▁`` is a space), or of each.

        An added token that is searched for in normalised text is spelled as that, as in
        ``tokenizers``: where normalising puts a space before texts, it begins with ``▁``.

        Raises
        ------
        ValueError
            An id is not in the vocabulary.
        TypeError
            `ids` are not integers.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.convert_ids_to_tokens(220), tokenizer.convert_ids_to_tokens([257, 220])
        ('Ġ', ['the', 'Ġ'])
        """
        skipped = set(self.all_special_ids if skip_special_tokens else ())
        array = id_array(ids)
        if np.ndim(cast("Any", ids)) == 0 and array.size == 1:
            return self._core.id_to_token(int(array[0]))
        return [self._core.id_to_token(i) for i in array.tolist() if i not in skipped]

    @overload
    def convert_tokens_to_ids(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self, tokens: str
    ) -> int | None: ...
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int | None] | None:
        """Return the id of a spelling, or of each; None where the vocabulary lacks it.

        Examples
        --------
        >>> from pyqtf.tokenizer import Tokenizer
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.convert_tokens_to_ids("the"), tokenizer.convert_tokens_to_ids(["the", "he"])
        (257, [257, None])
        """
        if isinstance(tokens, str):
            return self._core.token_to_id(tokens)
        return [self._core.token_to_id(token) for token in tokens]

    @property
    def vocab(self) -> dict[str, int]:
        """From the spelling of every token to its id, added tokens included."""
        if self._vocab is None:
            self._vocab = self._core.vocab()
        return self._vocab

    def get_vocab(self) -> dict[str, int]:
        """Return a copy of `vocab`."""
        return dict(self.vocab)

    @property
    def vocab_size(self) -> int:
        """The number of tokens without the added ones; ``len()`` counts those, too."""
        return self._core.vocab_size()

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens, ascending."""
        return self._core.special_ids()

    @property
    def all_special_tokens(self) -> list[str]:
        """The spellings of the special tokens, by id."""
        return [self._core.spelling(i) for i in self.all_special_ids]


def id_array(ids: Ids | int) -> NDArray[np.int64]:
    """Return ids, or a single one, as int64 [T]; TypeError for anything but integers."""
    whole = hasattr(ids, "__array__") or not isinstance(ids, Iterable)
    array = np.atleast_1d(np.asarray(ids if whole else list(cast("Iterable[int]", ids))))
    if array.size == 0 and array.ndim == 1:
        return np.zeros(0, np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        hint = "; batch_decode takes several texts" if array.ndim == 2 else ""
        raise TypeError(
            f"ids: expected a flat sequence of integers, got {array.ndim} dimensions of "
            f"{array.dtype}{hint}"
        )
    return np.ascontiguousarray(array, np.int64)
