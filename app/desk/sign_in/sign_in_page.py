"""Sign-in page of the desk, the JWT login and refresh endpoints of the API, and the page for two-factor set-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from flask import Response, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask import session as cookie
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security import views
from flask_appbuilder.security.api import SecurityApi
from flask_appbuilder.security.decorators import no_cache
from flask_appbuilder.security.forms import LoginForm_db
from flask_jwt_extended import create_access_token, create_refresh_token, get_jti, get_jwt, jwt_required
from flask_limiter.util import get_remote_address
from flask_login import current_user, login_user

from app.desk.sign_in.oidc import configured_providers
from app.desk.sign_in.passkey import allows_passkeys, browser_origin
from app.desk.sign_in.session import StaffSession, hash_key
from app.desk.sign_in.throttle import TooOften, throttle_attempts
from app.desk.sign_in.totp import TwoFactor
from app.kernel.errors import NotSignedIn, Refused, Unreadable

SECOND_FACTOR_SECONDS = 10 * 60  # between the password and the code
VERIFIED_SECONDS = 10 * 60  # after a sign-in, or after the password was typed again


def authenticate(name: str, password: str) -> Any:
    """Return the user with this name and password. The page and the API share the throttle."""
    sm = current_app.extensions["appbuilder"].sm
    known = sm.find_account(name)
    with throttle_attempts("password", known.username if known else name):
        user = sm.auth_user_db(name, password)
        if not user:
            raise NotSignedIn("Incorrect username or password.")
    return user


def requires_two_factor(user: Any) -> bool:
    """Return whether the settings require two-factor authentication for one of the user's roles."""
    roles = current_app.extensions["settings"].second_factor_for
    return bool(roles) and any(
        role.name in roles for role in current_app.extensions["appbuilder"].sm.get_user_roles(user)
    )


def verify_second_factor(user: Any, typed: str) -> None:
    """Check a two-factor code, on the page or in the API. Codes are throttled apart from passwords."""
    second = TwoFactor.get_for(user.id)
    if second is None or not typed.strip():
        raise NotSignedIn("Enter the code from your authenticator app. API clients send it as “code”.")
    with throttle_attempts("code", user.username):
        second.verify_code(typed)


class AuthDBView(views.AuthDBView):
    """Sign-in form. A refusal is shown above the form, which keeps the username."""

    @expose("/login/", methods=["GET", "POST"])
    @no_cache
    def login(self) -> Any:
        there = self._get_safe_next_url()
        if current_user.is_authenticated:
            return redirect(there)
        form = LoginForm_db()
        if not form.validate_on_submit():
            return render_sign_in(form)
        try:
            user = authenticate(form.username.data, form.password.data)
        except Refused as no:
            return render_sign_in(form, no)
        return continue_sign_in(user, there, how="a password")

    @expose("/logout/")
    def logout(self) -> Any:
        if current_user.is_authenticated:
            for each in StaffSession.list_for(current_user.id):
                if each.digest == hash_key(cookie.get("sitting", "")):
                    each.end()
        cookie.pop("sitting", None)
        return super().logout()

    @expose("/login/second", methods=["GET", "POST"])
    @no_cache
    def second(self) -> Any:
        """Ask for the code after the right password, or set up two-factor authentication if the role requires it."""
        half = cookie.get("half") or {}
        user = self.appbuilder.sm.get_user_by_id(half["user"]) if half.get("until", 0) > time.time() else None
        if user is None or not user.is_active:
            cookie.pop("half", None)
            return redirect(url_for("AuthDBView.login"))
        second = TwoFactor.get_for(user.id)
        if second is None or second.since is None:
            return _two_factor_setup(user, second, "desk/second_door.html", lambda: self._comes_in(user, half))
        if request.method == "GET":
            return _two_factor_page("desk/second_door.html", user, second)
        try:
            verify_second_factor(user, request.form.get("code", ""))
        except Refused as no:
            return _two_factor_page("desk/second_door.html", user, second, no=no)
        return redirect(self._comes_in(user, half))

    @staticmethod
    def _comes_in(user: Any, half: dict[str, Any]) -> str:
        cookie.pop("half", None)
        complete_sign_in(user, how=f"{half.get('how', 'a password')} and a code")
        return str(half["next"])


def render_sign_in(form: Any = None, no: Refused | None = None, *, there: str | None = None) -> Response:
    """Render the sign-in page, with the refusal if there is one. Password, passkey and OIDC sign-in share it."""
    settings = current_app.extensions["settings"]
    passkeys = browser_origin(settings.base_url) if allows_passkeys(settings.base_url) else ""
    known = {
        "form": form or LoginForm_db(),
        "refusal": no.words if no else "",
        "passkeys": passkeys,
        "providers": configured_providers(settings),
    }
    known["there"] = there or request.args.get("next")
    return with_retry_after(
        make_response(render_template(AuthDBView.login_template, **known), no.status if no else 200), no
    )


def continue_sign_in(user: Any, there: str, *, how: str) -> Any:
    """Continue after the first factor: to the page that asks for the second one, or signed in."""
    if TwoFactor.is_on_for(user.id) or requires_two_factor(user):
        cookie["half"] = {"user": user.id, "until": time.time() + SECOND_FACTOR_SECONDS, "next": there, "how": how}
        return redirect(url_for("AuthDBView.second"))
    complete_sign_in(user, how=how)
    return redirect(there)


def complete_sign_in(user: Any, *, how: str) -> None:
    cookie.pop("seen_as", None)
    login_user(user, remember=False)
    cookie["sitting"] = StaffSession.begin(user.id, **_client_facts(), how=how)
    mark_verified()


def mark_verified() -> None:
    """Mark this session as recently verified: for ten minutes the password is not asked for again."""
    cookie["proved"] = {"sitting": cookie.get("sitting", ""), "until": time.time() + VERIFIED_SECONDS}


def _client_facts() -> dict[str, str]:
    return {"address": get_remote_address(), "device": request.user_agent.string}


class SignIn(SecurityApi):
    """JWT login of the API, throttled like the page. Asks for a code where two-factor authentication is on."""

    @expose("/login", methods=["POST"])
    def login(self) -> Response:
        sent = request.get_json(silent=True)
        sent = sent if isinstance(sent, dict) else {}
        name, password, provider = (sent.get(each) for each in ("username", "password", "provider"))
        if not all(isinstance(each, str) and each for each in (name, password)) or provider != "db":
            raise Unreadable("Send JSON with username, password and provider “db”.")
        try:
            user = authenticate(str(name), str(password))
        except TooOften as no:
            return with_retry_after(self.response(no.status, **no.as_json()), no)
        if TwoFactor.is_on_for(user.id):
            verify_second_factor(user, str(sent.get("code", "")))
        elif requires_two_factor(user):
            raise NotSignedIn("Your role requires two-factor authentication. Sign in to the desk and set it up first.")
        if not sent.get("refresh"):
            return cast(
                Response, self.response(200, access_token=create_access_token(identity=str(user.id), fresh=True))
            )
        tokens, _ = _issue_tokens(user.id, StaffSession.begin_for_program(user.id, **_client_facts()), "")
        return cast(Response, self.response(200, **tokens))

    @expose("/refresh", methods=["POST"])
    @jwt_required(refresh=True)
    def refresh(self) -> Response:
        """Exchange a refresh token, which works once, for a new access token and refresh token."""
        claims = get_jwt()
        with throttle_attempts("refresh", str(claims["sub"])):
            tokens, is_valid = _issue_tokens(
                int(claims["sub"]), StaffSession.get_for(int(claims["sub"]), claims.get("sitting", 0)), claims["jti"]
            )
            if not is_valid:
                raise NotSignedIn("This refresh token was already used, so the session was ended. Sign in again.")
        return cast(Response, self.response(200, **tokens))


def _issue_tokens(user_id: int, staff_session: StaffSession, jti: str) -> tuple[dict[str, str], bool]:
    """Issue both tokens for the refresh token `jti` ("" at the login), and return whether it was still valid."""
    claims = {"sitting": staff_session.id}
    refresh = create_refresh_token(identity=str(user_id), additional_claims=claims)
    access = create_access_token(identity=str(user_id), additional_claims=claims, fresh=not jti)
    is_valid = staff_session.rotate_refresh_token(jti, str(get_jti(refresh)))
    return {"access_token": access, "refresh_token": refresh}, is_valid


def with_retry_after(response: Response, no: Refused | None) -> Response:
    if isinstance(no, TooOften):
        response.headers["Retry-After"] = str(no.wait)
    return response


class SecondFactor(BaseView):
    """Page where users set up or turn off their own two-factor authentication and renew recovery codes."""

    route_base = "/desk/second"
    default_view = "show"

    @expose("/", methods=["GET", "POST"])
    @no_cache
    def show(self) -> Any:
        if not current_user.is_authenticated:
            raise NotSignedIn("Sign in to continue.")
        user, second = current_user, TwoFactor.get_for(current_user.id)
        if second is None or second.since is None:
            return _two_factor_setup(user, second, "desk/second.html", lambda: url_for("SecondFactor.show"))
        if request.method == "GET":
            return _two_factor_page("desk/second.html", user, second)
        try:
            with throttle_attempts("code", user.username):
                if request.form.get("do") == "sheet":
                    return _two_factor_page(
                        "desk/second.html",
                        user,
                        second,
                        sheet=second.renew_recovery_codes(request.form.get("code", "")),
                        go_on=url_for("SecondFactor.show"),
                    )
                if requires_two_factor(user):
                    raise Refused("Your role requires two-factor authentication, so you can’t turn it off.")
                second.switch_off(request.form.get("code", ""))
        except Refused as no:
            return _two_factor_page("desk/second.html", user, second, no=no)
        flash("Two-factor authentication is off. You now sign in with your password only.", "success")
        return redirect(url_for("SecondFactor.show"))


def _two_factor_setup(user: Any, second: TwoFactor | None, page: str, next_url: Callable[[], str]) -> Any:
    """Set-up in three steps: a button creates the secret, its QR code is shown, and the first code confirms it."""
    second = second if second is not None and second.secret else None
    if request.method == "GET" or (second is None and request.form.get("do") != "begin"):
        return _two_factor_page(page, user, second)
    if second is None or request.form.get("do") == "begin":
        return _two_factor_page(page, user, TwoFactor.begin_setup(user.id))
    try:
        with throttle_attempts("code", user.username):
            sheet = second.switch_on(request.form.get("code", ""))
    except Refused as no:
        return _two_factor_page(page, user, second, no=no)
    return _two_factor_page(page, user, second, sheet=sheet, go_on=next_url())


def _two_factor_page(
    page: str, user: Any, second: TwoFactor | None, *, no: Refused | None = None, **known: Any
) -> Response:
    g.resource = None
    begun = second is not None and second.since is None
    business = current_app.extensions["settings"].business
    picture = second.qr_code(business, user.username) if second and begun else ""
    common = {
        "second": second,
        "begun": begun,
        "picture": picture,
        "must": requires_two_factor(user),
        "refusal": no,
        "typed": request.form.get("code", "") if no else "",
    }
    return with_retry_after(
        make_response(render_template(page, **{"sheet": [], "go_on": ""} | common | known), no.status if no else 200),
        no,
    )
