"""Desk: registers screens, REST endpoints and rights of all declarations with Flask-AppBuilder. Menu for each role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, has_request_context, jsonify, request
from flask_appbuilder import AppBuilder
from flask_appbuilder.babel.views import LocaleView
from flask_appbuilder.security.views import UserInfoEditView
from flask_appbuilder.views import UtilView

from app.desk import home
from app.desk.attention import notice_list, search
from app.desk.attention.inbox import Inbox
from app.desk.attention.notice_list import Notices
from app.desk.built_in.form_designer import FormDesign
from app.desk.built_in.message_wordings import Words
from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.desk.built_in.webhooks import HookSecret
from app.desk.declare import markup, search_synonyms
from app.desk.declare.page import forget_pages as forget_pages
from app.desk.declare.page import registered_pages
from app.desk.declare.report import forget_reports as forget_reports
from app.desk.declare.report import registered_reports
from app.desk.declare.resource import forget_resources, registered_resources
from app.desk.pages.calendar import calendar_view
from app.desk.pages.pack_page import page_view
from app.desk.pages.rest import Docs, DocsPage, api_view_of
from app.desk.pages.view import view_of
from app.desk.records import editing_now
from app.desk.reports.page import endpoint_of, page_of
from app.desk.sign_in import api_token, security
from app.desk.sign_in.oidc_callback import OidcSignIn
from app.desk.sign_in.sign_in_page import SecondFactor
from app.desk.staff.api_tokens import Tokens
from app.desk.staff.groups import Groups
from app.desk.staff.impersonation import Impersonation
from app.desk.staff.passkeys import PasskeyDoor, Passkeys
from app.desk.staff.roles import Rights
from app.desk.staff.sessions import Sessions
from app.desk.staff.sign_in_methods import SignInMethods
from app.kernel import access, db
from app.kernel.errors import NotSignedIn
from app.kernel.feature import is_on
from app.kernel.pack import Pack
from config import Settings

BUILT_IN = money, house  # installed whatever the packs


class Builder(AppBuilder):
    """Flask-AppBuilder without pages that nothing links to: language switch, Back, and the form for one's name."""

    unused = LocaleView, UtilView, UserInfoEditView

    def add_view_no_menu(self, baseview: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(baseview, self.unused) or baseview in self.unused:
            return baseview
        return super().add_view_no_menu(baseview, *args, **kwargs)


# Pages that belong to no resource, report or pack.
_PAGES = (
    search.Search,
    DocsPage,
    HookSecret,
    SecondFactor,
    PasskeyDoor,
    Passkeys,
    OidcSignIn,
    Sessions,
    Tokens,
    Rights,
    Groups,
    SignInMethods,
    Impersonation,
    Words,
    FormDesign,
    Notices,
    Inbox,
)


def flask_settings(settings: Settings) -> dict[str, Any]:
    """Map our settings to those of Flask, Flask-AppBuilder and their extensions: CSRF, rate limit, JWT, cookies."""
    secure = settings.base_url.startswith("https://")
    return {
        "APP_NAME": settings.business,
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": [settings.old_secret_key] if settings.old_secret_key else [],
        "SESSION_COOKIE_NAME": "frontdesk",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": secure,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "TRUSTED_HOSTS": [urlsplit(settings.base_url).hostname] if settings.production else None,
        "MAX_CONTENT_LENGTH": 10 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
        "WTF_CSRF_TIME_LIMIT": 12 * 60 * 60,
        "SEND_FILE_MAX_AGE_DEFAULT": timedelta(days=365),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "AUTH_TYPE": 1,
        "AUTH_ROLE_ADMIN": access.ADMIN,
        # A web process neither makes tables nor writes permissions: `flask migrate` does, once a release.
        "FAB_CREATE_DB": False,
        "FAB_UPDATE_PERMS": False,
        "FAB_ROLES": {access.ADMIN: [[".*", ".*"]]},
        "FAB_BASE_TEMPLATE": "desk/appbuilder.html",
        "FAB_ADD_OPENAPI_VIEWS": False,
        "FAB_ADD_MENU_API": False,
        "FAB_ADD_SECURITY_PERMISSION_VIEW": False,
        "FAB_ADD_SECURITY_VIEW_MENU_VIEW": False,
        "FAB_ADD_SECURITY_PERMISSION_VIEWS_VIEW": False,
        "FAB_PASSWORD_COMPLEXITY_ENABLED": True,
        "FAB_PASSWORD_COMPLEXITY_VALIDATOR": security.check_password_length,
        "FAB_API_KEY_ENABLED": True,  # API tokens are checked before JWT
        "FAB_API_KEY_PREFIXES": [api_token.PREFIX],
        "AUTH_RATE_LIMITED": False,  # would count the form only; `throttle` counts the API too
        "RATELIMIT_ENABLED": True,
        "RATELIMIT_STORAGE_URI": settings.redis_url,
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "RATELIMIT_HEADERS_ENABLED": True,
        "RATELIMIT_APPLICATION": "1000 per minute",  # from one address
        "JWT_SECRET_KEY": settings.secret_key,
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(minutes=15),
        "JWT_REFRESH_TOKEN_EXPIRES": timedelta(days=30),
        "MAIL_SERVER": settings.smtp_host,
        "MAIL_PORT": settings.smtp_port,
        "MAIL_USE_TLS": settings.smtp_tls,
        "MAIL_USERNAME": settings.smtp_user or None,
        "MAIL_PASSWORD": settings.smtp_password or None,
        "MAIL_DEFAULT_SENDER": settings.mail_from,
        "BABEL_DEFAULT_LOCALE": "en",
        "LANGUAGES": {"en": {"flag": "gb", "name": "English"}},
    }


def configure(app: Flask, packs: Sequence[Pack]) -> AppBuilder:
    """Set up Flask-AppBuilder and register the declarations of all packs."""
    settings: Settings = app.extensions["settings"]
    editing_now.configure(settings.redis_url)
    forget_resources()
    forget_reports()
    forget_pages()
    app.before_request(lambda: access.set_actor_source(security.actor))
    app.teardown_request(lambda error: access.set_actor_source(None))
    app.jinja_env.globals.update(markup=markup, actor=access.actor)
    builder = Builder(security_manager_class=security.DeskSecurityManager, indexview=home.Home)
    builder.init_app(app, db.session)
    _unify_token_errors(builder.sm.jwt_manager)
    for pack in [*BUILT_IN, *packs]:
        for resource in pack.resources:
            resource.register(pack.label)
            builder.add_view_no_menu(view_of(resource))
            if resource.calendar:
                builder.add_view_no_menu(calendar_view(resource, resource.calendar))
            builder.add_api(api_view_of(resource))
        for report in pack.reports:
            report.register(pack.label)
            builder.add_view_no_menu(page_of(report))
            builder.add_api(endpoint_of(report))
        for page in pack.pages:
            page.register(pack.label)
            builder.add_view_no_menu(page_view(page))
    search.configure(registered_resources())
    builder.add_api(Docs)
    for view in _PAGES:
        builder.add_view_no_menu(view)
    app.context_processor(
        lambda: (
            {
                "menu": _menu,
                "adds": _add_entries,
                "palette_places": search_synonyms.palette_places,
                "unread": notice_list.unread_count,
                "is_admin": lambda: access.ADMIN in access.actor().roles,
            }
            if has_request_context() and request.path.startswith(_STAFF_PATHS)
            else {}
        )
    )
    return builder


_LAST_PACKS = [each.label for each in BUILT_IN]  # in the menu, below the packs
_STAFF_PATHS = (
    "/desk",
    "/ops",
    "/users",
    "/roles",
    "/resetmypassword",
    "/resetpassword",
    "/swagger",
    "/login",
    "/userinfo",
    "/groups",
)


def _menu() -> list[tuple[str, list[tuple[str, list[Any]]]]]:
    """Return the menu of the current user by pack: pages, nouns and reports. Needs no query."""
    who = access.actor()
    nouns = [each for each in registered_resources() if is_on(each.part) and who.may(each.noun, "read")]
    asked = [each for each in registered_reports() if is_on(each.part) and each.is_for(who)]
    drawn = [each.calendar for each in nouns if each.calendar]
    open_: list[Any] = [*(each for each in registered_pages() if each.is_for(who)), *drawn, *nouns]
    packs = dict.fromkeys([*(each.pack for each in open_), *(each.pack for each in asked)])
    parts: dict[str, list[tuple[str, list[Any]]]]
    parts = {
        pack: [("", [it for it in open_ if it.pack == pack]), ("Reports", [it for it in asked if it.pack == pack])]
        for pack in packs
    }
    return sorted(parts.items(), key=lambda item: _LAST_PACKS.index(item[0]) if item[0] in _LAST_PACKS else -1)


def _add_entries() -> list[Any]:
    """Return what the current user may add: pages made for adding, and nouns with a form."""
    who = access.actor()
    nouns = [each for each in registered_resources() if each.add and is_on(each.part) and who.may(each.noun, "add")]
    return [*(each for each in registered_pages() if each.adds and each.is_for(who)), *nouns]


def _unify_token_errors(jwt: Any) -> None:
    """Answer every JWT error with the same 401."""

    def refuse(*_: Any) -> Any:
        refusal = NotSignedIn("Send a valid token: Authorization: Bearer …")
        return jsonify(refusal.as_json()), refusal.status

    for loader in (
        "unauthorized_loader",
        "invalid_token_loader",
        "expired_token_loader",
        "user_lookup_error_loader",
        "revoked_token_loader",
        "needs_fresh_token_loader",
    ):
        getattr(jwt, loader)(refuse)
