"""llama.cpp, for peers.py."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from peers_tool import Ids, NotMeasuredError, Tool


class LlamaCpp(Tool):
    """llama.cpp through llama-cpp-python; `kind` is a GGUF type."""

    module = "llama_cpp"

    def version(self) -> str:
        return f"llama-cpp-python {super().version()}"

    @classmethod
    def prepare(cls, folder: Path, own: Path, kind: str) -> None:
        import pyqtf

        pyqtf.export_gguf(folder, own, dtype=kind)

    def load(self) -> None:
        from llama_cpp import llama_cpp as api

        self.api = api
        quiet = api.llama_log_callback(lambda level, text, data: None)
        api.llama_log_set(quiet, None)
        self._quiet = quiet
        api.llama_backend_init()
        self.model = api.llama_model_load_from_file(
            str(self.own).encode(), api.llama_model_default_params()
        )
        if not self.model:
            raise NotMeasuredError(f"llama.cpp does not load {self.own}")
        params = api.llama_context_default_params()
        params.n_ctx = self.tokens + 256
        # Logits are handed out a batch at a time; 512 is its default for what runs at once.
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = self.threads
        self.context = api.llama_init_from_model(self.model, params)
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.batch = api.llama_batch_init(512, 0, 1)
        self.pool = ThreadPoolExecutor(self.threads)

    def check_isa(self, isa: str) -> None:
        found = self.api.llama_print_system_info().decode()
        if isa == "avx2" and "AVX512 = 1" in found:
            raise NotMeasuredError("this build takes AVX-512; give one for AVX2 by --path")

    def score(self, ids: Ids) -> Ids:
        losses = []
        for start, logits in self._chunks(ids, all_logits=True):
            targets = ids[start + 1 : start + 1 + len(logits)]
            losses.append(self._losses(logits[: len(targets)], targets))
        return np.concatenate(losses)

    def prefill(self, ids: Ids) -> None:
        for _ in self._chunks(ids, all_logits=False):
            pass

    def decode(self, ids: Ids, n: int) -> float:
        for _, logits in self._chunks(ids, all_logits=False):
            last = logits
        start = time.perf_counter()
        for position in range(len(ids), len(ids) + n):
            last = self._run(last[-1:].argmax(axis=1), position, wanted=1)
        return time.perf_counter() - start

    def _chunks(self, ids: Ids, *, all_logits: bool) -> Any:
        """Read a text from its start, 512 tokens at a time."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        for start in range(0, len(ids), 512):
            part = ids[start : start + 512]
            end = start + len(part) == len(ids)
            yield start, self._run(part, start, wanted=len(part) if all_logits else int(end))

    def _run(self, ids: Ids, position: int, wanted: int) -> Ids:
        """Return the logits of the last `wanted` tokens, valid until the next call."""
        batch = self.batch
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = int(token)
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= len(ids) - wanted
        if self.api.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        if not wanted:
            self.api.llama_synchronize(self.context)
            return np.empty((0, self.vocabulary), np.float32)
        pointer = self.api.llama_get_logits(self.context)
        return np.ctypeslib.as_array(pointer, (wanted, self.vocabulary))

    def _losses(self, logits: Ids, targets: Ids) -> Ids:
        """Return -log p, a row at a time on all threads, as llama.cpp's perplexity tool does."""

        def losses(rows: Ids) -> list[float]:
            out = []
            for row, target in zip(logits[rows[0] : rows[-1] + 1], targets[rows], strict=True):
                top = row.max()
                out.append(float(np.log(np.exp(row - top).sum()) + top - row[target]))
            return out

        shares = np.array_split(np.arange(len(targets)), self.threads)
        return np.concatenate(list(self.pool.map(losses, shares)))
