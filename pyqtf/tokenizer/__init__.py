"""BPE tokenizers."""

from pyqtf.tokenizer.tokenizer import Tokenizer
from pyqtf.tokenizer.train import train_bpe

__all__ = ["Tokenizer", "train_bpe"]
