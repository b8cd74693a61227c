"""OpenID Connect sign-in: the redirect to the identity provider and its callback, for users that exist at the desk."""

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

from app.desk.sign_in.oidc import Provider, configured_providers
from app.desk.sign_in.sign_in_page import continue_sign_in, render_sign_in
from app.desk.sign_in.throttle import throttle_attempts
from app.desk.sign_in.used_token import claim_once
from app.kernel.db import session
from app.kernel.errors import Missing, NotSignedIn, Refused

STATE_LIFETIME = timedelta(minutes=10)  # for the whole sign-in at the provider


class OidcSignIn(BaseView):
    """The provider replaces the password only: our own second factor is asked for afterwards."""

    route_base = "/login/with"

    @expose("/<key>")
    @no_cache
    def go(self, key: str) -> Any:
        provider, there = _find_provider(key), get_safe_redirect(request.args.get("next", "") or url_for("Home.index"))
        if current_user.is_authenticated:
            return redirect(there)
        secret = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "proof")}
        try:
            address = provider.authorization_url(back=_callback_url(provider), **secret)
        except Refused as no:
            return render_sign_in(no=no)
        cookie["vouched"] = secret | {"by": key, "next": there, "until": time.time() + STATE_LIFETIME.total_seconds()}
        return redirect(address)

    @expose("/<key>/back")
    @no_cache
    def back(self, key: str) -> Any:
        provider, there = _find_provider(key), str((cookie.get("vouched") or {}).get("next", ""))
        if current_user.is_authenticated:
            return redirect(there or url_for("Home.index"))
        try:
            with throttle_attempts("vouched", get_remote_address()):
                user = _user_from_callback(provider)
        except Refused as no:
            return render_sign_in(no=no, there=there)
        current_app.extensions["appbuilder"].sm.update_user_auth_stat(user, True)
        return continue_sign_in(user, there, how=provider.label)


def _find_provider(key: str) -> Provider:
    found = next((each for each in configured_providers(current_app.extensions["settings"]) if each.key == key), None)
    if found is None:
        raise Missing
    return found


def _callback_url(provider: Provider) -> str:
    """Return the registered redirect URI, the same for every visitor because providers compare it exactly."""
    home: str = current_app.extensions["settings"].base_url
    return home.rstrip("/") + url_for("OidcSignIn.back", key=provider.key)


def _user_from_callback(provider: Provider) -> Any:
    begun = cookie.pop("vouched", None) or {"by": "", "state": "", "until": 0}
    ours = begun["by"] == provider.key and hmac.compare_digest(
        begun["state"].encode(), request.args.get("state", "").encode()
    )
    if not ours or begun["until"] < time.time() or not claim_once(begun["state"], within=STATE_LIFETIME):
        raise NotSignedIn("This sign-in was started in another window, or expired after ten minutes. Please try again.")
    if request.args.get("error"):
        raise NotSignedIn(
            f"{provider.label} did not confirm your identity. Please try again, or sign in with your password."
        )
    claims = provider.fetch_claims(
        request.args, back=_callback_url(provider), nonce=begun["nonce"], proof=begun["proof"]
    )
    return _matching_user(provider, claims)


def _matching_user(provider: Provider, claims: dict[str, Any]) -> Any:
    """Find the active user with the verified email address. Signing in never creates an account."""
    email, domains = str(claims.get("email", "")).strip(), current_app.extensions["settings"].oauth_domains
    if not email or claims.get("email_verified") not in (True, "true"):
        raise NotSignedIn(
            f"Your email address isn’t verified at {provider.label}. "
            "Verify it there first, or sign in with your password."
        )
    if domains and email.rpartition("@")[2].lower() not in {each.lower() for each in domains}:
        raise NotSignedIn(f"Only email addresses at {' or '.join(domains)} can sign in this way.")
    found = session.scalars(select(User).where(func.lower(User.email) == email.lower())).all()
    if len(found) != 1 or not found[0].is_active:
        raise NotSignedIn(f"There is no account for {email}. Ask an administrator to add you.")
    return found[0]
