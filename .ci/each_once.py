"""Run each test once over two runs of pytest: ``pytest -p each_once --passed FILE``.

Tests that FILE names are left out; those that pass now are added to it. What fails, skips, or is
not there in a run without the oracles and the data is not in FILE, so the run with them, in which
tests/conftest.py lets nothing skip for want of either, has to pass it.
"""

from __future__ import annotations

from pathlib import Path

import pytest


class EachOnce:
    """The tests that have passed, by node id; the file has one a line."""

    def __init__(self, file: Path):
        self.file = file
        self.before = set(file.read_text().splitlines()) if file.exists() else set()
        self.failed: set[str] = set()
        self.now: set[str] = set()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]):
        """Leave out what passed in the run before."""
        config.hook.pytest_deselected(items=[i for i in items if i.nodeid in self.before])
        items[:] = [item for item in items if item.nodeid not in self.before]

    def pytest_runtest_logreport(self, report: pytest.TestReport):
        """A test has passed when its setup, its call and its teardown have."""
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.now.add(report.nodeid)

    def pytest_sessionfinish(self):
        """Write the names of all that have passed."""
        names = sorted(self.before | (self.now - self.failed))
        self.file.write_text("".join(f"{name}\n" for name in names))


def pytest_addoption(parser: pytest.Parser):
    """Add the option that says where the names are kept."""
    parser.addoption("--passed", type=Path, required=True, help="tests that need not run again")


def pytest_configure(config: pytest.Config):
    """Start with what the file holds."""
    config.pluginmanager.register(EachOnce(config.getoption("passed").absolute()))
