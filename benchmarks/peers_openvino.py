"""OpenVINO, for peers.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from peers_tool import Ids, NotMeasuredError, Tool


class OpenVINO(Tool):
    """OpenVINO on a trace of transformers' model.

    Its matrices are stored in 8 bits, one scale a row, and activations are quantised while it runs,
    128 values at a time. `kind` int8 has the loss of each token inside the graph; "int8 forward"
    ends at the logits; "int8 last" at those of the last token.
    """

    module = "openvino"

    @classmethod
    def prepare(cls, folder: Path, own: Path, kind: str) -> None:
        import openvino
        import torch
        import transformers

        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()

        class Traced(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
                # Without a mask, attention is causal by a flag, which OpenVINO knows.
                logits = self.model(
                    input_ids=input_ids,
                    attention_mask={"full_attention": None},
                    use_cache=False,
                    logits_to_keep=1 if kind == "int8 last" else 0,
                ).logits
                if kind != "int8":
                    return logits
                log_p = torch.log_softmax(logits[0, :-1], -1)
                return -log_p.gather(1, input_ids[0, 1:, None])[:, 0]

        with torch.no_grad():
            example = {"input_ids": torch.arange(64)[None]}
            graph = openvino.convert_model(Traced(), example_input=example)
        _store_in_8_bits(graph)
        own.mkdir(parents=True, exist_ok=True)
        openvino.save_model(graph, own / "model.xml", compress_to_fp16=False)

    def version(self) -> str:
        return super().version().split("-")[0]

    def load(self) -> None:
        import openvino

        self.model = openvino.Core().compile_model(
            self.own / "model.xml",
            "CPU",
            {
                "INFERENCE_NUM_THREADS": self.threads,
                "PERFORMANCE_HINT": "LATENCY",
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128,
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )

    def check_isa(self, isa: str) -> None:
        if isa != "avx2":
            return
        kinds = {
            str(node.get_rt_info()["primitiveType"].value)
            for node in self.model.get_runtime_model().get_ops()
            if "primitiveType" in node.get_rt_info()
        }
        above = sorted(kind for kind in kinds if "avx512" in kind)
        if above:
            raise NotMeasuredError(f"can't be held to AVX2: it runs {', '.join(above)}")

    def score(self, ids: Ids) -> Ids | None:
        result = self.model([ids[None]])[0]
        return result if self.kind == "int8" else None

    def prefill(self, ids: Ids) -> None:
        self.model([ids[None]])


def _store_in_8_bits(graph: Any) -> None:
    """Store each matrix of a product as int8 [out, in] and a scale a row."""
    import openvino
    from openvino import opset13 as ops

    stored: dict[str, Any] = {}
    for product in graph.get_ops():
        if product.get_type_name() != "MatMul":
            continue
        source = product.input_value(1)
        if source.get_node().get_type_name() != "Constant":
            continue
        constant = source.get_node()
        name = constant.get_friendly_name()
        if name not in stored:
            weights = constant.data
            if not product.get_attributes()["transpose_b"]:
                raise NotMeasuredError(f"{name} lies the other way round than expected")
            scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
            q = np.rint(weights / np.maximum(scale, np.float32(1e-30))).astype(np.int8)
            wide = ops.convert(ops.constant(q), openvino.Type.f32)
            stored[name] = ops.multiply(wide, ops.constant(scale.astype(np.float32)))
        product.input(1).replace_source_output(stored[name].output(0))
