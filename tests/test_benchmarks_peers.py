"""benchmarks/peers.py on a tiny shape: what it writes, not how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "peers.py"


def run(out, *options):
    command = [sys.executable, SCRIPT, "--shape", "tiny", "--tokens", "40", "--out", out]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return done.stdout


def test_tools_take_turns_and_agree_on_the_loss(tmp_path):
    options = ["--isa", "baseline", "--peers", "transformers fp32", "--ours", "f32", "--rounds"]
    run(tmp_path, *options, "2")
    run(tmp_path, *options, "3")
    rounds = json.loads((tmp_path / "results.json").read_text())["rounds"]
    assert len(rounds) == 3
    orders = [list(one["tools"]) for one in rounds]
    assert orders[0] == orders[1][::-1] == orders[2]
    for one in rounds:
        ours, theirs = one["tools"]["pyqtf f32"], one["tools"]["transformers fp32"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)
        assert min(ours["seconds"], theirs["seconds"], *one["limit"]) > 0
    table = (tmp_path / "results.md").read_text()
    assert "| pyqtf f32 |" in table and "| transformers fp32 |" in table
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_a_tool_that_is_not_installed_is_in_the_table(tmp_path):
    (tmp_path / "ctranslate2").mkdir()
    (tmp_path / "ctranslate2" / "__init__.py").write_text(
        'raise ModuleNotFoundError("No module", name="ctranslate2")\n'
    )
    run(tmp_path / "out", "--peers", "CTranslate2 int8", "--path", f"ctranslate2={tmp_path}")
    table = (tmp_path / "out" / "results.md").read_text()
    assert "| CTranslate2 int8 | not measured: not installed (ctranslate2) |" in table
