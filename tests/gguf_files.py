"""Small GGUF files, made byte by byte."""

import base64
import json
import struct
from pathlib import Path

import numpy as np

from pyqtf.formats.gguf_types import READABLE

QUANTIZED = [name for name, kind in READABLE.items() if kind.block_size > 1]
# Where each block has its float16 scales.
SCALES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82],
    "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
}  # fmt: skip


# Blocks that llama.cpp quantised, see tools/make_gguf_golden.py.
GOLDEN = json.loads((Path(__file__).parent / "golden/gguf_blocks.json").read_text())["types"]


def golden_blocks(name):
    """Blocks that llama.cpp's quantiser made of normal weights with a deviation of 1 / 16."""
    data = np.frombuffer(base64.b64decode(GOLDEN[name]["blocks"]), np.uint8)
    return data.reshape(-1, READABLE[name].block_bytes)


def random_blocks(name, n, seed=0, sizes=(1e-7, 1e-3, 1, 100)):
    """Blocks of random bytes; scales, of either sign, are about as large as one of `sizes`."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (n, READABLE[name].block_bytes), dtype=np.uint8)
    for at in SCALES[name]:
        scales = rng.normal(size=(n, 1)) * rng.choice(sizes, size=(n, 1))
        blocks[:, at : at + 2] = scales.astype("<f2").view(np.uint8)
    return blocks


def bits(array):
    return np.asarray(array, np.float32).view(np.uint32)


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def value(key, kind, data):
    return string(key) + struct.pack("<I", kind) + data


def entry(name="w", shape=(32,), kind=0, offset=0):
    """A line of the tensor table; the shape is in GGUF's order."""
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dims + struct.pack("<IQ", kind, offset)


def build(values=(), entries=(), data=b"", *, version=3, counts=None, align=32):
    counts = counts or (len(entries), len(values))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(values) + b"".join(entries)
    return head + b"\0" * (-len(head) % align) + data


def write(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    return path
