"""Peak memory of loading and scoring a model of Qwen2.5-0.5B's exact shape, with random weights.

    python benchmarks/bench_memory.py --tokenizer tokenizer.json --stories stories.json

Writing the model and measuring it are processes of their own, so that ru_maxrss counts the second
alone. Random weights cost what trained ones cost; only the numbers that come out mean nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyqtf._quants import QUANTS
from pyqtf.bench.shapes import SHAPES, write_random_model


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
    parser.add_argument("--quant", choices=QUANTS, default="q8")
    parser.add_argument("--folder", type=Path, help="keep the model here, and use it if it exists")
    parser.add_argument("--step", choices=["write", "measure"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step == "write":
        write_random_model(args.folder, args.shape, args.tokenizer)
    elif args.step == "measure":
        measure(args.folder, args.quant, args.stories)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = args.folder or Path(temporary)
            folder.mkdir(exist_ok=True)
            command = [sys.executable, *sys.argv, "--folder", str(folder), "--step"]
            if not (folder / "model.safetensors").exists():
                subprocess.run([*command, "write"], check=True)
            subprocess.run([*command, "measure"], check=True)


if __name__ == "__main__":
    main()
