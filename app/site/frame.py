"""What every answer carries, and how every refusal looks: JSON to programs, a kind page to people."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, jsonify, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.kernel import clock
from app.kernel.db import in_words, session
from app.kernel.errors import NotSignedIn, Refused, Unreadable
from config import Settings

log = logging.getLogger(__name__)

FRAMED = "/embed"  # below it are the pages that others may show within a page of theirs


def put_up(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    app.before_request(_refuse_what_cannot_be_kept)
    app.after_request(_carry)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _broken)
    app.jinja_env.globals.update(csp_nonce=_nonce, asset=asset, settings=settings, said=said, now=clock.now, framed=framed)
    app.jinja_env.filters.update(said=said)


def framed() -> bool:
    """Is this page shown within a page of somebody else?"""
    return request.path.startswith(f"{FRAMED}/")


def said(instant: datetime, zone: str) -> str:
    return clock.said(instant, zone)


def asset(path: str) -> str:
    """A file of ours, under a name that changes with its content: it may be kept for a year."""
    return url_for("static", filename=path, v=_print_of(path))


@cache
def _print_of(path: str) -> str:
    return hashlib.sha256((Path(current_app.static_folder or "static") / path).read_bytes()).hexdigest()[:10]


def _refuse_what_cannot_be_kept() -> None:
    """PostgreSQL keeps no NUL, and nobody types one: said once here, for every form, address and body."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.get_data()  # kept, so that whoever hands the body on still finds it after the form was read
    typed = [*request.args.values(), *request.form.values()] if not request.is_json else []
    if "\x00" in request.path or any("\x00" in each for each in typed) or (request.is_json and b"\\u0000" in request.get_data()):
        raise Unreadable("This holds a character that cannot be kept.")


# --- headers ----------------------------------------------------------------------------------------------------------


def _nonce() -> str:
    """One for each answer; only scripts that carry it run."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def _carry(response: Response) -> Response:
    settings: Settings = _settings()
    nonce = f" 'nonce-{g.nonce}'" if "nonce" in g else ""
    pays_at = "".join(f" {each}" for each in settings.pays_at)
    around = " ".join(settings.embed_on if framed() else ()) or "'none'"
    policy = (
        f"default-src 'self'; script-src 'self'{nonce}; style-src 'self'{_style()}; img-src 'self' data:; font-src 'self' data:; "
        f"form-action 'self'{pays_at}; frame-ancestors {around}; base-uri 'none'; object-src 'none'"
    )
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if around == "'none'":
        response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if settings.base_url.startswith("https://"):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


_APPBUILDERS = ("/users", "/roles", "/resetmypassword", "/swagger", "/groups", "/userinfo")


def _style() -> str:
    """Swagger's page sets styles in attributes; no other page does."""
    return " 'unsafe-inline'" if request.path.startswith("/swagger") else ""


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


# --- refusals ---------------------------------------------------------------------------------------------------------


def _refused(no: Refused) -> Any:
    session.rollback()
    if _is_program():
        return jsonify(no.as_json()), no.status
    if isinstance(no, NotSignedIn):
        return redirect(url_for("AuthDBView.login", next=request.full_path))
    return _page(no.status, no.words)


_WORDS = {
    400: "This request could not be read.",
    401: "Sign in first.",
    403: "This is not yours to do.",
    404: "There is nothing here, or it is not for you.",
    405: "This cannot be done at this address.",
    413: "That is too large.",
    415: "Send JSON, with Content-Type: application/json.",
    429: "That was a little too often. Please wait a moment and try again.",
}
_CODES = {400: "unreadable", 401: "not_signed_in", 403: "forbidden", 404: "missing", 405: "not_here", 413: "too_large", 415: "not_json", 429: "too_often"}


def _http(error: HTTPException) -> Any:
    status = error.code or 500
    if error.response is not None and status < 400:
        return error
    words = _WORDS.get(status, error.description or "This did not work.")
    if isinstance(error, CSRFError):
        words = "This page was open for too long, or was sent from somewhere else. Please go back, load it again and send it once more."
    if _is_program():
        response: Any = jsonify({"error": {"code": _CODES.get(status, "refused"), "message": words, "fields": {}}})
        response.status_code = status
    else:
        response = Response(_page(status, words)[0], status)
    return response


def _broken(error: Exception) -> Any:
    """A constraint that broke outside of a transaction() is still a refusal; everything else is a bug, and is seen."""
    session.rollback()
    told = in_words(error)
    if isinstance(told, Refused):
        return _refused(told)
    log.error("%s %s broke", request.method, request.path, exc_info=error)
    words = "Something broke on our side. It was written down, and nothing of yours was lost or charged twice."
    if _is_program():
        return jsonify({"error": {"code": "broken", "message": words, "fields": {}}}), 500
    return _page(500, words)


def _is_program() -> bool:
    return request.path.startswith("/api/") or request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _page(status: int, words: str) -> tuple[str, int]:
    staff = request.path.startswith(("/desk", *_APPBUILDERS))
    return render_template("desk/refused.html" if staff else "site/refused.html", status=status, words=words), status
