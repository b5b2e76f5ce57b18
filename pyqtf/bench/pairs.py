"""Timing something beside the machine's limit, so that a busy machine slows both."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyqtf import _core


def beside_limit(
    call: Callable[[], object], kind: str, n: int, at_most: float = float("inf")
) -> tuple[list[float], list[float]]:
    """Time up to n calls, each between two runs of a limit's loop.

    Parameters
    ----------
    call : callable
        What is timed; it is called once or more often.
    kind : {"f32", "q8", "q4"}
        The limit beside it.
    n : int
        Most calls.
    at_most : float
        Seconds after which no further call is begun.

    Returns
    -------
    seconds : list of float
        Of each call.
    limits : list of float
        Operations a second, the mean of before and after each call.

    Examples
    --------
    >>> seconds, limits = beside_limit(lambda: None, "f32", 2)
    >>> len(seconds), min(limits) > 0
    (2, True)
    """
    seconds: list[float] = []
    limits: list[float] = []
    before = _core.limit(kind, 0.1)[1]
    while not seconds or (len(seconds) < n and sum(seconds) < at_most):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
        after = _core.limit(kind, 0.1)[1]
        limits.append(0.5 * (before + after))
        before = after
    return seconds, limits
