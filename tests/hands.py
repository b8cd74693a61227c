"""Starts workers and clocks for tests, in processes of their own: the program they run is read once and not for each of them."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

import flask.cli

import app  # noqa: F401  # what takes long is done before the first of them begins
import worker
from deploy.servers import dies_with_us
from tests.programs import shared_clock


def tick() -> None:
    sys.argv = ["flask", "--app", "app", "clock"]
    flask.cli.main()


TRADES = {"worker": worker.main, "clock": tick}


def begin(trade: str) -> int:
    end_with_parent = dies_with_us(signal.SIGTERM)
    pid = os.fork()
    if pid:
        return pid
    end_with_parent()
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    TRADES[trade]()
    os._exit(0)


def reap(*_: object) -> None:
    """Nobody asks how they ended; what they spent is counted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    shared_clock()
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        sys.stdout.write(f"{begin(line.strip())}\n")
        sys.stdout.flush()
