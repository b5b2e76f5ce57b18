"""One tool in a process of its own: a JSON task in, its answer out, a line each."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers_tool import NotMeasuredError, Tool
from peers_tools import TOOLS

_PROMPT = 100


class Worker:
    """Holds a tool between tasks."""

    tool: Tool
    ids: np.ndarray
    buffer: np.ndarray | None = None

    def prepare(self, tool: str, folder: str, own: str, kind: str) -> dict[str, Any]:
        """Write the tool's own form of a model."""
        TOOLS[tool].prepare(Path(folder), Path(own), kind)
        return {}

    def load(
        self, tool: str, folder: str, own: str, kind: str, threads: int, tokens: int, isa: str
    ) -> dict[str, Any]:
        """Load the model and make the text."""
        self.tool = TOOLS[tool](Path(folder), Path(own), threads, tokens, kind)
        self.tool.check_isa(isa)
        vocab_size = json.loads((Path(folder) / "config.json").read_text())["vocab_size"]
        self.ids = np.random.default_rng(1).integers(0, vocab_size, tokens)
        return {"version": self.tool.version()}

    def score(self) -> dict[str, Any]:
        """Time one pass with the loss of every token."""
        start = time.perf_counter()
        losses = self.tool.score(self.ids)
        seconds = time.perf_counter() - start
        if losses is not None and len(losses) != len(self.ids) - 1:
            raise NotMeasuredError(f"{len(losses)} losses of {len(self.ids)} tokens")
        return {"seconds": seconds, "loss": None if losses is None else float(np.mean(losses))}

    def prefill(self) -> dict[str, Any]:
        """Time reading the text."""
        start = time.perf_counter()
        self.tool.prefill(self.ids)
        return {"seconds": time.perf_counter() - start}

    def decode(self) -> dict[str, Any]:
        """Time writing as many tokens as the text has, behind a short one."""
        prompt = self.ids[np.arange(_PROMPT) % len(self.ids)]
        return {"seconds": self.tool.decode(prompt, len(self.ids))}

    def limit(self, kind: str) -> dict[str, Any]:
        """Measure what the machine could do just now: operations or bytes read a second."""
        from pyqtf import _core

        if kind == "memory" and self.buffer is None:
            self.buffer = np.ones(2**28, np.uint8)
        # The best of three: a thread that was asleep may first have to find a free CPU.
        return {"limit": max(_core.limit(kind, 0.05, self.buffer)[1] for _ in range(3))}


def main() -> None:
    """Serve until the input ends."""
    # What libraries print goes to stderr; answers keep stdout for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = getattr(worker, task.pop("do"))(**task)
        except ModuleNotFoundError as error:
            answer = {"not_measured": f"not installed ({error.name})"}
        except NotMeasuredError as error:
            answer = {"not_measured": str(error)}
        except Exception as error:
            answer = {"not_measured": f"{type(error).__name__}: {error}"[:300]}
        answer["peak_rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
