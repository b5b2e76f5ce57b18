"""What sets a family of models apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyqtf.models.config import ModelConfig
from pyqtf.models.fields import Fields

# Role -> (name in the file, its dimensions as attributes of ModelConfig).
TensorTable = Mapping[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Family:
    """The facts of one family.

    Attributes
    ----------
    architecture : str
        Its name under ``architectures`` in ``config.json``.
    read : callable
        From the fields of a ``config.json`` and the family's key to a ModelConfig.
    model, layer : mapping
        Tensors of the model and of each layer; ``{}`` stands for the layer's number. A role is a
        field of Weights or LayerWeights, or one that the loader stacks into such a field.
    transposed : bool
        Whether the matrices of the layers lie as [in, out].
    prefix : str
        What the names of some files lack.
    qkv_by_head : bool
        Whether the rows of qkv lie head by head: q, k and v of the first, then of the second.
    norm_offset : float
        What is added to the weights of norms.
    """

    architecture: str
    read: Callable[[Fields, str], ModelConfig]
    model: TensorTable
    layer: TensorTable
    transposed: bool = False
    prefix: str = ""
    qkv_by_head: bool = False
    norm_offset: float = 0.0
