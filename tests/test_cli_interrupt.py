"""The bundled family from the command line, stopped half-way by signals."""

import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import pyqtf


def start(out):
    # A shell may have told its background jobs to ignore SIGINT, and children inherit that.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pyqtf.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "scaling", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def stop_when_some_models_are_done(process, out, number):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(out.glob("cache/*.losses"))) >= 2:
            process.send_signal(number)
            break
        time.sleep(0.005)
    return process.communicate(timeout=120)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    process = start(out)
    words, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    assert all(name in words for name in pyqtf.bundled.names())
    return out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, whole, number):
    out = tmp_path / "out"
    process = start(out)
    _, errors = stop_when_some_models_are_done(process, out, number)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert errors.strip().startswith("pyqtf: interrupted; finished stories are kept in")
        assert len(errors.strip().splitlines()) == 1
    else:
        assert process.returncode == -signal.SIGKILL
    assert not (out / "results.csv").exists()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("cache/*.losses")}
    assert 0 < len(before) < len(pyqtf.bundled.names())

    process = start(out)
    process.communicate(timeout=300)
    assert process.returncode == 0
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("cache/*.losses")}
    kept = [name for name in before if after[name] == before[name]]
    assert len(kept) >= 2, "what was finished is not scored again"
    a, b = (pd.read_csv(o / "results.csv").drop(columns="seconds") for o in (whole, out))
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert (whole / "tokens.csv").read_bytes() == (out / "tokens.csv").read_bytes()
