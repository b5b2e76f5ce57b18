"""Vocabularies of characters with byte fallback, in which ▁ is the space, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARK = "▁"
_MARKED = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
_PREPEND = {"type": "Prepend", "prepend": MARK}
_DECODERS = (
    {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
)
_STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def metaspace_json(
    vocab: Mapping[str, int], scores: NDArray[np.floating[Any]], *, space_prefix: bool
) -> dict[str, Any]:
    """Return a ``tokenizer.json`` for the tokens and scores of a SentencePiece model.

    SentencePiece merges, again and again, the two neighbours that together are the token of the
    highest score, the leftmost of equals. A list of merges has an order for any two pairs and can't
    say that some are equal, as the ways to cut a token in two are. So there is a rank for each
    token, which pyqtf's tokenizer reads: the lower, the higher the score, and equal for equals.

    Parameters
    ----------
    vocab
        The tokens that merges may make, and the bytes, with their ids.
    scores : [ids]
        The higher, the earlier a token is made.
    space_prefix
        Whether a space is put before every stretch of text between added tokens.
    """
    ids = np.fromiter(vocab.values(), np.int64, len(vocab))
    _, order = np.unique(-scores[ids], return_inverse=True)
    ranks: list[int | None] = [None] * (int(ids.max(initial=-1)) + 1)
    for i, rank in zip(ids.tolist(), order.tolist(), strict=True):
        ranks[i] = rank
    steps = [_PREPEND, _MARKED] if space_prefix else [_MARKED]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [*_DECODERS, *[_STRIP] * space_prefix]},
        "model": {
            "type": "BPE",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": dict(vocab),
            "merges": [],
            "ranks": ranks,
        },
    }


def is_metaspace(document: Mapping[str, Any]) -> bool:
    """Whether a ``tokenizer.json`` is of this kind."""
    return bool(document["model"].get("byte_fallback"))


def puts_space(document: Mapping[str, Any]) -> bool:
    """Whether a ``tokenizer.json`` puts a space before texts.

    llama.cpp does so before each stretch of text, also one that begins with a space; a Metaspace
    pre_tokenizer leaves the latter alone.
    """
    steps = document.get("pre_tokenizer") or {}
    for part in steps.get("pretokenizers", [steps]):
        if part.get("type") == "Metaspace" and part.get("prepend_scheme") != "never":
            return True
    steps = document.get("normalizer") or {}
    return any(part.get("type") == "Prepend" for part in steps.get("normalizers", [steps]))


def scores_of(document: Mapping[str, Any], n_rows: int) -> NDArray[np.float32]:
    """Return a score for each id, under which SentencePiece merges as a ``tokenizer.json`` says.

    Raises
    ------
    ValueError
        It lacks merges that follow from the tokens: no scores can forbid them.
    """
    model = document["model"]
    vocab: Mapping[str, int] = model["vocab"]
    scores = np.zeros(n_rows, np.float32)
    if model.get("ranks") is not None:
        scores[: len(model["ranks"])] = [-(rank or 0) for rank in model["ranks"]]
        return scores
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    known, first = set(merges), dict[str, int]()
    for rank, pair in enumerate(merges):
        first.setdefault("".join(pair), rank)
    added = {token["content"] for token in document.get("added_tokens") or []}
    for token, i in vocab.items():
        pairs = [] if token in added else [(token[:k], token[k:]) for k in range(1, len(token))]
        for left, right in pairs:
            if left in vocab and right in vocab and (left, right) not in known:
                raise ValueError(
                    f"its tokens {left!r:.40} and {right!r:.40} don't merge, though together they "
                    "are a token; llama.cpp would merge them"
                )
        if i < n_rows:
            scores[i] = -first.get(token, len(merges))
    return scores
