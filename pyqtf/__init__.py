"""Measure language models on an ordinary CPU, from a notebook."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyqtf._version import __version__

try:
    from pyqtf import _core as _core
except ImportError as error:
    from pyqtf._startup import fail

    fail(error)

if TYPE_CHECKING:
    from pyqtf import bundled, plot
    from pyqtf.evaluation.bootstrap import bootstrap_intervals
    from pyqtf.evaluation.breakdown import loss_by, token_classes
    from pyqtf.evaluation.chat import evaluate_chat
    from pyqtf.evaluation.compare import Comparison, compare_models
    from pyqtf.evaluation.confounds import regress_loss, token_features
    from pyqtf.evaluation.context import evaluate_contexts, summarise_contexts
    from pyqtf.evaluation.convert import convert
    from pyqtf.evaluation.evaluate import evaluate, evaluate_tokens
    from pyqtf.evaluation.measure import measure
    from pyqtf.evaluation.power import stories_needed
    from pyqtf.evaluation.scaling_law import fit_scaling_law
    from pyqtf.evaluation.score import Score, compute_perplexity
    from pyqtf.evaluation.spoiled import spoil_stories, summarise_spoiled
    from pyqtf.evaluation.statistics import paired_differences, summarise
    from pyqtf.evaluation.stories import read_stories
    from pyqtf.experiment import run_scaling
    from pyqtf.export import export_gguf
    from pyqtf.loading import load
    from pyqtf.model import Model
    from pyqtf.models.cache import KVCache
    from pyqtf.planning import estimate

# Where each public name lives. It is imported on first use: pandas and matplotlib take a second
# that a script which only loads and scores should not wait for.
_HOME = {
    "Comparison": "pyqtf.evaluation.compare",
    "KVCache": "pyqtf.models.cache",
    "Model": "pyqtf.model",
    "Score": "pyqtf.evaluation.score",
    "bootstrap_intervals": "pyqtf.evaluation.bootstrap",
    "bundled": "",
    "compare_models": "pyqtf.evaluation.compare",
    "compute_perplexity": "pyqtf.evaluation.score",
    "convert": "pyqtf.evaluation.convert",
    "estimate": "pyqtf.planning",
    "evaluate": "pyqtf.evaluation.evaluate",
    "evaluate_chat": "pyqtf.evaluation.chat",
    "evaluate_contexts": "pyqtf.evaluation.context",
    "evaluate_tokens": "pyqtf.evaluation.evaluate",
    "export_gguf": "pyqtf.export",
    "fit_scaling_law": "pyqtf.evaluation.scaling_law",
    "load": "pyqtf.loading",
    "loss_by": "pyqtf.evaluation.breakdown",
    "measure": "pyqtf.evaluation.measure",
    "paired_differences": "pyqtf.evaluation.statistics",
    "plot": "",
    "read_stories": "pyqtf.evaluation.stories",
    "regress_loss": "pyqtf.evaluation.confounds",
    "run_scaling": "pyqtf.experiment",
    "spoil_stories": "pyqtf.evaluation.spoiled",
    "stories_needed": "pyqtf.evaluation.power",
    "summarise": "pyqtf.evaluation.statistics",
    "summarise_contexts": "pyqtf.evaluation.context",
    "summarise_spoiled": "pyqtf.evaluation.spoiled",
    "token_classes": "pyqtf.evaluation.breakdown",
    "token_features": "pyqtf.evaluation.confounds",
}

__all__ = [
    "Comparison",
    "KVCache",
    "Model",
    "Score",
    "__version__",
    "bootstrap_intervals",
    "bundled",
    "compare_models",
    "compute_perplexity",
    "convert",
    "estimate",
    "evaluate",
    "evaluate_chat",
    "evaluate_contexts",
    "evaluate_tokens",
    "export_gguf",
    "fit_scaling_law",
    "load",
    "loss_by",
    "measure",
    "paired_differences",
    "plot",
    "read_stories",
    "regress_loss",
    "run_scaling",
    "spoil_stories",
    "stories_needed",
    "summarise",
    "summarise_contexts",
    "summarise_spoiled",
    "token_classes",
    "token_features",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pyqtf' has no attribute {name!r}")
    home = _HOME[name]
    value = getattr(import_module(home), name) if home else import_module(f"pyqtf.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
