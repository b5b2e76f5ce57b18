"""Write tests/golden/gguf_blocks.json: blocks that llama.cpp's own quantiser made.

    pip install llama-cpp-python
    python tools/make_gguf_golden.py

For each quantised type: the blocks of 4,096 normal weights as base64, and the SHA-256 of what
llama.cpp makes of them, as little-endian float32.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
from pathlib import Path

import llama_cpp
import numpy as np

from pyqtf.formats.gguf_types import READABLE

OUTPUT = Path(__file__).parent.parent / "tests" / "golden" / "gguf_blocks.json"
SEED, N_WEIGHTS, WIDTH = 0, 4096, 256
QUANTISED = [name for name, kind in READABLE.items() if kind.block_size > 1]


def weights() -> np.ndarray:
    """What is quantised: of a size that keeps activations of their size, with some outliers."""
    rng = np.random.default_rng(SEED)
    values = rng.normal(scale=WIDTH**-0.5, size=N_WEIGHTS)
    values[rng.integers(0, N_WEIGHTS, 40)] *= 6
    return values.astype(np.float32)


def quantise(ggml: ctypes.CDLL, name: str, values: np.ndarray) -> np.ndarray:
    """Return the bytes that llama.cpp makes of float32 weights."""
    kind = READABLE[name]
    out = np.zeros(values.size // kind.block_size * kind.block_bytes, np.uint8)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    written = ggml.ggml_quantize_chunk(
        ctypes.c_int(kind.number),
        values.ctypes.data_as(ctypes.c_void_p),
        out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(0),
        ctypes.c_int64(values.size // WIDTH),
        ctypes.c_int64(WIDTH),
        None,
    )
    assert written == out.size, (name, written, out.size)
    return out


def dequantise(ggml: ctypes.CDLL, name: str, blocks: np.ndarray) -> np.ndarray:
    """Return the weights that llama.cpp reads from blocks."""
    spelled = name.lower().replace("_k", "_K")
    out = np.empty(N_WEIGHTS, np.float32)
    getattr(ggml, f"dequantize_row_{spelled}")(
        blocks.ctypes.data_as(ctypes.c_void_p),
        out.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(out.size),
    )
    return out


def main() -> None:
    """Quantise to every type and write the file."""
    library = Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"
    ggml, values = ctypes.CDLL(str(library)), weights()
    types = {}
    for name in QUANTISED:
        blocks = quantise(ggml, name, values)
        back = dequantise(ggml, name, blocks).astype("<f4")
        types[name] = {
            "blocks": base64.b64encode(blocks.tobytes()).decode(),
            "values_sha256": hashlib.sha256(back.tobytes()).hexdigest(),
        }
    facts = {"llama_cpp_python": llama_cpp.__version__, "types": types}
    OUTPUT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
