"""How matrices are stored: what each choice of `quant` means for each part of a model."""

from __future__ import annotations

from pyqtf import _core

QUANTS = ("q8", "q4", "f32")
# Added to the embedding, and small: never rounded.
_EXACT = ("positions",)
# What keeps 8 bits in q4; csrc/core/matmul.h says what 4 would cost.
_PRECISE = ("embed", "head")
# Rows up to this length are not rounded either: csrc/core/matmul.h says why.
NARROW = 64


def check_calibrated(quant: str | None) -> None:
    """Raise ValueError unless weights that are stored so can be calibrated."""
    if quant != "q4":
        raise ValueError(
            f"calibration is for quant='q4', and quant is {quant!r}: the others lose too little"
        )


def part_quant(name: str, columns: int, quant: str) -> str:
    """Return how a matrix of a model is stored.

    Parameters
    ----------
    name : str
        Of the part, such as ``embed`` or ``layers.0.qkv``.
    columns : int
        Length of its rows.
    quant : {"q8", "q4", "f32"}
        How the model is stored.

    Examples
    --------
    >>> [part_quant(name, 896, "q4") for name in ("layers.0.qkv", "head", "positions")]
    ['q4', 'q8', 'f32']
    >>> part_quant("layers.0.qkv", 64, "q8")
    'f32'
    """
    if name in _EXACT or columns <= NARROW:
        return "f32"
    return "q8" if quant == "q4" and name in _PRECISE else quant


def group_of(columns: int, quant: str) -> int:
    """Return how many weights of a row share a scale, by the row's length.

    Narrow models suffer more from rounding, and are small and fast enough for more scales;
    csrc/core/matmul.h has the measurements.

    Examples
    --------
    >>> [group_of(columns, "q8") for columns in (96, 192, 896)]
    [8, 16, 128]
    """
    if quant == "q4":
        return _core.Q4_GROUP
    return 8 if columns <= 128 else 16 if columns <= 512 else 128


def matrix_bytes(shape: tuple[int, ...], quant: str, group: int) -> int:
    """Return how much memory a packed matrix [rows, columns] takes.

    Examples
    --------
    >>> matrix_bytes((32, 128), "q8", 128), matrix_bytes((32, 128), "q4", 128)
    (4224, 2368)
    """
    panels, columns = -(-shape[0] // 32), shape[1]
    groups = -(-columns // group)
    if quant == "q4":
        return panels * groups * _core.Q4_BLOCK_BYTES
    return panels * 32 * (4 * columns if quant == "f32" else -(-columns // 4) * 4 + 4 * groups)
