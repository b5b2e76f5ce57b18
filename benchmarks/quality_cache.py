"""What a KV cache of fewer bits costs in quality: KL divergence and perplexity against float32.

    python benchmarks/quality_cache.py stories-3m stories-500k

prints a Markdown table. Weights are float32, so that the cache makes all the difference; keys and
values of every token are read back from it, the token's own included; with bf16, queries and
attention weights are rounded too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyqtf
from pyqtf import bundled
from pyqtf.evaluation.compare import compare_models

_HEADER = """\
| model | KV cache | KL, nats a token | same top token | loss, nats a token (95 % interval) |
| --- | --- | ---: | ---: | ---: |"""


class WithCache:
    """A model that reads every text through a cache of one storage."""

    def __init__(self, model: pyqtf.Model, dtype: str) -> None:
        self._model, self._dtype = model, dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def logit_blocks(self, ids: NDArray[np.int32], *, rows: int) -> Iterator[NDArray[np.float32]]:
        """Logits, a few rows at a time."""
        cache = pyqtf.KVCache(self._model.config, self._dtype)
        for start in range(0, len(ids), rows):
            yield self._model.logits(ids[start : start + rows], cache=cache)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or folders of trained models")
    parser.add_argument("--stories", type=int, default=50, help="how many of the bundled stories")
    args = parser.parse_args()
    stories = [story["text"] for story in bundled.stories()[: args.stories]]
    print(_HEADER)
    for name in args.models:
        model = pyqtf.load(name, quant="f32")
        for dtype in ("f16", "bf16", "q8"):
            done = compare_models(model, WithCache(model, dtype), stories)
            change = done.difference
            print(
                f"| {model.name} | {dtype} | {done.kl.value:.1e} "
                f"| {100 * done.agreement.value:.2f} % "
                f"| {change.value:+.1e} ({change.low:+.1e} to {change.high:+.1e}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
