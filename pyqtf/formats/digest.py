"""A fingerprint of a model: the same wherever and however its files lie."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from numpy.typing import NDArray

from pyqtf import _core


class Digest:
    """One hash over named arrays, in the order in which they are added.

    It recognises weights and notices damage; it doesn't withstand someone who makes two files with
    the same fingerprint on purpose.

    Examples
    --------
    >>> import numpy as np
    >>> digest = Digest()
    >>> digest.add("w", np.zeros(3, np.float32))
    >>> digest.hexdigest()
    '9c15842071fcea82504ae26c13b9f570'
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, name: str, array: NDArray[Any]) -> None:
        """Add a C-contiguous array: its name, dtype, shape and bytes."""
        self.add_text(json.dumps([name, array.dtype.str, list(array.shape)]))
        self._hash.update(_core.hash_blocks(array).astype("<u8").tobytes())

    def add_text(self, text: str) -> None:
        """Add a text."""
        data = text.encode()
        self._hash.update(len(data).to_bytes(8, "little") + data)

    def hexdigest(self) -> str:
        """Return the hash of all that was added so far, as 32 hexadecimal digits."""
        return self._hash.hexdigest()
