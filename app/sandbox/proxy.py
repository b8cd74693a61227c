"""The sandbox at the product's own address: each request below /sandbox is handed on to the process that stands in."""

from __future__ import annotations

import requests
from flask import Blueprint, Response, request

from config import Settings, Unsafe

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_KEYS = ("Idempotency-Key", "X-Refund-Idempotency", "X-Transfer-Idempotency", "X-Payout-Idempotency")
_HANDED_IN = ("Content-Type", "Authorization", *_KEYS)
_HANDED_ON = ("Content-Type", "Content-Disposition", "Location", "Content-Security-Policy", "X-Frame-Options")


def door(settings: Settings) -> Blueprint:
    if not settings.sandboxed:
        raise Unsafe("The sandbox is not available with real gateway keys.")
    it = Blueprint("sandbox", __name__, url_prefix="/sandbox")

    @it.route("/", defaults={"path": ""}, methods=_METHODS)
    @it.route("/<path:path>", methods=_METHODS)
    def hand_on(path: str) -> Response:
        headers = {name: request.headers[name] for name in _HANDED_IN if name in request.headers}
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
        for name in _HANDED_ON:
            if name in answer.headers:
                back.headers[name] = answer.headers[name]
        return back

    return it
