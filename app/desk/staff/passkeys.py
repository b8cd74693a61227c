"""Passkey (WebAuthn) sign-in, and the page where users add, rename and remove their own passkeys."""

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

from app.desk.notices.notice import notify_user
from app.desk.sign_in.passkey import (
    Challenge,
    Passkey,
    allows_passkeys,
    browser_origin,
    checked_name,
    credential_id,
    parse_answer,
)
from app.desk.sign_in.password import DUMMY_HASH, check_password
from app.desk.sign_in.sign_in_page import complete_sign_in, mark_verified, render_sign_in, with_retry_after
from app.desk.sign_in.throttle import throttle_attempts
from app.desk.sign_in.used_token import claim_once
from app.kernel.db import transaction
from app.kernel.errors import Forbidden, Invalid, NotSignedIn, Refused

CHALLENGE_LIFETIME = timedelta(minutes=5)


class PasskeyDoor(BaseView):
    """Sign-in with a passkey. It counts as both factors, so no code is asked for."""

    route_base = "/login/passkey"

    @expose("/asked", methods=["POST"])
    @no_cache
    def asked(self) -> Response:
        challenge = Challenge(_base_url())
        _remember_challenge("sign in", challenge)
        return _json(challenge.authentication_options())

    @expose("/", methods=["POST"])
    @no_cache
    def enter(self) -> Any:
        there = get_safe_redirect(request.args.get("next", "") or url_for("Home.index"))
        if current_user.is_authenticated:
            return redirect(there)
        try:
            user, passkey = _authenticate(request.form.get("answer", ""))
        except Refused as no:
            return render_sign_in(no=no)
        complete_sign_in(user, how=f"the passkey “{passkey.name}”")
        return redirect(there)


def _authenticate(answer: str) -> tuple[Any, Passkey]:
    parsed, sm = parse_answer(answer), current_app.extensions["appbuilder"].sm
    credential = credential_id(parsed)
    with throttle_attempts("passkey", credential.hex()):
        challenge = _take_challenge("sign in")
        passkey = Passkey.find_by_credential(credential)
        user = sm.get_user_by_id(passkey.user_id) if passkey is not None else None
        if passkey is None or user is None or not user.is_active:
            raise NotSignedIn("This passkey isn’t registered here. Sign in with your password.")
        passkey.verify(parsed, challenge)
    sm.update_user_auth_stat(user, True)
    return user, passkey


class Passkeys(BaseView):
    """The user's own passkeys. Adding and removing ask for the password again, ten minutes after sign-in."""

    route_base = "/desk/passkeys"
    default_view = "index"

    @expose("/", methods=["GET", "POST"])
    @no_cache
    def index(self) -> Any:
        _own_user_id()
        if request.method == "GET":
            return _page()
        try:
            _require_verified()
            challenge = _take_challenge("add")
            with transaction():
                made = Passkey.register(
                    current_user.id,
                    name=request.form.get("name", ""),
                    answer=request.form.get("answer", ""),
                    challenge=challenge,
                )
                notify_user(current_user, "ways_in", f"The passkey “{made.name}” was added to your account.")
        except Refused as no:
            return _page(no)
        flash(f"Passkey “{made.name}” added. You can now sign in with it.", "success")
        return redirect(url_for("Passkeys.index"))

    @expose("/prove", methods=["POST"])
    @no_cache
    def prove(self) -> Any:
        _own_user_id()
        try:
            with throttle_attempts("password", current_user.username):
                if not check_password(current_user.password or DUMMY_HASH, request.form.get("password", "")):
                    raise Invalid.for_fields({"password": "Incorrect password."})
        except Refused as no:
            return _page(no)
        mark_verified()
        return redirect(url_for("Passkeys.index"))

    @expose("/asked", methods=["POST"])
    @no_cache
    def asked(self) -> Response:
        _own_user_id()
        _require_verified()
        checked_name(request.form.get("name", ""))
        challenge = Challenge(_base_url())
        house, known = current_app.extensions["settings"].business, Passkey.list_for(current_user.id)
        options = challenge.registration_options(house=house, user=current_user, known=known)
        _remember_challenge("add", challenge)
        return _json(options)

    @expose("/<int:id>/name", methods=["POST"])
    def call(self, id: int) -> Any:
        passkey = Passkey.get_for(_own_user_id(), id)
        try:
            passkey.rename(request.form.get("name", ""))
        except Refused as no:
            return _page(no, at=id)
        flash("Passkey renamed.", "success")
        return redirect(url_for("Passkeys.index"))

    @expose("/<int:id>/remove", methods=["POST"])
    def remove(self, id: int) -> Any:
        passkey = Passkey.get_for(_own_user_id(), id)
        try:
            _require_verified()
        except Refused as no:
            return _page(no)
        with transaction():
            passkey.remove()
            notify_user(current_user, "ways_in", f"The passkey “{passkey.name}” was removed from your account.")
        flash(
            f"Passkey “{passkey.name}” removed. Your phone or computer may still list it, so remove it there too.",
            "success",
        )
        return redirect(url_for("Passkeys.index"))


def _own_user_id() -> int:
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in to continue.")
    return int(current_user.id)


def _base_url() -> str:
    home = str(current_app.extensions["settings"].base_url)
    if not allows_passkeys(home):
        raise Refused("Passkeys need a domain name, but this site uses an IP address. Set BASE_URL to a domain name.")
    return home


def _remember_challenge(what: str, challenge: Challenge) -> None:
    until = time.time() + CHALLENGE_LIFETIME.total_seconds()
    cookie["asked"] = {
        "what": what,
        "challenge": b64encode(challenge.challenge).decode(),
        "handle": b64encode(challenge.handle).decode(),
        "until": until,
    }


def _take_challenge(what: str) -> Challenge:
    """Return the last challenge of this browser, which can be answered once."""
    kept = cookie.pop("asked", None) or {}
    is_current = kept.get("what") == what and kept["until"] >= time.time()
    if not is_current or not claim_once(kept["challenge"], within=CHALLENGE_LIFETIME):
        raise NotSignedIn("This request expired after five minutes, or was sent twice. Please try again.")
    return Challenge(_base_url(), b64decode(kept["challenge"]), b64decode(kept["handle"]))


def _is_verified() -> bool:
    """Return whether this session was verified recently, by a sign-in or by the password."""
    mark = cookie.get("proved") or {}
    return bool(mark) and mark["sitting"] == cookie.get("sitting") and mark["until"] > time.time()


def _require_verified() -> None:
    if not _is_verified():
        raise Forbidden("Enter your password first. You signed in more than ten minutes ago.")


def _json(body: str) -> Response:
    return Response(body, mimetype="application/json")


def _page(no: Refused | None = None, *, at: int = 0) -> Response:
    g.resource = None
    home = current_app.extensions["settings"].base_url
    known = {
        "passkeys": Passkey.list_for(current_user.id),
        "proved": _is_verified(),
        "origin": browser_origin(home) if allows_passkeys(home) else "",
        "at": at,
    }
    return with_retry_after(
        make_response(render_template("desk/passkeys.html", refusal=no, **known), no.status if no else 200), no
    )
