"""From tensors in files to packed matrices, one layer at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf._memory import Arena
from pyqtf._quants import group_of, matrix_bytes, part_quant
from pyqtf.formats import FormatError, Tensor
from pyqtf.formats.digest import Digest
from pyqtf.formats.mapped import widen
from pyqtf.models.config import ModelConfig
from pyqtf.models.equalise import column_scales
from pyqtf.models.registry import FAMILIES
from pyqtf.models.weights import (
    LayerWeights,
    Weights,
    check_memory,
    check_tensors,
    roles_of,
)

# Matrix -> the norm whose output it takes, where it has one.
_NORM_BEFORE = {"qkv": "attn_norm", "gate_up": "ffn_norm"}
# Types whose rows can be looked at in place.
_PLAIN = ("F32", "F16", "BF16")


def load_weights(tensors: Mapping[str, Tensor], config: ModelConfig, quant: str = "q8") -> Weights:
    """Pack the weights of a model, giving back the file's pages layer by layer.

    Parameters
    ----------
    tensors : mapping
        From `pyqtf.formats.open_folder`.
    config : ModelConfig
        From `resolve_tied`.
    quant : {"q8", "q4", "f32"}
        How matrices are stored.

    Raises
    ------
    FormatError
        As `check_tensors`, or a weight is NaN or infinite.
    MemoryError
        The packed weights won't fit into the memory that is free: said before any is read.
    """
    check_tensors(tensors, config)
    check_memory(config, quant)
    loader = Loader(tensors, config, quant)
    frame = loader.frame()
    layers = tuple(loader.layer(i) for i in range(config.n_layers))
    return replace(frame, layers=layers, fingerprint=loader.digest.hexdigest())


class Loader:
    """Reads the parts of a model, each of them once.

    Attributes
    ----------
    arena : Arena
        Where packed matrices lie.
    digest : Digest
        Of the config and of all that was read so far.
    """

    def __init__(self, tensors: Mapping[str, Tensor], config: ModelConfig, quant: str) -> None:
        self._tensors = tensors
        self._config = config
        self._family = FAMILIES[config.family]
        self._quant = quant
        self.arena = Arena()
        self.digest = Digest()
        self.digest.add_text(json.dumps(asdict(config), sort_keys=True))

    def frame(self) -> Weights:
        """Pack all but the layers."""
        roles = self._family.model
        embed = self.matrix("embed")
        return Weights(
            embed=embed,
            positions=self.matrix("positions") if "positions" in roles else None,
            head=embed if self._config.tie_word_embeddings else self.matrix("head"),
            norm=self.vector("norm"),
            norm_bias=self.vector("norm_bias") if "norm_bias" in roles else None,
            head_bias=self.vector("head_bias") if "head_bias" in roles else None,
            layers=(),
            fingerprint="",
        )

    def layer(self, i: int, *, exact: bool = False) -> LayerWeights:
        """Pack layer i; what the family doesn't have is None.

        With `exact` the matrices are float32, outside the arena, and still evened as they would be
        for the loader's quant.
        """
        facts = self._family.layer
        parts: dict[str, Any] = {}
        scales: dict[str, NDArray[np.float32]] = {}
        for field, roles in roles_of(self._family).items():
            if roles[0] not in facts:
                parts[field] = None
            elif len(facts[roles[0]][1]) == 1:
                parts[field] = self.vector(*roles, i=i)
            else:
                norm = _NORM_BEFORE.get(field, "")
                even = self._even(parts.get(norm), parts.get(f"{norm}_bias"), roles, i)
                if even is not None:
                    scales[_NORM_BEFORE[field]] = even
                turned = self._family.transposed
                parts[field] = self.matrix(
                    *roles, i=i, transposed=turned, column_scales=even, exact=exact
                )
        for field, even in scales.items():
            for name in (field, f"{field}_bias"):
                parts[name] = None if parts[name] is None else parts[name] / even
        return LayerWeights(**parts)

    def _even(
        self,
        norm: NDArray[np.float32] | None,
        bias: NDArray[np.float32] | None,
        roles: Sequence[str],
        i: int,
    ) -> NDArray[np.float32] | None:
        """Return scales that move outlier channels from a norm into the matrices behind it."""
        tensors = [self._find(role, i) for role in roles]
        # The columns of [in, out] matrices are another axis: left alone.
        if norm is None or self._family.transposed:
            return None
        if part_quant(roles[0], tensors[0].shape[1], self._quant) == "f32":
            return None
        if any(tensor.dtype not in _PLAIN for tensor in tensors):
            return None
        sizes = norm if bias is None else np.hypot(norm, bias)
        return column_scales(sizes, [tensor.array() for tensor in tensors])

    def _find(self, role: str, i: int) -> Tensor:
        name, _ = self._family.layer.get(role) or self._family.model[role]
        return self._tensors[name.format(i)]

    def _rows(self, role: str, part: Tensor) -> Iterable[NDArray[Any]]:
        """Yield the rows of a tensor in the decoder's order, as `_core.pack` takes them."""
        if not (self._family.qkv_by_head and role in ("qkv", "qkv_bias")):
            return part.packable()
        c = self._config
        starts = np.arange(0, c.qkv_size, c.head_dim).reshape(c.n_heads, 3).T
        return (part.rows(int(start), int(start) + c.head_dim) for start in starts.flat)

    def matrix(
        self,
        *roles: str,
        i: int = 0,
        transposed: bool = False,
        column_scales: NDArray[np.float32] | None = None,
        exact: bool = False,
    ) -> _core.Matrix:
        """Pack one or more tensors one below the other."""
        parts = [self._find(role, i) for role in roles]
        try:
            for part in parts:
                self.digest.add(part.name, part.stored())
            rows: Iterable[NDArray[Any]] = chain.from_iterable(map(self._rows, roles, parts))
            shape = (sum(part.shape[0] for part in parts), parts[0].shape[1])
            if transposed:
                rows = turned = [np.ascontiguousarray(part.array().T) for part in parts]
                shape = (sum(map(len, turned)), turned[0].shape[1])
            quant = "f32" if exact else part_quant(roles[0], shape[1], self._quant)
            group = _group(parts, quant, shape[1])
            memory = None if exact else self.arena.take(matrix_bytes(shape, quant, group))
            return _core.pack(rows, quant, group, shape, column_scales, memory=memory)
        except ValueError:
            for part in parts:
                _check_finite(part)
            raise
        finally:
            for part in parts:
                part.release()

    def vector(self, *roles: str, i: int = 0) -> NDArray[np.float32]:
        """Widen one or more vectors to float32, one after the other."""
        parts = [self._find(role, i) for role in roles]
        for part in parts:
            _check_finite(part)
            self.digest.add(part.name, part.stored())
        blocks = chain.from_iterable(map(self._rows, roles, parts))
        values = np.concatenate([widen(block).ravel() for block in blocks])
        if roles[0].endswith("norm"):
            values += np.float32(self._family.norm_offset)
        return values


def _group(parts: Sequence[Tensor], quant: str, columns: int) -> int:
    """Return how many weights share a scale: in q8 as in the file, if that is 8-bit already."""
    if quant == "q8" and all(part.dtype == "Q8_0" for part in parts):
        return 32
    return group_of(columns, quant)


def _check_finite(tensor: Tensor) -> None:
    done = 0
    for rows in tensor.row_blocks():
        flat = rows.reshape(-1)
        for start in range(0, flat.size, 2**20):
            block = widen(flat[start : start + 2**20])
            bad = np.flatnonzero(~np.isfinite(block))
            if bad.size:
                at = np.unravel_index(done + start + int(bad[0]), tensor.shape)
                raise FormatError(
                    f"{tensor.file.path}: tensor {tensor.name!r} holds {block[bad[0]]} at "
                    f"{[int(n) for n in at]}; weights must be finite"
                )
        done += flat.size
