"""From a local model to a GGUF file that llama.cpp runs."""

from __future__ import annotations

import os
from typing import Any

from pyqtf.formats import FormatError, open_folder, save_gguf
from pyqtf.formats.gguf_types import READABLE
from pyqtf.formats.gguf_write import WRITABLE, Rows
from pyqtf.models.gguf import gguf_metadata, rope_factors
from pyqtf.models.gguf_tensors import ROPE_FACTORS, file_rows
from pyqtf.models.registry import read_config
from pyqtf.models.weights import check_tensors, full_names, resolve_tied
from pyqtf.sources import find_source
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._files import tokenizer_json
from pyqtf.tokenizer._gguf import vocabulary_metadata


def export_gguf(
    name_or_path: str | os.PathLike[str], path: str | os.PathLike[str], *, dtype: str = "Q8_0"
) -> None:
    """Write a model with its tokenizer as one GGUF file.

    The weights are converted from the original ones, a few rows at a time, and not from those of a
    loaded model, which are rounded already. Some things llama.cpp computes otherwise: GPT-NeoX has
    GELU's tanh form, and no family but Gemma has sliding windows, so that texts may be no longer
    than a window. And where a tokenizer has a Metaspace step, llama.cpp puts a space also before
    texts that begin with one, and behind every special token.

    Parameters
    ----------
    name_or_path : str or path-like
        The name of a model that comes with pyqtf, a local Hugging Face folder, or a model on the
        hub.
    path : path-like
        The file to write; replaced if it exists, written whole or not at all.
    dtype : {"Q8_0", "Q4_0", "F16", "BF16", "F32"}
        How matrices are stored. Vectors are always F32, and so that the quantised types fit,
        matrices whose rows are no multiple of 32 are F16.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError
        The model is not there, lacks a file, or can't be downloaded; see `pyqtf.load`.
    pyqtf.formats.FormatError
        A file breaks its format, llama.cpp has no name for the way the tokenizer splits texts, a
        weight doesn't fit `dtype`, or the model computes something that a GGUF file can't say: a
        scaling of the rotary embedding, or a Gemma's scale of scores, which llama.cpp takes from
        its size.
    ValueError
        `dtype` is none of those.

    Examples
    --------
    >>> import pathlib, pyqtf, tempfile
    >>> name = pyqtf.bundled.names()[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "small.gguf"
    ...     pyqtf.export_gguf(name, path)
    ...     model = pyqtf.load(path)
    >>> model.n_params == pyqtf.load(name).n_params
    True
    """
    if dtype not in WRITABLE:
        raise ValueError(f"dtype must be one of {', '.join(WRITABLE)}, got {dtype!r}")
    source = find_source(name_or_path)
    if source.is_file:
        raise FormatError(f"{source.path}: expected a folder with the original weights, got a file")
    config = read_config(source.path)
    tensors = full_names(open_folder(source.path), config)
    config = resolve_tied(tensors, config)
    check_tensors(tensors, config)
    tokenizer = Tokenizer.from_file(source.tokenizer)
    template = tokenizer.chat_template
    try:
        vocabulary = vocabulary_metadata(
            tokenizer_json(source.tokenizer),
            config.vocab_size,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            chat_template=template if isinstance(template, str) else None,
        )
    except ValueError as error:
        raise FormatError(f"{source.tokenizer}: {error}") from None
    metadata: dict[str, Any] = {**gguf_metadata(config, source.name), **vocabulary}
    rows = file_rows(tensors, config)
    factors = rope_factors(config)
    if factors is not None:
        rows[ROPE_FACTORS] = factors
    save_gguf(path, metadata, {name: _stored(part, dtype) for name, part in rows.items()})


def _stored(rows: Rows, dtype: str) -> tuple[str, Rows]:
    """Return how a tensor is written."""
    if len(rows.shape) == 1:
        dtype = "F32"
    elif rows.shape[-1] % READABLE[dtype].block_size:
        dtype = "F16"
    return dtype, rows
