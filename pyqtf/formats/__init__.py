"""Where weights come from and go to."""

from pyqtf.formats.errors import FormatError
from pyqtf.formats.gguf import GGUF, is_gguf, read_gguf
from pyqtf.formats.gguf_write import save_gguf
from pyqtf.formats.mapped import Tensor
from pyqtf.formats.safetensors import open_folder, read_safetensors, save_safetensors

__all__ = [
    "GGUF",
    "FormatError",
    "Tensor",
    "is_gguf",
    "open_folder",
    "read_gguf",
    "read_safetensors",
    "save_gguf",
    "save_safetensors",
]
