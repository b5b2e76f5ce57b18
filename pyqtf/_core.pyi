"""Types of the C core. Not public: use pyqtf, pyqtf.ops and pyqtf.tokenizer."""

from collections.abc import Iterable
from typing import Any, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

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

Q4_GROUP: int
Q4_RUN: int
Q4_BLOCK_BYTES: int

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

def pack(
    parts: Iterable[NDArray[Any]],
    quant: str = "q8",
    group: int = 128,
    shape: tuple[int, int] = ...,
    column_scales: NDArray[np.float32] | None = None,
    importance: NDArray[np.float32] | None = None,
    memory: NDArray[np.uint8] | None = None,
) -> Matrix: ...
def packed(matrix: Matrix, /) -> tuple[NDArray[np.uint8], NDArray[np.float32]]: ...
def from_packed(
    data: NDArray[np.uint8],
    scales: NDArray[np.float32],
    shape: tuple[int, int],
    quant: str,
    group: int,
) -> Matrix: ...
def matmul(
    x: NDArray[np.float32],
    w: Matrix,
    bias: NDArray[np.float32] | None = None,
    residual: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]: ...
def matmul_swiglu(x: _F32, gate_up: Matrix, out: _F32 | None = None) -> _F32: ...
def swiglu_mlp(
    x: _F32,
    gate_up: Matrix,
    down: Matrix,
    residual: _F32 | None = None,
    out: _F32 | None = None,
) -> _F32: ...
def rms_norm(x: _F32, weight: _F32, eps: float, out: _F32 | None = None) -> _F32: ...
def layer_norm(x: _F32, weight: _F32, bias: _F32, eps: float, out: _F32 | None = None) -> _F32: ...
def rope(
    x: _F32, cos: _F32, sin: _F32, positions: _I64, n_heads: int, head_dim: int = ...
) -> None: ...
def swiglu(gate_up: _F32, out: _F32 | None = None) -> _F32: ...
def geglu(gate_up: _F32, out: _F32 | None = None) -> _F32: ...
def gelu(x: _F32, out: _F32 | None = None) -> _F32: ...
def gelu_erf(x: _F32, out: _F32 | None = None) -> _F32: ...
def softcap(x: _F32, cap: float, out: _F32 | None = None) -> _F32: ...

KEY_TILE: int
KV_GROUP: int

def attention(
    q: _F32,
    k: NDArray[Any],
    v: NDArray[Any],
    q_offsets: _I64,
    k_offsets: _I64,
    scale: float,
    causal: bool,
    out: _F32 | None = None,
    window: int = 0,
    softcap: float = 0.0,
    k_scales: _F32 | None = None,
    v_scales: _F32 | None = None,
) -> _F32: ...
def quantise_heads(
    x: _F32, out: NDArray[np.int8] | NDArray[np.uint16], scales: _F32 | None = None, /
) -> None: ...
def attention_weights(
    q: _F32,
    k: _F32,
    scale: float,
    causal: bool,
    mask: _F32 | None = None,
    window: int = 0,
    softcap: float = 0.0,
) -> _F32: ...
def loss(
    hidden: _F32,
    head: Matrix,
    targets: _I64,
    top_k: int = 0,
    bias: _F32 | None = None,
    softcap: float = 0.0,
) -> tuple[NDArray[np.float64], _I64, NDArray[np.float64], _I64, _F32]: ...

@final
class Tokenizer:
    def __new__(cls, data: bytes, pattern: str = ...) -> Tokenizer: ...
    def add_special(self, content: str, token_id: int, /) -> None: ...
    def encode_offsets(
        self, text: str | bytes, add_special_tokens: bool, plain: bool, chars: bool, /
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
    def encode(
        self, text: str | bytes, add_special_tokens: bool, plain: bool, /
    ) -> NDArray[np.int32]: ...
    def encode_batch(
        self, texts: tuple[str | bytes, ...], add_special_tokens: bool, plain: bool, /
    ) -> list[NDArray[np.int32]]: ...
    def decode(self, ids: NDArray[np.int64], skip_special_tokens: bool, /) -> bytes: ...
    def is_byte(self, token_id: int, /) -> bool: ...
    def strips_space(self) -> bool: ...
    def token_bytes(self, token_id: int, /) -> bytes: ...
    def spelling(self, token_id: int, /) -> str: ...
    def id_to_token(self, token_id: int, /) -> str: ...
    def token_to_id(self, token: str, /) -> int | None: ...
    def vocab(self) -> dict[str, int]: ...
    def special_ids(self) -> list[int]: ...
    def vocab_size(self) -> int: ...
    def template(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...

def hash_blocks(data: Buffer | NDArray[Any], /) -> NDArray[np.uint64]: ...
def limit(
    kind: str, seconds: float = 0.05, buffer: NDArray[np.uint8] | None = None, /
) -> tuple[str, float]: ...
def train_bpe(
    tokenizer: Tokenizer,
    texts: Iterable[str | bytes],
    vocab_size: int,
    min_count: int,
    lexicographic: bool,
    /,
) -> list[tuple[bytes, bytes]]: ...
