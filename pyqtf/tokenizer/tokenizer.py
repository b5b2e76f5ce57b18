"""The tokenizer: text to ids and back, in C."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf.formats import read_gguf
from pyqtf.tokenizer._files import byte_alphabet, byte_level_json, read_config, tokenizer_json
from pyqtf.tokenizer._gguf import read_vocabulary
from pyqtf.tokenizer._tiktoken import read_tiktoken
from pyqtf.tokenizer.chat import render_chat
from pyqtf.tokenizer.stream import StreamDecoder

Ids: TypeAlias = "NDArray[np.integer[Any]] | Iterable[int]"


class Tokenizer:
    """A byte-level BPE tokenizer, as a ``tokenizer.json`` describes it.

    Make one with :meth:`from_file` or :meth:`from_json`. It may be used from several threads at
    once.

    Parameters
    ----------
    core
        The tables, in C.
    bos_token, eos_token
        The tokens that begin and end a text, by their spelling; None where the model has none.
    chat_template
        The Jinja template that lays out a chat, or several by name; None for models without one.

    Examples
    --------
    >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
    >>> ids = tokenizer.encode("the cat and the hat")
    >>> tokenizer.convert_ids_to_tokens(ids[:4])
    ['the', 'Ġ', 'c', 'at']
    >>> tokenizer.decode(ids)
    'the cat and the hat'
    """

    def __init__(
        self,
        core: _core.Tokenizer,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        chat_template: str | dict[str, str] | None = None,
    ) -> None:
        self._core = core
        self.chat_template = chat_template
        self._vocab: dict[str, int] | None = None
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.bos_token_id = self._special_id("bos_token", bos_token)
        self.eos_token_id = self._special_id("eos_token", eos_token)

    def _special_id(self, name: str, token: str | None) -> int | None:
        if token is None:
            return None
        found = self._core.token_to_id(token)
        if found is None:
            raise ValueError(f"{name} is {token!r}, which is not in the vocabulary")
        return found

    @classmethod
    def from_file(cls, path: str | Path, *, encoding: str | None = None) -> Tokenizer:
        """Open a tokenizer.

        Parameters
        ----------
        path
            A ``tokenizer.json``, a folder that holds one, a folder that holds GPT-2's
            ``vocab.json`` and ``merges.txt``, a GGUF file, a tiktoken file such as
            ``cl100k_base.tiktoken``, or Llama 3's ``tokenizer.model``. A
            ``tokenizer_config.json`` beside the first three says which tokens begin and end a
            text and how a chat is laid out.
        encoding
            For a tiktoken file, which encoding it is of when its name doesn't say.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is broken, or describes a tokenizer that is not byte-level BPE.
        """
        path = Path(path)
        gguf = read_gguf(path) if path.suffix == ".gguf" else None
        try:
            if gguf is not None:
                vocabulary = read_vocabulary(gguf.metadata)
                return cls.from_json(vocabulary.json, **vocabulary.special)
            if encoding or path.suffix == ".tiktoken" or path.name == "tokenizer.model":
                core, named = read_tiktoken(path, encoding)
                return cls(core, bos_token=named.bos, eos_token=named.eos)
            config = read_config(path if path.is_dir() else path.parent)
            return cls.from_json(tokenizer_json(path), **config)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        chat_template: str | dict[str, str] | None = None,
    ) -> Tokenizer:
        """Make a tokenizer from the contents of a ``tokenizer.json``.

        Raises
        ------
        ValueError
            The text is not a tokenizer of a known kind; the message says what was found.
        """
        data = text.encode() if isinstance(text, str) else text
        return cls(
            _core.Tokenizer(data),
            bos_token=bos_token,
            eos_token=eos_token,
            chat_template=chat_template,
        )

    @staticmethod
    def example_json() -> str:
        """Return a very small ``tokenizer.json``: all bytes and three merges.

        Examples
        --------
        >>> len(Tokenizer.from_json(Tokenizer.example_json()))
        259
        """
        merges = [("t", "h"), ("th", "e"), ("a", "t")]
        tokens = [*byte_alphabet(), *("".join(merge) for merge in merges)]
        return json.dumps(byte_level_json({token: i for i, token in enumerate(tokens)}, merges))

    def __len__(self) -> int:
        """Return the number of tokens, added ones included."""
        return len(self._core)

    def __repr__(self) -> str:
        return f"Tokenizer({len(self)} tokens, bos={self.bos_token!r}, eos={self.eos_token!r})"

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
    ) -> dict[str, Any]:
        """Encode a text, or a list of them, the way ``transformers`` spells it.

        Returns
        -------
        dict
            ``input_ids``: int32 [T]; with `return_offsets_mapping` also ``offset_mapping``: int64
            [T, 2], in characters (see :meth:`encode_offsets`). Lists of such arrays for a list of
            texts.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer("the hat", return_offsets_mapping=True)["offset_mapping"].tolist()
        [[0, 3], [4, 4], [4, 5], [5, 7]]
        """
        alone = isinstance(text, (str, bytes))
        texts = [text] if isinstance(text, (str, bytes)) else list(text)
        found: dict[str, list[Any]]
        if not return_offsets_mapping:
            found = {"input_ids": [*self.encode_batch(texts, add_special_tokens)]}
        else:
            pairs = [self.encode_offsets(part, add_special_tokens) for part in texts]
            found = {
                "input_ids": [ids for ids, _ in pairs],
                "offset_mapping": [offsets for _, offsets in pairs],
            }
        return {name: values[0] for name, values in found.items()} if alone else found

    def encode(
        self,
        text: str | bytes,
        add_special_tokens: bool = False,
        *,
        split_special_tokens: bool = False,
    ) -> NDArray[np.int32]:
        """Return the ids of a text.

        Parameters
        ----------
        text
            Any text; bytes must be UTF-8.
        add_special_tokens
            Put round it what the tokenizer's template asks for (a BOS, say). Qwen2's asks for
            nothing.
        split_special_tokens
            Treat special tokens in the text, such as ``<|endoftext|>``, as ordinary text.

        Returns
        -------
        numpy.ndarray
            int32 [T]; empty for an empty text.

        Raises
        ------
        TypeError
            `text` is neither str nor bytes.
        ValueError
            It holds a lone surrogate or is not UTF-8.
        """
        return self._core.encode(text, add_special_tokens, split_special_tokens)

    def encode_offsets(
        self,
        text: str | bytes,
        add_special_tokens: bool = False,
        *,
        split_special_tokens: bool = False,
        unit: Literal["characters", "bytes"] = "characters",
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the ids of a text and where each token stands in it.

        Parameters are those of :meth:`encode`, and

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

        Parameters and errors are those of :meth:`encode`.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"texts: expected a list of texts, got one {type(texts).__name__}")
        return self._core.encode_batch(tuple(texts), add_special_tokens, split_special_tokens)

    def decode(self, ids: Ids | int, *, skip_special_tokens: bool = False) -> str:
        """Return the text of some ids.

        Bytes that are not UTF-8, as at a cut inside a character, become U+FFFD.

        Raises
        ------
        ValueError
            An id is not in the vocabulary.
        """
        array = _id_array([ids] if isinstance(ids, (int, np.integer)) else ids)
        return self._core.decode(array, skip_special_tokens).decode("utf-8", "replace")

    def stream(self, *, skip_special_tokens: bool = False) -> StreamDecoder:
        """Return a decoder for ids that come one at a time.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> stream = tokenizer.stream()
        >>> [stream.feed(i) for i in tokenizer.encode("the é!")]
        ['the', ' ', '', 'é', '!']
        >>> stream.finish()
        ''
        """
        return StreamDecoder(self._core, skip_special_tokens)

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None = None,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        return_dict: bool = True,
        **variables: Any,
    ) -> Any:
        r"""Lay out a chat as the model was trained to see it.

        Parameters
        ----------
        conversation
            Messages: mappings with ``role`` and ``content``.
        tools
            Tools the model may call, as JSON schemas.
        chat_template
            A template, or the name of one, in place of the tokenizer's own.
        add_generation_prompt
            End with the beginning of the assistant's answer.
        tokenize
            Return ids, not text.
        return_dict
            Wrap the ids: ``{"input_ids": ids}``.
        **variables
            Further variables of the template, such as ``enable_thinking``.

        Returns
        -------
        dict, numpy.ndarray or str
            As `return_dict` and `tokenize` say.

        Raises
        ------
        ValueError
            There is no template, it is broken, or it refuses the conversation.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_json(
        ...     Tokenizer.example_json(),
        ...     chat_template="{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        ... )
        >>> tokenizer.apply_chat_template([{"role": "user", "content": "the cat"}], tokenize=False)
        'user: the cat\n'
        """
        special = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        text = render_chat(
            self.chat_template,
            conversation,
            chosen=chat_template,
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            **{name: token for name, token in special.items() if token is not None},
            **variables,
        )
        if not tokenize:
            return text
        ids = self.encode(text)
        return {"input_ids": ids} if return_dict else ids

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that one token stands for; ValueError when no token has the id."""
        return self._core.token_bytes(int(token_id))

    def convert_ids_to_tokens(self, ids: Ids) -> list[str]:
        """Return the spelling of each token in the vocabulary (``Ġ`` is a space).

        Raises
        ------
        ValueError
            An id is not in the vocabulary.
        """
        return [self._core.id_to_token(i) for i in _id_array(ids).tolist()]

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int | None]:
        """Return the id of each spelling, None where the vocabulary lacks it."""
        return [self._core.token_to_id(token) for token in tokens]

    @property
    def vocab(self) -> dict[str, int]:
        """From the spelling of every token to its id, added tokens included."""
        if self._vocab is None:
            self._vocab = self._core.vocab()
        return self._vocab

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens, ascending."""
        return self._core.special_ids()


def _id_array(ids: Ids) -> NDArray[np.int64]:
    """Return ids as int64 [T]; TypeError for anything but integers."""
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(
            f"ids: expected a flat sequence of integers, got {array.ndim} dimensions of "
            f"{array.dtype}"
        )
    return np.ascontiguousarray(array, np.int64)
