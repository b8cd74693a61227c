"""The way to a booking within somebody else's page: the same calendar and form in a plain frame, and the script that puts it there."""

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
def hear_no_cookie() -> None:
    """Whoever fills in the form here is nobody we know, and a page around ours cannot do more than any stranger can."""
    cookie.clear()


@embed.after_request
def leave_no_cookie(answer: Response) -> Response:
    """Browsers keep none for a frame; and where they do, it would sign somebody out on our own site."""
    cookie.clear()
    cookie.modified = False
    return answer


@script.get("/embed.js")
def put_in() -> Response:
    """Under an address that stays as it is, since others have written it into their pages; so it is asked for anew each hour."""
    answer = current_app.send_static_file("embed.js")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
