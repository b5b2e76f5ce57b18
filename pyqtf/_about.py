"""What a result ran on: processor, instruction set, memory, versions."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from pyqtf import __version__, _core

_PACKAGES = ("numpy", "pandas", "matplotlib", "scipy")


def about() -> dict[str, str]:
    """Facts on this machine and installation, in the order to show them.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> list(about())[:3]
    ['pyqtf', 'CPU', 'instruction set']
    """
    cpu = _core.cpu_info()
    others = [name for name in cpu["available"] if name != cpu["isa"]]
    return {
        "pyqtf": __version__,
        "CPU": cpu["cpu"],
        "instruction set": f"{cpu['isa']} ({cpu['isa_why']})",
        "also available": ", ".join(others) or "none",
        "threads": f"{cpu['threads']} on {cpu['cpus']} usable CPUs",
        "memory": _memory(),
        "compiler": cpu["compiler"],
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES),
    }


def _memory() -> str:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        total, free = kib["MemTotal"] / 2**20, kib["MemAvailable"] / 2**20
    except (OSError, ValueError, KeyError, IndexError):
        return "unknown"
    return f"{total:.1f} GiB, {free:.1f} GiB free"
