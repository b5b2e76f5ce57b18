"""What a model is and what it would take here, without reading its weights."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyqtf import bundled, costs
from pyqtf._memory import available_memory
from pyqtf._quants import QUANTS, part_quant
from pyqtf.bench.estimate import estimate_seconds
from pyqtf.formats import Tensor, hub, is_gguf, open_folder, read_gguf
from pyqtf.loading import read_gguf_tokenizer
from pyqtf.models import ModelConfig, gguf, read_config
from pyqtf.models.cache import DTYPES, cache_bytes, default_dtype
from pyqtf.models.gguf_tensors import named_tensors
from pyqtf.models.registry import FAMILIES
from pyqtf.models.saved import read_header
from pyqtf.models.weights import check_tensors, full_names, needed_bytes, part_shapes
from pyqtf.plot.table import Table
from pyqtf.sources import Source, find_local, find_on_hub, hub_source
from pyqtf.tokenizer import Tokenizer


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model before it is loaded.

    Attributes
    ----------
    name : str
        What it is called.
    where : str
        What its files are, and where.
    config : ModelConfig
        Its shape.
    tokenizer : Tokenizer
        Its tokenizer.
    stored : mapping of str to int
        Bytes of its weights by their type.
    quants : tuple of str
        Storages that it can be loaded in.
    """

    name: str
    where: str
    config: ModelConfig
    tokenizer: Tokenizer
    stored: Mapping[str, int]
    quants: tuple[str, ...] = QUANTS

    def facts(self) -> dict[str, str]:
        """Return what to show of it, in order."""
        c, stored = self.config, sum(self.stored.values())
        tied = "tied to the output head" if c.tie_word_embeddings else "apart from the output head"
        kinds = " and ".join(self.stored)
        more = costs.flops_per_token(c, 1) - costs.flops_per_token(c)
        exact = _share_never_rounded(c)
        never = {
            "never rounded": f"{100 * exact:.0f} % of the weights, which stay float32 in q8 and q4"
        }
        return {
            "name": self.name,
            "where": self.where,
            "architecture": f"{c.family} ({FAMILIES[c.family].architecture})",
            "layers": f"{c.n_layers} of width {c.hidden_size}, "
            f"feed-forward network of width {c.intermediate_size}",
            "attention": f"{c.n_heads} heads of width {c.head_dim}, {c.n_kv_heads} for keys and "
            "values",
            "longest text": f"{c.max_position_embeddings:,} tokens",
            "tokenizer": f"{len(self.tokenizer):,} tokens",
            "embedding": f"{c.vocab_size:,} rows, {tied}",
            "parameters": f"{costs.n_params(c):,}",
            "without embeddings": f"{costs.n_params_non_embedding(c):,}",
            "weights in the file": f"{kinds}, {size(stored)}",
            **(never if exact else {}),
            "FLOPs a token": f"{costs.flops_per_token(c) / 1e6:,.4g} million, and {more:,.0f} more "
            "for each token that it looks back at",
        }

    def needs(self) -> Table:
        """Return what each storage needs in memory, and in time for the 50 bundled stories.

        The times are estimates, see `pyqtf.bench.estimate.estimate_seconds`.
        """
        texts = [story["text"] for story in bundled.stories()]
        lengths = [len(ids) for ids in self.tokenizer.encode_batch(texts)]
        rows = []
        for quant in self.quants:
            needed = needed_bytes(self.config, quant)
            fits = needed <= available_memory()
            seconds = "-"
            if fits and max(lengths) <= self.config.max_position_embeddings:
                seconds = duration(estimate_seconds(self.config, quant, lengths))
            rows.append((quant, size(needed), "yes" if fits else "no", seconds))
        return Table(("loaded as", "needs", "fits here", "50 stories take about"), tuple(rows))

    def caches(self) -> Table:
        """Return what the keys and values of a text take, as `pyqtf.KVCache` stores them."""
        c, longest = self.config, self.config.max_position_embeddings
        rows = []
        for dtype in DTYPES:
            quants = [quant for quant in self.quants if default_dtype(c, quant) == dtype]
            sizes = [size(cache_bytes(c, dtype, n)) for n in (1, longest)]
            rows.append((dtype, ", ".join(quants) or "-", *sizes))
        return Table(("KV cache", "default for", "a token", f"{longest:,} tokens"), tuple(rows))


def inspect_model(name_or_path: str | os.PathLike[str], revision: str | None = None) -> ModelInfo:
    """Find out what a model is, without reading or downloading its weights.

    Of a model on the hub, the config, the tokenizer and the headers of the weights are fetched.

    Parameters
    ----------
    name_or_path, revision
        As `pyqtf.load` takes them; of ``.gguf`` files on the hub only those in the cache.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError, pyqtf.formats.FormatError
        As `pyqtf.load`, as far as it can be told from config, tokenizer and headers.

    Examples
    --------
    >>> inspect_model("stories-30k").facts()["architecture"]
    'qwen2 (Qwen2ForCausalLM)'
    """
    source = find_local(name_or_path)
    if source is not None and source.is_file:
        return (_inspect_gguf if is_gguf(source.path) else _inspect_saved)(source)
    if source is not None:
        return _inspect_folder(source, open_folder(source.path), f"folder {source.path}")
    model = find_on_hub(name_or_path, revision)
    if model.file is not None:
        source = hub_source(model, hub.fetch_file(model))
        return _inspect_gguf(source)
    folder = hub.fetch_small(model)
    source = hub_source(model, folder)
    read_config(folder)
    there = all((folder / name).exists() for name in hub.weight_files(folder))
    state = "downloaded" if there else "weights not downloaded yet"
    where = f"{model.repo} on the hub, commit {folder.name[:12]}, {state}"
    return _inspect_folder(source, hub.fetch_headers(model, folder), where)


def _inspect_folder(source: Source, tensors: Mapping[str, Tensor], where: str) -> ModelInfo:
    config = read_config(source.path)
    tensors = full_names(tensors, config)
    check_tensors(tensors, config)
    tokenizer = Tokenizer.from_file(source.tokenizer)
    return ModelInfo(source.name, where, config, tokenizer, _stored(tensors))


def _inspect_gguf(source: Source) -> ModelInfo:
    file = read_gguf(source.path)
    config = gguf.read_config(file)
    check_tensors(named_tensors(file, config), config)
    tokenizer, _ = read_gguf_tokenizer(file)
    where = f"GGUF file {source.path}"
    return ModelInfo(source.name, where, config, tokenizer, _stored(file.tensors))


def _inspect_saved(source: Source) -> ModelInfo:
    header = read_header(source.path)
    tokenizer = Tokenizer.from_json(header.tokenizer.tobytes(), **header.special)
    size = {header.quant: Path(source.path).stat().st_size}
    where = f"saved by pyqtf, {source.path}"
    if header.calibration is not None:
        where += f"; calibrated with {header.calibration}"
    return ModelInfo(header.name, where, header.config, tokenizer, size, (header.quant,))


def _share_never_rounded(config: ModelConfig) -> float:
    """Return the share of the matrices' weights that stay float32 in q8 and q4."""
    matrices = {name: s for name, s in part_shapes(config).items() if len(s) > 1}
    exact = [s for name, s in matrices.items() if part_quant(name, s[1], "q8") == "f32"]
    return sum(map(math.prod, exact)) / sum(map(math.prod, matrices.values()))


def _stored(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the bytes of each type, the most first."""
    sizes: dict[str, int] = {}
    for tensor in tensors.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.stop - tensor.start
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def size(n_bytes: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> size(494_000_000), size(1_234_567), size(12_288), size(72)
    ('0.49 GB', '1.2 MB', '12.3 kB', '72 bytes')
    """
    if n_bytes >= 1e8:
        return f"{n_bytes / 1e9:.2f} GB"
    if n_bytes >= 1e5:
        return f"{n_bytes / 1e6:.1f} MB"
    return f"{n_bytes / 1e3:.1f} kB" if n_bytes >= 1000 else f"{n_bytes} bytes"


def duration(seconds: float) -> str:
    """Return a time for people.

    Examples
    --------
    >>> duration(0.1234), duration(70), duration(200)
    ('0.12 s', '70 s', '3 min')
    """
    if seconds >= 180:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
