"""Build the C extension ``pyqtf._core``; everything else is in pyproject.toml."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

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


class BuildSideBySide(build_ext):
    """Compile several files at once; setuptools' own ``parallel`` is for several extensions."""

    def build_extension(self, ext):
        """Build `ext`, the few large files of the kernels first."""
        compile_in_turn = self.compiler.compile

        def compile_side_by_side(sources, **options):
            ordered = sorted(sources, key=lambda source: "kernels" not in source)
            with ThreadPoolExecutor(min(os.cpu_count() or 1, 6)) as pool:
                objects = pool.map(lambda source: compile_in_turn([source], **options), ordered)
                return [name for names in objects for name in names]

        self.compiler.compile = compile_side_by_side
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildSideBySide},
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
