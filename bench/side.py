"""One of the two sides, in a process of its own: it is asked for a page so and so often, and tells what that cost."""

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


@dataclass(frozen=True)
class Pages:
    """Where one side has the page, and what it asks for beside."""

    index: str
    list: str
    record: str
    api_list: str
    api_get: str


class Side:
    """The app, and the request behind each page: everything that a browser or program sends is ready before the time is taken."""

    def __init__(self, app: Flask, pages: Mapping[str, tuple[str, dict[str, str]]]) -> None:
        self.app, self.calls = app, 0
        self.requests = {
            name: EnvironBuilder(path, headers=headers).get_environ() for name, (path, headers) in pages.items()
        }
        self.statements = Statements()

    @classmethod
    def of(cls, app: Flask, pages: Pages, **kept: str) -> Side:
        """As whoever `begin` added: screens by a cookie, the API by a token, as each side gives them."""
        with app.app_context():
            user = int(app.extensions["appbuilder"].sm.find_user(username="bench").id)
            program = {"Authorization": f"Bearer {create_access_token(identity=str(user), fresh=True)}"}
        browser = {"Cookie": cookie(app, user, **kept)}
        return cls(
            app, {name: (path, program if name.startswith("api") else browser) for name, path in asdict(pages).items()}
        )

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
        told: list[tuple[str, list[tuple[str, str]]]] = []
        self.calls += 1  # nobody is turned away for asking too often: each call comes from an address of its own
        here = {
            "REMOTE_ADDR": f"10.{self.calls >> 16 & 255}.{self.calls >> 8 & 255}.{self.calls & 255}",
            "wsgi.input": BytesIO(),
        }
        answer = self.app.wsgi_app(
            {**self.requests[page], **here}, lambda status, headers, trouble=None: told.append((status, headers))
        )  # type: ignore[arg-type,func-returns-value,return-value]
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        status, headers = told[-1]
        for given in (value for name, value in headers if name == "Set-Cookie"):
            self.requests[page]["HTTP_COOKIE"] = given.partition(";")[0]  # as a browser that has been here before
        return status, body


def started(make: Any) -> dict[str, float]:
    """What it costs to put the web app together, once everything is imported."""
    statements = Statements()
    began = time.process_time()
    make()
    return {"cpu": time.process_time() - began, "statements": statements.asked, "writes": statements.wrote}


def main(what: str, make: Callable[[], Flask], begin: Callable[[Flask], None], side: Callable[[Flask], Side]) -> None:
    """`python -m bench.ours begin | start | serve`, and the same of the other."""
    match what:
        case "begin":
            begin(make())
        case "start":
            print(json.dumps(started(make)))
        case "serve":
            side(make()).serve()
