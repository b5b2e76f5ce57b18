"""The same stories and weights under transformers, run live."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyqtf.evaluation.stories import Stories, as_stories
from pyqtf.models.registry import FAMILIES, read_config
from pyqtf.sources import find_source

if TYPE_CHECKING:
    from pyqtf.sources import Source

# Both compute in float32, in another order.
_TOLERANCE = 1e-5


def verify_against_transformers(models: Sequence[str | Path], stories: Stories) -> pd.DataFrame:
    """Perplexity of stories under pyqtf in f32 and under transformers in float32.

    One model is in memory at a time.

    Parameters
    ----------
    models : list of names or paths
        Bundled models, Hugging Face folders or hub ids; not single files, which transformers does
        not read.
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        What to score.

    Returns
    -------
    DataFrame
        One row per model and story: ``model_name``, ``story_idx``, ``n_tokens``, ``same_tokens``
        (both tokenizers give the same ids), ``pyqtf`` and ``transformers`` (perplexities),
        ``difference`` (relative), ``max_nll_difference`` (largest of a token, nats), ``agrees``:
        same tokens, and perplexities within 1e-5. A story longer than the model can read is cut
        for both; ``n_read`` says how many of its tokens they read.

    Raises
    ------
    ImportError
        transformers or torch is not installed.
    ValueError
        A model is a single file.
    """
    torch, transformers = _installed()
    texts = [story["text"] for story in as_stories(stories)]
    rows: list[dict[str, Any]] = []
    for name in models:
        source = find_source(name)
        if source.is_file:
            raise ValueError(f"{name} is a single file; transformers needs the model's folder")
        ours = _ours(name, texts)
        read = [ids[: len(nll) + 1] for ids, nll in ours]
        theirs = _theirs(torch, transformers, source, read)
        tokens = _tokens(transformers, source, texts)
        for index, ((ids, nll), other, their_ids) in enumerate(
            zip(ours, theirs, tokens, strict=True)
        ):
            a, b = (math.exp(math.fsum(values) / len(values)) for values in (nll, other))
            same = list(map(int, ids)) == their_ids
            rows.append(
                {
                    "model_name": source.name,
                    "story_idx": index,
                    "n_tokens": len(ids),
                    "n_read": len(nll) + 1,
                    "same_tokens": same,
                    "pyqtf": a,
                    "transformers": b,
                    "difference": a / b - 1,
                    "max_nll_difference": float(np.abs(nll - other).max()),
                    "agrees": same and abs(a / b - 1) <= _TOLERANCE,
                }
            )
    return pd.DataFrame(rows)


def _installed() -> tuple[Any, Any]:
    try:
        return import_module("torch"), import_module("transformers")
    except ImportError as error:
        raise ImportError(
            f"{error.name} is not installed, and without it nothing can be held against "
            "transformers: pip install torch transformers"
        ) from error


def _ours(
    name: str | Path, texts: Sequence[str]
) -> list[tuple[NDArray[np.int32], NDArray[np.float64]]]:
    import pyqtf

    model = pyqtf.load(name, quant="f32")
    longest = model.config.max_position_embeddings
    sequences = model.tokenizer.encode_batch(texts)
    return [(ids, model.score(ids[:longest]).losses.nll) for ids in sequences]


def _theirs(
    torch: Any, transformers: Any, source: Source, sequences: Sequence[NDArray[np.int32]]
) -> list[NDArray[np.float64]]:
    gc.collect()
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        # AutoModel asks for a model_type, which pyqtf does not.
        family = getattr(transformers, FAMILIES[read_config(source.path).family].architecture)
        model = family.from_pretrained(source.path, dtype=torch.float32)
    finally:
        if shown:
            bars.enable_progress_bar()
    model.eval()
    found = []
    with torch.no_grad():
        for sequence in sequences:
            ids = torch.from_numpy(sequence.astype(np.int64))
            logprobs = torch.log_softmax(model(ids[None]).logits[0, :-1].double(), dim=-1)
            found.append(-logprobs.gather(1, ids[1:, None])[:, 0].numpy())
    return found


def _tokens(transformers: Any, source: Source, texts: Sequence[str]) -> list[list[int]]:
    file = source.tokenizer / "tokenizer.json"
    if file.exists():
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.tokenizer)
    return [list(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
