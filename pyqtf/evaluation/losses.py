"""The loss of every token of one sequence, as a model returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TokenLosses:
    """Losses of a sequence of T tokens; entry i belongs to token i+1, predicted from tokens 0..i.

    Attributes
    ----------
    nll : float64 [T-1]
        Negative log-likelihood of the token that came, in nats.
    rank : int64 [T-1]
        1 + the number of tokens with a strictly larger logit; 1 is the most likely token.
    entropy : float64 [T-1]
        Entropy of the predicted distribution, in nats.
    top_ids : int64 [T-1, k]
        The k most likely tokens, most likely first.
    top_logprobs : float32 [T-1, k]
        Their log-probabilities, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> losses = TokenLosses(
    ...     nll=np.array([0.5, 2.0]), rank=np.array([1, 3]), entropy=np.array([1.0, 1.5]),
    ...     top_ids=np.empty((2, 0), np.int64), top_logprobs=np.empty((2, 0), np.float32))
    >>> len(losses), losses.after(1).nll
    (2, array([2.]))
    """

    nll: NDArray[np.float64]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.nll)

    def after(self, start: int) -> TokenLosses:
        """Losses from entry `start` on, as views of the same memory."""
        return TokenLosses(
            self.nll[start:],
            self.rank[start:],
            self.entropy[start:],
            self.top_ids[start:],
            self.top_logprobs[start:],
        )
