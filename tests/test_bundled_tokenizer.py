"""The bundled vocabulary comes out of the tool that made it."""

import importlib
import sys
from itertools import islice
from pathlib import Path

from pyqtf import bundled

ROOT = Path(__file__).resolve().parent.parent


def test_the_tool_makes_the_bundled_file_again_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tools")])
    data = importlib.import_module("family.data")
    texts = islice(data.training_texts(), 20_000)
    path = tmp_path / "tokenizer.json"
    data.train_tokenizer(texts, 1536, path)
    assert path.read_bytes() == (Path(bundled.__file__).parent / "tokenizer.json").read_bytes()
