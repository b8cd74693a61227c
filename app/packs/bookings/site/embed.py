"""Embeddable widget: the calendar and the booking form inside another website, and the script that puts them there."""

from __future__ import annotations

from flask import Blueprint, Response, current_app
from flask import session as cookie

from app.packs.bookings.site.booking_pages import book, choose, form
from app.site.frame import FRAMED

embed = Blueprint("embed", __name__, url_prefix=FRAMED)
script = Blueprint("script", __name__)

embed.add_url_rule("/<slug>", "choose", choose)
embed.add_url_rule("/<slug>/<int:slot>", "form", form)
embed.add_url_rule("/<slug>/<int:slot>", "book", book, methods=["POST"])


@embed.before_request
def ignore_cookies() -> None:
    """Treat embedded visitors as anonymous, so that the surrounding page gains nothing from their cookies (CSRF)."""
    cookie.clear()


@embed.after_request
def set_no_cookies(answer: Response) -> Response:
    """Send no session cookie: most browsers drop it in a frame, and others would replace that of our own site."""
    cookie.clear()
    cookie.modified = False
    return answer


@script.get("/embed.js")
def put_in() -> Response:
    """Serve the script at a stable address without a version, because other sites link to it; cached for an hour."""
    answer = current_app.send_static_file("embed.js")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
