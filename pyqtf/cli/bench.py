"""``pyqtf bench``: speed of a model's shape on this machine, and the machine's limits."""

from __future__ import annotations

import argparse
from typing import Any

from pyqtf._quants import QUANTS


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser("bench", help="speed and memory beside this machine's limits")
    parser.add_argument("--shape", default="qwen2.5-0.5b", metavar="NAME", help="%(default)s, …")
    parser.add_argument("--quant", default="q8", choices=QUANTS, help="storage of weights")
    parser.add_argument("--tokens", type=int, default=512, metavar="N", help="length of the text")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="timed passes")
    parser.add_argument("--long", action="store_true", help="measure a text of 8,192 tokens too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    import json

    from pyqtf.bench import benchmark, render

    result = benchmark(args.shape, args.quant, args.tokens, args.repetitions, args.long)
    print(json.dumps(result, indent=2) if args.json else render(result))
