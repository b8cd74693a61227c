"""Ways in: where somebody is signed in, and by what they can; what an administrator takes away when a telephone is lost or somebody leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flask import flash, g, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import User

from app.desk.notices.notice import give
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
    """For administrators alone; each of it stands in the history under their name, and the person hears of it."""

    route_base = "/desk/ways-in"
    default_view = "of"
    base_permissions: ClassVar[list[str]] = []

    @expose("/<int:user>")
    def of(self, user: int) -> Any:
        whose = _one(user)
        g.resource = None
        theirs = {
            "sittings": StaffSession.of(user),
            "second": TwoFactor.of(user),
            "passkeys": Passkey.of(user),
            "tokens": ApiToken.of(user),
        }
        return render_template("desk/ways_in.html", whose=whose, **theirs)

    @expose("/<int:user>/sittings/<int:id>/end", methods=["POST"])
    def sign_out(self, user: int, id: int) -> Any:
        return _taken(user, "signed_out", lambda: StaffSession.one(user, id).end(), "Session ended.")

    @expose("/<int:user>/sittings/end", methods=["POST"])
    def sign_out_everywhere(self, user: int) -> Any:
        return _taken(user, "signed_out_everywhere", lambda: StaffSession.end_all(user), "All sessions ended.")

    @expose("/<int:user>/second/end", methods=["POST"])
    def take_second(self, user: int) -> Any:
        return _taken(
            user,
            "lost_second_factor",
            lambda: TwoFactor.take_from(user),
            "Two-factor authentication turned off. The user now signs in with a password only.",
        )

    @expose("/<int:user>/passkeys/<int:id>/end", methods=["POST"])
    def take_passkey(self, user: int, id: int) -> Any:
        return _taken(user, "lost_passkey", lambda: Passkey.one(user, id).remove(), "Passkey removed.")

    @expose("/<int:user>/tokens/<int:id>/end", methods=["POST"])
    def take_token(self, user: int, id: int) -> Any:
        return _taken(user, "lost_token", lambda: ApiToken.end(user, id), "API token revoked.")


_TOLD = {
    "signed_out": "ended one of your sessions",
    "signed_out_everywhere": "ended all of your sessions",
    "lost_second_factor": "turned off your two-factor authentication",
    "lost_passkey": "removed one of your passkeys",
    "lost_token": "revoked one of your API tokens",
}


def _taken(user: int, verb: str, take: Callable[[], None], said: str) -> Any:
    whose = _one(user)
    with transaction():
        take()
        audit.line(whose, verb)
        give(whose, "ways_in", f"{actor().name} {_TOLD[verb]}.")
    flash(said, "success")
    return redirect(url_for("SignInMethods.of", user=user))


def _one(id: int) -> User:
    must_be_admin()
    user = session.get(User, id) if id < 2**31 else None
    if user is None:
        raise Missing
    return user
