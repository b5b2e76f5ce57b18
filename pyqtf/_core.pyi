"""Types of the C core. Not public: use pyqtf, pyqtf.ops and pyqtf.tokenizer."""

from typing import TypedDict

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
