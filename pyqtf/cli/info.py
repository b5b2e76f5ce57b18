"""``pyqtf info``: what pyqtf runs on, and what a model is and would take here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

_NOTE = """\
The memory is what must be free to load and score. The time is an estimate: a layer and a part of
the output head were timed here, with random weights of this shape; loading is not counted."""

_CACHE_NOTE = """\
Writing a text takes a cache of its keys and values beside that memory, with room for half as much
again while it grows; scoring takes none."""


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser(
        "info", help="processor, instruction set, threads, memory and versions; or a model"
    )
    parser.add_argument(
        "model", nargs="?", metavar="NAME|PATH|ID", help="a model; its weights are not read"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the facts, one a line."""
    if args.model is None:
        from pyqtf._about import about

        _print(about())
        return
    from pyqtf.describe import inspect_model

    info = inspect_model(args.model)
    _print(info.facts())
    print(f"\n{info.needs().to_text()}\n\n{_NOTE}")
    print(f"\n{info.caches().to_text()}\n\n{_CACHE_NOTE}")


def _print(facts: Mapping[str, str]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
