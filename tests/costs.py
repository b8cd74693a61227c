"""Costs: the core-seconds of each folder of tests, with its servers, browsers and workers, printed after a run.

A test costs what its process and everything that the process started spent since the test before it, so a slow server
is charged to the test that asked it. COSTS_FILE=… lists each test, the most expensive first. Each failure is printed
with the command that runs it alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
SPENT = "core-seconds"


def spent_by_family() -> float:
    """Processor time of this process and its descendants, including ended ones."""
    if not PROC.exists():
        return sum(os.times()[:4])
    family, spent = [os.getpid()], 0
    for pid in family:  # it grows on the way
        with suppress(OSError):
            spent += sum(map(int, (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[11:15]))
            for thread in (PROC / str(pid) / "task").iterdir():
                family += map(int, (thread / "children").read_text().split())
    return spent / TICKS


class Costs:
    """Measures each test, and sums them up by folder."""

    def __init__(self) -> None:
        self.before = 0.0
        self.tests = Counter[str]()
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report = yield
        if call.when == "teardown":
            now = spent_by_family()
            # Never below zero: a process may end without being counted.
            report.user_properties.append((SPENT, max(0.0, now - self.before)))
            self.before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        nodeid = report.nodeid.rpartition("@")[0] or report.nodeid
        self.tests[nodeid] += sum(
            value for name, value in report.user_properties if name == SPENT and report.when == "teardown"
        )
        if report.failed:
            self.failed.append(nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("core-seconds")
        parts, counts = Counter[str](), Counter[str]()
        for nodeid, seconds in self.tests.items():
            parts[part_of(nodeid)] += seconds
            counts[part_of(nodeid)] += 1
        for part, seconds in parts.most_common():
            terminalreporter.write_line(f"{seconds:8.1f}  {counts[part]:5} tests  {part}")
        terminalreporter.write_line(f"{parts.total():8.1f}  {counts.total():5} tests  all of it")
        for nodeid in dict.fromkeys(self.failed):
            terminalreporter.write_line(f"To look at it alone: make test T='{nodeid}'")
        if where := os.environ.get("COSTS_FILE"):
            Path(where).write_text("".join(f"{seconds:.2f} {nodeid}\n" for nodeid, seconds in self.tests.most_common()))


def part_of(nodeid: str) -> str:
    """The folder of a test: tests/desk for tests/desk/test_fields.py::test_x."""
    return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(), "costs")
