"""The doors of the desk: the page where staff sign in, and the endpoint where their programs do."""

from __future__ import annotations

from typing import Any, cast

from flask import Response, current_app, make_response, redirect, request
from flask_appbuilder import expose
from flask_appbuilder.security import views
from flask_appbuilder.security.api import SecurityApi
from flask_appbuilder.security.decorators import no_cache
from flask_appbuilder.security.forms import LoginForm_db
from flask_jwt_extended import create_access_token, create_refresh_token
from flask_login import current_user, login_user

from app.desk.guesses import TooOften, guessing
from app.kernel.errors import NotSignedIn, Refused, Unreadable


def recognised(name: str, password: str) -> Any:
    """Whoever these belong to; every door asks here, so a guess at one of them is a guess at all."""
    sm = current_app.extensions["appbuilder"].sm
    known = sm.known(name)
    with guessing("password", known.username if known else name):
        user = sm.auth_user_db(name, password)
        if not user:
            raise NotSignedIn("This user name and password do not fit together.")
    return user


class AuthDBView(views.AuthDBView):  # type: ignore[misc]  # Flask-AppBuilder is untyped, and links to its door by this name
    """A refusal stands above the form, and the name that was typed is still in it."""

    @expose("/login/", methods=["GET", "POST"])
    @no_cache
    def login(self) -> Any:
        there = self._get_safe_next_url()
        if current_user.is_authenticated:
            return redirect(there)
        form = LoginForm_db()
        if not form.validate_on_submit():
            return self._asks(form)
        try:
            user = recognised(form.username.data, form.password.data)
        except Refused as no:
            return self._asks(form, no)
        login_user(user, remember=False)
        return redirect(there)

    def _asks(self, form: Any, no: Refused | None = None) -> Response:
        page = self.render_template(self.login_template, title=self.title, form=form, appbuilder=self.appbuilder, refusal=no.words if no else "")
        return _waits(make_response(page, no.status if no else 200), no)


class SignIn(SecurityApi):  # type: ignore[misc]
    """A token for whoever says who they are, with our words for a refusal."""

    @expose("/login", methods=["POST"])
    def login(self) -> Response:
        given = request.get_json(silent=True)
        words = [given.get(each) if isinstance(given, dict) else None for each in ("username", "password", "provider")]
        if not all(isinstance(each, str) and each for each in words) or words[2] != "db":
            raise Unreadable("Send JSON with username, password and provider “db”.")
        try:
            user = recognised(str(words[0]), str(words[1]))
        except TooOften as no:
            return _waits(self.response(no.status, **no.as_json()), no)
        tokens = {"access_token": create_access_token(identity=str(user.id), fresh=True)}
        if given.get("refresh"):
            tokens["refresh_token"] = create_refresh_token(identity=str(user.id))
        return cast(Response, self.response(200, **tokens))


def _waits(response: Response, no: Refused | None) -> Response:
    if isinstance(no, TooOften):
        response.headers["Retry-After"] = str(no.wait)
    return response
