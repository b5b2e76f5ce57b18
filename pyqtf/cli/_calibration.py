"""``--calibration``: the texts that q4 weights are rounded for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyqtf.cli._text import SETS, named_stories

if TYPE_CHECKING:
    from pyqtf.evaluation.stories import Story


def add_calibration(parser: Any) -> None:
    """Add the option to a command."""
    parser.add_argument(
        "--calibration",
        metavar=f"FILE|{'|'.join(SETS)}",
        help="with q4: texts to round the weights for, not those that are scored; "
        "a file or a bundled set, as for pyqtf scaling --stories",
    )


def calibration_texts(argument: str | None, scored: Sequence[str] = ()) -> list[Story] | None:
    """Return the texts that the option names, or None without it.

    Raises
    ------
    FileNotFoundError, ValueError
        As `pyqtf.read_stories`.

    Warns
    -----
    UserWarning
        Some of them are among the texts that will be scored.
    """
    if argument is None:
        return None
    texts = named_stories(argument)
    if scored:
        from pyqtf.evaluation.calibrated import CalibratedTextsWarning, warn_of_shared

        if warn_of_shared(scored, texts):
            # Once, and not again when the model is there.
            warnings.simplefilter("ignore", CalibratedTextsWarning)
    return texts
