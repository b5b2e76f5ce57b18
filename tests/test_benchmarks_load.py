"""benchmarks/bench_load.py on a tiny shape: that every way loads, not how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "bench_load.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("load") / "model"


@pytest.fixture(scope="module")
def printed(folder):
    """What a run with pyqtf alone prints."""
    return run("--shape", "tiny", "--repetitions", "1", "--folder", folder, "--tools", "pyqtf")


def run(*options):
    command = [sys.executable, SCRIPT, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_way_of_pyqtf_is_in_the_table(printed):
    rows = [line for line in printed.splitlines() if line.startswith("pyqtf, ")]
    assert len(rows) == 5
    for row in rows:
        *_, load, _, ready, _, loaded, _, peak, _ = row.split()
        assert float(load) <= float(ready)
        assert 0 < float(loaded) <= float(peak)
    assert "left out: llama_cpp, transformers" in printed


@pytest.mark.usefixtures("printed")
def test_transformers_loads_the_same_folder(folder):
    pytest.importorskip("transformers")
    found = json.loads(run("--measure", "transformers", folder, "float32").splitlines()[-1])
    assert 0 < found["load"] <= found["ready"]
    assert 0 < found["load_peak"] <= found["peak"]
