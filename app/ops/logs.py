"""Request log: one line for each request, with the route instead of the address, which may contain a token."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from config import Settings

log = logging.getLogger("frontdesk")


def configure(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    for talkative in ("fontTools", "stripe"):
        logging.getLogger(talkative).setLevel(logging.WARNING)  # their INFO lines are noise
    app.before_request(_start_timer)
    app.after_request(_log_request)


def _start_timer() -> None:
    g.began = time.perf_counter()


def _log_request(response: Response) -> Response:
    if request.endpoint not in ("static", "health.alive"):
        spent = (time.perf_counter() - g.get("began", time.perf_counter())) * 1000
        log.info("%s %s %s %.0f ms", request.method, request.url_rule or "unknown path", response.status_code, spent)
    return response
