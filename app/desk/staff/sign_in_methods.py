"""Sign-in methods of a user, for administrators: end sessions, turn off two-factor, remove passkeys and API tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from flask import flash, g, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import User

from app.desk.notices.notice import notify_user
from app.desk.sign_in.api_token import ApiToken
from app.desk.sign_in.passkey import Passkey
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor
from app.desk.staff.roles import must_be_admin
from app.kernel import audit
from app.kernel.access import actor
from app.kernel.db import session, transaction
from app.kernel.errors import Missing


class SignInMethods(BaseView):
    """For administrators. Every removal is in the history, and the user is notified."""

    route_base = "/desk/ways-in"
    default_view = "of"
    base_permissions: ClassVar[list[str]] = []

    @expose("/<int:user>")
    def of(self, user: int) -> Any:
        whose = _find_user(user)
        g.resource = None
        methods = {
            "sittings": StaffSession.list_for(user),
            "second": TwoFactor.get_for(user),
            "passkeys": Passkey.list_for(user),
            "tokens": ApiToken.list_for(user),
        }
        return render_template("desk/ways_in.html", whose=whose, **methods)

    @expose("/<int:user>/sittings/<int:id>/end", methods=["POST"])
    def sign_out(self, user: int, id: int) -> Any:
        return _remove_and_notify(user, "signed_out", lambda: StaffSession.get_for(user, id).end(), "Session ended.")

    @expose("/<int:user>/sittings/end", methods=["POST"])
    def sign_out_everywhere(self, user: int) -> Any:
        end_all = partial(StaffSession.end_all, user)
        return _remove_and_notify(user, "signed_out_everywhere", end_all, "All sessions ended.")

    @expose("/<int:user>/second/end", methods=["POST"])
    def take_second(self, user: int) -> Any:
        return _remove_and_notify(
            user,
            "lost_second_factor",
            lambda: TwoFactor.reset_for(user),
            "Two-factor authentication turned off. The user now signs in with a password only.",
        )

    @expose("/<int:user>/passkeys/<int:id>/end", methods=["POST"])
    def take_passkey(self, user: int, id: int) -> Any:
        return _remove_and_notify(user, "lost_passkey", lambda: Passkey.get_for(user, id).remove(), "Passkey removed.")

    @expose("/<int:user>/tokens/<int:id>/end", methods=["POST"])
    def take_token(self, user: int, id: int) -> Any:
        return _remove_and_notify(user, "lost_token", lambda: ApiToken.revoke(user, id), "API token revoked.")


_NOTICES = {
    "signed_out": "ended one of your sessions",
    "signed_out_everywhere": "ended all of your sessions",
    "lost_second_factor": "turned off your two-factor authentication",
    "lost_passkey": "removed one of your passkeys",
    "lost_token": "revoked one of your API tokens",
}


def _remove_and_notify(user: int, verb: str, remove: Callable[[], None], done: str) -> Any:
    whose = _find_user(user)
    with transaction():
        remove()
        audit.record_line(whose, verb)
        notify_user(whose, "ways_in", f"{actor().name} {_NOTICES[verb]}.")
    flash(done, "success")
    return redirect(url_for("SignInMethods.of", user=user))


def _find_user(id: int) -> User:
    must_be_admin()
    user = session.get(User, id) if id < 2**31 else None
    if user is None:
        raise Missing
    return user
