"""Vouched: whoever a provider knows, and the desk too, comes in without a password of ours."""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import timedelta
from typing import Any

from flask import current_app, redirect, request, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import no_cache
from flask_appbuilder.security.sqla.models import User
from flask_appbuilder.utils.base import get_safe_redirect
from flask_limiter.util import get_remote_address
from flask_login import current_user
from sqlalchemy import func, select

from app.desk.sign_in.oidc import Provider, providers
from app.desk.sign_in.sign_in_page import asks, comes_in
from app.desk.sign_in.throttle import guessing
from app.desk.sign_in.used_token import first_time
from app.kernel.db import session
from app.kernel.errors import Missing, NotSignedIn, Refused

GOOD_FOR = timedelta(minutes=10)  # the way there and back, with whatever is asked on it


class OidcSignIn(BaseView):
    """There and back; a second factor of ours is asked for afterwards, as behind a password."""

    route_base = "/login/with"

    @expose("/<key>")
    @no_cache
    def go(self, key: str) -> Any:
        provider, there = _one(key), get_safe_redirect(request.args.get("next", "") or url_for("Home.index"))
        if current_user.is_authenticated:
            return redirect(there)
        secret = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "proof")}
        try:
            address = provider.asks(back=_back(provider), **secret)
        except Refused as no:
            return asks(no=no)
        cookie["vouched"] = secret | {"by": key, "next": there, "until": time.time() + GOOD_FOR.total_seconds()}
        return redirect(address)

    @expose("/<key>/back")
    @no_cache
    def back(self, key: str) -> Any:
        provider, there = _one(key), str((cookie.get("vouched") or {}).get("next", ""))
        if current_user.is_authenticated:
            return redirect(there or url_for("Home.index"))
        try:
            with guessing("vouched", get_remote_address()):
                user = _heard(provider)
        except Refused as no:
            return asks(no=no, there=there)
        current_app.extensions["appbuilder"].sm.update_user_auth_stat(user, True)
        return comes_in(user, there, how=provider.label)


def _one(key: str) -> Provider:
    found = next((each for each in providers(current_app.extensions["settings"]) if each.key == key), None)
    if found is None:
        raise Missing
    return found


def _back(provider: Provider) -> str:
    """The same for every visitor, since it is registered with the provider letter by letter."""
    home: str = current_app.extensions["settings"].base_url
    return home.rstrip("/") + url_for("OidcSignIn.back", key=provider.key)


def _heard(provider: Provider) -> Any:
    asked = cookie.pop("vouched", None) or {"by": "", "state": "", "until": 0}
    ours = asked["by"] == provider.key and hmac.compare_digest(
        asked["state"].encode(), request.args.get("state", "").encode()
    )
    if not ours or asked["until"] < time.time() or not first_time(asked["state"], within=GOOD_FOR):
        raise NotSignedIn("This sign-in was started in another window, or expired after ten minutes. Please try again.")
    if request.args.get("error"):
        raise NotSignedIn(
            f"{provider.label} did not confirm your identity. Please try again, or sign in with your password."
        )
    told = provider.told(request.args, back=_back(provider), nonce=asked["nonce"], proof=asked["proof"])
    return _known(provider, told)


def _known(provider: Provider, told: dict[str, Any]) -> Any:
    """Who of the house has this address; nobody is added by coming."""
    email, domains = str(told.get("email", "")).strip(), current_app.extensions["settings"].oauth_domains
    if not email or told.get("email_verified") not in (True, "true"):
        raise NotSignedIn(
            f"Your email address isn’t verified at {provider.label}. Verify it there first, or sign in with your password."
        )
    if domains and email.rpartition("@")[2].lower() not in {each.lower() for each in domains}:
        raise NotSignedIn(f"Only email addresses at {' or '.join(domains)} can sign in this way.")
    found = session.scalars(select(User).where(func.lower(User.email) == email.lower())).all()
    if len(found) != 1 or not found[0].is_active:
        raise NotSignedIn(f"There is no account for {email}. Ask an administrator to add you.")
    return found[0]
