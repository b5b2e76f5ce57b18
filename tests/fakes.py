"""Models whose losses are known in closed form, for tests that need no weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyqtf.evaluation.losses import TokenLosses


class ByteTokenizer:
    """One token a UTF-8 byte, so that a character can span tokens."""

    def encode(self, text, add_special_tokens=False):
        return np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32)

    def decode(self, ids):
        return bytes(int(i) for i in ids).decode("utf-8", errors="replace")

    def token_bytes(self, token_id):
        return bytes([token_id])


class WordTokenizer:
    """One token a word with the space before it; ids by first appearance."""

    def __init__(self):
        self.words = []

    def encode(self, text, add_special_tokens=False):
        ids = []
        for i, word in enumerate(text.split(" ") if text else []):
            piece = (" " if i else "") + word
            if piece not in self.words:
                self.words.append(piece)
            ids.append(self.words.index(piece))
        return np.array(ids, np.int32)

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)

    def token_bytes(self, token_id):
        return self.words[token_id].encode("utf-8")


@dataclass
class FakeConfig:
    vocab_size: int = 256
    max_position_embeddings: int = 4096


class BigramModel:
    """p(next | previous) is a row of a table; every loss is a table look-up.

    `sharpness` scales the logits: a larger one is a model that is surer of itself.
    """

    def __init__(self, name="bigram", n_params=1000, sharpness=1.0, seed=0, tokenizer=None):
        self.name = name
        self.n_params = n_params
        self.n_params_non_embedding = n_params // 2
        self.quant = "f32"
        self.config = FakeConfig()
        self.tokenizer = tokenizer or ByteTokenizer()
        n = self.config.vocab_size
        logits = sharpness * np.random.default_rng(seed).standard_normal((n, n))
        self.logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        self.n_calls = 0
        self.n_sequences = 0

    def token_losses(self, sequences, *, top_k=0):
        self.n_calls += 1
        self.n_sequences += len(sequences)
        return [self._losses(np.asarray(ids), top_k) for ids in sequences]

    def _losses(self, ids, top_k):
        rows = self.logprobs[ids[:-1]]
        chosen = rows[np.arange(len(rows)), ids[1:]]
        top_ids = np.argsort(-rows, axis=1)[:, :top_k].astype(np.int64)
        return TokenLosses(
            nll=-chosen,
            rank=1 + (rows > chosen[:, None]).sum(axis=1).astype(np.int64),
            entropy=-(np.exp(rows) * np.where(np.isfinite(rows), rows, 0)).sum(axis=1),
            top_ids=top_ids,
            top_logprobs=np.take_along_axis(rows, top_ids, axis=1).astype(np.float32),
        )


class UniformModel(BigramModel):
    """Every token is equally likely: the perplexity is the size of the vocabulary."""

    def __init__(self, name="uniform", n_params=1):
        super().__init__(name, n_params, sharpness=0.0)
