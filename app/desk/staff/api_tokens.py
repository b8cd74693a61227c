"""API tokens page: users create their own tokens, see the secret once, and revoke them."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_login import current_user

from app.desk.notices.notice import notify_user
from app.desk.sign_in import security
from app.desk.sign_in.api_token import ApiToken
from app.desk.staff.roles import RightsLine, rights_lines
from app.kernel.db import transaction
from app.kernel.errors import Forbidden, Invalid, NotSignedIn, Refused


class Tokens(BaseView):
    """The user's own tokens. While viewing as another user (impersonation), none can be created."""

    route_base = "/desk/tokens"
    default_view = "index"

    @expose("/", methods=["GET", "POST"])
    def index(self) -> Any:
        me = _own_user_id()
        if request.method == "GET":
            return _page(me)
        try:
            with transaction():
                name, scopes = request.form.get("name", ""), _checked_scopes(request.form.getlist("scope"))
                made, secret = ApiToken.create(me, name=name, scopes=scopes, days=_typed_days())
                notify_user(current_user, "ways_in", f"The API token “{made.name}” was created for your account.")
        except Refused as no:
            return _page(me, refusal=no), no.status
        return _page(me, made=made, secret=secret)

    @expose("/<int:id>/end", methods=["POST"])
    def end(self, id: int) -> Any:
        ApiToken.revoke(_own_user_id(), id)
        flash("API token revoked.", "success")
        return redirect(url_for("Tokens.index"))


def _own_user_id() -> int:
    who = security.actor()
    if who.user_id is None:
        raise NotSignedIn("Sign in to continue.")
    if who.on_behalf_of:
        raise Forbidden("You can’t manage API tokens while viewing as another user.")
    return who.user_id


def _grantable_lines() -> dict[str, list[RightsLine]]:
    """Return the rights that the current user has and can grant to a token, by pack."""
    who, packs = security.actor(), dict[str, list[RightsLine]]()
    for line in rights_lines():
        own = {verb: label for verb, label in line.verbs.items() if who.may_all or line.right(verb) in who.rights}
        if own:
            packs.setdefault(line.pack, []).append(RightsLine(line.pack, line.label, line.name, own))
    return packs


def _checked_scopes(wanted: list[str]) -> list[str]:
    offered = {line.right(verb) for part in _grantable_lines().values() for line in part for verb in line.verbs}
    if {*wanted} - offered:
        raise Invalid.for_fields({"scopes": "Select only permissions that you have yourself."})
    return wanted


def _scopes_in_words(token: ApiToken) -> str:
    """Describe the scopes of a token: "Bookings (read, confirm), Slots (read)"."""
    verbs_by_label = {
        line.label: [label.lower() for verb, label in line.verbs.items() if line.right(verb) in token.scopes]
        for line in rights_lines()
    }
    return ", ".join(f"{label} ({', '.join(verbs)})" for label, verbs in verbs_by_label.items() if verbs)


def _typed_days() -> int:
    typed = request.form.get("days", "")
    return int(typed) if typed.isdecimal() and len(typed) < 6 else 0


def _page(me: int, *, refusal: Refused | None = None, made: ApiToken | None = None, secret: str = "") -> str:
    g.resource = None
    ticked = {*request.form.getlist("scope")} if refusal else set[str]()
    known = {"refusal": refusal, "made": made, "secret": secret, "ticked": ticked, "may": _scopes_in_words}
    return render_template("desk/tokens.html", tokens=ApiToken.list_for(me), packs=_grantable_lines(), **known)
