"""Measure language models on an ordinary CPU, from a notebook."""

from pyqtf._version import __version__

try:
    from pyqtf import _core as _core
except ImportError as error:
    from pathlib import Path

    if (Path(__file__).parent.parent / "csrc").is_dir() and "_core" in str(error):
        raise ImportError(
            "pyqtf's C core is not built in this folder: run 'pip install -e .' here, "
            "or start Python in another folder to use the installed pyqtf"
        ) from error
    raise

__all__ = ["__version__"]
