"""``pyqtf compare``: how far one model's predictions lie from another's."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING, Any

from pyqtf._quants import QUANTS
from pyqtf.cli._calibration import add_calibration, calibration_texts
from pyqtf.cli._text import named_stories

if TYPE_CHECKING:
    from pyqtf.evaluation.compare import Comparison


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = commands.add_parser(
        "compare", help="KL divergence, agreement and perplexity of two models with one tokenizer"
    )
    parser.add_argument("a", metavar="A", help="a model: NAME|PATH|ID; KL takes it as the truth")
    parser.add_argument("b", metavar="B", help="another, or the same in another storage")
    parser.add_argument(
        "--quant",
        nargs=2,
        choices=QUANTS,
        default=(None, None),
        metavar=("A", "B"),
        help="storage of each model's weights: q8, q4 or f32",
    )
    parser.add_argument(
        "--stories",
        default="generated",
        metavar="FILE|generated|handwritten",
        help="as for pyqtf scaling (default: generated)",
    )
    add_calibration(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read the stories under both models and print the figures."""
    import pyqtf

    if args.calibration is not None and "q4" not in args.quant:
        raise ValueError("--calibration is for models in q4: say --quant with q4 for A, B or both")
    stories = named_stories(args.stories)
    texts = calibration_texts(args.calibration, [story["text"] for story in stories])
    a, b = (
        pyqtf.load(name, quant=quant, calibration=texts if quant == "q4" else None)
        for name, quant in zip((args.a, args.b), args.quant, strict=True)
    )
    done = pyqtf.compare_models(a, b, stories, progress=sys.stderr.isatty())
    print(_text(done, shutil.get_terminal_size().columns))
    for letter, model in (("A", a), ("B", b)):
        if model.calibration is not None:
            print(f"\n{letter} was calibrated with {model.calibration}")


def _text(done: Comparison, width: int) -> str:
    from pyqtf.plot.table import Table, number

    kl, same, ratio = done.kl, done.agreement, done.perplexity_ratio
    table = Table(
        ("", "value", "95 % interval"),
        (
            ("KL(A || B), nats per token", f"{kl.value:.3g}", _interval(kl.low, kl.high, ".3g")),
            (
                "same top token",
                f"{100 * same.value:.2f} %",
                _interval(100 * same.low, min(100 * same.high, 100), ".2f", " %"),
            ),
            ("perplexity of A", number(done.perplexity_a), ""),
            ("perplexity of B", number(done.perplexity_b), ""),
            (
                "perplexity, B against A",
                f"{100 * (ratio[0] - 1):+.2g} %",
                _interval(100 * (ratio[1] - 1), 100 * (ratio[2] - 1), "+.2g", " %"),
            ),
        ),
    )
    return (
        f"A is {done.name_a}, B is {done.name_b}\n"
        f"{len(done.stories)} stories, {done.n_scored} tokens scored\n\n{table.to_text(width)}"
    )


def _interval(low: float, high: float, form: str, unit: str = "") -> str:
    """Both ends, or a dash where one story leaves none."""
    return "-" if low != low else f"{low:{form}} to {high:{form}}{unit}"
