"""Costs: the core-seconds that each part of the suite takes, of its servers, browsers and workers too; told at the end of a run.

A test's cost is what its worker and everything that the worker started spent while the test ran, so a server that is slow
to answer is charged to the test that asked it.
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
    """Processor time of this process and of all that it started, those that have ended included."""
    if not PROC.exists():
        return sum(os.times()[:4])
    parents, spent = {}, {}
    for each in PROC.iterdir():
        if each.name.isdigit():
            with suppress(OSError):
                fields = (each / "stat").read_text().rpartition(")")[2].split()
                parents[int(each.name)], spent[int(each.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    family, found = {os.getpid()}, 1
    while found:
        more = {pid for pid, parent in parents.items() if parent in family and pid not in family}
        family |= more
        found = len(more)
    return sum(spent[pid] for pid in family if pid in spent) / TICKS


class Costs:
    """Charges each test with what was spent since the one before it, and adds up the parts."""

    def __init__(self) -> None:
        self.before = spent_by_family()
        self.parts = Counter[str]()
        self.tests = Counter[str]()
        self.by_test = Counter[str]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report = yield
        if call.when == "teardown":
            now = spent_by_family()
            report.user_properties.append((SPENT, now - self.before))
            self.before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == SPENT:
                part = part_of(report.nodeid)
                self.parts[part] += value
                self.tests[part] += 1
                self.by_test[report.nodeid] += value

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("core-seconds")
        for part, seconds in self.parts.most_common():
            terminalreporter.write_line(f"{seconds:8.1f}  {self.tests[part]:5} tests  {part}")
        terminalreporter.write_line(f"{sum(self.parts.values()):8.1f}  {sum(self.tests.values()):5} tests  all of it")
        if where := os.environ.get("COSTS_FILE"):
            Path(where).write_text("".join(f"{s:.2f} {n}\n" for n, s in self.by_test.most_common()))


def part_of(nodeid: str) -> str:
    """tests/desk/test_fields.py::test_x is of tests/desk."""
    return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(), "costs")
