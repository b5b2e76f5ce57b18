"""The shared vocabulary, and training rows made of packed stories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from stories import training_texts

from pyqtf._files import write_atomically
from pyqtf.tokenizer import Tokenizer, patterns, train_bpe

END = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: Path) -> None:
    """Train a byte-level BPE in the shape of Qwen2's: 256 bytes, merges, and one special token.

    The special token takes the last id, ``vocab_size - 1``. The file is written field by field as
    Qwen2.5's is.
    """
    train_bpe(
        texts, vocab_size - 1, splits=(patterns.QWEN2,), nfc=True, special_tokens=(), path=path
    )
    content = json.loads(path.read_text("utf-8"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    end = {"id": vocab_size - 1, "content": END, **flags, "special": True}
    byte_level = {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False
    }  # fmt: skip
    content |= {"added_tokens": [end], "post_processor": byte_level, "decoder": byte_level}
    content["pre_tokenizer"]["pretokenizers"][-1] = byte_level
    model = content["model"]
    model |= {"continuing_subword_prefix": "", "end_of_word_suffix": ""}
    del model["ignore_merges"]
    model["merges"] = [" ".join(pair) for pair in model["merges"]]
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def training_rows(tokenizer: Tokenizer, n_rows: int, length: int, seed: int) -> np.ndarray:
    """Return [n_rows, length + 1] uint16: each row starts with a story's first token.

    Stories follow each other with the end token between them; the last one of a row is cut. That
    a row has no token before its first story is how a story is scored alone.
    """
    ids = _encode(tokenizer, training_texts(seed))
    rows = np.empty((n_rows, length + 1), np.uint16)
    for row in rows:
        packed: list[int] = []
        while len(packed) <= length:
            packed += next(ids)
        row[:] = packed[: length + 1]
    return rows


def _encode(tokenizer: Tokenizer, texts: Iterator[str]) -> Iterator[list[int]]:
    end = tokenizer.vocab[END]
    while True:
        for ids in tokenizer.encode_batch(islice(texts, 1000)):
            yield [*ids.tolist(), end]
