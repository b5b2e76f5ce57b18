"""The loss of next tokens, without their logits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqtf import _core
from pyqtf._core import Matrix
from pyqtf.ops._arrays import as_float32


class CrossEntropy(NamedTuple):
    """What T hidden states say about their next tokens; see :func:`cross_entropy`."""

    nll: NDArray[np.float64]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]


def cross_entropy(
    hidden: ArrayLike, head: Matrix | ArrayLike, targets: ArrayLike, *, top_k: int = 0
) -> CrossEntropy:
    """Score the next token of each row without keeping the logits.

    ``logits = hidden @ head.T`` are computed tile by tile over the vocabulary. The negative log
    likelihood is ``log(sum(exp(logits))) - logits[target]``.

    Parameters
    ----------
    hidden : array of shape [T, d]
        Hidden states, normalised as the model's last layer leaves them.
    head : Matrix or array of shape [V, d]
        The output embedding, one row for each token of the vocabulary; pack it once with
        :func:`quantize` when it is used again.
    targets : array of T whole numbers from 0 to V - 1
        The tokens that came.
    top_k : int
        How many of the most likely tokens to name, 0 to V.

    Returns
    -------
    CrossEntropy
        A named tuple of

        - nll : float64 [T], in nats;
        - rank : int64 [T], 1 + the number of tokens with a logit above the target's;
        - entropy : float64 [T], of the predicted distribution, in nats;
        - top_ids : int64 [T, top_k], the most likely tokens first, equal ones by ascending id;
        - top_logprobs : float32 [T, top_k], their log probabilities, in nats.

    Raises
    ------
    TypeError
        If `targets` are not whole numbers.
    ValueError
        If shapes do not fit, a target or `top_k` is out of range, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from pyqtf import ops
    >>> result = ops.cross_entropy([[0.0, 1.0]], np.eye(2), [1], top_k=1)
    >>> result.nll.round(4), result.rank, result.top_ids
    (array([0.3133]), array([1]), array([[1]]))
    """
    packed = head if isinstance(head, Matrix) else _core.pack([as_float32(head, "head", 2)], "f32")
    ids = np.asarray(targets)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"targets: expected whole numbers, got an array of {ids.dtype}")
    return CrossEntropy(
        *_core.loss(as_float32(hidden, "hidden", 2), packed, ids.astype(np.int64), top_k)
    )
