"""Ways to make a decoder wrong on purpose, so that a comparison shows that it would notice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from pyqtf import _core


def with_core(**functions):
    """The C core with some functions replaced."""
    names = {name: getattr(_core, name) for name in dir(_core) if not name.startswith("__")}
    return SimpleNamespace(**{**names, **functions})


def with_config(model, **changes):
    """Let the decoder of a loaded model compute by another config."""
    model._decoder.config = replace(model.config, **changes)


def with_layers(model, **changes):
    """Change fields of every layer of a loaded model, each by a function of the old value."""
    weights = model._decoder.weights
    layers = tuple(
        replace(layer, **{k: change(getattr(layer, k)) for k, change in changes.items()})
        for layer in weights.layers
    )
    model._decoder.weights = replace(weights, layers=layers)
