"""Writing a trained model as a Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from family.model import Qwen2, hf_config, hf_state_dict
from safetensors.torch import save_file


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_model(model: Qwen2, folder: Path, eos_token_id: int) -> None:
    """Write ``config.json`` and ``model.safetensors`` (bfloat16) to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.to(torch.bfloat16) for name, t in hf_state_dict(model).items()}
    part = folder / "model.safetensors.part"
    save_file(tensors, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(folder / "model.safetensors")
    config = hf_config(model.shape, eos_token_id)
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
