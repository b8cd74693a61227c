"""Tokens of one's own: made, shown once, ended."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_login import current_user

from app.desk.notices.notice import give
from app.desk.sign_in import security
from app.desk.sign_in.api_token import ApiToken
from app.desk.staff.roles import Line, lines
from app.kernel.db import transaction
from app.kernel.errors import Forbidden, Invalid, NotSignedIn, Refused


class Tokens(BaseView):
    """For whoever is signed in; with somebody else's eyes none is made."""

    route_base = "/desk/tokens"
    default_view = "index"

    @expose("/", methods=["GET", "POST"])
    def index(self) -> Any:
        me = _me()
        if request.method == "GET":
            return _page(me)
        try:
            with transaction():
                made, secret = ApiToken.make(
                    me, name=request.form.get("name", ""), scopes=_mine(request.form.getlist("scope")), days=_days()
                )
                give(current_user, "ways_in", f"The API token “{made.name}” was created for your account.")
        except Refused as no:
            return _page(me, refusal=no), no.status
        return _page(me, made=made, secret=secret)

    @expose("/<int:id>/end", methods=["POST"])
    def end(self, id: int) -> Any:
        ApiToken.end(_me(), id)
        flash("API token revoked.", "success")
        return redirect(url_for("Tokens.index"))


def _me() -> int:
    who = security.actor()
    if who.user_id is None:
        raise NotSignedIn("Sign in to continue.")
    if who.on_behalf_of:
        raise Forbidden("You can’t manage API tokens while viewing as another user.")
    return who.user_id


def _offered() -> dict[str, list[Line]]:
    """What whoever is here may; nobody hands on more than they have."""
    who, packs = security.actor(), dict[str, list[Line]]()
    for line in lines():
        if mine := {
            verb: called for verb, called in line.verbs.items() if who.may_all or line.right(verb) in who.rights
        }:
            packs.setdefault(line.pack, []).append(Line(line.pack, line.label, line.name, mine))
    return packs


def _mine(wanted: list[str]) -> list[str]:
    offered = {line.right(verb) for its in _offered().values() for line in its for verb in line.verbs}
    if {*wanted} - offered:
        raise Invalid.fields_said({"scopes": "Select only permissions that you have yourself."})
    return wanted


def _said(token: ApiToken) -> str:
    """Bookings (read, confirm), Slots (read)."""
    its = {
        line.label: [called.lower() for verb, called in line.verbs.items() if line.right(verb) in token.scopes]
        for line in lines()
    }
    return ", ".join(f"{label} ({', '.join(verbs)})" for label, verbs in its.items() if verbs)


def _days() -> int:
    typed = request.form.get("days", "")
    return int(typed) if typed.isdecimal() and len(typed) < 6 else 0


def _page(me: int, *, refusal: Refused | None = None, made: ApiToken | None = None, secret: str = "") -> str:
    g.resource = None
    ticked = {*request.form.getlist("scope")} if refusal else set[str]()
    known = {"refusal": refusal, "made": made, "secret": secret, "ticked": ticked, "may": _said}
    return render_template("desk/tokens.html", tokens=ApiToken.of(me), packs=_offered(), **known)
