"""The tables of csrc/core/matmul.h and pyqtf/models/equalise.py: q8 by group, outliers planted.

    python benchmarks/quality_groups.py stories-200k stories-3m

prints the mean KL divergence from float32, in nats a token, on the stories that come with pyqtf.
"planted" multiplies three channels of each norm in front of a matrix by 32 and divides their
columns by 32, which changes no bit in float32; "not evened" leaves such channels where they are.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np

import pyqtf
from pyqtf import bundled
from pyqtf.evaluation.compare import compare_models
from pyqtf.formats import open_folder, save_safetensors
from pyqtf.loading import find_source
from pyqtf.models import loader

_GROUPS = (8, 16, 32, 64, 128, 256, 4096)
_BEHIND = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


def plant(name: str, target: Path, factor: float = 32.0) -> Path:
    """Write a model of Qwen2's names with three channels of each norm out of balance."""
    source = find_source(name)
    tensors = {}
    for key, tensor in open_folder(source.path).items():
        values = tensor.array()
        if values.dtype == np.uint16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[key] = values.astype(np.float32)
    rng = np.random.default_rng(4)
    for key in [key for key in tensors if key.endswith("layernorm.weight")]:
        layer, norm = key.removesuffix(".weight").rsplit(".", 1)
        channels = rng.choice(len(tensors[key]), 3, replace=False)
        tensors[key][channels] *= factor
        for matrix in _BEHIND[norm]:
            tensors[f"{layer}.{matrix}.weight"][:, channels] /= factor
    save_safetensors(target / "model.safetensors", tensors)
    shutil.copy(source.path / "config.json", target)
    shutil.copy(source.tokenizer / "tokenizer.json", target)
    return target


def divergence(exact: pyqtf.Model, name: str | Path, group: int) -> float:
    """KL of q8 with one group for all matrices, narrow ones too."""
    with (
        patch.object(loader, "part_quant", lambda name, columns, quant: quant),
        patch.object(loader, "group_of", lambda columns, quant: group),
    ):
        return compare_models(exact, pyqtf.load(name, quant="q8"), bundled.stories()).kl.value


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names of trained models, Qwen2 in kind")
    for name in parser.parse_args().models:
        exact = pyqtf.load(name, quant="f32")
        with tempfile.TemporaryDirectory() as folder:
            planted = plant(name, Path(folder))

            def line(label: str, path: str | Path, exact: pyqtf.Model = exact) -> None:
                kl = (f"{divergence(exact, path, group):.1e}" for group in _GROUPS)
                print(f"{exact.name:14} {label:20}", *kl, flush=True)

            print(f"{'groups of':35}", *(f"{group:<7}" for group in _GROUPS))
            line("as trained", name)
            line("planted", planted)
            with patch.object(loader, "column_scales", lambda norm, parts: None):
                line("planted, not evened", planted)


if __name__ == "__main__":
    main()
