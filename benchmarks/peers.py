"""pyqtf beside other tools, in turn, with the same instruction set and number of threads.

    pip install . torch transformers ctranslate2 openvino llama-cpp-python
    python benchmarks/peers.py --out peers
    python benchmarks/peers.py --out peers --isa avx2 --path llama.cpp=FOLDER

Every tool gets the same random weights of Qwen2.5-0.5B's shape (another by --shape) and the same
text of random tokens. For each peer, processes that hold pyqtf's formats and one that holds the
peer take turns for --rounds rounds, every other one in reverse order; before and after each the
machine's own limit is measured. The median of the rounds' ratios counts, not the times.

--task says what: score gives the loss of every token of a text, prefill reads a text without
logits but the last, decode writes tokens one by one.

A run adds to what is in the folder: it makes the rounds that are missing, so --seconds can cut it
into pieces, and other tasks and instruction sets become further tables. Delete the folder after
changing a tool. It holds results.md, results.json, results.png and the models.

llama.cpp has its instruction set built in: for another one build it again
(CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON", pip install --target
FOLDER) and name the folder by --path. --python gives a tool an interpreter of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from peers_report import least, read_results, steady, write_report

import pyqtf
from pyqtf import _core, bundled
from pyqtf._files import write_atomically
from pyqtf._quants import QUANTS
from pyqtf.bench.shapes import SHAPES, write_random_model

# Name: the tool, which of its formats, and what it is for.
TASKS = ("score", "prefill", "decode")
PEERS = {
    "transformers fp32": ("transformers", "fp32", TASKS),
    "transformers bf16": ("transformers", "bf16", TASKS),
    "torch dynamic int8": ("transformers", "int8", TASKS),
    "CTranslate2 int8": ("ctranslate2", "int8", TASKS),
    "OpenVINO int8": ("openvino", "int8", ("score", "decode")),
    "OpenVINO int8, logits only": ("openvino", "int8 forward", ("score",)),
    "OpenVINO int8, last logits": ("openvino", "int8 last", ("prefill",)),
    "llama.cpp Q8_0": ("llama.cpp", "Q8_0", TASKS),
    "llama.cpp Q4_0": ("llama.cpp", "Q4_0", TASKS),
    "llama.cpp BF16": ("llama.cpp", "BF16", TASKS),
}
# Tools whose own form of the model is written first.
PREPARED = ("ctranslate2", "openvino", "llama.cpp")

ISA_SETTINGS = {
    "baseline": {},
    "avx512vnni": {},
    "avx512bf16": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "CT2_FORCE_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
# Spinning threads of one tool settle before the next one's turn.
PAUSE = 0.1


class Process:
    """A worker, and its answers."""

    def __init__(self, python: str, path: str, env: dict[str, str]) -> None:
        places = filter(None, [path, str(Path(pyqtf.__file__).parents[1])])
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("peers_worker.py"))],
            env={**os.environ, **env, "PYTHONPATH": os.pathsep.join(places)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def ask(self, do: str, **task: Any) -> dict[str, Any]:
        """Have a task done."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None and pipe_out is not None
        try:
            pipe_in.write(json.dumps({"do": do, **task}) + "\n")
            pipe_in.flush()
            line = pipe_out.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"not_measured": f"its process ended with status {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer


class Benchmark:
    """What all rounds of a run share."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.folder = args.out / "models" / args.shape
        threads = str(args.threads)
        self.env = {
            **ISA_SETTINGS[args.isa],
            "PYQTF_ISA": args.isa,
            "PYQTF_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",
        }
        self.key = {name: getattr(args, name) for name in ("shape", "isa", "task", "tokens")}
        self.key.update(threads=args.threads, steady=args.steady)
        self.results = read_results(args.out)
        self.until = time.monotonic() + args.seconds

    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self.until

    def start(self, tool: str) -> Process:
        """Start a tool's process."""
        python, path = self.args.python.get(tool, sys.executable), self.args.path.get(tool, "")
        return Process(python, path, self.env)

    def own(self, tool: str, kind: str) -> Path:
        """Return where the tool's own form of the model lies."""
        return self.folder / f"{tool}-{kind.replace(' ', '-')}"

    def prepare(self, tool: str, kind: str) -> dict[str, Any]:
        """Write models that are missing."""
        if not (self.folder / "model.safetensors").exists():
            tokenizer = bundled.path(bundled.names()[0]).parent / "tokenizer.json"
            write_random_model(self.folder, self.args.shape, tokenizer)
        own = self.own(tool, kind)
        if tool not in PREPARED or own.exists():
            return {}
        part = own.with_name(own.name + ".part")
        with closing(self.start(tool)) as process:
            answer = process.ask(
                "prepare", tool=tool, folder=str(self.folder), own=str(part), kind=kind
            )
        if "not_measured" not in answer:
            part.rename(own)
        return answer

    def load(self, process: Process, tool: str, kind: str) -> dict[str, Any]:
        """Load a model and make the first pass, which isn't timed."""
        answer = process.ask(
            "load",
            tool=tool,
            folder=str(self.folder.resolve()),
            own=str(self.own(tool, kind).resolve()),
            kind=kind,
            threads=self.args.threads,
            tokens=self.args.tokens,
            isa=self.args.isa,
        )
        if "not_measured" in answer:
            return answer
        return {**answer, **process.ask(self.args.task)}

    def missing(self, peer: str) -> int:
        """Rounds that are still to be made."""
        ours = {f"pyqtf {quant}" for quant in self.args.ours}
        made = sum(
            peer in one["tools"] and ours <= one["tools"].keys()
            for one in steady(self.results, self.key)
        )
        return int(self.args.rounds) - made

    def compare(self, peer: str) -> None:
        """Make a peer's missing rounds."""
        tool, kind, _ = PEERS[peer]
        plan = [(f"pyqtf {quant}", "pyqtf", quant) for quant in self.args.ours]
        plan.append((peer, tool, kind))
        failed = self.prepare(tool, kind)
        processes = {"limit": self.start("pyqtf")}
        tools: dict[str, dict[str, Any]] = {}
        try:
            for name, name_of_tool, kind_of_tool in reversed(plan):
                if "not_measured" in failed:
                    break
                processes[name] = self.start(name_of_tool)
                tools[name] = failed = self.load(processes[name], name_of_tool, kind_of_tool)
            if "not_measured" in failed:
                self.give_up(peer, failed["not_measured"])
                return
            while self.missing(peer) > 0 and not self.late():
                self.round(peer, processes, tools)
        finally:
            for process in processes.values():
                process.close()

    def round(
        self, peer: str, processes: dict[str, Process], tools: dict[str, dict[str, Any]]
    ) -> None:
        """Let every tool take its turn once, unless the machine is slowed down already."""

        def limit() -> float:
            return float(processes["limit"].ask("limit", kind=self.args.limit)["limit"])

        limits = [limit()]
        if limits[0] < least(self.results, self.key):
            time.sleep(PAUSE)
            return
        names = sorted(tools, reverse=len(self.results["rounds"]) % 2 == 0)
        made = {}
        for name in names:
            time.sleep(PAUSE)
            made[name] = {**tools[name], **processes[name].ask(self.args.task)}
            if "not_measured" in made[name]:
                raise SystemExit(f"{name}: {made[name]['not_measured']}")
        limits.append(limit())
        one = {"key": self.key, "peer": peer, "tools": made, "limit": limits}
        self.results["rounds"].append(one)
        self.save()
        print(peer, {name: f"{answer['seconds']:.3f} s" for name, answer in made.items()})

    def give_up(self, peer: str, why: str) -> None:
        """Note a peer without figures."""
        print(f"{peer}: not measured: {why}")
        note = {"key": self.key, "peer": peer, "why": why}
        if note not in self.results["not_measured"]:
            self.results["not_measured"].append(note)
        self.save()

    def save(self) -> None:
        """Write the results so far."""
        write_atomically(self.args.out / "results.json", json.dumps(self.results, indent=1))


def pairs(texts: list[str]) -> dict[str, str]:
    """Split TOOL=VALUE."""
    return dict(text.split("=", 1) for text in texts)


def main() -> None:
    """Measure what is missing and write the report."""
    description, _, epilog = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of results and models")
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--task", choices=TASKS, default="score")
    parser.add_argument("--tokens", type=int, default=512, help="of the text, or to be written")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no round after them")
    parser.add_argument(
        "--steady",
        type=float,
        default=0.0,
        help="where others use the machine: wait until its limit is above this share of its\n"
        "highest, and count the rounds alone where it stays there",
    )
    parser.add_argument("--isa", choices=ISA_SETTINGS, default=_core.cpu_info()["isa"])
    parser.add_argument("--threads", type=int, default=_core.cpu_info()["threads"])
    parser.add_argument("--ours", choices=QUANTS, nargs="+", default=["q8", "q4"])
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument("--path", action="append", default=[], metavar="TOOL=FOLDER")
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PYTHON")
    args = parser.parse_args()
    args.path, args.python = pairs(args.path), pairs(args.python)
    args.limit = "memory" if args.task == "decode" else "q8"
    args.out.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(args)
    for peer in args.peers:
        if args.task in PEERS[peer][2] and benchmark.missing(peer) > 0 and not benchmark.late():
            benchmark.compare(peer)
    write_report(args.out, benchmark.results)


if __name__ == "__main__":
    main()
