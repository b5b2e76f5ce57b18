"""``pyqtf verify``: the numbers that others give, beside those of pyqtf."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from pyqtf._quants import QUANTS


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser(
        "verify", help="public figures on WikiText-2, or transformers run live, beside pyqtf's"
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="NAME|PATH (with --against: the bundled family)"
    )
    parser.add_argument("--wikitext", metavar="FILE", help="wiki.test.raw of WikiText-2")
    parser.add_argument("--quant", default="f32", choices=QUANTS, help="storage (%(default)s)")
    parser.add_argument("--against", choices=("transformers",), help="run this tool in its place")
    parser.add_argument(
        "--stories", type=int, default=3, metavar="N", help="stories for --against (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print both numbers of every check; an error if one differs."""
    from pyqtf import bundled
    from pyqtf.verification.against import verify_against_transformers
    from pyqtf.verification.figures import all_agree, verify_figures
    from pyqtf.verification.tables import against_table, figures_table

    width = shutil.get_terminal_size().columns
    if args.against:
        if not 1 <= args.stories <= len(bundled.stories()):
            raise ValueError(f"--stories is {args.stories}; expected 1 to {len(bundled.stories())}")
        stories = bundled.stories()[: args.stories]
        found = verify_against_transformers(args.models or bundled.names(), stories)
        print(against_table(found).to_text(width))
    else:
        if not args.models or not args.wikitext:
            raise ValueError(
                "name models that public figures are known for and --wikitext FILE, the test file "
                "of WikiText-2; or use --against transformers"
            )
        found = verify_figures(args.models, args.wikitext, quant=args.quant)
        print(figures_table(found).to_text(width))
    all_agree(found["agrees"])
