"""``pyqtf scaling``: the whole experiment, from models and stories to table, plot and report."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from pyqtf._quants import QUANTS
from pyqtf.cli._calibration import add_calibration, calibration_texts


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser(
        "scaling",
        help="perplexity against size: table, plot and report (bundled models by default)",
    )
    parser.add_argument(
        "--models", nargs="+", metavar="NAME|PATH|ID", help="models (default: the bundled family)"
    )
    parser.add_argument(
        "--stories",
        default="generated",
        metavar="FILE|generated|handwritten",
        help=".txt, .json, .jsonl, .csv or .parquet with a column 'text', or a bundled set "
        "(default: generated)",
    )
    parser.add_argument(
        "--out", default="pyqtf-scaling", metavar="DIR", help="where the files go (%(default)s)"
    )
    parser.add_argument("--quant", choices=QUANTS, help="storage of weights")
    add_calibration(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the experiment, print the tables and say where the files are."""
    from pyqtf.experiment import run_scaling

    args.on_interrupt = (
        f"; finished stories are kept in {args.out}/cache, the same command goes on from there"
    )
    texts = calibration_texts(args.calibration)  # run_scaling warns where they are scored
    done = run_scaling(args.models, args.stories, out=args.out, quant=args.quant, calibration=texts)
    print(done.to_text(width=shutil.get_terminal_size().columns))
