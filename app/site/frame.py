"""What every answer carries, and how every refusal looks: JSON to programs, a kind page to people."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import (
    Flask,
    Request,
    Response,
    current_app,
    g,
    has_request_context,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as cookie
from flask_wtf.csrf import CSRFError
from markupsafe import Markup, escape
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from app.kernel import clock, feature, translation
from app.kernel.db import as_refusal, session
from app.kernel.errors import NotSignedIn, Refused, Unreadable
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, counted, language, languages, say, speak, unsaid
from app.money.sums import working_hours
from config import Settings

log = logging.getLogger(__name__)

_APPBUILDERS = ("/users", "/roles", "/resetmypassword", "/resetpassword", "/swagger", "/groups", "/userinfo")

View = TypeVar("View", bound=Callable[..., Any])

FRAMED = "/embed"  # below it are the pages that others may show within a page of theirs


ROOM_FOR_FILES = 32 * 1024 * 1024  # of one form: three of the largest, and what else is typed


def takes_files(view: View) -> View:
    """A form with which files are sent may be larger than any other."""
    view.room = ROOM_FOR_FILES  # type: ignore[attr-defined]
    return view


class Asked(Request):
    """How much may be sent depends on where it is sent to."""

    @property
    def max_content_length(self) -> int | None:
        room = getattr(current_app.view_functions.get(self.endpoint or ""), "room", None)
        return room if room is not None else super().max_content_length

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value


def put_up(app: Flask) -> None:
    app.request_class = Asked
    settings: Settings = app.extensions["settings"]
    app.before_request(_listen)
    app.before_request(_refuse_what_cannot_be_kept)
    app.before_request(lambda: feature.refuse_what_is_off(request.endpoint))
    app.url_defaults(_go_on_in)
    app.teardown_request(lambda error: speak(ENGLISH))
    app.after_request(_carry)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _broken)
    app.jinja_env.globals.update(
        csp_nonce=_nonce,
        url_for=address,
        asset=asset,
        settings=settings,
        format_moment=translation.format_moment,
        now=clock.now,
        framed=framed,
    )
    app.jinja_env.globals.update(offers=feature.is_on)
    app.jinja_env.globals.update(
        say=_say,
        counted=_counted,
        language=language,
        languages=languages,
        in_language=in_language,
        format_hour=translation.format_hour,
        format_day=translation.format_day,
        format_duration=translation.format_duration,
    )
    app.jinja_env.filters.update(
        format_moment=translation.format_moment, spoken=say, lines_written=working_hours.split_lines
    )


def framed() -> bool:
    """Is this page shown within a page of somebody else?"""
    return request.path.startswith(f"{FRAMED}/")


def address(endpoint: str, **values: Any) -> str:
    """Flask's own, for templates: the address of a page that asks for nothing is the same each time, and the frame of a page names twenty."""
    return (
        url_for(endpoint, **values)
        if values or framed() or endpoint.startswith(".")
        else _address(endpoint, request.script_root)
    )


@cache
def _address(endpoint: str, root: str) -> str:
    return url_for(endpoint)


def asset(path: str) -> str:
    """A file of ours, under a name that changes with its content: it may be kept for a year."""
    return _asset(path, request.script_root)


@cache
def _asset(path: str, root: str) -> str:
    """Worked out once: a page names the file of its icons more than a hundred times."""
    of_content = hashlib.sha256((Path(current_app.static_folder or "static") / path).read_bytes()).hexdigest()[:10]
    return url_for("static", filename=path, v=of_content)


def _refuse_what_cannot_be_kept() -> None:
    """PostgreSQL keeps no NUL, and nobody types one: said once here, for every form, address and body."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.get_data()  # kept, so that whoever hands the body on still finds it after the form was read
    form = request.form if request.mimetype else MultiDict[str, str]()  # without a kind there is no form to be read
    typed = [*request.args.values(), *form.values()] if not request.is_json else []
    if (
        "\x00" in request.path
        or any("\x00" in each for each in typed)
        or (request.is_json and b"\\u0000" in request.get_data())
    ):
        raise Unreadable(say("This contains a character that can’t be saved."))


# --- languages --------------------------------------------------------------------------------------------------------

OURS_ALONE = (
    "/desk",
    "/api",
    "/ops",
    "/sandbox",
    "/static",
    *_APPBUILDERS,
)  # for staff and for programs, which we speak English with


def _listen() -> None:
    """The reader's language: asked for and kept, else what their browser says. Within somebody else's page nothing can be kept."""
    if request.path.startswith(OURS_ALONE):
        speak(ENGLISH)
        return
    asked = request.args.get("lang", "")
    if asked in languages() and not framed() and cookie.get("lang") != asked:
        cookie["lang"] = asked
    speak(asked if asked in languages() else _kept() or request.accept_languages.best_match([*languages()], ENGLISH))


def _kept() -> str:
    return "" if framed() else str(cookie.get("lang", ""))


def speak_to(person: Person) -> None:
    """Whoever holds somebody's own link reads their language, until they ask for another one."""
    if request.args.get("lang", "") not in languages() and not _kept():
        speak(person.locale)


def in_language(name: str) -> str:
    """This page again, in that language."""
    return f"{request.path}?{urlencode([*((key, value) for key, value in request.args.items(multi=True) if key != 'lang'), ('lang', name)])}"


def _go_on_in(endpoint: str, values: dict[str, Any]) -> None:
    """Links of a page that can keep nothing carry the language that it was asked for in."""
    if has_request_context() and framed() and request.args.get("lang") in languages() and endpoint != "static":
        values.setdefault("lang", language())


def _say(sentence: str, **values: object) -> Markup:
    """For templates, whose sentences are ours and may hold a link; what is put into them may not."""
    said = Markup(say(sentence))  # noqa: S704  # tests/site/test_languages.py: only sentences that stand in a template come here
    return said % values if values else said


def _counted(one: str, many: str, n: int, **values: object) -> Markup:
    return Markup(counted(one, many, n, **{key: escape(value) for key, value in values.items()}))  # noqa: S704  # as above


# --- headers ----------------------------------------------------------------------------------------------------------


def _nonce() -> str:
    """One for each answer; only scripts that carry it run."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _carry(response: Response) -> Response:
    settings: Settings = _settings()
    nonce = f" 'nonce-{g.nonce}'" if "nonce" in g else ""
    pays_at = "".join(f" {each}" for each in settings.pays_at)
    around = " ".join(settings.embed_on if framed() else ()) or "'none'"
    policy = (
        f"default-src 'self'; script-src 'self'{nonce}; style-src 'self'{_style()}; img-src 'self' data:; font-src 'self' data:; "
        f"form-action 'self'{pays_at}; frame-ancestors {around}; base-uri 'none'; object-src 'none'"
    )
    carried = {"Content-Security-Policy": policy} | _ALWAYS
    if around == "'none'":
        carried["X-Frame-Options"] = "DENY"
    if settings.base_url.startswith("https://"):
        carried["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if not request.path.startswith("/static/"):
        carried["Cache-Control"] = "no-store"
    said = {name.lower() for name, _ in response.headers}  # looked through once; each setdefault would do so again
    response.headers.extend([(name, value) for name, value in carried.items() if name.lower() not in said])
    return response


def _style() -> str:
    """Swagger's page sets styles in attributes; no other page does."""
    return " 'unsafe-inline'" if request.path.startswith("/swagger") else ""


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


# --- refusals ---------------------------------------------------------------------------------------------------------


def _refused(no: Refused) -> Any:
    session.rollback()
    if _is_program():
        return jsonify(no.as_json()), no.status
    if isinstance(no, NotSignedIn):
        return redirect(url_for("AuthDBView.login", next=request.full_path))
    return _page(no.status, no.words)


_WORDS = {
    400: unsaid("This request could not be read."),
    401: unsaid("Sign in to continue."),
    403: unsaid("You don’t have permission to do this."),
    404: unsaid("This page doesn’t exist, or you don’t have access to it."),
    405: unsaid("This action isn’t available at this address."),
    413: unsaid("The form or file is too large."),
    415: unsaid("Send JSON, with Content-Type: application/json."),
    429: unsaid("Too many requests. Please wait a moment and try again."),
}
_CODES = {
    400: "unreadable",
    401: "not_signed_in",
    403: "forbidden",
    404: "missing",
    405: "not_here",
    413: "too_large",
    415: "not_json",
    429: "too_often",
}


def _http(error: HTTPException) -> Any:
    status = error.code or 500
    if error.response is not None and status < 400:
        return error
    told = say(_WORDS[status]) if status in _WORDS else error.description or say("Something went wrong.")
    if isinstance(error, CSRFError):
        if request.path.startswith("/desk/") and "_user_id" not in cookie and not _is_program():
            return redirect(url_for("AuthDBView.login", next=request.path))  # the sitting ended while the page was open
        told = say("This page has expired. Please go back, reload it and try again.")
    if _is_program():
        response: Any = jsonify({"error": {"code": _CODES.get(status, "refused"), "message": told, "fields": {}}})
        response.status_code = status
    else:
        response = Response(_page(status, told)[0], status)
    return response


def _broken(error: Exception) -> Any:
    """A constraint that broke outside of a transaction() is still a refusal; everything else is a bug, and is seen."""
    session.rollback()
    no = as_refusal(error)
    if isinstance(no, Refused):
        return _refused(no)
    log.error("%s %s broke", request.method, request.path, exc_info=error)
    sorry = say(
        "Something went wrong on our side. The error has been recorded. Your data is safe, and you have not been charged twice."
    )
    if _is_program():
        return jsonify({"error": {"code": "broken", "message": sorry, "fields": {}}}), 500
    return _page(500, sorry)


def _is_program() -> bool:
    return (
        request.path.startswith("/api/")
        or request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    )


def _page(status: int, told: str) -> tuple[str, int]:
    staff = request.path.startswith(("/desk", "/ops", *_APPBUILDERS))
    return render_template("desk/refused.html" if staff else "site/refused.html", status=status, words=told), status
