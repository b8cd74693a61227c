"""Where somebody is signed in, and the way out of there: one page for everybody's own."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, render_template, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_login import current_user

from app.desk.sign_in.session import StaffSession, digest
from app.kernel.errors import NotSignedIn


class Sessions(BaseView):
    """Whoever sees the desk with somebody else's eyes still sees their own here."""

    route_base = "/desk/sittings"
    default_view = "index"

    @expose("/")
    def index(self) -> Any:
        g.resource = None
        return render_template(
            "desk/sittings.html", sittings=StaffSession.of(_me()), here=digest(cookie.get("sitting", ""))
        )

    @expose("/<int:id>/end", methods=["POST"])
    def end(self, id: int) -> Any:
        StaffSession.one(_me(), id).end()
        flash("Session ended.", "success")
        return redirect(url_for("Sessions.index"))

    @expose("/others", methods=["POST"])
    def end_others(self) -> Any:
        StaffSession.end_all(_me(), but=cookie.get("sitting", ""))
        flash("All other sessions ended.", "success")
        return redirect(url_for("Sessions.index"))


def _me() -> int:
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in to continue.")
    return int(current_user.id)
