"""Byte-level BPE tokenizers."""

from pyqtf.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
