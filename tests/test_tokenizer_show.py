"""``pyqtf tokenize``."""

import io
import sys

import pytest

from pyqtf.cli import main
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
        (["nowhere.txt"], "nowhere.txt"),
        (["--model", "nonesuch", "text.txt"], "'nonesuch' is neither"),
        (["--model", "text.txt", "text.txt"], "JSON"),
        (["bad.txt"], "not UTF-8: byte 0xff at byte 1"),
    ],
)
def test_bad_input(files, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(files)
    (files / "bad.txt").write_bytes(b"a\xff")
    assert main(["tokenize", *arguments]) == 1
    assert message in capsys.readouterr().err
