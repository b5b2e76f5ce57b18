"""llama.cpp, for the tests that run its own code on files that pyqtf writes or reads.

They need ``llama-cpp-python``, which builds for a quarter of an hour; without it pytest leaves them
out and says so in its first lines (see conftest.py).
"""

from __future__ import annotations

from pathlib import Path

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as api

F32 = 0


def quantise(source: Path, target: Path, ftype: str) -> None:
    """Quantise a GGUF file, every matrix to one type where its width allows."""
    params = api.llama_model_quantize_default_params()
    params.ftype = getattr(api, f"LLAMA_FTYPE_MOSTLY_{ftype}")
    params.pure = True
    params.nthread = 2
    done = api.llama_model_quantize(str(source).encode(), str(target).encode(), params)
    assert done == 0


class Peer:
    """A file as llama.cpp runs it, with keys and values in float32."""

    def __init__(self, path: Path) -> None:
        self.model = llama_cpp.Llama(
            str(path), n_ctx=512, n_batch=512, n_threads=2, logits_all=True, verbose=False,
            type_k=F32, type_v=F32,
        )  # fmt: skip

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without added ones."""
        return self.model.tokenize(text.encode(), add_bos=False, special=True)

    def nll(self, ids: np.ndarray) -> np.ndarray:
        """Loss of each token after the first."""
        self.model.reset()
        self.model.eval([int(i) for i in ids])
        logits = self.model.scores[: len(ids)].astype(np.float64)
        top = logits.max(axis=1)
        log_z = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return log_z[:-1] - logits[np.arange(len(ids) - 1), ids[1:]]
