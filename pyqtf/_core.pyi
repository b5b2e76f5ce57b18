"""Types of the C core. Not public: use pyqtf, pyqtf.ops and pyqtf.tokenizer."""

from collections.abc import Sequence
from typing import Any, TypedDict, final

import numpy as np
from numpy.typing import NDArray

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
