"""Training a vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pyqtf import _core
from pyqtf._files import write_atomically
from pyqtf.tokenizer._files import byte_alphabet, byte_level_json, byte_spelling
from pyqtf.tokenizer.tokenizer import Tokenizer

_END = "<|endoftext|>"


def train_bpe(
    texts: Iterable[str | bytes],
    vocab_size: int,
    *,
    ties: Literal["lexicographic", "id"] = "id",
    special_tokens: Sequence[str] = (_END,),
    splits: Sequence[str] = (),
    nfc: bool = False,
    min_count: int = 1,
    path: str | Path | None = None,
) -> Tokenizer:
    """Train a byte-level BPE vocabulary.

    The most frequent pair of neighbouring tokens inside words becomes a token, again and again
    (Sennrich, Haddow and Birch, 2016, on bytes as in GPT-2).

    Parameters
    ----------
    texts
        The corpus, read once. Special tokens in it are passed over.
    vocab_size
        Number of tokens, with the special ones and the 256 bytes; fewer when pairs run out.
    ties
        Which of several equally frequent pairs comes first: ``"id"``, the one of the smaller ids,
        as in Hugging Face ``tokenizers``; ``"lexicographic"``, the one whose tokens are greater
        as byte strings.
    special_tokens
        They get the first ids.
    splits
        Patterns of :mod:`pyqtf.tokenizer.patterns` that cut texts into words; GPT-2's when empty.
    nfc
        Normalise texts to NFC, then and later.
    min_count
        Pairs that were seen less often do not become tokens.
    path
        Write the ``tokenizer.json`` here.

    Returns
    -------
    Tokenizer
        ``<|endoftext|>``, where it is a special token, ends a text.

    Raises
    ------
    ValueError
        `vocab_size` has no room for the bytes and special tokens, there are no texts or all are
        empty, or a text is not Unicode.

    Examples
    --------
    >>> tokenizer = train_bpe(["low low low lower lowest newest newest"], 262)
    >>> tokenizer.convert_ids_to_tokens(range(257, 262))
    ['lo', 'low', 'Ġlow', 'es', 'est']
    """
    if ties not in ("lexicographic", "id"):
        raise ValueError(f"ties: expected 'lexicographic' or 'id', got {ties!r}")
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts: expected a list of texts, got one")
    tokens = [*special_tokens, *byte_alphabet()]
    if len(set(tokens)) < len(tokens):
        raise ValueError(f"special_tokens: {list(special_tokens)} has a token twice or a byte")
    if vocab_size < len(tokens):
        raise ValueError(
            f"vocab_size: expected at least {len(tokens)} for the bytes and special tokens, "
            f"got {vocab_size}"
        )
    vocab = {token: i for i, token in enumerate(tokens)}

    def document(merges: Iterable[tuple[str, str]]) -> str:
        content = byte_level_json(vocab, merges, splits, nfc=nfc, special=special_tokens)
        return json.dumps(content, ensure_ascii=False)

    pipeline = _core.Tokenizer(document([]).encode())
    n_texts, something = 0, False

    def counted() -> Iterator[str | bytes]:
        nonlocal n_texts, something
        for text in texts:
            n_texts, something = n_texts + 1, something or bool(text)
            yield text

    found = _core.train_bpe(pipeline, counted(), vocab_size, min_count, ties == "lexicographic")
    if not something:
        given = f"{n_texts} empty ones" if n_texts else "none (an iterator can be read only once)"
        raise ValueError(f"texts: expected texts to learn merges from, got {given}")
    spell = byte_spelling()
    merges: dict[tuple[str, str], None] = {}
    for pair in found:
        left, right = ("".join(spell[byte] for byte in part) for part in pair)
        # A pair that was merged again, after its tokens arose another way, counts from there.
        merges.pop((left, right), None)
        merges[left, right] = None
        vocab.setdefault(left + right, len(vocab))
    text = document(merges)
    if path is not None:
        write_atomically(path, text)
    return Tokenizer.from_json(text, eos_token=_END if _END in special_tokens else None)
