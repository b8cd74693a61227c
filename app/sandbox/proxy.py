"""Reverse proxy: forwards every request below /sandbox to the sandbox's own process."""

from __future__ import annotations

import requests
from flask import Blueprint, Response, request

from config import Settings, Unsafe

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_KEYS = ("Idempotency-Key", "X-Refund-Idempotency", "X-Transfer-Idempotency", "X-Payout-Idempotency")
_REQUEST_HEADERS = ("Content-Type", "Authorization", *_KEYS)
_RESPONSE_HEADERS = ("Content-Type", "Content-Disposition", "Location", "Content-Security-Policy", "X-Frame-Options")


def sandbox_proxy(settings: Settings) -> Blueprint:
    if not settings.sandboxed:
        raise Unsafe("The sandbox is not available with real gateway keys.")
    proxy = Blueprint("sandbox", __name__, url_prefix="/sandbox")

    @proxy.route("/", defaults={"path": ""}, methods=_METHODS)
    @proxy.route("/<path:path>", methods=_METHODS)
    def hand_on(path: str) -> Response:
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        target = f"{settings.sandbox_url.rstrip('/')}/sandbox/{path}"
        try:
            answer = requests.request(
                request.method,
                target,
                params=request.query_string,
                data=request.get_data(),
                headers=headers,
                timeout=15,
                allow_redirects=False,
            )
        except requests.RequestException:
            return Response("The sandbox is not running. Start it with `make run`.", 502, mimetype="text/plain")
        back = Response(answer.content, answer.status_code)
        for name in _RESPONSE_HEADERS:
            if name in answer.headers:
                back.headers[name] = answer.headers[name]
        return back

    return proxy
