"""Build the C extension ``pyqtf._core``; everything else is in pyproject.toml."""

import os
from pathlib import Path

import numpy as np
from setuptools import Extension, setup

ROOT = Path(__file__).parent
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("core", "kernels", "python")
    for path in (ROOT / "csrc" / folder).glob("*.c")
)
HEADERS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.h"))

FLAGS = ["-std=c11", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"]
# The bits of a result are part of the interface: no contraction, no fast-math from a user's CFLAGS.
FLAGS += ["-fno-fast-math", "-ffp-contract=off"]
if os.uname().machine in ("x86_64", "AMD64"):
    # Kernels name their instruction set themselves; nothing else may use more than the baseline.
    FLAGS += ["-march=x86-64", "-mtune=generic", "-mno-avx"]
if os.environ.get("PYQTF_WERROR"):
    FLAGS += ["-Werror"]

setup(
    ext_modules=[
        Extension(
            "pyqtf._core",
            sources=SOURCES,
            depends=HEADERS,
            include_dirs=["csrc", np.get_include()],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread", "-lm"],
        )
    ],
)
