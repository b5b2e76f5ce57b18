"""What another tool would have printed, from losses that are there already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqtf.evaluation.measure import WHITE_SPACE, Measurement, Reading, averaged
from pyqtf.evaluation.protocol import Protocol, Window, get_protocol
from pyqtf.evaluation.receipt import Receipt, protocol_fields
from pyqtf.evaluation.score import Score

_NOTHING = np.empty(0, np.int32)


def convert(
    result: Measurement | Score,
    protocol: str | Protocol,
    *,
    window: int | None = None,
    stride: int | None = None,
    prefix: str | None = None,
) -> Measurement:
    """Derive the figure of another protocol without the model.

    A loss depends on the tokens before it and on nothing else. So a protocol's figure follows from
    losses made by another one where each of its windows begins with the very tokens of a pass that
    was made: llama.cpp's from GPTQ's windows of the same size, for instance. A window that the
    model read behind other tokens gives other losses: that is refused, not approximated.

    Parameters
    ----------
    result : Measurement or Score
        What `pyqtf.measure` or `pyqtf.Model.score` returned.
    protocol : str or Protocol
        "per-story", "hf-stride", "gptq-2048", "llama.cpp" or "lm-eval".
    window, stride, prefix
        Changes to the protocol, as for `pyqtf.measure`. A score doesn't know how much its model
        can read: protocols without a window of their own need one here.

    Returns
    -------
    Measurement
        Equal in every bit to what `pyqtf.measure` gives for that protocol.

    Raises
    ------
    ValueError
        The losses that the protocol needs are not there; or as `pyqtf.measure`.

    Examples
    --------
    >>> import pyqtf
    >>> model = pyqtf.load(pyqtf.bundled.names()[0])
    >>> text = " ".join(story["text"] for story in pyqtf.bundled.stories()[:9])
    >>> found = pyqtf.measure(model, text, "gptq-2048", window=128)
    >>> again = pyqtf.measure(model, text, "llama.cpp", window=128)
    >>> convert(found, "llama.cpp", window=128).perplexity == again.perplexity
    True
    """
    chosen = get_protocol(protocol).change(window=window, stride=stride, prefix=prefix)
    if isinstance(result, Score):
        if chosen.window is None and chosen.name != "per-story":
            raise ValueError(
                f"protocol {chosen.name} reads as much as the model can, which a score doesn't "
                "say; give window="
            )
        reading = _reading(result)
    else:
        reading = result.reading
    windows = reading.windows(chosen)
    losses = [
        _found(reading, each, f"window {i + 1} of {len(windows)}", chosen.name)
        for i, each in enumerate(windows)
    ]
    fields = {
        **result.receipt.protocol,
        **protocol_fields(chosen, reading.limit, _NOTHING),
    }
    receipt = Receipt(fields, result.receipt.provenance)
    return averaged(chosen, windows, losses, reading, receipt)


def _found(reading: Reading, window: Window, which: str, name: str) -> NDArray[np.float64]:
    """Losses of a window's scored tokens, from a pass that begins with the window's tokens."""
    n = len(window.ids)
    wanted = window.ids.tobytes()
    for ids, nll in reading.passes:
        losses = nll[window.first - 1 : n - 1]
        if ids.tobytes().startswith(wanted) and not np.isnan(losses).any():
            return losses
    raise ValueError(
        f"what {name} prints doesn't follow from this result: {which} has the model read {n} "
        "tokens from a fresh start, and here it read them behind others or not at all; "
        f"run pyqtf.measure(model, text, {name!r})"
    )


def _reading(score: Score) -> Reading:
    """A score as a reading; what was only context has no losses."""
    n = score.n_context
    nll = np.full(len(score.ids) - 1, np.nan)
    nll[len(nll) - score.n_scored :] = score.losses.nll
    # A context of one token may be what a protocol puts before a text.
    before = int(score.ids[0]) if n == 1 else None
    text = score.text
    return Reading(
        passes=[(score.ids, nll)],
        sequences=[score.ids[n:]],
        n_words=len(WHITE_SPACE.split(text)),
        n_bytes=len(text.encode("utf-8")),
        limit=max(len(score.ids), 2),
        prefix_ids={"bos": before, "eos": before},
    )
