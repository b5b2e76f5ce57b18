"""Fixtures for every test, and the rule about skips.

With ``PYQTF_TEST_DATA`` set, a test may skip only for an instruction set that the processor lacks;
any other skip is turned into a failure, so that a missing oracle or file cannot hide.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

try:
    from pyqtf import _core
except ImportError:
    # Bare `pytest` in the root finds the folder, which has no compiled core after `pip install .`.
    import sys

    _root = str(Path(__file__).resolve().parent.parent)
    sys.path[:] = [p for p in sys.path if str(Path(p or ".").resolve()) != _root]
    for _name in [name for name in sys.modules if name.split(".")[0] == "pyqtf"]:
        del sys.modules[_name]
    from pyqtf import _core

# Children of a test import the pyqtf that the test imported, not the folder they are started in.
os.environ["PYTHONPATH"] = str(Path(_core.__file__).parent.parent)

# No test asks the real hub; those that ask one of their own do it in a child.
os.environ["HF_HUB_OFFLINE"] = "1"

# A machine that does other things as well is slow, not wrong.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ISAS = ["baseline", "avx2", "avxvnni", "avx512vnni", "avx512bf16"]
ISA_SKIP = "this processor or build lacks"


# llama.cpp takes a quarter of an hour to build, so not every machine has it.
HAS_LLAMA_CPP = find_spec("llama_cpp") is not None
collect_ignore = [] if HAS_LLAMA_CPP else ["test_export_llama_cpp.py"]


def pytest_report_header() -> str:
    return f"llama-cpp-python: {'there' if HAS_LLAMA_CPP else 'not there, its tests are left out'}"


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory):
    """Run every test outside the source folder, which may hold no compiled core."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real test data; tests that want it skip without ``PYQTF_TEST_DATA``."""
    folder = os.environ.get("PYQTF_TEST_DATA")
    if not folder:
        pytest.skip("PYQTF_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest):
    """Run the test once with the kernels of each instruction set that this machine has."""
    if request.param not in _core.cpu_info()["available"]:
        pytest.skip(f"{ISA_SKIP} {request.param}")
    before = _core.cpu_info()["isa"]
    _core.use_isa(request.param)
    yield request.param
    _core.use_isa(before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("PYQTF_TEST_DATA"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if ISA_SKIP not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped although PYQTF_TEST_DATA is set: {reason}"


def pytest_collectreport(report):
    """A module skipped while it is collected counts as a skip too."""
    if report.skipped and os.environ.get("PYQTF_TEST_DATA"):
        report.outcome = "failed"
