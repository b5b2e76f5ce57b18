"""``pyqtf tokenize``: the tokens of a text."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser("tokenize", help="ids, pieces and counts of a text's tokens")
    parser.add_argument(
        "text", metavar="TEXT|FILE", help="a text, or a file that holds one; - for standard input"
    )
    parser.add_argument(
        "--model",
        metavar="NAME|PATH|ID",
        help="whose tokenizer: a model, or a file: tokenizer.json, .gguf, .tiktoken",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print a line for each token, and the counts."""
    from pyqtf.cli._text import named_file
    from pyqtf.tokenizer.show import find_tokenizer, token_lines

    tokenizer = find_tokenizer(args.model)
    if args.text == "-":
        text = sys.stdin.buffer.read()
    else:
        file = named_file(args.text)
        text = file.read_bytes() if file else args.text
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for line in token_lines(tokenizer, text, colour=colour):
        print(line)
