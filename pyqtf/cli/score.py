"""``pyqtf score``: one text under one model."""

from __future__ import annotations

import argparse
from typing import Any

from pyqtf._quants import QUANTS
from pyqtf.cli._calibration import add_calibration, calibration_texts


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser("score", help="perplexity of one text, and its costliest tokens")
    parser.add_argument("text", metavar="TEXT|FILE", help="a text, or a file that holds one")
    parser.add_argument("--model", required=True, metavar="NAME|PATH|ID", help="the model")
    parser.add_argument("--context", default="", metavar="TEXT", help="text the model reads before")
    parser.add_argument("--quant", choices=QUANTS, help="storage of weights")
    add_calibration(parser)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many tokens to list")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the score and the tokens that cost most."""
    if args.top < 0:
        raise ValueError(f"--top is {args.top}; expected 0 or more")
    import pyqtf
    from pyqtf.cli._text import named_file
    from pyqtf.evaluation.score import score
    from pyqtf.evaluation.stories import read_text
    from pyqtf.plot.table import score_text

    file = named_file(args.text)
    text = read_text(file) if file else args.text
    texts = calibration_texts(args.calibration, [text])
    model = pyqtf.load(args.model, quant=args.quant, calibration=texts)
    print(score_text(score(model, text, context=args.context), top=args.top))
