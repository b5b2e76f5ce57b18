"""The command ``pyqtf``: arguments in, calls of the library, words and files out."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from pyqtf import __version__
from pyqtf.cli import bench, compare, info, save, scaling, score, tokenize, verify

_COMMANDS = (scaling, score, tokenize, compare, save, verify, bench, info)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        0 if all went well, 1 after an error, 130 after Ctrl-C. Arguments that can't be understood
        end the process with 2, as argparse does; so do environment variables that can't.
    """
    parser = argparse.ArgumentParser(
        prog="pyqtf", description="Measure language models on an ordinary CPU."
    )
    parser.add_argument("--version", action="version", version=f"pyqtf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    args = parser.parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\npyqtf: interrupted{getattr(args, 'on_interrupt', '')}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this Python complains when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("PYQTF_TRACEBACK"):
            raise
        print(f"pyqtf: error: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say it like an error: a student's command has no line of code to point at."""
    print(f"pyqtf: warning: {message}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    words = " ".join(str(error).split())
    if isinstance(error, ValueError | TypeError | OSError | MemoryError | ImportError) and words:
        return words
    return f"{type(error).__name__}: {words} (PYQTF_TRACEBACK=1 shows where)"
