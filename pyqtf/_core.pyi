"""Types of the C core. Not public: use pyqtf, pyqtf.ops and pyqtf.tokenizer."""

from collections.abc import Sequence
from typing import Any, TypedDict, final

import numpy as np
from numpy.typing import NDArray

_F32 = NDArray[np.float32]
_I64 = NDArray[np.int64]

class CpuInfo(TypedDict):
    cpu: str
    isa: str
    isa_why: str
    best_isa: str
    available: list[str]
    cpus: int
    threads: int
    compiler: str

def cpu_info() -> CpuInfo: ...
def use_isa(name: str, /) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int, /) -> None: ...

@final
class Matrix:
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def quant(self) -> str: ...
    @property
    def group(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def rows(
        self, ids: NDArray[np.int64], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]: ...
    def dequantize(self) -> NDArray[np.float32]: ...

def pack(parts: Sequence[NDArray[Any]], quant: str = "q8", group: int = 128) -> Matrix: ...
def matmul(
    x: NDArray[np.float32],
    w: Matrix,
    bias: NDArray[np.float32] | None = None,
    residual: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]: ...
def rms_norm(x: _F32, weight: _F32, eps: float, out: _F32 | None = None) -> _F32: ...
def rope(x: _F32, cos: _F32, sin: _F32, positions: _I64, n_heads: int) -> None: ...
def swiglu(gate_up: _F32, out: _F32 | None = None) -> _F32: ...
def attention(
    q: _F32,
    k: _F32,
    v: _F32,
    q_offsets: _I64,
    k_offsets: _I64,
    scale: float,
    causal: bool,
    out: _F32 | None = None,
) -> _F32: ...
def attention_weights(
    q: _F32, k: _F32, scale: float, causal: bool, mask: _F32 | None = None
) -> _F32: ...
