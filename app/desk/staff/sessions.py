"""Sessions page: where a user is signed in, and the buttons that end those sessions."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, render_template, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_login import current_user

from app.desk.sign_in.session import StaffSession, hash_key
from app.kernel.errors import NotSignedIn


class Sessions(BaseView):
    """The user's own sessions, also while viewing as another user (impersonation)."""

    route_base = "/desk/sittings"
    default_view = "index"

    @expose("/")
    def index(self) -> Any:
        g.resource = None
        sittings, here = StaffSession.list_for(_own_user_id()), hash_key(cookie.get("sitting", ""))
        return render_template("desk/sittings.html", sittings=sittings, here=here)

    @expose("/<int:id>/end", methods=["POST"])
    def end(self, id: int) -> Any:
        StaffSession.get_for(_own_user_id(), id).end()
        flash("Session ended.", "success")
        return redirect(url_for("Sessions.index"))

    @expose("/others", methods=["POST"])
    def end_others(self) -> Any:
        StaffSession.end_all(_own_user_id(), but=cookie.get("sitting", ""))
        flash("All other sessions ended.", "success")
        return redirect(url_for("Sessions.index"))


def _own_user_id() -> int:
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in to continue.")
    return int(current_user.id)
