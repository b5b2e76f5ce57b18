"""Short sequences share a call of the model, so that the kernels see enough rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

# No result depends on it: every sequence is scored alone.
BATCH_TOKENS = 2048
# Of what one task holds where several workers share the stories: enough rows for the kernels, and
# few enough that the last worker to finish is not far behind.
TASK_TOKENS = 512


def batches(
    indices: Iterable[int], lengths: Sequence[int], *, limit: int | None = None
) -> Iterator[list[int]]:
    """Cut `indices` into runs of at most `limit` tokens together, or of one long sequence.

    Examples
    --------
    >>> list(batches(range(4), [3, 4, 9, 1], limit=8))
    [[0, 1], [2], [3]]
    """
    most = BATCH_TOKENS if limit is None else limit
    batch: list[int] = []
    n_tokens = 0
    for i in indices:
        if batch and n_tokens + lengths[i] > most:
            yield batch
            batch, n_tokens = [], 0
        batch.append(i)
        n_tokens += lengths[i]
    if batch:
        yield batch
