"""``pyqtf tokenize``."""

import io
import sys

import numpy as np
import pytest

import pyqtf
from pyqtf.cli import main
from pyqtf.formats import save_safetensors
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer.show import token_lines

LINES = ["   257  'the'", "   220  ' '", "    66  'c'", "   258  'at'", "   198  '\\n'"]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "tokenizer.json").write_text(Tokenizer.example_json())
    (tmp_path / "text.txt").write_text("the cat\n")
    return tmp_path


def test_a_file(files, capsys):
    assert main(["tokenize", "--model", str(files), str(files / "text.txt")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [*LINES, "5 tokens, 8 characters, 8 bytes; 1.60 bytes a token"]


def test_a_text(files, capsys):
    assert main(["tokenize", "--model", str(files), "the cat\n"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == LINES


def test_the_tokenizer_of_a_model_in_one_file(files, capsys):
    assert main(["tokenize", str(files / "text.txt")]) == 0
    expected = capsys.readouterr().out
    pyqtf.load("stories-30k").save(files / "a.saved")
    pyqtf.export_gguf("stories-30k", files / "a.gguf")
    (files / "b.GGUF").write_bytes((files / "a.gguf").read_bytes())
    (files / "c").write_bytes((files / "a.gguf").read_bytes())
    for name in ("a.saved", "a.gguf", "b.GGUF", "c"):
        assert main(["tokenize", "--model", str(files / name), str(files / "text.txt")]) == 0
        assert capsys.readouterr().out == expected
        assert main(["info", str(files / name)]) == 0
        assert "1,536 tokens" in capsys.readouterr().out
        assert pyqtf.load(files / name).tokenizer.encode("the cat").tolist()


def test_standard_input(files, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["tokenize", "--model", str(files / "tokenizer.json"), "-"]) == 0
    assert capsys.readouterr().out == "0 tokens, 0 characters, 0 bytes\n"


def test_the_bundled_tokenizer_is_the_default(files, capsys):
    assert main(["tokenize", str(files / "text.txt")]) == 0
    assert "8 characters" in capsys.readouterr().out


def test_colours_and_what_a_terminal_must_not_get():
    tokenizer = Tokenizer.from_json(Tokenizer.example_json())
    lines = list(token_lines(tokenizer, "the\x1b[31m", colour=True))
    assert lines[0] == "   257  '\x1b[30;43mthe\x1b[0m'"
    assert "'\x1b[30;46m\\x1b\x1b[0m'" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "the file nowhere.txt does not exist"),
        (["--model", "x.safetensors", "text.txt"], "the folder that holds them"),
        (["."], ". is a folder; expected a text"),
        (["--model", "nonesuch", "text.txt"], "'nonesuch' is neither"),
        (["--model", "text.txt", "text.txt"], "JSON"),
        (["bad.txt"], "not UTF-8: byte 0xff at byte 1"),
    ],
)
def test_bad_input(files, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(files)
    (files / "bad.txt").write_bytes(b"a\xff")
    save_safetensors(files / "x.safetensors", {"w": np.ones(3, np.float32)})
    assert main(["tokenize", *arguments]) == 1
    assert message in capsys.readouterr().err
