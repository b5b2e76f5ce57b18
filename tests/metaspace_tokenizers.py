"""Vocabularies in which ▁ is the space, trained by tokenizers, in the forms of model families.

The pipelines are those of transformers' converters: "llama" is that of Llama 2, TinyLlama and
Mistral 7B v0.1, "metaspace-first" that of newer Mistral files, "gemma" that of Gemma.
"""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

import pyqtf

MARK = "▁"
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# Runs of what the pipelines treat apart, so that merges come upon them.
_MORE = ["\n\n\n\n", "        if x:\n            y = 1.25\n", "你好 世界，你好！", "naïve café",
         "ааа слово слова", "a ▁ b ▁▁ c", "aaaaaaaaaaaaaaaa bababababab "]  # fmt: skip
# What tokenizers' own training text, and so a merge, may or may not cross.
_WORDS = {
    "words": pre_tokenizers.Metaspace(MARK, "always", split=True),
    "runs": pre_tokenizers.Split(tokenizers.Regex(r"[ ▁]+|[^ ▁]+"), "isolated"),
    "across": None,
}


@functools.cache
def _trained(words: str, size: int) -> tuple[dict[str, int], list[list[str]]]:
    """Vocabulary and merges; the bytes stand behind the special tokens, as in Llama 2's."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", MARK)
    if _WORDS[words] is not None:
        tokenizer.pre_tokenizer = _WORDS[words]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[*SPECIAL, *BYTES],
                                  max_token_length=12, show_progress=False)  # fmt: skip
    texts = [story["text"] for story in pyqtf.bundled.stories()[:40]]
    tokenizer.train_from_iterator(texts + 20 * _MORE, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], model["merges"]


def _replace(source: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": source}, "content": content}


_PREPEND = {"type": "Prepend", "prepend": MARK}
_DECODERS = [_replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
_STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def _metaspace(scheme: str, split: bool) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


# normalizer, pre_tokenizer, whether decoding strips a space
PIPELINES: dict[str, tuple[Any, Any, bool]] = {
    "llama": ({"type": "Sequence", "normalizers": [_PREPEND, _replace(" ", MARK)]}, None, True),
    "gemma": (
        _replace(" ", MARK),
        {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
         "invert": False},
        False,
    ),
    **{
        f"metaspace-{scheme}{'-split' * split}": (None, _metaspace(scheme, split), True)
        for scheme in ("first", "always", "never")
        for split in (False, True)
    },
}  # fmt: skip


def document(
    pipeline: str, words: str = "words", *, size: int = 900, added: Any = (), **model: Any
) -> dict[str, Any]:
    """A ``tokenizer.json``; `added` are tokens with the flags in which they differ."""
    normalizer, pre_tokenizer, strips = PIPELINES[pipeline]
    vocab, merges = _trained(words, size)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokens = [{"content": token, "special": True} for token in SPECIAL]
    tokens += [{"special": False, **one} for one in added]
    ids: dict[str, int] = {}
    for token in tokens:
        new = len(vocab) + sum(i >= len(vocab) for i in ids.values())
        ids[token["content"]] = vocab.get(token["content"], new)
    single = [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    found = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[token["content"]], **flags, **token} for token in tokens],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "Sequence", "decoders": _DECODERS + [_STRIP] * strips},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
            "ignore_merges": False, "vocab": vocab, "merges": merges, **model,
        },
    }  # fmt: skip
    return copy.deepcopy(found)


def whole(pipeline: str) -> dict[str, Any]:
    """A ``tokenizer.json`` with all the merges that its tokens allow, as SentencePiece has them."""
    found = document(pipeline)
    vocab = found["model"]["vocab"]
    first: dict[str, int] = {}
    for rank, pair in enumerate(found["model"]["merges"]):
        first.setdefault("".join(pair), rank)
    found["model"]["merges"] = [
        [token[:k], token[k:]]
        for token in sorted(first, key=lambda token: first[token])
        for k in range(1, len(token))
        if token[:k] in vocab and token[k:] in vocab
    ]
    return found
