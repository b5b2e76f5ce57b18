"""The files a tokenizer comes in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def byte_spelling() -> list[str]:
    """Return GPT-2's printable character for each byte, by the byte's value.

    Examples
    --------
    >>> byte_spelling()[ord("a")], byte_spelling()[ord(" ")]
    ('a', 'Ġ')
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (chr(0x100 + i) for i in range(256))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def byte_alphabet() -> list[str]:
    """Return the same characters in the order of GPT-2's vocabulary: by code point."""
    return sorted(byte_spelling())


def byte_level_json(
    vocab: dict[str, int],
    merges: Iterable[tuple[str, str]],
    splits: Sequence[str] = (),
    *,
    nfc: bool = False,
    special: Iterable[str] = (),
) -> dict[str, Any]:
    """Return a ``tokenizer.json`` for a byte-level vocabulary.

    Parameters
    ----------
    vocab, merges
        Tokens in the byte alphabet with their ids, and the pairs that merge, in order.
    splits
        The patterns that cut a text into words, each cutting the pieces of the one before;
        GPT-2's when there are none.
    nfc
        Normalise texts to NFC first.
    special
        The tokens of `vocab` that are special.
    """
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": not splits,
        "use_regex": not splits,
    }
    steps = [
        {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}
        for split in splits
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocab[token], "content": token, **flags, "special": True} for token in special
        ],
        "normalizer": {"type": "NFC"} if nfc else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*steps, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [list(merge) for merge in merges],
        },
    }


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a ``merges.txt``."""
    merges = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        parts = line.rstrip("\r").split(" ")
        if parts == [""] or line.startswith("#version"):
            continue
        if len(parts) != 2:
            raise ValueError(f"{path}, line {number}: expected two tokens, got {line!r}")
        merges.append((parts[0], parts[1]))
    return merges


def _read_vocab(path: Path) -> dict[str, int]:
    """Return a ``vocab.json``, refusing a token that stands there twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"{path}: a token stands there twice")
        return found

    try:
        vocab = json.loads(path.read_text("utf-8"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(vocab, dict) or not all(isinstance(i, int) for i in vocab.values()):
        raise ValueError(f"{path}: expected an object of tokens and their ids")
    return vocab


def tokenizer_file(path: Path) -> Path:
    """Return the ``tokenizer.model`` of a folder that has nothing better, else the path itself."""
    better = ("tokenizer.json", "vocab.json")
    model = path / "tokenizer.model"
    return path if any((path / name).exists() for name in better) or not model.exists() else model


def tokenizer_json(path: Path) -> bytes:
    """Return the contents of a ``tokenizer.json``, made up from GPT-2's two files if need be."""
    if not path.is_dir():
        return path.read_bytes()
    if (path / "tokenizer.json").exists():
        return (path / "tokenizer.json").read_bytes()
    vocab, merges = path / "vocab.json", path / "merges.txt"
    if vocab.exists() and merges.exists():
        tokens = _read_vocab(vocab)
        special = [token for token in ("<|endoftext|>",) if token in tokens]
        return json.dumps(byte_level_json(tokens, _read_merges(merges), special=special)).encode()
    raise FileNotFoundError(
        f"{path}: expected tokenizer.json, vocab.json and merges.txt, or Llama 3's "
        "tokenizer.model in this folder"
    )


def _read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, an empty one where there is no file."""
    try:
        values = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected an object")
    return values


def read_config(folder: Path) -> dict[str, Any]:
    """Return what ``tokenizer_config.json`` adds: named tokens, padding, the chat templates.

    A ``chat_template.jinja`` in the same folder wins over the template in the file. So does a
    ``special_tokens_map.json``, as in transformers, over a file without ``added_tokens_decoder``.
    """
    template = folder / "chat_template.jinja"
    config = _read_object(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:
        config |= _read_object(folder / "special_tokens_map.json")

    def token(name: str) -> str | None:
        value = config.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{folder}: {name} is {value!r}, expected a token")
        return value

    chat = template.read_text("utf-8") if template.exists() else config.get("chat_template")
    if isinstance(chat, list):
        chat = {entry["name"]: entry["template"] for entry in chat}
    return {
        "bos_token": token("bos_token"),
        "eos_token": token("eos_token"),
        "pad_token": token("pad_token"),
        "padding_side": config.get("padding_side", "right"),
        "chat_template": chat,
    }
