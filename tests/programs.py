"""Clock of the tests: shared by all processes of the suite, which end with the one that started them.

`make test DAY=2027-01-31T23:50` runs the suite on another day (in the practice’s zone; append Z for UTC), and a story
can begin on a day of its own: the difference to the real time is one number in a file that every process has mapped.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from app.kernel import clock
from deploy.servers import LIBC, PR_SET_PDEATHSIG

FILE = "SUITE_CLOCK"
HOUSE = ZoneInfo("Asia/Kolkata")


class Clock:
    """A clock ahead of the system clock by the seconds in its file."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(struct.pack("d", 0.0))
        self.file = file
        with file.open("r+b") as there:
            self._ahead = mmap.mmap(there.fileno(), 8)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=struct.unpack_from("d", self._ahead)[0])

    def set_to(self, instant: datetime) -> None:
        struct.pack_into("d", self._ahead, 0, (instant - datetime.now(UTC)).total_seconds())

    @contextmanager
    def beginning_at(self, instant: datetime) -> Iterator[None]:
        """Set the clock to an instant for a while."""
        before = self._ahead[:8]
        self.set_to(instant)
        try:
            yield
        finally:
            self._ahead[:8] = before


def instant_of(day: str) -> datetime:
    """Parse 2027-01-31T23:50, in the zone of the practice unless it has an offset."""
    try:
        found = datetime.fromisoformat(day)
    except ValueError:
        raise SystemExit(
            f"DAY={day} is not a day: write it like 2027-01-31T23:50, or 2027-01-31T23:50Z for UTC."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=HOUSE)


def shared_clock() -> Clock:
    """The clock of this suite: with the file of the parent process, or a new one."""
    named = os.environ.get(FILE)
    it = Clock(Path(named) if named else Path(tempfile.mkdtemp(prefix="frontdesk-clock-")) / "ahead")
    if not named and (day := os.environ.get("DAY")):
        it.set_to(instant_of(day))
    clock.read_from(it.now)
    return it


def end_with_parent() -> None:
    """End this process, and so all that it started, when its parent ends. Linux only."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
