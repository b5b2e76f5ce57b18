"""The files a tokenizer comes in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def byte_alphabet() -> list[str]:
    """Return GPT-2's printable character for each byte, in the order of its vocabulary.

    Examples
    --------
    >>> alphabet = byte_alphabet()
    >>> len(alphabet), alphabet[0], alphabet[220]
    (256, '!', 'Ġ')
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]


def gpt2_json(vocab: dict[str, int], merges: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what GPT-2's ``tokenizer.json`` says, with another vocabulary."""
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    special = [token for token in ("<|endoftext|>",) if token in vocab]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocab[token], "content": token, **flags, "special": True} for token in special
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
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


def tokenizer_json(path: Path) -> bytes:
    """Return the contents of a ``tokenizer.json``, made up from GPT-2's two files if need be."""
    if not path.is_dir():
        return path.read_bytes()
    if (path / "tokenizer.json").exists():
        return (path / "tokenizer.json").read_bytes()
    vocab, merges = path / "vocab.json", path / "merges.txt"
    if vocab.exists() and merges.exists():
        return json.dumps(gpt2_json(_read_vocab(vocab), _read_merges(merges))).encode()
    raise FileNotFoundError(
        f"{path}: expected tokenizer.json, or vocab.json and merges.txt, in this folder"
    )


def read_special(folder: Path) -> tuple[str | None, str | None]:
    """Return the BOS and EOS tokens that ``tokenizer_config.json`` names, None where it is mute."""
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return None, None
    try:
        config = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from None

    def token(name: str) -> str | None:
        value = config.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{path}: {name} is {value!r}, expected a token")
        return value

    return token("bos_token"), token("eos_token")
