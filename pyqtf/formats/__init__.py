"""Where weights come from and go to."""

from pyqtf.formats.errors import FormatError
from pyqtf.formats.mapped import Tensor
from pyqtf.formats.safetensors import open_folder, read_safetensors, save_safetensors

__all__ = ["FormatError", "Tensor", "open_folder", "read_safetensors", "save_safetensors"]
