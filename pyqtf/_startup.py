"""What importing pyqtf does where its C core can't be loaded, or refuses its environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn


def fail(error: ImportError) -> NoReturn:
    """Raise an ImportError that says what to do; the command ``pyqtf`` ends with a line instead.

    The command can't catch it: the package is imported before the command's own code.
    """
    if (Path(__file__).parent.parent / "csrc").is_dir() and "_core" in str(error):
        error = ImportError(
            "pyqtf's C core is not built in this folder: run 'pip install -e .' here, "
            "or start Python in another folder to use the installed pyqtf"
        )
    if not _is_command():
        raise error
    print(f"pyqtf: error: {error}", file=sys.stderr)
    raise SystemExit(2)


def _is_command() -> bool:
    """Whether this is the script ``pyqtf``, or ``python -m pyqtf`` that looks for its module."""
    if sys.argv[0] == "-m":
        return "pyqtf" in sys.orig_argv or "-mpyqtf" in sys.orig_argv
    return Path(sys.argv[0]).name == "pyqtf"
