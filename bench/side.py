"""One of the two sides, in a process of its own: it is asked for a page so and so often, and tells what that cost."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import EnvironBuilder


class Statements:
    """How often any database is asked, and how often that writes."""

    def __init__(self) -> None:
        self.asked = self.wrote = 0
        event.listen(Engine, "before_cursor_execute", self._note)

    def _note(self, *call: Any) -> None:
        self.asked += 1
        self.wrote += call[2].lstrip()[:6].lower() in ("insert", "update", "delete")


def cookie(app: Flask, user: int, **more: str) -> str:
    """Somebody's signed session, as their browser would send it."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return f"{app.config['SESSION_COOKIE_NAME']}={serializer.dumps({'_user_id': str(user), '_fresh': True, **more})}"


class Side:
    """The app, and the request behind each page: everything that a browser or program sends is ready before the time is taken."""

    def __init__(self, app: Flask, pages: Mapping[str, tuple[str, dict[str, str]]]) -> None:
        self.app, self.calls = app, 0
        self.requests = {name: EnvironBuilder(path, headers=headers).get_environ() for name, (path, headers) in pages.items()}
        self.statements = Statements()

    def serve(self) -> None:
        """A line in, a line out, until there are no more."""
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(self.measured(asked["page"], asked["times"])), flush=True)

    def measured(self, page: str, times: int) -> dict[str, Any]:
        status, body = self._answer(page)
        before = self.statements.asked
        self._answer(page)
        queries, spent = self.statements.asked - before, []
        gc.collect()
        for _ in range(times):
            began = time.process_time_ns()
            self._answer(page)
            spent.append((time.process_time_ns() - began) / 1e6)
        return {"status": status, "bytes": len(body), "queries": queries, "cpu": spent}

    def _answer(self, page: str) -> tuple[str, bytes]:
        told: list[str] = []
        self.calls += 1  # nobody is turned away for asking too often: each call comes from an address of its own
        here = {"REMOTE_ADDR": f"10.{self.calls >> 16 & 255}.{self.calls >> 8 & 255}.{self.calls & 255}", "wsgi.input": BytesIO()}
        answer = self.app.wsgi_app({**self.requests[page], **here}, lambda status, headers, trouble=None: told.append(status))  # type: ignore[arg-type,func-returns-value,return-value]
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return told[-1], body


def started(make: Any) -> dict[str, float]:
    """What it costs to put the web app together, once everything is imported."""
    statements = Statements()
    wall, cpu = time.perf_counter(), time.process_time()
    make()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "statements": statements.asked, "writes": statements.wrote}
