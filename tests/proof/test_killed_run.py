"""A run of the suite that is killed leaves no server, worker, browser or sandbox behind."""

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

pytestmark = [pytest.mark.proof, pytest.mark.skipif(sys.platform != "linux" or CHROMIUM is None, reason="looks into /proc, and drives a real Chromium")]

STORY = "tests/stories/test_the_walk.py::test_two_tabs_on_one_time_and_what_was_typed_is_not_lost_to_a_mistake"
PROGRAMS = ("postgres", "gunicorn", "tests.programs", "tests.hands", "chromium")


def of_run(mark: str) -> dict[int, str]:
    """The processes that were started by this run, each with its command."""
    found = {}
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdigit() and mark in (each / "environ").read_text(errors="replace"):
                found[int(each.name)] = (each / "cmdline").read_text(errors="replace").replace("\0", " ")
    return found


def until(true: Callable[[], bool]) -> bool:
    since = time.monotonic()
    while not (held := true()) and time.monotonic() - since < 10 * PATIENCE:
        time.sleep(0.1)
    return held


def test_a_run_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    mark = f"SUITE_TRIAL={tmp_path.name}-{os.getpid()}"
    name, _, value = mark.partition("=")
    command = [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}", STORY]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {name: value}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        try:
            assert until(lambda: all(any(program in told for told in of_run(mark).values()) for program in PROGRAMS)), of_run(mark)
        finally:
            run.send_signal(signal.SIGKILL)
    left = until(lambda: not of_run(mark))
    for pid in of_run(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left, "something of it is still there"
