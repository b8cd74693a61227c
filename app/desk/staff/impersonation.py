"""Impersonation ("View as"): an administrator sees the desk as another user for half an hour, under both names."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from flask import flash, g, redirect, request, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import User
from flask_login import current_user

from app.desk.sign_in import security
from app.kernel import audit
from app.kernel.access import ADMIN
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, Missing, NotSignedIn


class Impersonation(BaseView):
    """Two buttons: begin viewing as another user, and end it."""

    route_base = "/desk/see-as"
    base_permissions: ClassVar[list[str]] = []

    @expose("/", methods=["POST"])
    def begin(self) -> Any:
        who = security.actor()
        if who.user_id is None:
            raise NotSignedIn("Sign in to continue.")
        if ADMIN not in who.roles:
            raise Forbidden("You don’t have permission to do this.")
        typed = request.form.get("user", "")
        other = session.get(User, int(typed)) if typed.isdecimal() and len(typed) < 10 else None
        if other is None or not other.active:
            raise Missing
        if ADMIN in security.desk_actor(other).roles:
            raise Forbidden("You can’t view the desk as another administrator.")
        with transaction():
            audit.record_line(other, "seen_as")
        cookie["seen_as"] = {"by": who.user_id, "user": other.id, "until": time.time() + security.IMPERSONATION_SECONDS}
        return redirect(url_for("Home.index"))

    @expose("/end", methods=["POST"])
    def end(self) -> Any:
        if not current_user.is_authenticated:
            raise NotSignedIn("Sign in to continue.")
        mark = cookie.pop("seen_as", None)
        other = session.get(User, mark["user"]) if mark else None
        g.pop("_actor", None)
        if other is not None and mark["by"] == current_user.id:
            with transaction():
                audit.record_line(other, "seen_as_ended")
        flash("You are back in your own account.", "success")
        return redirect(url_for("Rights.index" if ADMIN in security.actor().roles else "Home.index"))
