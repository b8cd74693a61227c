"""Server processes for the tests, forked from one process that has imported the program and built the app once."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

import flask.cli
from gunicorn.app.wsgiapp import WSGIApplication

import worker
from app import create_app
from app.kernel import db
from app.sandbox.__main__ import main as sandbox
from deploy.servers import LIBC, end_with_parent
from tests.programs import shared_clock

PR_SET_NAME = 15  # sets the name of a process in process lists


def tick() -> None:
    sys.argv = ["flask", "--app", f"{__name__}:released", "clock"]
    flask.cli.main()


def web() -> None:
    sys.argv = ["gunicorn", "-c", "deploy/gunicorn.py", f"{__name__}:released"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()


TRADES = {"worker": lambda: worker.main(released), "clock": tick, "web": web, "sandbox": sandbox}


def begin(trade: str) -> int:
    die_with_parent = end_with_parent(signal.SIGTERM)
    pid = os.fork()
    if pid:
        return pid
    die_with_parent()
    os.setsid()
    if LIBC:
        LIBC.prctl(PR_SET_NAME, f"hands {trade}".encode())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    TRADES[trade]()
    os._exit(0)


def reap(*_: object) -> None:
    """Wait for ended children, so that their processor time is counted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    sys.modules["tests.hands"] = sys.modules[__name__]
    shared_clock()
    released = create_app()
    db.engine().dispose()
    gc.freeze()
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        sys.stdout.write(f"{begin(line.strip())}\n")
        sys.stdout.flush()
