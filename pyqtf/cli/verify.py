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
    parser.add_argument("--quant", choices=QUANTS, help="storage for public figures (f32)")
    parser.add_argument("--against", choices=("transformers",), help="run this tool in its place")
    parser.add_argument(
        "--stories", type=int, metavar="N", help="bundled stories for --against (3)"
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
        if args.wikitext or args.quant:
            raise ValueError(
                "--wikitext and --quant are for public figures; --against transformers reads "
                "bundled stories, both tools in f32"
            )
        stories, n = bundled.stories(), 3 if args.stories is None else args.stories
        if not 1 <= n <= len(stories):
            raise ValueError(f"--stories is {n}; expected 1 to {len(stories)}")
        found = verify_against_transformers(args.models or bundled.names(), stories[:n])
        print(against_table(found).to_text(width))
    else:
        if not args.models or not args.wikitext or args.stories is not None:
            raise ValueError(
                "name models that public figures are known for and --wikitext FILE, the test file "
                "of WikiText-2; or use --against transformers"
            )
        found = verify_figures(args.models, args.wikitext, quant=args.quant or "f32")
        print(figures_table(found).to_text(width))
    all_agree(found["agrees"])
