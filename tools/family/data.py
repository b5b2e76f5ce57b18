"""The shared vocabulary, and training rows made of packed stories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from stories import training_texts
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)  # fmt: skip

END = "<|endoftext|>"
_QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE in the shape of Qwen2's: 256 bytes, merges, and one special token.

    The special token takes the last id, ``vocab_size - 1``.
    """
    options = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(**options),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(**options)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([END])
    return tokenizer


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """Return the tokenizer as ``tokenizer.json`` text, field by field as Qwen2.5's is written.

    The tokenizers library writes merges as pairs and leaves some fields out, which not every
    reader understands.
    """
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    content["decoder"] = content["post_processor"]
    content["model"] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": model["vocab"],
        "merges": [" ".join(pair) for pair in model["merges"]],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def training_rows(tokenizer: Tokenizer, n_rows: int, length: int, seed: int) -> np.ndarray:
    """Return [n_rows, length + 1] uint16: each row starts with a story's first token.

    Stories follow each other with the end token between them; the last one of a row is cut. That
    a row has no token before its first story is how a story is scored alone.
    """
    end = tokenizer.token_to_id(END)
    ids = _encode(tokenizer, training_texts(seed), end)
    rows = np.empty((n_rows, length + 1), np.uint16)
    for row in rows:
        packed: list[int] = []
        while len(packed) <= length:
            packed += next(ids)
        row[:] = packed[: length + 1]
    return rows


def _encode(tokenizer: Tokenizer, texts: Iterator[str], end: int) -> Iterator[list[int]]:
    while True:
        for encoding in tokenizer.encode_batch(list(islice(texts, 1000))):
            yield [*encoding.ids, end]
