"""One line for each request, and no line with a secret in it: the rule is logged, not the address with its token."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from config import Settings

log = logging.getLogger("frontdesk")


def begin(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    for talkative in ("fontTools", "stripe"):
        logging.getLogger(talkative).setLevel(logging.WARNING)  # they say at length that all is well
    app.before_request(_look_at_the_clock)
    app.after_request(_write_it_down)


def _look_at_the_clock() -> None:
    g.began = time.perf_counter()


def _write_it_down(response: Response) -> Response:
    if request.endpoint not in ("static", "health.alive"):
        spent = (time.perf_counter() - g.get("began", time.perf_counter())) * 1000
        log.info("%s %s %s %.0f ms", request.method, request.url_rule or "unknown path", response.status_code, spent)
    return response
