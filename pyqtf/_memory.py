"""How much memory this process may still take."""

from __future__ import annotations

import sys
from pathlib import Path


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
