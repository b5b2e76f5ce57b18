"""New processes, in which a measurement finds nothing warm but the files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile


def run_module(module: str, *args: str) -> str:
    """Run a module in a new process and return what it prints.

    Raises
    ------
    ValueError
        It failed; the message has its last line.
    """
    # Not in the current folder, which may hold a source tree without a compiled core.
    places = map(os.path.abspath, filter(None, sys.path))
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-m", module, *args],
            capture_output=True,
            text=True,
            cwd=empty,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"the process that measures failed: {last}")
    return done.stdout
