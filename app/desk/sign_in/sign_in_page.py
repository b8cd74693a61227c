"""The doors of the desk: the page where staff sign in, and the endpoint where their programs do."""

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

from app.desk.sign_in.oidc import providers
from app.desk.sign_in.passkey import can_be_at, origin
from app.desk.sign_in.session import StaffSession, digest
from app.desk.sign_in.throttle import TooOften, guessing
from app.desk.sign_in.totp import TwoFactor
from app.kernel.errors import NotSignedIn, Refused, Unreadable

HALF_AN_ENTRY = 10 * 60  # from the right password to the right code
PROVED_FOR = 10 * 60  # after a sign-in, or after the password was typed again


def recognised(name: str, password: str) -> Any:
    """Whoever these belong to; every door asks here, so a guess at one of them is a guess at all."""
    sm = current_app.extensions["appbuilder"].sm
    known = sm.known(name)
    with guessing("password", known.username if known else name):
        user = sm.auth_user_db(name, password)
        if not user:
            raise NotSignedIn("Incorrect username or password.")
    return user


def must_have_second(user: Any) -> bool:
    """Does one of their roles ask for it, by the settings?"""
    asking = current_app.extensions["settings"].second_factor_for
    return bool(asking) and any(
        role.name in asking for role in current_app.extensions["appbuilder"].sm.get_user_roles(user)
    )


def passed(user: Any, typed: str) -> None:
    """The right code, or no, at whatever door. A wrong one counts as a guess of its own kind."""
    second = TwoFactor.of(user.id)
    if second is None or not typed.strip():
        raise NotSignedIn("Enter the code from your authenticator app. API clients send it as “code”.")
    with guessing("code", user.username):
        second.passes(typed)


class AuthDBView(views.AuthDBView):
    """A refusal stands above the form, and the name that was typed is still in it."""

    @expose("/login/", methods=["GET", "POST"])
    @no_cache
    def login(self) -> Any:
        there = self._get_safe_next_url()
        if current_user.is_authenticated:
            return redirect(there)
        form = LoginForm_db()
        if not form.validate_on_submit():
            return asks(form)
        try:
            user = recognised(form.username.data, form.password.data)
        except Refused as no:
            return asks(form, no)
        return comes_in(user, there, how="a password")

    @expose("/logout/")
    def logout(self) -> Any:
        if current_user.is_authenticated:
            for each in StaffSession.of(current_user.id):
                if each.digest == digest(cookie.get("sitting", "")):
                    each.end()
        cookie.pop("sitting", None)
        return super().logout()

    @expose("/login/second", methods=["GET", "POST"])
    @no_cache
    def second(self) -> Any:
        """The password was right; nobody is signed in before the code is, and whose role asks for one sets it up first."""
        half = cookie.get("half") or {}
        user = self.appbuilder.sm.get_user_by_id(half["user"]) if half.get("until", 0) > time.time() else None
        if user is None or not user.is_active:
            cookie.pop("half", None)
            return redirect(url_for("AuthDBView.login"))
        second = TwoFactor.of(user.id)
        if second is None or second.since is None:
            return _setting_up(user, second, "desk/second_door.html", lambda: self._comes_in(user, half))
        if request.method == "GET":
            return _second_page("desk/second_door.html", user, second)
        try:
            passed(user, request.form.get("code", ""))
        except Refused as no:
            return _second_page("desk/second_door.html", user, second, no=no)
        return redirect(self._comes_in(user, half))

    @staticmethod
    def _comes_in(user: Any, half: dict[str, Any]) -> str:
        cookie.pop("half", None)
        sits_down(user, how=f"{half.get('how', 'a password')} and a code")
        return str(half["next"])


def asks(form: Any = None, no: Refused | None = None, *, there: str | None = None) -> Response:
    """The page at the door, with why it did not open; its forms know their own addresses, whichever of them was refused."""
    settings = current_app.extensions["settings"]
    passkeys = origin(settings.base_url) if can_be_at(settings.base_url) else ""
    known = {
        "form": form or LoginForm_db(),
        "refusal": no.words if no else "",
        "passkeys": passkeys,
        "providers": providers(settings),
    }
    known["there"] = there or request.args.get("next")
    return waits(make_response(render_template(AuthDBView.login_template, **known), no.status if no else 200), no)


def comes_in(user: Any, there: str, *, how: str) -> Any:
    """Whoever has shown one factor; the second one is asked for on a page of its own."""
    if TwoFactor.is_on_for(user.id) or must_have_second(user):
        cookie["half"] = {"user": user.id, "until": time.time() + HALF_AN_ENTRY, "next": there, "how": how}
        return redirect(url_for("AuthDBView.second"))
    sits_down(user, how=how)
    return redirect(there)


def sits_down(user: Any, *, how: str) -> None:
    cookie.pop("seen_as", None)
    login_user(user, remember=False)
    cookie["sitting"] = StaffSession.begin(user.id, **_from(), how=how)
    prove()


def prove() -> None:
    """It is them, in this sitting: for ten minutes nothing of theirs is asked for again."""
    cookie["proved"] = {"sitting": cookie.get("sitting", ""), "until": time.time() + PROVED_FOR}


def _from() -> dict[str, str]:
    return {"address": get_remote_address(), "device": request.user_agent.string}


class SignIn(SecurityApi):
    """A token for whoever says who they are, with our words for a refusal."""

    @expose("/login", methods=["POST"])
    def login(self) -> Response:
        given = request.get_json(silent=True)
        given = given if isinstance(given, dict) else {}
        words = [given.get(each) for each in ("username", "password", "provider")]
        if not all(isinstance(each, str) and each for each in words) or words[2] != "db":
            raise Unreadable("Send JSON with username, password and provider “db”.")
        try:
            user = recognised(str(words[0]), str(words[1]))
        except TooOften as no:
            return waits(self.response(no.status, **no.as_json()), no)
        if TwoFactor.is_on_for(user.id):
            passed(user, str(given.get("code", "")))
        elif must_have_second(user):
            raise NotSignedIn("Your role requires two-factor authentication. Sign in to the desk and set it up first.")
        if not given.get("refresh"):
            return cast(
                Response, self.response(200, access_token=create_access_token(identity=str(user.id), fresh=True))
            )
        tokens, _ = _turned(user.id, StaffSession.of_program(user.id, **_from()), "")
        return cast(Response, self.response(200, **tokens))

    @expose("/refresh", methods=["POST"])
    @jwt_required(refresh=True)
    def refresh(self) -> Response:
        """The next two tokens for a refresh token, each of which is good once."""
        told = get_jwt()
        with guessing("refresh", str(told["sub"])):
            tokens, is_good = _turned(
                int(told["sub"]), StaffSession.one(int(told["sub"]), told.get("sitting", 0)), told["jti"]
            )
            if not is_good:
                raise NotSignedIn("This refresh token was already used, so the session was ended. Sign in again.")
        return cast(Response, self.response(200, **tokens))


def _turned(user_id: int, sitting: StaffSession, jti: str) -> tuple[dict[str, str], bool]:
    claims = {"sitting": sitting.id}
    renews = create_refresh_token(identity=str(user_id), additional_claims=claims)
    opens = create_access_token(identity=str(user_id), additional_claims=claims, fresh=not jti)
    return {"access_token": opens, "refresh_token": renews}, sitting.turn(jti, str(get_jti(renews)))


def waits(response: Response, no: Refused | None) -> Response:
    if isinstance(no, TooOften):
        response.headers["Retry-After"] = str(no.wait)
    return response


class SecondFactor(BaseView):
    """One's own, for whoever is signed in: set up, renewed, switched off."""

    route_base = "/desk/second"
    default_view = "show"

    @expose("/", methods=["GET", "POST"])
    @no_cache
    def show(self) -> Any:
        if not current_user.is_authenticated:
            raise NotSignedIn("Sign in to continue.")
        user, second = current_user, TwoFactor.of(current_user.id)
        if second is None or second.since is None:
            return _setting_up(user, second, "desk/second.html", lambda: url_for("SecondFactor.show"))
        if request.method == "GET":
            return _second_page("desk/second.html", user, second)
        try:
            with guessing("code", user.username):
                if request.form.get("do") == "sheet":
                    return _second_page(
                        "desk/second.html",
                        user,
                        second,
                        sheet=second.new_sheet(request.form.get("code", "")),
                        go_on=url_for("SecondFactor.show"),
                    )
                if must_have_second(user):
                    raise Refused("Your role requires two-factor authentication, so you can’t turn it off.")
                second.switch_off(request.form.get("code", ""))
        except Refused as no:
            return _second_page("desk/second.html", user, second, no=no)
        flash("Two-factor authentication is off. You now sign in with your password only.", "success")
        return redirect(url_for("SecondFactor.show"))


def _setting_up(user: Any, second: TwoFactor | None, page: str, done: Callable[[], str]) -> Any:
    """A button that makes the secret, the picture of it, and its first code."""
    second = second if second is not None and second.secret else None
    if request.method == "GET" or (second is None and request.form.get("do") != "begin"):
        return _second_page(page, user, second)
    if second is None or request.form.get("do") == "begin":
        return _second_page(page, user, TwoFactor.begin(user.id))
    try:
        with guessing("code", user.username):
            sheet = second.switch_on(request.form.get("code", ""))
    except Refused as no:
        return _second_page(page, user, second, no=no)
    return _second_page(page, user, second, sheet=sheet, go_on=done())


def _second_page(
    page: str, user: Any, second: TwoFactor | None, *, no: Refused | None = None, **known: Any
) -> Response:
    g.resource = None
    begun = second is not None and second.since is None
    house = current_app.extensions["settings"].business
    picture = second.drawn(house, user.username) if second and begun else ""
    drawn = {
        "second": second,
        "begun": begun,
        "picture": picture,
        "must": must_have_second(user),
        "refusal": no,
        "typed": request.form.get("code", "") if no else "",
    }
    return waits(
        make_response(render_template(page, **{"sheet": [], "go_on": ""} | drawn | known), no.status if no else 200), no
    )
