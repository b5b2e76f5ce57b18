"""The tokenizer beside tokenizers, tiktoken and bpe-qwen, interleaved in one process.

    pip install tokenizers tiktoken bpe-qwen
    python benchmarks/bench_tokenizer.py FOLDER TEXT...

FOLDER holds Qwen2.5's tokenizer.json, vocab.json and merges.txt. Each round loads a fresh tokenizer
of every kind, times its first pass over the texts on one thread in CPU time, which other work on
the machine disturbs least, and prints the median of the rounds' ratios with its range. The ids of
all must be equal. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def openers(folder: Path) -> dict[str, Callable[[], Callable[[str], Any]]]:
    """Return, by name, what opens each tokenizer and gives its encode function."""
    from pyqtf.tokenizer import Tokenizer, patterns

    def ours() -> Callable[[str], Any]:
        return Tokenizer.from_file(folder / "tokenizer.json").encode

    def hugging_face() -> Callable[[str], Any]:
        tokenizers = importlib.import_module("tokenizers")
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda text: tokenizer.encode(text).ids

    vocabulary = Tokenizer.from_file(folder / "tokenizer.json")
    special = set(vocabulary.all_special_ids)
    ranks = {vocabulary.token_bytes(i): i for i in vocabulary.vocab.values() if i not in special}

    def tiktoken() -> Callable[[str], Any]:
        encoding = importlib.import_module("tiktoken").Encoding(
            "qwen2.5", pat_str=patterns.QWEN2, mergeable_ranks=ranks, special_tokens={}
        )
        return encoding.encode_ordinary

    def bpe_qwen() -> Callable[[str], Any]:
        return importlib.import_module("bpe_qwen").QwenTokenizer(str(folder)).encode

    found = {"pyqtf": ours}
    peers = {"tokenizers": hugging_face, "tiktoken": tiktoken, "bpe_qwen": bpe_qwen}
    for name, opener in peers.items():
        try:
            module = importlib.import_module(name)
        except ImportError:
            print(f"{name}: not installed, left out", file=sys.stderr)
            continue
        print(f"{name} {getattr(module, '__version__', '')}")
        found[name] = opener
    return found


def summary(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})"


def compare(folder: Path, text: str, rounds: int) -> None:
    """Print speed and loading time of each and their ratios to ours."""
    open_by_name = openers(folder)
    n_bytes = len(text.encode())
    load: dict[str, list[float]] = {name: [] for name in open_by_name}
    encode: dict[str, list[float]] = {name: [] for name in open_by_name}
    ids: dict[str, list[int]] = {}
    for _ in range(rounds):
        for name, opener in open_by_name.items():
            start = time.process_time()
            encoder = opener()
            middle = time.process_time()
            found = encoder(text)
            encode[name].append(time.process_time() - middle)
            load[name].append(middle - start)
            ids[name] = list(found)
            # Freed here, not while the next one's loading is timed.
            del encoder, found
    for name in open_by_name:
        equal = "equal ids" if ids[name] == ids["pyqtf"] else "OTHER IDS"
        print(f"{name:11} MB/s {summary([n_bytes / s / 1e6 for s in encode[name]])}  {equal}")
        print(f"{'':11} load, ms {summary([1e3 * s for s in load[name]])}")
    for name in list(open_by_name)[1:]:
        pairs = list(zip(encode[name], encode["pyqtf"], strict=True))
        print(f"pyqtf / {name}: speed {summary([theirs / mine for theirs, mine in pairs])}")
        pairs = list(zip(load[name], load["pyqtf"], strict=True))
        print(f"pyqtf / {name}: load  {summary([mine / theirs for theirs, mine in pairs])}")


def median_interval(values: list[float]) -> str:
    """Return the median and its 95 % interval, from order statistics."""
    ordered, n = sorted(values), len(values)
    below = [math.comb(n, k) / 2**n for k in range(n + 1)]
    low = max(0, max(k for k in range(n // 2 + 1) if sum(below[:k]) <= 0.025) - 1)
    return f"{statistics.median(values):.2f}  (95 %: {ordered[low]:.2f} to {ordered[-1 - low]:.2f})"


def busy_loops(data: bytes, n_threads: int) -> float:
    """Return the seconds that n_threads need for one thread's fixed work each: no more than one."""
    workers = [threading.Thread(target=hashlib.sha256, args=(data,)) for _ in range(n_threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start


def threads(folder: Path, text: str, pairs: int) -> None:
    """Print how much faster a batch is on two threads, by the clock on the wall.

    Beside it stands what the machine gives to two threads that share nothing: where that is well
    below 2, other work takes its part.
    """
    from pyqtf import _core
    from pyqtf.tokenizer import Tokenizer

    lines = text.splitlines(keepends=True) * 10
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    data = bytes(50_000_000)
    before = _core.get_num_threads()
    ratios, machine = [], []
    for i in range(pairs + 2):
        seconds = {}
        for n in (1, 2) if i % 2 else (2, 1):
            _core.set_num_threads(n)
            start = time.perf_counter()
            ids = tokenizer.encode_batch(lines)
            seconds[n] = time.perf_counter() - start
            del ids  # the caller's own time
        ratios.append(seconds[1] / seconds[2])
        machine.append(2 * busy_loops(data, 1) / busy_loops(data, 2))
    _core.set_num_threads(before)
    print(f"two threads / one, {len(lines)} texts: {median_interval(ratios[2:])}")
    print(f"two busy loops / one: {median_interval(machine[2:])}")


def training(text: str, rounds: int) -> None:
    """Print how long a vocabulary takes, here and in tokenizers."""
    from pyqtf.tokenizer import train_bpe

    tokenizers = importlib.import_module("tokenizers")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    pre = tokenizers.pre_tokenizers
    lines = text.splitlines(keepends=True)
    ratios = []
    for _ in range(max(3, rounds // 3)):
        start = time.perf_counter()
        ours = train_bpe(lines, 8000)
        middle = time.perf_counter()
        oracle = tokenizers.Tokenizer(tokenizers.models.BPE())
        oracle.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=8000,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre.ByteLevel.alphabet(),
            show_progress=False,
        )
        oracle.train_from_iterator(lines, trainer)
        ratios.append((time.perf_counter() - middle) / (middle - start))
        same = "equal" if ours.vocab == oracle.get_vocab() else "OTHER"
    print(f"training 8,000 tokens, tokenizers / pyqtf: {summary(ratios)}  {same} vocabulary")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    text = "".join(path.read_text("utf-8") for path in args.texts)
    print(f"{len(text.encode()):,} bytes; load average {os.getloadavg()[0]:.1f}")
    compare(args.folder, text, args.rounds)
    threads(args.folder, text, 2 * args.rounds + 1)
    training(text, args.rounds)


if __name__ == "__main__":
    main()
