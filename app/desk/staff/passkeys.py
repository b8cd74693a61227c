"""Passkeys: the door that they open, and the page where everybody has their own."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

from flask import Response, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import no_cache
from flask_appbuilder.utils.base import get_safe_redirect
from flask_login import current_user

from app.desk.notices.notice import give
from app.desk.sign_in.passkey import Asked, Passkey, called, can_be_at, credential_of, origin, read
from app.desk.sign_in.password import NOBODYS, fits
from app.desk.sign_in.sign_in_page import asks, prove, sits_down, waits
from app.desk.sign_in.throttle import guessing
from app.desk.sign_in.used_token import first_time
from app.kernel.db import transaction
from app.kernel.errors import Forbidden, Invalid, NotSignedIn, Refused

GOOD_FOR = timedelta(minutes=5)  # a question to an authenticator


class PasskeyDoor(BaseView):
    """Beside the password: whoever comes in here has shown that they have something, and who they are."""

    route_base = "/login/passkey"

    @expose("/asked", methods=["POST"])
    @no_cache
    def asked(self) -> Response:
        question = Asked(_home())
        _keep("sign in", question)
        return _json(question.to_sign())

    @expose("/", methods=["POST"])
    @no_cache
    def enter(self) -> Any:
        there = get_safe_redirect(request.args.get("next", "") or url_for("Home.index"))
        if current_user.is_authenticated:
            return redirect(there)
        try:
            user, passkey = _shown(request.form.get("answer", ""))
        except Refused as no:
            return asks(no=no)
        sits_down(user, how=f"the passkey “{passkey.name}”")
        return redirect(there)


def _shown(answer: str) -> tuple[Any, Passkey]:
    told, sm = read(answer), current_app.extensions["appbuilder"].sm
    credential = credential_of(told)
    with guessing("passkey", credential.hex()):
        asked = _taken("sign in")
        passkey = Passkey.shown(credential)
        user = sm.get_user_by_id(passkey.user_id) if passkey is not None else None
        if passkey is None or user is None or not user.is_active:
            raise NotSignedIn("This passkey isn’t registered here. Sign in with your password.")
        passkey.passes(told, asked)
    sm.update_user_auth_stat(user, True)
    return user, passkey


class Passkeys(BaseView):
    """Added, named and removed by whoever has them; whoever signed in a while ago shows once more that it is them."""

    route_base = "/desk/passkeys"
    default_view = "index"

    @expose("/", methods=["GET", "POST"])
    @no_cache
    def index(self) -> Any:
        _me()
        if request.method == "GET":
            return _page()
        try:
            _must_be_proved()
            asked = _taken("add")
            with transaction():
                made = Passkey.add(
                    current_user.id,
                    name=request.form.get("name", ""),
                    answer=request.form.get("answer", ""),
                    asked=asked,
                )
                give(current_user, "ways_in", f"The passkey “{made.name}” was added to your account.")
        except Refused as no:
            return _page(no)
        flash(f"Passkey “{made.name}” added. You can now sign in with it.", "success")
        return redirect(url_for("Passkeys.index"))

    @expose("/prove", methods=["POST"])
    @no_cache
    def prove(self) -> Any:
        _me()
        try:
            with guessing("password", current_user.username):
                if not fits(current_user.password or NOBODYS, request.form.get("password", "")):
                    raise Invalid.fields_said({"password": "Incorrect password."})
        except Refused as no:
            return _page(no)
        prove()
        return redirect(url_for("Passkeys.index"))

    @expose("/asked", methods=["POST"])
    @no_cache
    def asked(self) -> Response:
        _me()
        _must_be_proved()
        called(request.form.get("name", ""))
        question = Asked(_home())
        options = question.to_make(
            house=current_app.extensions["settings"].business, user=current_user, known=Passkey.of(current_user.id)
        )
        _keep("add", question)
        return _json(options)

    @expose("/<int:id>/name", methods=["POST"])
    def call(self, id: int) -> Any:
        passkey = Passkey.one(_me(), id)
        try:
            passkey.call(request.form.get("name", ""))
        except Refused as no:
            return _page(no, at=id)
        flash("Passkey renamed.", "success")
        return redirect(url_for("Passkeys.index"))

    @expose("/<int:id>/remove", methods=["POST"])
    def remove(self, id: int) -> Any:
        passkey = Passkey.one(_me(), id)
        try:
            _must_be_proved()
        except Refused as no:
            return _page(no)
        with transaction():
            passkey.remove()
            give(current_user, "ways_in", f"The passkey “{passkey.name}” was removed from your account.")
        flash(
            f"Passkey “{passkey.name}” removed. Your phone or computer may still list it, so remove it there too.",
            "success",
        )
        return redirect(url_for("Passkeys.index"))


def _me() -> int:
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in to continue.")
    return int(current_user.id)


def _home() -> str:
    home = str(current_app.extensions["settings"].base_url)
    if not can_be_at(home):
        raise Refused("Passkeys need a domain name, but this site uses an IP address. Set BASE_URL to a domain name.")
    return home


def _keep(what: str, question: Asked) -> None:
    until = time.time() + GOOD_FOR.total_seconds()
    cookie["asked"] = {
        "what": what,
        "challenge": b64encode(question.challenge).decode(),
        "handle": b64encode(question.handle).decode(),
        "until": until,
    }


def _taken(what: str) -> Asked:
    """The question that this browser was asked last, once."""
    kept = cookie.pop("asked", None) or {}
    if kept.get("what") != what or kept["until"] < time.time() or not first_time(kept["challenge"], within=GOOD_FOR):
        raise NotSignedIn("This request expired after five minutes, or was sent twice. Please try again.")
    return Asked(_home(), b64decode(kept["challenge"]), b64decode(kept["handle"]))


def _is_proved() -> bool:
    """By this browser, in this sitting, a moment ago."""
    told = cookie.get("proved") or {}
    return bool(told) and told["sitting"] == cookie.get("sitting") and told["until"] > time.time()


def _must_be_proved() -> None:
    if not _is_proved():
        raise Forbidden("Enter your password first. You signed in more than ten minutes ago.")


def _json(words: str) -> Response:
    return Response(words, mimetype="application/json")


def _page(no: Refused | None = None, *, at: int = 0) -> Response:
    g.resource = None
    home = current_app.extensions["settings"].base_url
    known = {
        "passkeys": Passkey.of(current_user.id),
        "proved": _is_proved(),
        "origin": origin(home) if can_be_at(home) else "",
        "at": at,
    }
    return waits(
        make_response(render_template("desk/passkeys.html", refusal=no, **known), no.status if no else 200), no
    )
