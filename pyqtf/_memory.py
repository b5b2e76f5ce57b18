"""How much memory this process may still take, and large pieces of it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that can be taken without swapping, within the container's limit.

    Where the system doesn't say (``/proc/meminfo`` is Linux's), there is no limit to know.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    free = sys.maxsize
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(s.split()[1]) * 1024 for s in lines if s.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    cgroup = root / "sys/fs/cgroup"
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="ascii"))
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        free = min(free, max(0, limit - used))
    except (OSError, ValueError):
        # No container, or one without a limit ("max").
        pass
    return free


def peak_memory(root: Path = Path("/")) -> int:
    """Bytes that this process held at most, files it mapped and read included.

    Not what ``getrusage`` calls so where the system says it better (``/proc/self/status`` is
    Linux's): that begins with the peak of the process that started this one.

    Examples
    --------
    >>> peak_memory() > 0
    True
    """
    try:
        lines = (root / "proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(s.split()[1]) * 1024 for s in lines if s.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Arena:
    """Memory for packed matrices, one behind the other.

    NumPy asks for huge pages for large arrays, which small ones would not get: reading weights then
    misses the processor's table of pages less, and its prefetching does not end every 4 KiB.
    """

    _CHUNK = 2**25

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)

    def take(self, n_bytes: int) -> NDArray[np.uint8]:
        """Return memory that begins on a cache line."""
        if n_bytes > len(self._free):
            room = np.empty(max(self._CHUNK, n_bytes) + 64, np.uint8)
            self._free = room[-room.ctypes.data % 64 :]
        taken, self._free = self._free[:n_bytes], self._free[n_bytes:]
        return taken
