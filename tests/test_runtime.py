"""CPU detection, dispatch and threads."""

import os
import subprocess
import sys

import pytest

from pyqtf import _core


def run_python(code: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True
    )


def test_cpu_info_names_an_available_isa():
    info = _core.cpu_info()
    assert info["isa"] in info["available"]
    assert info["available"][0] == "baseline"
    assert info["threads"] >= 1
    assert info["cpus"] <= len(os.sched_getaffinity(0))


def test_isa_is_forced_down_by_the_environment():
    code = "from pyqtf import _core; i = _core.cpu_info(); print(i['isa'], i['isa_why'])"
    result = run_python(code, PYQTF_ISA="baseline")
    assert result.stdout == "baseline set by PYQTF_ISA\n", result.stderr


BAD_ENVIRONMENT = [
    ("PYQTF_ISA", "sse9", f"expected one of {_core.cpu_info()['available']}, which this"),
    ("PYQTF_NUM_THREADS", "two", "expected a whole number from 1 to 256"),
    ("PYQTF_NUM_THREADS", "0", "expected a whole number from 1 to 256"),
]
# What pip writes for the entry point.
SCRIPT = "import sys\nfrom pyqtf.cli import main\nsys.exit(main())\n"


@pytest.mark.parametrize(("variable", "value", "expected"), BAD_ENVIRONMENT)
def test_bad_environment_is_named_when_importing(variable, value, expected):
    result = run_python("import pyqtf", **{variable: value})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: environment variable {variable}: {expected}")
    assert f"got {value}" in last.replace("'", "") and "unset it" in last


@pytest.mark.parametrize(("variable", "value", "expected"), BAD_ENVIRONMENT)
def test_bad_environment_is_one_line_of_the_command(variable, value, expected, tmp_path):
    script = tmp_path / "pyqtf"
    script.write_text(SCRIPT)
    for words in (["-m", "pyqtf"], ["-mpyqtf"], [str(script)]):
        result = subprocess.run(
            [sys.executable, *words, "info"],
            env={**os.environ, variable: value},
            capture_output=True,
            text=True,
        )
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith(
            f"pyqtf: error: environment variable {variable}: {expected}"
        )


def test_affinity_limits_the_default_threads():
    first = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{first}}});"
        "from pyqtf import _core; print(_core.get_num_threads())"
    )
    assert run_python(code, PYQTF_NUM_THREADS="").stdout == "1\n"


def test_set_num_threads_round_trip_and_errors():
    before = _core.get_num_threads()
    try:
        _core.set_num_threads(3)
        assert _core.get_num_threads() == 3
        for bad in (0, -1, 257, 10**9):
            with pytest.raises(ValueError, match="from 1 to 256"):
                _core.set_num_threads(bad)
    finally:
        _core.set_num_threads(before)


def test_ctrl_c_stops_a_kernel_that_runs_for_minutes():
    code = """
import signal, threading, numpy as np
from pyqtf import _core
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.ones((400_000, 1, 64), np.float32)
ends, nine = np.array([0, len(x)]), np.array([0, 9])
print("started", flush=True)
threading.Timer(1.0, signal.raise_signal, [signal.SIGINT]).start()
try:
    _core.attention(x, x, x, ends, ends, 1.0, causal=True)
except KeyboardInterrupt:
    print("stopped")
print(float(_core.attention(x[:9], x[:9], x[:9], nine, nine, 1.0, causal=True)[0, 0, 0]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYQTF_ISA": "baseline"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout == "started\nstopped\n1.0\n", result.stderr
