"""From a folder of weights to hidden states: families, weights, and one decoder."""

from pyqtf.models.config import ModelConfig
from pyqtf.models.registry import read_config

__all__ = ["ModelConfig", "read_config"]
