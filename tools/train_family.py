"""Make everything under ``pyqtf/bundled`` but the hand-written stories, from seeds.

    python tools/train_family.py --out pyqtf/bundled

writes ``tokenizer.json``, ``stories.json`` and one folder per model. Training takes about ten
minutes on two free cores (two models at a time, one thread each). ``--size wide256`` trains a
model that is not shipped, whose widths are multiples of 256; ``--only-data`` stops before the
models. Needs pyqtf itself, torch and safetensors.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from family.data import END, train_tokenizer, training_rows
from family.model import Qwen2, Shape
from family.pack import write_model, write_text
from family.train import train
from stories import held_out, training_texts

from pyqtf.tokenizer import Tokenizer

VOCAB = 1536
SHAPES = {
    "30k": Shape(16, 2, 2, 1, 8, 40, VOCAB),
    "80k": Shape(32, 3, 2, 1, 16, 80, VOCAB),
    "200k": Shape(64, 3, 2, 1, 32, 128, VOCAB),
    "500k": Shape(96, 4, 3, 1, 32, 224, VOCAB),
    "1.2m": Shape(128, 5, 4, 2, 32, 384, VOCAB),
    "3m": Shape(192, 7, 6, 2, 32, 512, VOCAB),
    "wide256": Shape(256, 4, 4, 2, 64, 768, VOCAB),
}
FAMILY = [size for size in SHAPES if size != "wide256"]
# Three quarters of the tokens in short rows, which train faster; then long rows, for longer texts.
TRAINING_TOKENS = 3 * 2**19
PHASES = [(256, 0.75), (512, 0.25)]
TOKENIZER_TEXTS = 20_000
SEED = 1


def peak_learning_rate(shape: Shape) -> float:
    """Return the peak rate: inversely proportional to the width, with a ceiling."""
    return min(0.5 / shape.hidden, 0.015)


def make_rows(tokenizer: Tokenizer, tokens: int) -> list[np.ndarray]:
    """Return the rows of each phase; every model of the family sees the same."""
    return [
        training_rows(tokenizer, int(tokens * share) // length, length, SEED + i)
        for i, (length, share) in enumerate(PHASES)
    ]


def train_one(size: str, out: Path, tokens: int) -> str:
    """Train one model with one thread; write it now and then, and at the end."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(out / "tokenizer.json")
    folder, end = out / f"stories-{size}", tokenizer.vocab[END]

    def progress(model: Qwen2, seen: int, loss: float, seconds: float) -> None:
        print(f"{size}: {seen} tokens, loss {loss:.4f}, {seconds:.0f} s", flush=True)
        write_model(model, folder, end)

    shape = SHAPES[size]
    rows = make_rows(tokenizer, tokens)
    model = train(shape, rows, lr=peak_learning_rate(shape), seed=SEED, on_progress=progress)
    write_model(model, folder, end)
    return f"{size}: {sum(p.numel() for p in model.parameters())} parameters"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Train and pack the bundled model family.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--size", action="append", choices=list(SHAPES), help="train only these")
    parser.add_argument("--jobs", type=int, default=2, help="models trained at a time")
    parser.add_argument("--tokens", type=int, default=TRAINING_TOKENS, help="training tokens")
    parser.add_argument("--only-data", action="store_true", help="tokenizer and stories only")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train_tokenizer(islice(training_texts(), TOKENIZER_TEXTS), VOCAB, args.out / "tokenizer.json")
    stories = json.dumps(held_out(), indent=1, ensure_ascii=False)
    write_text(args.out / "stories.json", stories + "\n")
    if args.only_data:
        return 0
    # The largest first, so that it does not run alone at the end.
    sizes = args.size or ["3m", *[size for size in FAMILY if size != "3m"]]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, mp_context=context) as pool:
        for line in pool.map(train_one, sizes, [args.out] * len(sizes), [args.tokens] * len(sizes)):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
