"""Peak memory of loading and scoring a model of Qwen2.5-0.5B's exact shape, with random weights.

    python benchmarks/bench_memory.py --tokenizer tokenizer.json --stories stories.json

Writing the model and measuring it are processes of their own, so that ru_maxrss counts the second
alone. Random weights cost what trained ones cost; only the numbers that come out mean nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

SHAPES = {
    "qwen2.5-0.5b": (896, 24, 14, 2, 4864, True),
    "qwen2.5-1.5b": (1536, 28, 12, 2, 8960, True),
    "qwen2.5-3b": (2048, 36, 16, 2, 11008, True),
}


def write_model(folder: Path, shape: str, tokenizer: Path) -> None:
    """Write config.json, tokenizer.json and a bfloat16 shard for each layer."""
    import numpy as np

    from pyqtf.formats import save_safetensors
    from pyqtf.models.registry import parse_config, tensor_shapes

    hidden, layers, heads, kv_heads, ffn, tied = SHAPES[shape]
    values = {
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "intermediate_size": ffn,
        "tie_word_embeddings": tied, "vocab_size": 151936, "max_position_embeddings": 32768,
        "rope_theta": 1e6, "rms_norm_eps": 1e-6, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(values))
    shutil.copy(tokenizer, folder / "tokenizer.json")
    rng = np.random.default_rng(0)
    weight_map = {}
    shapes = tensor_shapes(parse_config(values))
    for number, (_, names) in enumerate(groupby(shapes, lambda name: name.split(".")[2])):
        shard = f"model-{number:05}.safetensors"
        tensors = {}
        for name in names:
            array = rng.standard_normal(shapes[name], dtype=np.float32)
            array *= 0.02
            array += name.endswith("norm.weight")
            tensors[name] = (array.view(np.uint32) >> 16).astype(np.uint16)
            weight_map[name] = shard
        save_safetensors(folder / shard, tensors)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def measure(folder: Path, quant: str, stories: Path) -> None:
    """Load and score in this process, and print what it took."""

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def now() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    import pyqtf
    import pyqtf.model

    print(f"imports     {now():7.0f} MiB now {peak():7.0f} MiB peak")
    start = time.perf_counter()
    model = pyqtf.load(folder, quant=quant)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e9
    print(f"load        {now():7.0f} MiB now {peak():7.0f} MiB peak  {seconds:.2f} s")
    print(f"            {size / seconds:.2f} GB/s")
    texts = json.loads(stories.read_text(encoding="utf-8"))
    start = time.perf_counter()
    ids = [model.tokenizer.encode(text) for text in texts]
    losses = model.token_losses(ids)
    seconds = time.perf_counter() - start
    n_tokens = sum(map(len, ids))
    print(f"score       {now():7.0f} MiB now {peak():7.0f} MiB peak  {seconds:.1f} s")
    print(f"            {n_tokens / seconds:.0f} tokens/s ({len(ids)} texts, {n_tokens} tokens)")
    print(f"mean loss {sum(one.nll.sum() for one in losses) / sum(map(len, losses)):.3f} nats")


def main() -> None:
    """Write the model where it is missing, then measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, required=True, help="Qwen2.5's tokenizer.json")
    parser.add_argument("--stories", type=Path, required=True, help="a JSON list of texts")
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--quant", choices=["q8", "f32"], default="q8")
    parser.add_argument("--folder", type=Path, help="keep the model here, and use it if it exists")
    parser.add_argument("--step", choices=["write", "measure"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step == "write":
        write_model(args.folder, args.shape, args.tokenizer)
    elif args.step == "measure":
        measure(args.folder, args.quant, args.stories)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = args.folder or Path(temporary)
            folder.mkdir(exist_ok=True)
            command = [sys.executable, *sys.argv, "--folder", str(folder), "--step"]
            if not (folder / "model.safetensors.index.json").exists():
                subprocess.run([*command, "write"], check=True)
            subprocess.run([*command, "measure"], check=True)


if __name__ == "__main__":
    main()
