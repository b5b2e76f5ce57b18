"""Public perplexities on WikiText-2, and whether pyqtf gives the same."""

from __future__ import annotations

import gc
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.measure import measure
from pyqtf.evaluation.models import Models, as_models, open_model
from pyqtf.evaluation.stories import read_text

# wiki.test.raw of WikiText-2, as its authors published it.
_SHA256 = "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08"
# Others computed in float16 or bfloat16; another protocol, text or tokenizer moves it by more.
_TOLERANCE = 0.002


@dataclass(frozen=True)
class Figure:
    """A perplexity that others published.

    Attributes
    ----------
    model : str
        Id on the Hugging Face hub.
    protocol : str
        See `pyqtf.measure`.
    window, stride : int or None
        Of the protocol; None for its own.
    perplexity : str
        As printed: its digits say how sharp it is.
    tool : str
        What computed it, and in which precision.
    """

    model: str
    protocol: str
    window: int | None
    stride: int | None
    perplexity: str
    tool: str

    @property
    def tolerance(self) -> float:
        """How far another value may be off: half a unit of the last digit, and 0.2 %."""
        decimals = len(self.perplexity.partition(".")[2])
        return 0.5 * 10.0**-decimals + _TOLERANCE * float(self.perplexity)


def _gptq(model: str, perplexity: str) -> Figure:
    return Figure(model, "gptq", 2048, None, perplexity, "GPTQ's evaluation, float16")


FIGURES = (
    _gptq("Qwen/Qwen2.5-0.5B", "13.07"),
    _gptq("Qwen/Qwen2.5-1.5B", "9.27"),
    _gptq("Qwen/Qwen2.5-3B", "8.03"),
    _gptq("meta-llama/Llama-3.2-1B", "9.76"),
    Figure("Qwen/Qwen2.5-0.5B", "llama.cpp", 512, None, "13.895", "llama.cpp, float32"),
    Figure("Qwen/Qwen2.5-1.5B", "llama.cpp", 512, None, "10.014", "llama.cpp, float32"),
    Figure("Qwen/Qwen2.5-0.5B-Instruct", "llama.cpp", 512, None, "15.182", "llama.cpp, float16"),
    Figure("Qwen/Qwen2.5-1.5B-Instruct", "llama.cpp", 512, None, "10.151", "llama.cpp, float16"),
    Figure("openai-community/gpt2-large", "hf-stride", 1024, 1024, "19.44", "transformers' guide"),
    Figure("openai-community/gpt2-large", "hf-stride", 1024, 512, "16.44", "transformers' guide"),
    Figure("openai-community/gpt2", "hf-stride", 1024, 1024, "29.94", "transformers' guide"),
)


def verify_figures(models: Models, wikitext: str | Path, *, quant: str = "f32") -> pd.DataFrame:
    """Measure what others published for these models, on WikiText-2.

    Parameters
    ----------
    models : names, paths or models
        A model is known by its hub id or by the name of its folder, such as ``Qwen2.5-0.5B``.
    wikitext : path
        ``wiki.test.raw`` of WikiText-2 (wikitext-2-raw-v1), in UTF-8.
    quant : {"q8", "q4", "f32"}
        How to store the weights of models given by name.

    Returns
    -------
    DataFrame
        One row per figure: ``model_name``, ``tool``, ``protocol``, ``public``, ``measured``,
        ``difference`` (relative), ``agrees``.

    Raises
    ------
    ValueError
        No figure is known for a model.
    FileNotFoundError
        There is no such file.

    Warns
    -----
    UserWarning
        The file is not the published one, so the figures can't agree.

    Examples
    --------
    >>> [figure.perplexity for figure in figures_for("Qwen/Qwen2.5-0.5B")]
    ['13.07', '13.895']
    """
    wanted = as_models(models)
    known = [figures_for(one if isinstance(one, str) else _name(one)) for one in wanted]
    raw = read_text(wikitext)
    if hashlib.sha256(raw.encode("utf-8")).hexdigest() != _SHA256:
        warnings.warn(
            f"{wikitext} is not wiki.test.raw as published, so the figures can't be expected to "
            "agree",
            stacklevel=2,
        )
    rows: list[dict[str, object]] = []
    for place, figures in enumerate(known):
        model = open_model(wanted[place], quant)
        wanted[place] = ""
        rows += [_row(model, figure, raw) for figure in figures]
        del model
        gc.collect()
    return pd.DataFrame(rows)


def figures_for(name: str) -> list[Figure]:
    """Return the figures of a model, by its hub id or the name of its folder.

    Raises
    ------
    ValueError
        There are none.
    """
    short = Path(name.partition("@")[0]).name.lower()
    found = [figure for figure in FIGURES if figure.model.rpartition("/")[2].lower() == short]
    if not found:
        ids = ", ".join(dict.fromkeys(figure.model for figure in FIGURES))
        raise ValueError(f"no public figure is known for {name!r}; there are some for: {ids}")
    return found


def rows_of_wikitext(raw: str) -> list[str]:
    r"""Cut wiki.test.raw as the Hugging Face dataset does: a line each, blank ones empty.

    Examples
    --------
    >>> rows_of_wikitext(" \n = A = \n \n")
    ['', ' = A = \n', '']
    """
    lines = raw.removesuffix("\n").split("\n")
    return [f"{line}\n" if line.strip() else "" for line in lines]


def _row(model: LanguageModel, figure: Figure, raw: str) -> dict[str, object]:
    # llama-perplexity reads the file; the others read the data set's rows, two newlines between.
    text = raw if figure.protocol == "llama.cpp" else "\n\n".join(rows_of_wikitext(raw))
    found = measure(model, text, figure.protocol, window=figure.window, stride=figure.stride)
    public = float(figure.perplexity)
    return {
        "model_name": model.name,
        "tool": figure.tool,
        "protocol": _named(figure),
        "public": public,
        "measured": found.perplexity,
        "difference": found.perplexity / public - 1,
        "agrees": abs(found.perplexity - public) <= figure.tolerance,
    }


def _named(figure: Figure) -> str:
    parts: Sequence[str] = (
        figure.protocol,
        f"window {figure.window}" if figure.window else "",
        f"stride {figure.stride}" if figure.stride else "",
    )
    return ", ".join(filter(None, parts))


def _name(model: LanguageModel | Path) -> str:
    return model.name


def all_agree(checks: Iterable[bool]) -> None:
    """Raise ValueError unless every check holds."""
    results = list(checks)
    if not all(results):
        raise ValueError(
            f"{results.count(False)} of {len(results)} numbers differ by more than they may"
        )
