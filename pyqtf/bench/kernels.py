"""Where the time of a pass goes: each call of the C core, timed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyqtf import _core

_TIMED = ("matmul", "swiglu_mlp", "attention", "loss", "rms_norm", "rope")


@contextmanager
def timed_kernels() -> Iterator[dict[str, float]]:
    """Seconds spent in each kernel while the context is open; products by their matrix's shape."""
    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = kernel(*args, **kwargs)
            shapes = [f" {a.shape[0]} x {a.shape[1]}" for a in args if isinstance(a, _core.Matrix)]
            seconds[name + ",".join(shapes)] += time.perf_counter() - start
            return result

        return call

    kernels = {name: getattr(_core, name) for name in _TIMED}
    try:
        for name, kernel in kernels.items():
            setattr(_core, name, timed(name, kernel))
        yield seconds
    finally:
        for name, kernel in kernels.items():
            setattr(_core, name, kernel)
