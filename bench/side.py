"""One side of the benchmark, in its own process: requests a page several times and reports time, queries and size."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

from flask import Flask
from flask_jwt_extended import create_access_token
from sqlalchemy import Engine, event
from werkzeug.test import EnvironBuilder


class Statements:
    """Counter of SQL statements, and of those that write."""

    def __init__(self) -> None:
        self.asked = self.wrote = 0
        event.listen(Engine, "before_cursor_execute", self._count)

    def _count(self, *call: Any) -> None:
        self.asked += 1
        self.wrote += call[2].lstrip()[:6].lower() in ("insert", "update", "delete")


def session_cookie(app: Flask, user: int, **more: str) -> str:
    """Sign a session cookie of a user, as a browser sends it."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return f"{app.config['SESSION_COOKIE_NAME']}={serializer.dumps({'_user_id': str(user), '_fresh': True, **more})}"


@dataclass(frozen=True)
class Pages:
    """Paths of the pages on one side."""

    index: str
    list: str
    record: str
    api_list: str
    api_get: str


class Side:
    """An app and its requests, which are built before the time is taken."""

    def __init__(self, app: Flask, pages: Mapping[str, tuple[str, dict[str, str]]]) -> None:
        self.app, self.calls = app, 0
        self.requests = {
            name: EnvironBuilder(path, headers=headers).get_environ() for name, (path, headers) in pages.items()
        }
        self.statements = Statements()

    @classmethod
    def signed_in(cls, app: Flask, pages: Pages, **session: str) -> Side:
        """Sign in the user that `begin` added: screens by a cookie, the API by a token."""
        with app.app_context():
            user = int(app.extensions["appbuilder"].sm.find_user(username="bench").id)
            program = {"Authorization": f"Bearer {create_access_token(identity=str(user), fresh=True)}"}
        browser = {"Cookie": session_cookie(app, user, **session)}
        return cls(
            app, {name: (path, program if name.startswith("api") else browser) for name, path in asdict(pages).items()}
        )

    def serve(self) -> None:
        """Answer each line of stdin with a line of JSON."""
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(self.measure(asked["page"], asked["times"])), flush=True)

    def measure(self, page: str, times: int) -> dict[str, Any]:
        status, body = self._request(page)
        before = self.statements.asked
        self._request(page)
        queries, spent = self.statements.asked - before, []
        gc.collect()
        for _ in range(times):
            began = time.process_time_ns()
            self._request(page)
            spent.append((time.process_time_ns() - began) / 1e6)
        return {"status": status, "bytes": len(body), "queries": queries, "cpu": spent}

    def _request(self, page: str) -> tuple[str, bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        self.calls += 1  # one address per call, so that the rate limit never applies
        environ = self.requests[page] | {
            "REMOTE_ADDR": f"10.{self.calls >> 16 & 255}.{self.calls >> 8 & 255}.{self.calls & 255}",
            "wsgi.input": BytesIO(),
        }
        answer = self.app.wsgi_app(environ, lambda status, headers, trouble=None: started.append((status, headers)))  # type: ignore[arg-type,func-returns-value,return-value]
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        status, headers = started[-1]
        for cookie in (value for name, value in headers if name == "Set-Cookie"):
            self.requests[page]["HTTP_COOKIE"] = cookie.partition(";")[0]  # as a returning browser
        return status, body


def measure_start(make: Any) -> dict[str, float]:
    """Measure what building the web app costs after all imports."""
    statements = Statements()
    began = time.process_time()
    make()
    return {"cpu": time.process_time() - began, "statements": statements.asked, "writes": statements.wrote}


def main(what: str, make: Callable[[], Flask], begin: Callable[[Flask], None], side: Callable[[Flask], Side]) -> None:
    """Run one command of a side: begin, start or serve."""
    match what:
        case "begin":
            begin(make())
        case "start":
            print(json.dumps(measure_start(make)))
        case "serve":
            side(make()).serve()
