"""``pyqtf save``: a model's packed weights in one file that loads at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pyqtf._quants import QUANTS
from pyqtf.cli._calibration import add_calibration, calibration_texts


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser("save", help="quantise a model into one file that loads at once")
    parser.add_argument("model", metavar="NAME|PATH|ID", help="the model")
    parser.add_argument("file", metavar="FILE", help="what to write, such as my-model.pyqtf")
    parser.add_argument("--quant", choices=QUANTS, help="storage of weights (default: q8)")
    add_calibration(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Load, write, and say what the file holds."""
    import pyqtf
    from pyqtf.describe import size

    texts = calibration_texts(args.calibration)
    model = pyqtf.load(args.model, quant=args.quant, calibration=texts)
    model.save(args.file)
    with_texts = f", calibrated with {model.calibration}" if model.calibration else ""
    written = size(Path(args.file).stat().st_size)
    print(f"{args.file}: {model.name} in {model.quant}{with_texts}; {written}")
