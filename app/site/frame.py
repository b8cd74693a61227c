"""Request and response frame: security headers (CSP), the language of a request, and error pages.

Refusals are JSON for programs and a page for people. Also: cached URLs for templates and limits for request bodies.
"""

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

FRAMED = "/embed"  # pages below it may be embedded by other sites
ROOM_FOR_FILES = 32 * 1024 * 1024  # three of the largest files, and the other fields


def accepts_files(view: View) -> View:
    """Raise the body limit for a form with file uploads."""
    view.room = ROOM_FOR_FILES  # type: ignore[attr-defined]
    return view


class SizedRequest(Request):
    """The limit of the body depends on the endpoint."""

    @property
    def max_content_length(self) -> int | None:
        room = getattr(current_app.view_functions.get(self.endpoint or ""), "room", None)
        return room if room is not None else super().max_content_length

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value


def install(app: Flask) -> None:
    app.request_class = SizedRequest
    settings: Settings = app.extensions["settings"]
    app.before_request(_choose_language)
    app.before_request(_refuse_null_characters)
    app.before_request(lambda: feature.require_feature(request.endpoint))
    app.url_defaults(_carry_language)
    app.teardown_request(lambda error: speak(ENGLISH))
    app.after_request(_add_headers)
    app.register_error_handler(Refused, _render_refusal)
    app.register_error_handler(HTTPException, _render_http_error)
    app.register_error_handler(Exception, _render_crash)
    app.jinja_env.globals.update(
        csp_nonce=_nonce,
        url_for=cached_url_for,
        asset=asset,
        settings=settings,
        format_moment=translation.format_moment,
        now=clock.now,
        is_framed=is_framed,
    )
    app.jinja_env.globals.update(offers=feature.is_on)
    app.jinja_env.globals.update(
        say=_say_markup,
        counted=_counted_markup,
        language=language,
        languages=languages,
        url_in_language=url_in_language,
        format_hour=translation.format_hour,
        format_day=translation.format_day,
        format_duration=translation.format_duration,
    )
    app.jinja_env.filters.update(
        local=clock.in_zone, format_moment=translation.format_moment, spoken=say, split_lines=working_hours.split_lines
    )


def is_framed() -> bool:
    """Tell whether this page is embedded in another site."""
    return request.path.startswith(f"{FRAMED}/")


def cached_url_for(endpoint: str, **values: Any) -> str:
    """Flask's url_for, for templates; addresses without values are cached, because each page has about twenty."""
    return (
        url_for(endpoint, **values)
        if values or is_framed() or endpoint.startswith(".")
        else _cached_url_for(endpoint, request.script_root)
    )


@cache
def _cached_url_for(endpoint: str, root: str) -> str:
    return url_for(endpoint)


def asset(path: str) -> str:
    """Return the address of a static file, with a hash of its content: it may be cached for a year."""
    return _asset(path, request.script_root)


@cache
def _asset(path: str, root: str) -> str:
    """Cached, because a page names its icon file more than a hundred times."""
    digest = hashlib.sha256((Path(current_app.static_folder or "static") / path).read_bytes()).hexdigest()[:10]
    return url_for("static", filename=path, v=digest)


def _refuse_null_characters() -> None:
    """Refuse NUL characters in paths, forms and bodies, which PostgreSQL cannot store."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.get_data()  # cached before the form is parsed, because some views read the raw body afterwards
    form = request.form if request.mimetype else MultiDict[str, str]()  # no content type, no form
    typed = [*request.args.values(), *form.values()] if not request.is_json else []
    if (
        "\x00" in request.path
        or any("\x00" in each for each in typed)
        or (request.is_json and b"\\u0000" in request.get_data())
    ):
        raise Unreadable(say("This contains a character that can’t be saved."))


# --- languages --------------------------------------------------------------------------------------------------------

# Pages for staff and for programs.
ENGLISH_ONLY = ("/desk", "/api", "/ops", "/sandbox", "/static", *_APPBUILDERS)


def _choose_language() -> None:
    """Set the language: ?lang=, else the cookie, else the browser's. Embedded pages have no cookie."""
    if request.path.startswith(ENGLISH_ONLY):
        speak(ENGLISH)
        return
    asked = request.args.get("lang", "")
    if asked in languages() and not is_framed() and cookie.get("lang") != asked:
        cookie["lang"] = asked
    speak(
        asked
        if asked in languages()
        else _kept_language() or request.accept_languages.best_match([*languages()], ENGLISH)
    )


def _kept_language() -> str:
    return "" if is_framed() else str(cookie.get("lang", ""))


def speak_language_of(person: Person) -> None:
    """Use the language of this customer, unless the reader chose one."""
    if request.args.get("lang", "") not in languages() and not _kept_language():
        speak(person.locale)


def url_in_language(name: str) -> str:
    """Return the address of this page in that language."""
    others = [(key, value) for key, value in request.args.items(multi=True) if key != "lang"]
    return f"{request.path}?{urlencode([*others, ('lang', name)])}"


def _carry_language(endpoint: str, values: dict[str, Any]) -> None:
    """Carry ?lang= along in the links of embedded pages, which have no cookie."""
    if has_request_context() and is_framed() and request.args.get("lang") in languages() and endpoint != "static":
        values.setdefault("lang", language())


def _say_markup(sentence: str, **values: object) -> Markup:
    """Translate for templates: our sentences may contain a link, the values are escaped."""
    # tests/site/test_languages.py checks that only sentences of templates come here.
    text = Markup(say(sentence))  # noqa: S704
    return text % values if values else text


def _counted_markup(one: str, many: str, n: int, **values: object) -> Markup:
    return Markup(counted(one, many, n, **{key: escape(value) for key, value in values.items()}))  # noqa: S704


# --- headers ----------------------------------------------------------------------------------------------------------


def _nonce() -> str:
    """Return the CSP nonce of this response; only scripts with it run."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _add_headers(response: Response) -> Response:
    settings: Settings = _settings()
    nonce = f" 'nonce-{g.nonce}'" if "nonce" in g else ""
    pays_at = "".join(f" {each}" for each in settings.payment_origins)
    around = " ".join(settings.embed_on if is_framed() else ()) or "'none'"
    policy = (
        f"default-src 'self'; script-src 'self'{nonce}; style-src 'self'{_style_sources()}; "
        "img-src 'self' data:; font-src 'self' data:; "
        f"form-action 'self'{pays_at}; frame-ancestors {around}; base-uri 'none'; object-src 'none'"
    )
    headers = {"Content-Security-Policy": policy} | _ALWAYS
    if around == "'none'":
        headers["X-Frame-Options"] = "DENY"
    if settings.base_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if not request.path.startswith("/static/"):
        headers["Cache-Control"] = "no-store"
    present = {
        name.lower() for name, _ in response.headers
    }  # one pass, where setdefault would need one for each header
    response.headers.extend([(name, value) for name, value in headers.items() if name.lower() not in present])
    return response


def _style_sources() -> str:
    """Only Swagger's page needs inline styles."""
    return " 'unsafe-inline'" if request.path.startswith("/swagger") else ""


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


# --- refusals ---------------------------------------------------------------------------------------------------------


def _render_refusal(no: Refused) -> Any:
    session.rollback()
    if _is_program():
        return jsonify(no.as_json()), no.status
    if isinstance(no, NotSignedIn):
        return redirect(url_for("AuthDBView.login", next=request.full_path))
    return _error_page(no.status, no.words)


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


def _render_http_error(error: HTTPException) -> Any:
    status = error.code or 500
    if error.response is not None and status < 400:
        return error
    told = say(_WORDS[status]) if status in _WORDS else error.description or say("Something went wrong.")
    if isinstance(error, CSRFError):
        if request.path.startswith("/desk/") and "_user_id" not in cookie and not _is_program():
            return redirect(url_for("AuthDBView.login", next=request.path))  # the session ended while the page was open
        told = say("This page has expired. Please go back, reload it and try again.")
    if _is_program():
        response: Any = jsonify({"error": {"code": _CODES.get(status, "refused"), "message": told, "fields": {}}})
        response.status_code = status
    else:
        response = Response(_error_page(status, told)[0], status)
    return response


def _render_crash(error: Exception) -> Any:
    """Render an exception: a broken constraint is still a refusal, everything else is a bug and is logged."""
    session.rollback()
    no = as_refusal(error)
    if isinstance(no, Refused):
        return _render_refusal(no)
    log.error("%s %s broke", request.method, request.path, exc_info=error)
    sorry = say(
        "Something went wrong on our side. The error has been recorded. "
        "Your data is safe, and you have not been charged twice."
    )
    if _is_program():
        return jsonify({"error": {"code": "broken", "message": sorry, "fields": {}}}), 500
    return _error_page(500, sorry)


def _is_program() -> bool:
    return (
        request.path.startswith("/api/")
        or request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    )


def _error_page(status: int, told: str) -> tuple[str, int]:
    staff = request.path.startswith(("/desk", "/ops", *_APPBUILDERS))
    return render_template("desk/refused.html" if staff else "site/refused.html", status=status, words=told), status
