"""Where q8's loss comes from, and what better scales would save: see csrc/core/matmul.h.

    python benchmarks/quality_rounding.py stories-30k stories-80k

rounds every matrix, narrow ones too, in the groups that its width has, and prints the mean KL
divergence from float32 in nats a token and the change in perplexity with its 95 % interval, on both
sets of stories. "weights" rounds no activations; "clipped" and "searched" choose each group's scale
by the squared error of its weights, from below the largest magnitude or from either side of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import pyqtf
from pyqtf import _core, bundled
from pyqtf._quants import group_of
from pyqtf.evaluation.compare import compare_models
from pyqtf.models.decoder import Decoder

Floats = NDArray[np.float32]
_PARTS = ("embed", "qkv", "o", "gate_up", "down")
# Integers that the largest magnitude of a group becomes, beside 127, in order of preference.
_CLIPPED = [127 / share for share in np.arange(0.98, 0.69, -0.02)]
_SEARCHED = np.arange(112, 136.01, 0.25).tolist()


def rounded(w: Floats, tops: list[float]) -> Floats:
    """Return weights as q8 holds them, each group under the best of its scales."""
    group = group_of(w.shape[1], "q8")
    x = np.pad(w, ((0, 0), (0, -w.shape[1] % group))).reshape(len(w), -1, group).astype(np.float64)
    largest = np.abs(x).max(axis=2, keepdims=True)
    best, least = x, np.full_like(largest, np.inf)
    for top in (127.0, *tops):
        scale = np.where(largest == 0, 1, largest / top)
        candidate = np.clip(np.rint(x / scale), -127, 127) * scale
        error = ((candidate - x) ** 2).sum(axis=2, keepdims=True)
        best = np.where(error < least, candidate, best)
        least = np.minimum(error, least)
    return best.reshape(len(w), -1)[:, : w.shape[1]].astype(np.float32)


def to_q8(matrix: _core.Matrix) -> _core.Matrix:
    """Round the weights, and activations in products with them."""
    return _core.pack([matrix.dequantize()], "q8", group_of(matrix.shape[1], "q8"))


def weights_alone(tops: list[float]) -> Callable[[_core.Matrix], _core.Matrix]:
    """Round the weights, and compute with them in float32."""
    return lambda matrix: _core.pack([rounded(matrix.dequantize(), tops)], "f32")


def changed(
    name: str, parts: tuple[str, ...], change: Callable[[_core.Matrix], _core.Matrix]
) -> pyqtf.Model:
    """Load a model with tied embeddings in float32 and change some of its matrices."""
    model = pyqtf.load(name, quant="f32")
    weights = model._decoder.weights
    layers = tuple(
        replace(layer, **{p: change(getattr(layer, p)) for p in parts if p != "embed"})
        for layer in weights.layers
    )
    embed = change(weights.embed) if "embed" in parts else weights.embed
    weights = replace(weights, embed=embed, head=embed, layers=layers)
    model._decoder = Decoder(model.config, weights)
    return model


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names of trained models with tied embeddings")
    variants = [("all", _PARTS, to_q8), *((f"only {part}", (part,), to_q8) for part in _PARTS)]
    for label, tops in [("", []), (", clipped", _CLIPPED), (", searched", _SEARCHED)]:
        variants.append((f"weights{label}", _PARTS, weights_alone(tops)))
    for name in parser.parse_args().models:
        exact = pyqtf.load(name, quant="f32")
        for label, parts, change in variants:
            model, cells = changed(name, parts, change), []
            for which in ("generated", "handwritten"):
                done = compare_models(exact, model, bundled.stories(which))
                ratio, low, high = (100 * (r - 1) for r in done.perplexity_ratio)
                cells.append(f"{done.kl.value:.1e}  {ratio:+.2f} % ({low:+.2f} to {high:+.2f})")
            print(f"{name:14} {label:18}", *cells, sep="   ", flush=True)


if __name__ == "__main__":
    main()
