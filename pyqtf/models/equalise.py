"""Outlier channels, moved from activations into weights before quantisation.

A normalised activation is ``x / rms(x) * norm``. Where a norm's weight is far larger for a channel
than for others, as in Qwen2.5, that channel decides the scale of its whole group of activations
and leaves few bits to the others, and the small weights of its column suffer likewise. Dividing the
norm by a factor and multiplying the column by it changes no product and evens out both. The factor
for channel j is ``sqrt(|norm_j| / rms(column_j))``, the balance of SmoothQuant
(https://arxiv.org/abs/2211.10438) with the norm in place of measured activations, relative to the
median channel and rounded to a power of two, so that not a bit of a weight is lost.

Mean KL divergence from f32 on the bundled stories (benchmarks/quality_groups.py); "planted": in
each layer three channels of both norms times 32, their columns divided by 32. Evened, as they are
while loading, these lose what the model as it was trained loses.

================================  ========  ========  ========
q8 in groups of                   32        64        128
================================  ========  ========  ========
stories-3m, as trained            1.1e-4    1.6e-4    2.7e-4
stories-3m, planted, evened       1.1e-4    1.6e-4    2.7e-4
stories-3m, planted, not evened   2.4e-3    4.5e-3    6.8e-3
stories-200k, as trained          5.9e-4    8.0e-4    1.3e-3
stories-200k, planted, evened     5.9e-4    8.0e-4    1.3e-3
stories-200k, planted, not        3.4e-2    5.5e-2    6.3e-2
================================  ========  ========  ========
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE_ROWS = 256


def column_scales(
    norm: NDArray[np.float32], parts: Sequence[NDArray[Any]]
) -> NDArray[np.float32] | None:
    """Return what to multiply the columns by, and to divide the norm by.

    Parameters
    ----------
    norm : float32 [k]
        Weight of the norm whose output the matrices take; with a bias b, ``sqrt(norm**2 + b**2)``.
    parts : arrays [n_i, k]
        The matrices, float32, float16 or uint16 words of bfloat16; some rows of each are looked at.

    Returns
    -------
    float32 [k] or None
        Powers of two, 1 for most channels; None where they all are 1.

    Examples
    --------
    >>> norm = np.array([1.0, 1.0, 64.0, 1.0], np.float32)
    >>> w = np.array([[1, -1, 1 / 64, 1], [1, 1, -1 / 64, -1]], np.float32)
    >>> column_scales(norm, [w]).tolist()
    [1.0, 1.0, 64.0, 1.0]
    """
    squares = np.zeros(len(norm))
    for part in parts:
        rows = part[:: -(-len(part) // _SAMPLE_ROWS)]
        if rows.dtype == np.uint16:
            rows = (rows.astype(np.uint32) << 16).view(np.float32)
        squares += (rows.astype(np.float64) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        balance = np.log2(np.abs(norm)) - 0.5 * np.log2(squares)
    usable = np.isfinite(balance)
    if not usable.any():
        return None
    steps = np.rint((balance - np.median(balance[usable])) / 2)
    scales = np.exp2(np.where(usable, steps.clip(-20, 20), 0)).astype(np.float32)
    return None if (scales == 1).all() else scales
