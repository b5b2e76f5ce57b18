"""The machine's own limits, measured in the same run as what is compared with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyqtf import _core


@dataclass(frozen=True)
class Limits:
    """Rates on all threads with the instruction set in use.

    Attributes
    ----------
    f32, q8, q4 : float
        Operations a second of the fastest loop of multiply-adds, each counted as two; assembly
        without memory accesses.
    f32_instructions, q8_instructions, q4_instructions : str
        What the loops consist of.
    clock : float
        Cycles a second, all threads together: `q8` / `clock` is operations a cycle.
    memory : float
        Bytes read a second from a buffer larger than the caches.
    """

    f32: float
    f32_instructions: str
    q8: float
    q8_instructions: str
    q4: float
    q4_instructions: str
    clock: float
    memory: float


def measure_limits(seconds: float = 0.2) -> Limits:
    """Measure each limit, best of five.

    Parameters
    ----------
    seconds : float
        About how long each of the repetitions runs.

    Returns
    -------
    Limits

    Examples
    --------
    >>> limits = measure_limits(0.001)
    >>> limits.q8 > 0 and limits.memory > 0
    True
    """
    f32, q8, q4, clock = (
        max(_core.limit(kind, seconds) for _ in range(5)) for kind in ("f32", "q8", "q4", "clock")
    )
    buffer = np.ones(2**28, np.uint8)
    memory = max(_core.limit("memory", seconds, buffer) for _ in range(5))
    return Limits(f32[1], f32[0], q8[1], q8[0], q4[1], q4[0], clock[1], memory[1])
