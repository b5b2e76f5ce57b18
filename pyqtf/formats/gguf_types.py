"""The tensor types of GGUF: numbers, names and block sizes.

A row of a quantised tensor is cut into blocks of 32 or 256 weights; `pyqtf.formats.gguf_blocks`
says how each is laid out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockType:
    """How a tensor type stores its weights.

    Attributes
    ----------
    number : int
        What stands for it in a file.
    block_size : int
        Weights in a block; a row holds a whole number of blocks.
    block_bytes : int
        Bytes of a block.
    """

    number: int
    block_size: int
    block_bytes: int


READABLE = {
    "F32": BlockType(0, 1, 4),
    "F16": BlockType(1, 1, 2),
    "BF16": BlockType(30, 1, 2),
    "Q8_0": BlockType(8, 32, 34),
    "Q4_0": BlockType(2, 32, 18),
    "Q4_1": BlockType(3, 32, 20),
    "Q5_0": BlockType(6, 32, 22),
    "Q5_1": BlockType(7, 32, 24),
    "Q2_K": BlockType(10, 256, 84),
    "Q3_K": BlockType(11, 256, 110),
    "Q4_K": BlockType(12, 256, 144),
    "Q5_K": BlockType(13, 256, 176),
    "Q6_K": BlockType(14, 256, 210),
    "IQ4_NL": BlockType(20, 32, 18),
}

# Types that files may hold and pyqtf doesn't read, to refuse them by name.
_OTHERS = {
    4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
    34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4",
    40: "NVFP4",
}  # fmt: skip

TYPE_NAMES = {kind.number: name for name, kind in READABLE.items()} | _OTHERS
