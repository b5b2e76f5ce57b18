"""``pyqtf info``: what pyqtf runs on, and what a model is."""

from __future__ import annotations

import argparse
from typing import Any


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser(
        "info", help="processor, instruction set, threads, memory and versions; or a model"
    )
    parser.add_argument("model", nargs="?", metavar="NAME|PATH|ID", help="a model to describe")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the facts, one a line."""
    if args.model is None:
        from pyqtf._about import about

        facts = about()
    else:
        import pyqtf
        from pyqtf._about import describe

        facts = describe(pyqtf.load(args.model))
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
