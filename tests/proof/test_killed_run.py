"""Tests that a killed test run leaves no server, worker, browser or sandbox behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.stories.conftest import CHROMIUM

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        sys.platform != "linux" or CHROMIUM is None, reason="looks into /proc, and drives a real Chromium"
    ),
]

STORY = "tests/stories/test_the_walk.py::test_two_tabs_on_one_time_and_what_was_typed_is_not_lost_to_a_mistake"
PROGRAMS = ("postgres", "hands sandbox", "hands web", "hands worker", "hands clock", "chromium")


def started_by(pid: int) -> dict[int, str]:
    """Return the descendants of this process, with name and command."""
    parents, commands = {}, {}
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdigit():
                name, _, rest = (each / "stat").read_text().rpartition(")")
                parents[int(each.name)] = int(rest.split()[1])
                commands[int(each.name)] = f"{name} {(each / 'cmdline').read_text(errors='replace')}"
    family, newer = set[int](), {pid}
    while newer:
        newer = {child for child, parent in parents.items() if parent in newer}
        family |= newer
    return {each: commands.get(each, "") for each in family}


def lives(pid: int) -> bool:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(true: Callable[[], bool]) -> bool:
    since = time.monotonic()
    while not (held := true()) and time.monotonic() - since < 5 * PATIENCE:
        time.sleep(0.1)
    return held


def test_a_run_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "1",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'run'}",
        STORY,
    ]
    seen: dict[int, str] = {}

    def all_are_there() -> bool:
        seen.update(started_by(run.pid))
        return run.poll() is not None or all(any(program in told for told in seen.values()) for program in PROGRAMS)

    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        until(all_are_there)
        ended = run.poll()
        run.send_signal(signal.SIGKILL)
    left = until(lambda: not any(map(lives, seen)))
    for pid in filter(lives, seen):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert ended is None, f"it was over before all of it was there: {seen}"
    assert left, "something of it is still there"
