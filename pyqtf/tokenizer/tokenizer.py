"""The tokenizer: text to ids and back, in C."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf.formats import is_gguf, read_gguf
from pyqtf.tokenizer._files import (
    byte_alphabet,
    byte_level_json,
    read_config,
    tokenizer_file,
    tokenizer_json,
)
from pyqtf.tokenizer._gguf import read_vocabulary
from pyqtf.tokenizer._tiktoken import read_tiktoken
from pyqtf.tokenizer.chat import render_chat
from pyqtf.tokenizer.codec import Codec
from pyqtf.tokenizer.layout import CHAT_OPTIONS, Encoding, Layout, refuse_options
from pyqtf.tokenizer.special import SpecialId, SpecialToken


class Tokenizer(Codec):
    """A BPE tokenizer of bytes, or of characters, as a ``tokenizer.json`` describes it.

    Make one with :meth:`from_file` or :meth:`from_json`. It may be used from several threads at
    once.

    Parameters
    ----------
    core
        The tables, in C.
    bos_token, eos_token, pad_token
        The tokens that begin, end and fill up a text, by their spelling; None where the model has
        none. They may be set later, too, and so may their ids, such as ``pad_token_id``.
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

    bos_token, bos_token_id = SpecialToken(), SpecialId()
    eos_token, eos_token_id = SpecialToken(), SpecialId()
    pad_token, pad_token_id = SpecialToken(), SpecialId()

    def __init__(
        self,
        core: _core.Tokenizer,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        pad_token: str | None = None,
        chat_template: str | dict[str, str] | None = None,
    ) -> None:
        super().__init__(core)
        self.chat_template = chat_template
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.pad_token = pad_token
        self.padding_side = "right"

    @classmethod
    def from_file(cls, path: str | Path, *, encoding: str | None = None) -> Tokenizer:
        """Open a tokenizer.

        Parameters
        ----------
        path
            A ``tokenizer.json``, a folder that holds one, a folder that holds GPT-2's
            ``vocab.json`` and ``merges.txt``, a GGUF file, a tiktoken file such as
            ``cl100k_base.tiktoken``, or Llama 3's ``tokenizer.model`` or a folder that holds it.
            A ``tokenizer_config.json`` beside the first three says which tokens begin and end a
            text and how a chat is laid out; in older folders a ``special_tokens_map.json`` says
            the former. As in transformers, a tiktoken file has no template: nothing is added to
            a text.
        encoding
            For a tiktoken file, which encoding it is of when its name doesn't say.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is broken, or describes a tokenizer of a kind that is not known.
        """
        path = Path(path)
        gguf = read_gguf(path) if is_gguf(path) else None
        try:
            if gguf is not None:
                vocabulary = read_vocabulary(gguf.metadata)
                return cls.from_json(vocabulary.json, **vocabulary.special)
            config = read_config(path if path.is_dir() else path.parent)
            path = tokenizer_file(path)
            pad, side = config.pop("pad_token"), config.pop("padding_side")
            if encoding or path.suffix == ".tiktoken" or path.name == "tokenizer.model":
                core, named = read_tiktoken(path, encoding)
                tokenizer = cls(
                    core,
                    bos_token=named.bos,
                    eos_token=named.eos,
                    chat_template=config["chat_template"],
                )
            else:
                tokenizer = cls.from_json(tokenizer_json(path), **config)
            # Some models name a pad token that no text can hold; they only lack one.
            if pad is not None and tokenizer.convert_tokens_to_ids(pad) is not None:
                tokenizer.pad_token = pad
            tokenizer.padding_side = side
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return tokenizer

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        pad_token: str | None = None,
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
            pad_token=pad_token,
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

    def __repr__(self) -> str:
        return f"Tokenizer({len(self)} tokens, bos={self.bos_token!r}, eos={self.eos_token!r})"

    def __call__(
        self,
        text: str | bytes | Iterable[str | bytes],
        text_pair: None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_attention_mask: bool | None = None,
        return_offsets_mapping: bool = False,
        **options: Any,
    ) -> Encoding:
        """Encode a text, or a list of them, the way ``transformers`` spells it.

        Parameters
        ----------
        text
            A text or several; neither pairs of texts nor texts cut into words.
        text_pair
            None.
        add_special_tokens
            Put round each text what the tokenizer's template asks for.
        padding, truncation, max_length, padding_side, return_tensors
            As in :class:`pyqtf.tokenizer.layout.Layout`; by default the side is the tokenizer's
            `padding_side`. Padding needs a `pad_token`.
        return_attention_mask
            False leaves the mask out.
        return_offsets_mapping
            Tell where each token stands in its text.
        **options
            Other options of transformers, accepted where they ask for nothing.

        Returns
        -------
        Encoding
            A dict of ``input_ids``: int32 [T]; ``attention_mask``: int32 [T], 1 for a token and 0
            for padding; with `return_offsets_mapping` also ``offset_mapping``: int64 [T, 2], in
            characters (see :meth:`encode_offsets`). Lists of such arrays for several texts; with
            ``return_tensors="np"`` int64 [texts, T] for one text, too.

        Raises
        ------
        TypeError
            `text` is something else, or an option asks for what isn't supported.
        ValueError
            An option has a wrong value, or a text is not UTF-8.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json(), pad_token="!")
        >>> tokenizer("the hat", return_offsets_mapping=True).offset_mapping.tolist()
        [[0, 3], [4, 4], [4, 5], [5, 7]]
        >>> found = tokenizer(["the hat", "at"], padding=True, return_tensors="np")
        >>> found["input_ids"].tolist()
        [[257, 220, 71, 258], [258, 0, 0, 0]]
        >>> found["attention_mask"].sum(axis=1).tolist()
        [4, 1]
        """
        _refuse_pair("text_pair", text_pair)
        refuse_options("tokenizer(...)", options)
        side = padding_side or self.padding_side
        layout = Layout(padding, truncation, max_length, side, return_tensors)
        texts = _texts(text)
        rows: dict[str, list[NDArray[Any]]] = {}
        if return_offsets_mapping:
            pairs = [self.encode_offsets(part, add_special_tokens) for part in texts]
            rows["input_ids"] = [ids for ids, _ in pairs]
            rows["offset_mapping"] = [offsets for _, offsets in pairs]
        else:
            rows["input_ids"] = self.encode_batch(texts, add_special_tokens)
        around = self._core.template() if add_special_tokens else (0, 0)
        rows = {name: [layout.cut(row, around) for row in part] for name, part in rows.items()}
        if return_attention_mask is not False:
            rows["attention_mask"] = [np.ones_like(row) for row in rows["input_ids"]]
        pad = self._filler() if layout.pads else 0
        found = Encoding(
            {
                name: layout.arrange(part, pad if name == "input_ids" else 0)
                for name, part in rows.items()
            }
        )
        if isinstance(text, (str, bytes)) and return_tensors is None:
            return Encoding({name: part[0] for name, part in found.items()})
        return found

    def _filler(self) -> int:
        if self.pad_token_id is None:
            raise ValueError(
                "padding: this tokenizer has no pad_token; set one first, for instance "
                "tokenizer.pad_token = tokenizer.eos_token"
            )
        return self.pad_token_id

    def encode(
        self,
        text: str | bytes,
        add_special_tokens: bool = False,
        *,
        split_special_tokens: bool = False,
        **options: Any,
    ) -> NDArray[Any]:
        """Return the ids of a text.

        Parameters
        ----------
        text
            Any text; bytes must be UTF-8.
        add_special_tokens
            Put round it what the tokenizer's template asks for (a BOS, say). Qwen2's asks for
            nothing. Unlike transformers' `encode`, this one does so only when told to.
        split_special_tokens
            Treat special tokens in the text, such as ``<|endoftext|>``, as ordinary text.
        **options
            Those of ``tokenizer(...)``, whose ``input_ids`` these are then.

        Returns
        -------
        numpy.ndarray
            int32 [T]; empty for an empty text.

        Raises
        ------
        TypeError
            `text` is neither str nor bytes, or an option is not known.
        ValueError
            It holds a lone surrogate or is not UTF-8.
        """
        if not isinstance(add_special_tokens, (bool, np.bool_)):
            raise TypeError(
                f"add_special_tokens={add_special_tokens!r:.80}: expected True or False; pairs of "
                "texts are not supported"
            )
        if options and split_special_tokens:
            refuse_options("encode with split_special_tokens", options)
        if options:
            found = self(text, add_special_tokens=add_special_tokens, **options)
            return cast("NDArray[Any]", found["input_ids"])
        return self._core.encode(text, bool(add_special_tokens), split_special_tokens)

    def tokenize(
        self, text: str | bytes, pair: None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Return the spelling of each token of a text; parameters as for `encode`.

        Examples
        --------
        >>> tokenizer = Tokenizer.from_json(Tokenizer.example_json())
        >>> tokenizer.tokenize("the cat")
        ['the', 'Ġ', 'c', 'at']
        """
        _refuse_pair("pair", pair)
        refuse_options("tokenize", options)
        return self.convert_ids_to_tokens(self.encode(text, add_special_tokens))

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        tools: Sequence[Any] | None = None,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        **variables: Any,
    ) -> Any:
        r"""Lay out a chat as the model was trained to see it.

        Parameters
        ----------
        conversation
            Messages: mappings with ``role`` and ``content``; or a list of such conversations.
        tools
            Tools the model may call, as JSON schemas.
        chat_template
            A template, or the name of one, in place of the tokenizer's own.
        add_generation_prompt
            End with the beginning of the assistant's answer.
        tokenize
            Return ids, not text.
        padding, truncation, max_length, return_tensors
            For the ids, as for ``tokenizer(...)``.
        return_dict
            Return what ``tokenizer(...)`` does; False: its ``input_ids`` alone.
        **variables
            Further variables of the template, such as ``enable_thinking``.

        Returns
        -------
        Encoding, numpy.ndarray or str
            As `return_dict` and `tokenize` say; lists of arrays or texts for several conversations.

        Raises
        ------
        TypeError
            `conversation` is something else, or an option asks for what isn't supported.
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
        refuse_options(
            "apply_chat_template", {n: variables.pop(n) for n in CHAT_OPTIONS & variables.keys()}
        )
        special = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        special["pad_token"] = self.pad_token
        variables |= {name: token for name, token in special.items() if token is not None}
        several = bool(conversation) and isinstance(conversation[0], (list, tuple))
        texts = [
            render_chat(
                self.chat_template,
                one,
                chosen=chat_template,
                tools=tools,
                add_generation_prompt=add_generation_prompt,
                **variables,
            )
            for one in cast("Any", conversation if several else [conversation])
        ]
        if not tokenize:
            return texts if several else texts[0]
        found = self(
            texts if several else texts[0],
            add_special_tokens=False,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
        )
        return found if return_dict else found["input_ids"]


def _refuse_pair(name: str, value: object) -> None:
    if value is not None:
        raise TypeError(f"{name}={value!r:.80}: pairs of texts are not supported; join them first")


def _texts(text: object) -> list[str | bytes]:
    """Return one text or several as a list; TypeError for anything else."""
    several = [text] if isinstance(text, (str, bytes)) else text
    if not isinstance(several, Iterable) or isinstance(several, Mapping):
        raise TypeError(f"text: expected a text or a list of texts, got {type(text).__name__}")
    texts = list(several)
    for part in texts:
        if not isinstance(part, (str, bytes)):
            hint = "; join pairs of texts and words first" * isinstance(part, (list, tuple))
            raise TypeError(f"text: expected texts in the list, got {part!r:.80}{hint}")
    return texts
