"""The tools that peers.py compares; for peers_worker.py, which holds one of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers_llama_cpp import LlamaCpp
from peers_openvino import OpenVINO
from peers_tool import Ids, NotMeasuredError, Tool


class Pyqtf(Tool):
    """The package this benchmark belongs to."""

    module = "pyqtf"

    def load(self) -> None:
        import pyqtf

        self.model = pyqtf.load(self.folder, quant=self.kind)

    def score(self, ids: Ids) -> Ids:
        return self.model.token_losses([ids])[0].nll

    def prefill(self, ids: Ids) -> None:
        self._read(ids)

    def decode(self, ids: Ids, n: int) -> float:
        cache, logits = self._read(ids)
        start = time.perf_counter()
        for _ in range(n):
            logits = self.model.logits(logits.argmax(axis=1), cache=cache)
        return time.perf_counter() - start

    def _read(self, ids: Ids) -> tuple[Any, Ids]:
        """As `Model.generate` reads its prompt: no logits but the last."""
        from pyqtf import KVCache, _core

        cache, decoder = KVCache(self.model.config), self.model._decoder
        hidden = decoder(ids, np.array([0, len(ids)]), cache)
        return cache, _core.matmul(hidden[-1:], decoder.weights.head)


class Transformers(Tool):
    """Transformers on torch; `kind` is a dtype, or int8 for torch's dynamic quantisation."""

    module = "transformers"

    def load(self) -> None:
        import torch
        import transformers

        torch.set_num_threads(self.threads)
        torch.set_grad_enabled(False)
        dtype = torch.bfloat16 if self.kind == "bf16" else torch.float32
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            self.folder, dtype=dtype, attn_implementation="sdpa"
        ).eval()
        if self.kind == "int8":
            # The one of torch's engines that ONEDNN_MAX_CPU_ISA holds.
            torch.backends.quantized.engine = "onednn"
            self.model = torch.ao.quantization.quantize_dynamic(
                self.model, {torch.nn.Linear}, dtype=torch.qint8
            )

    def version(self) -> str:
        import torch

        return f"{super().version()}, torch {torch.__version__}"

    def check_isa(self, isa: str) -> None:
        import torch

        found = torch.backends.cpu.get_cpu_capability()
        if isa == "avx2" and found != "AVX2":
            raise NotMeasuredError(f"torch takes {found}")

    def score(self, ids: Ids) -> Ids:
        import torch

        tensor = torch.from_numpy(ids)
        logits = self.model(input_ids=tensor[None], use_cache=False).logits[0, :-1]
        return torch.nn.functional.cross_entropy(
            logits.float(), tensor[1:], reduction="none"
        ).numpy()

    def prefill(self, ids: Ids) -> None:
        self._read(ids)

    def decode(self, ids: Ids, n: int) -> float:
        out = self._read(ids)
        start = time.perf_counter()
        for _ in range(n):
            out = self.model(
                input_ids=out.logits[:, -1].argmax(-1)[None], past_key_values=out.past_key_values
            )
        return time.perf_counter() - start

    def _read(self, ids: Ids) -> Any:
        import torch

        return self.model(input_ids=torch.from_numpy(ids)[None], use_cache=True, logits_to_keep=1)


class CTranslate2(Tool):
    """CTranslate2, with int8 weights and activations."""

    module = "ctranslate2"

    @classmethod
    def prepare(cls, folder: Path, own: Path, kind: str) -> None:
        from ctranslate2.converters import TransformersConverter

        TransformersConverter(str(folder)).convert(str(own), quantization=kind, force=True)

    def load(self) -> None:
        import ctranslate2

        self.model = ctranslate2.Generator(
            str(self.own), compute_type=self.kind, inter_threads=1, intra_threads=self.threads
        )
        names = (self.own / "vocabulary.json").read_text(encoding="utf-8")
        self.names: list[str] = json.loads(names)

    def score(self, ids: Ids) -> Ids:
        (result,) = self.model.score_batch([self._names(ids)])
        return -np.array(result.log_probs)

    def prefill(self, ids: Ids) -> None:
        next(self._steps(ids, 1))

    def decode(self, ids: Ids, n: int) -> float:
        steps = self._steps(ids, n + 1)
        next(steps)
        start = time.perf_counter()
        done = sum(1 for _ in steps)
        if done != n:
            raise NotMeasuredError(f"the text ended after {done} tokens")
        return time.perf_counter() - start

    def _names(self, ids: Ids) -> list[str]:
        return [self.names[i] for i in ids]

    def _steps(self, ids: Ids, n: int) -> Any:
        return self.model.generate_tokens(self._names(ids), max_length=n, min_length=n)


TOOLS: dict[str, type[Tool]] = {
    "pyqtf": Pyqtf,
    "transformers": Transformers,
    "ctranslate2": CTranslate2,
    "openvino": OpenVINO,
    "llama.cpp": LlamaCpp,
}
