"""Who staff are and what they may: Flask-AppBuilder's users, roles and permissions, asked once a request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import jwt
from flask import g, has_request_context, redirect, request, url_for
from flask import session as cookie
from flask_appbuilder import expose
from flask_appbuilder.exceptions import PasswordComplexityValidationError
from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget
from flask_appbuilder.forms import DynamicForm
from flask_appbuilder.security import views
from flask_appbuilder.security.sqla.manager import SecurityManager
from flask_appbuilder.security.sqla.models import (
    Group,
    Permission,
    PermissionView,
    Role,
    User,
    ViewMenu,
    assoc_group_role,
    assoc_permissionview_role,
    assoc_user_group,
    assoc_user_role,
)
from flask_appbuilder.security.views import RoleModelView, UserDBModelView, UserGroupModelView
from flask_appbuilder.validators import PasswordComplexityValidator
from flask_jwt_extended import JWTManager, get_jwt_identity
from flask_jwt_extended import current_user as jwt_user
from flask_jwt_extended.config import config
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import current_user
from sqlalchemy import Text, bindparam, case, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import load_only
from wtforms import PasswordField
from wtforms.validators import DataRequired, Email, EqualTo, ValidationError

from app.desk.declare.page import registered_pages
from app.desk.declare.report import registered_reports
from app.desk.declare.resource import registered_resources
from app.desk.sign_in.api_token import ApiToken
from app.desk.sign_in.password import NOBODYS, fits, hashed, is_old
from app.desk.sign_in.session import SEEN_ANEW, StaffSession, digest, seen
from app.desk.sign_in.sign_in_page import AuthDBView, SignIn
from app.desk.sign_in.throttle import guessing
from app.kernel import access
from app.kernel.access import ADMIN, SEES, Actor
from app.kernel.db import NOW, session, stable_name, transaction
from app.kernel.errors import Forbidden, Refused, Unreadable

_CAN = "can_"
_TOLD = {"sub", "type", "fresh", "jti"}  # by each token of ours
SEEN_AS = 30 * 60  # how long an administrator may look with somebody else's eyes


class _Careful:
    """Flask-AppBuilder's own lists break on a page number that is none."""

    def _list(self, **kwargs: Any) -> Any:
        try:
            return super()._list(**kwargs)  # type: ignore[misc]
        except (ValueError, AttributeError, KeyError, SQLAlchemyError):
            raise Unreadable("This page of the list doesn’t exist, or the list can’t be sorted this way.") from None


def _who(fieldset: tuple[Any, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """What Flask-AppBuilder shows of somebody, with their groups beside their roles."""
    _, told = fieldset
    return "Account", told | {"fields": ["username", "active", "roles", "groups", "login_count"]}


_USER_LABELS = {
    "first_name": "First name",
    "last_name": "Last name",
    "username": "Username",
    "active": "Active",
    "roles": "Roles",
    "last_login": "Last sign-in",
    "login_count": "Sign-ins",
    "fail_login_count": "Failed sign-ins",
    "created_on": "Created",
    "changed_on": "Last updated",
    "changed_by": "Updated by",
}
_PERSONAL = "Personal details", UserDBModelView.show_fieldsets[1][1]
_ACTIVITY = "Activity", UserDBModelView.show_fieldsets[2][1]


class Users(_Careful, UserDBModelView):
    validators_columns: ClassVar[dict[str, Any]] = {"email": [Email("Enter a valid email address.")]}
    include_route_methods = {"list", "show", "add", "edit", "userinfo"}
    label_columns: ClassVar[dict[str, Any]] = UserDBModelView.label_columns | _USER_LABELS
    show_fieldsets = [_who(UserDBModelView.show_fieldsets[0]), _PERSONAL, _ACTIVITY]
    user_show_fieldsets = [_who(UserDBModelView.user_show_fieldsets[0]), _PERSONAL]
    add_row_message, edit_row_message = "User added.", "Changes saved."

    def pre_add(self, item: Any) -> None:
        item.password = hashed(item.password)

    def pre_update(self, item: Any) -> None:
        keep_an_admin()


class NewPassword(DynamicForm):
    """A desk that somebody has left open for a minute is not theirs to keep."""

    present = PasswordField("Current password", validators=[DataRequired()], widget=BS3PasswordFieldWidget())
    password = PasswordField(
        "New password", validators=[DataRequired(), PasswordComplexityValidator()], widget=BS3PasswordFieldWidget()
    )
    conf_password = PasswordField(
        "Confirm new password",
        validators=[EqualTo("password", "The passwords don’t match.")],
        widget=BS3PasswordFieldWidget(),
    )

    def validate_present(self, typed: Any) -> None:
        try:
            with guessing("password", current_user.username):
                if not fits(current_user.password or NOBODYS, typed.data):
                    raise Refused("Incorrect password.")
        except Refused as no:
            raise ValidationError(no.words) from None


class ResetMyPasswordView(views.ResetMyPasswordView):  # its name is its address and its right
    form = NewPassword
    form_title = "Change my password"
    message = "Password changed. You have been signed out everywhere else."


class GivenPassword(DynamicForm):
    password = PasswordField(
        "New password", validators=[DataRequired(), PasswordComplexityValidator()], widget=BS3PasswordFieldWidget()
    )
    conf_password = PasswordField(
        "Confirm new password",
        validators=[EqualTo("password", "The passwords don’t match.")],
        widget=BS3PasswordFieldWidget(),
    )


class ResetPasswordView(views.ResetPasswordView):  # of another user, by an administrator
    form = GivenPassword
    form_title = "Set a new password"
    message = "Password changed. The user has been signed out everywhere."


class Roles(_Careful, RoleModelView):
    include_route_methods = {"list", "show"}


class OldGroups(UserGroupModelView):
    """The desk has a page of its own for them."""

    include_route_methods = {"list"}

    @expose("/list/")
    def list(self) -> Any:
        return redirect(url_for("Groups.index"))


def long_enough(password: str) -> None:
    """Length is what makes a password hard to guess; rules about digits and signs make it easy to forget."""
    if len(password) < 10:
        raise PasswordComplexityValidationError("Use at least 10 characters, and choose something hard to guess.")


_OWN = select(assoc_user_role.c.role_id).where(assoc_user_role.c.user_id == bindparam("user"))
_OF_GROUPS = (
    select(assoc_group_role.c.role_id)
    .join(assoc_user_group, assoc_user_group.c.group_id == assoc_group_role.c.group_id)
    .where(assoc_user_group.c.user_id == bindparam("user"))
)
_EVERY_ROLE = (
    select(
        Role.id,
        Role.name,
        case((Role.name != ADMIN, func.string_agg(ViewMenu.name + "." + Permission.name, "\n"))).label("may"),
    )
    .outerjoin(assoc_permissionview_role, assoc_permissionview_role.c.role_id == Role.id)
    .outerjoin(PermissionView, PermissionView.id == assoc_permissionview_role.c.permission_view_id)
    .outerjoin(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
    .outerjoin(Permission, Permission.id == PermissionView.permission_id)
    .group_by(Role.id, Role.name)
)
_ROLES = _EVERY_ROLE.where(Role.id.in_(_OWN.union(_OF_GROUPS))).subquery()
_GRANTED = select(func.jsonb_object_agg(_ROLES.c.name, _ROLES.c.may, type_=JSONB).cast(Text)).scalar_subquery()
_ANY_ROLE = _EVERY_ROLE.subquery()
_EVERY_GROUP = (
    select(Group.id, Group.name, func.jsonb_object_agg(_ANY_ROLE.c.name, _ANY_ROLE.c.may, type_=JSONB))
    .join(assoc_group_role, assoc_group_role.c.group_id == Group.id)
    .join(_ANY_ROLE, _ANY_ROLE.c.id == assoc_group_role.c.role_id)
    .group_by(Group.id, Group.name)
    .order_by(Group.name)
)
_WHERE = (
    StaffSession.user_id == bindparam("user"),
    or_(StaffSession.digest == bindparam("digest"), StaffSession.id == bindparam("sitting")),
    *StaffSession.good(),
)
_SITS = (
    select(func.jsonb_build_array(StaffSession.id, StaffSession.seen_at < NOW - SEEN_ANEW, type_=JSONB))
    .where(*_WHERE)
    .limit(1)
    .scalar_subquery()
)
_CALLED = load_only(
    User.username, User.first_name, User.last_name, User.email, User.active
)  # what each page asks of them
_SOMEBODY = select(User, _GRANTED, _SITS).where(User.id == bindparam("user")).options(_CALLED)


class Turnstile(Limiter):
    """How much is left is worth asking the store about only when nothing is."""

    @property
    def current_limit(self) -> Any:
        limit = super().current_limit
        return limit if limit is not None and limit.breached else None


class _Reader(JWTManager):
    """Reads a token once. Theirs reads it twice before, to find the key, and ours is the same for every token."""

    def _decode_jwt_from_config(self, encoded_token: str, csrf_value: Any = None, allow_expired: bool = False) -> Any:  # noqa: FBT001, FBT002  # theirs
        try:
            told = jwt.decode(encoded_token, config.decode_key, algorithms=config.decode_algorithms)
        except jwt.PyJWTError:
            told = {}
        if csrf_value is None and told.keys() >= _TOLD:
            return told
        return super()._decode_jwt_from_config(
            encoded_token, csrf_value, allow_expired
        )  # which says what is wrong with it


class Desk(SecurityManager):
    """One query for all rights of a request, instead of one for each button and menu entry."""

    userstatschartview = None  # draws with charts fetched from outside
    userdbmodelview = Users
    rolemodelview = Roles
    resetmypasswordview = ResetMyPasswordView
    resetpasswordview = ResetPasswordView
    groupmodelview = OldGroups
    authdbview = AuthDBView
    security_api = SignIn

    def create_limiter(self, app: Any) -> Any:
        limiter = Turnstile(key_func=get_remote_address)
        limiter.init_app(app)
        return limiter

    def load_user(self, pk: Any) -> Any:
        """Whoever is signed in and what they may, in the one question that each request has to ask."""
        with session.no_autoflush:
            found = session.execute(_SOMEBODY, {"user": int(pk)} | _where()).one_or_none()
        if found is None or not found[0].is_active or (found[2] is None and _sits()):
            return None
        if found[2] and found[2][1]:
            seen(found[2][0])
        g._granted = (found[0].id, found[1] or "{}")
        return found[0]

    def create_jwt_manager(self, app: Any) -> Any:
        manager = _Reader(app)
        manager.user_lookup_loader(self.load_user_jwt)
        return manager

    def load_user_jwt(self, header: Any, told: Any) -> Any:
        g._told = told
        return super().load_user_jwt(header, told)

    def create_login_manager(self, app: Any) -> Any:
        manager = super().create_login_manager(app)
        manager.login_view = "AuthDBView.login"  # "login", as it comes, is no endpoint and ends in a 500
        return manager

    def is_item_public(self, permission_name: str, view_name: str) -> bool:
        """Nothing of the desk is public, so nobody has to ask the database."""
        return False

    def has_access(self, permission_name: str, view_name: str) -> bool:
        return actor().has(f"{view_name}.{permission_name}")

    def validate_api_key(self, api_key_string: str) -> Any:
        """A token is somebody for this one request, and may of theirs what was ticked."""
        token = ApiToken.shown(api_key_string)
        user = self.load_user(token.user_id) if token is not None else None
        if token is None or user is None:
            return None
        g._token = (user, frozenset(token.scopes))
        return user

    def get_user_menu_access(self, menu_names: list[str] | None = None) -> set[str]:
        return set(menu_names or []) if ADMIN in actor().roles else set()

    def auth_user_db(self, username: str, password: str) -> Any:
        """Whoever these belong to. It takes as long for a name that nobody has."""
        user = self.known(username)
        kept = user.password if user is not None and user.is_active and user.password else NOBODYS
        if not fits(kept, password):
            self.update_user_auth_stat(user, False) if user is not None else self.noop_user_update(
                self.get_first_user()
            )
            return None
        if is_old(kept):
            user.password = hashed(password)
        self.update_user_auth_stat(user, True)
        return user

    def add_user(self, *args: Any, password: str = "", **more: Any) -> Any:
        return super().add_user(*args, **more | ({"hashed_password": hashed(password)} if password else {}))

    def reset_password(self, userid: Any, password: str) -> None:
        """Whoever learnt the old one is out with it, wherever they are."""
        user = self.get_user_by_id(userid)
        user.password = hashed(password)
        self.update_user(user)
        StaffSession.end_all(int(userid), but=cookie.get("sitting", "") if has_request_context() else "")

    def known(self, name: str) -> Any:
        """By user name or by email address: both are looked for, so that it takes as long either way."""
        by_name, by_email = self.find_user(username=name), self.find_user(email=name)
        return by_name or by_email


def actor() -> Actor:
    """Whoever is signed in, with their roles and rights: read once a request."""
    user = _user()
    if user is None or not user.is_active:
        return Actor("a visitor", door())
    known: tuple[int, Actor] | None = getattr(g, "_actor", None)
    if known is None or known[0] != user.id:
        who = _seen_as(_read(user))
        known = g._actor = (user.id, who)
        if who.door == "api":
            access.set_actor_source(lambda: who)  # a program is the same one until it has its answer
    return known[1]


def _seen_as(who: Actor) -> Actor:
    """An administrator who looks with somebody else's eyes may what they may, and is written down under both names."""
    told = cookie.get("seen_as") if who.door != "api" else None
    if not told or told["by"] != who.user_id or ADMIN not in who.roles or told["until"] < time.time():
        return who
    user = session.get(User, told["user"])
    if user is None or not user.is_active:
        return who
    other = _read(user)
    return who if ADMIN in other.roles else replace(other, name=f"{who.name} as {other.name}", on_behalf_of=who.name)


def _where() -> dict[str, Any]:
    """The sitting that a cookie or a token names; they do not mix here either."""
    if door() == "api":
        return {"digest": "", "sitting": g.get("_told", {}).get("sitting")}
    return {"digest": digest(cookie.get("sitting", "")), "sitting": None}


def _sits() -> bool:
    """A token that cannot be renewed is good for its quarter of an hour; everything else belongs to a sitting."""
    return door() != "api" or "sitting" in g.get("_told", {})


_DOORS = {
    "/api/v1/": "api",
    "/desk": "desk",
    "/ops": "console",
    "/users": "desk",
    "/roles": "desk",
    "/login": "desk",
    "/api/": "public api",
}


def door() -> str:
    if not has_request_context():
        return "command"
    path = request.path
    return next((name for start, name in _DOORS.items() if path.startswith(start)), "site")


def _user() -> Any:
    """A token and a cookie never mix: the API hears tokens only, the screens cookies only."""
    if door() == "api":
        if "_token" in g:
            return g._token[0]
        return (
            jwt_user._get_current_object()
            if getattr(g, "_jwt_extended_jwt_user", None) and get_jwt_identity()
            else None
        )
    user = current_user._get_current_object()  # asked once: each word with the proxy looks for its request anew
    return user if user is not None and user.is_authenticated else None


def _granted(id: int) -> str:
    with session.no_autoflush:
        return session.scalar(select(_GRANTED), {"user": id}) or "{}"


def _read(user: Any) -> Actor:
    known: tuple[int, str] | None = getattr(g, "_granted", None)
    roles, rights = _taken_apart(known[1] if known and known[0] == user.id else _granted(user.id))
    name = " ".join(filter(None, (user.first_name, user.last_name))) or user.username
    return Actor(name, door(), user.id, roles, rights, g._token[1] if has_request_context() and "_token" in g else None)


@lru_cache(256)
def _taken_apart(granted: str) -> tuple[frozenset[str], frozenset[str]]:
    """Roles and rights. The database is asked at each request; the same answer is taken apart once."""
    may = json.loads(granted)
    return frozenset(may), _rights(may)


def _rights(granted: dict[str, str | None]) -> frozenset[str]:
    """An administrator's need not be listed."""
    return frozenset() if ADMIN in granted else frozenset("\n".join(filter(None, granted.values())).split("\n"))


def must(noun: type[Any], verb: str) -> None:
    """This person may do that to this noun, or hears no."""
    if not actor().may(noun, verb):
        raise Forbidden("You don’t have permission to do this.")


def everybody() -> Any:
    return select(User).order_by(User.first_name, User.last_name, User.username)


def granted() -> dict[str, frozenset[str]]:
    """What each role may, by the very rows that are asked when somebody wants to do it."""
    return {name: frozenset((may or "").split("\n")) - {""} for _, name, may in session.execute(_EVERY_ROLE)}


def groups() -> dict[int, Actor]:
    """What whoever is in a group may by that alone: each as somebody who has its roles and no others."""
    return {
        id: Actor(name, "desk", None, frozenset(granted), _rights(granted))
        for id, name, granted in session.execute(_EVERY_GROUP)
    }


def keep_an_admin() -> None:
    """Whoever takes away the last one could give it to nobody any more."""
    session.flush()
    admins = select(Role.id).where(Role.name == ADMIN)
    own = select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id.in_(admins))
    grouped = select(assoc_user_group.c.user_id).join(
        assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id
    )
    by_group = grouped.where(assoc_group_role.c.role_id.in_(admins))
    if session.scalar(select(User.id).where(User.active, User.id.in_(own.union(by_group))).limit(1)) is None:
        raise Refused("There must be at least one active administrator. Give another user the Admin role first.")


def declared() -> list[str]:
    """The roles of the declarations, which each release writes anew."""
    named: list[Any] = [*registered_resources(), *registered_reports(), *registered_pages()]
    return sorted({role for each in named for role in each.roles} - {ADMIN})


def like(role: Any) -> str:
    """Whose rows a role sees that an administrator made."""
    rights = (f"{each.view_menu.name}.{each.permission.name}" for each in role.permissions)
    return next((right.removeprefix(SEES) for right in rights if right.startswith(SEES)), "")


def always_with(like: str) -> list[Any]:
    """What everybody may, and the mark that says whose rows are seen."""
    return permissions([*(f"{view}.{_CAN}{verb}" for verb, view in _OWN_PAGES), SEES + like])


def permissions(rights: Iterable[str]) -> list[Any]:
    return _existing((permission, view) for view, _, permission in (right.partition(".") for right in rights))


def at_the_desk(user: Any) -> Actor:
    """Somebody who may not be here at all, with what they may were they sitting at the desk."""
    return replace(_read(user), door="desk")


def write_roles(desk: Any) -> None:
    """Make the roles of the declarations true in the database. Run at a release, never while serving."""
    asked: list[Any] = [*registered_reports(), *registered_pages()]
    named = {role for each in [*registered_resources(), *asked] for role in each.roles}
    _write_permissions(desk, asked)
    desk.add_permissions(update_perms=True)  # which takes away what no page asks for any more
    for name in sorted(named | {ADMIN, "Public"}):
        if desk.sm.find_role(name) is None:
            desk.sm.add_role(name)
    with transaction():
        for name in sorted(named - {ADMIN}):  # whose rights are a rule, and not a list
            wanted = {
                (f"{_CAN}{verb}", stable_name(resource.noun))
                for resource in registered_resources()
                for verb in resource.rights(name) & {*resource.verbs}
            }
            wanted |= {(f"{_CAN}read", each.right) for each in asked if name in each.roles}
            own = {(f"{_CAN}{verb}", view) for verb, view in _OWN_PAGES}
            desk.sm.find_role(name).permissions = _existing(wanted | own)


def _write_permissions(desk: Any, asked: Iterable[Any]) -> None:
    """Each that a page or a declaration asks for, written together: Flask-AppBuilder would put four questions for each."""
    wanted = {
        (permission, view.class_permission_name) for view in desk.baseviews for permission in view.base_permissions
    }
    menu = [each for group in desk.menu.get_list() for each in (group, *group.childs)]
    wanted |= {("menu_access", each.name) for each in menu if each.name != "-"}
    wanted |= {
        (_CAN + verb, stable_name(resource.noun)) for resource in registered_resources() for verb in resource.verbs
    }
    wanted |= {(f"{_CAN}read", each.right) for each in asked}
    view, _, mark = SEES.partition(".")
    wanted |= {(mark + name, view) for name in declared()}
    with transaction():
        marks, views = (
            _named(Permission, {permission for permission, _ in wanted}),
            _named(ViewMenu, {view for _, view in wanted}),
        )
        there = {(each.permission_id, each.view_menu_id) for each in session.scalars(select(PermissionView))}
        pairs = [(marks[permission], views[view]) for permission, view in sorted(wanted)]
        session.add_all(
            PermissionView(permission=mark, view_menu=view) for mark, view in pairs if (mark.id, view.id) not in there
        )


def _named(kind: type[Any], names: set[str]) -> dict[str, Any]:
    """Those of these names, and new ones for the names that had none."""
    found = {each.name: each for each in session.scalars(select(kind).where(kind.name.in_(names)))}
    made = {name: kind(name=name) for name in sorted(names - found.keys())}
    session.add_all(made.values())
    session.flush()
    return found | made


def _existing(wanted: Iterable[tuple[str, str]]) -> list[Any]:
    names = sorted({*wanted})
    asked = select(PermissionView).join(PermissionView.permission).join(PermissionView.view_menu)
    found = session.scalars(asked.where(tuple_(Permission.name, ViewMenu.name).in_(names)))
    held = {(each.permission.name, each.view_menu.name): each for each in found}
    for permission, view in names:
        if (permission, view) not in held:
            raise LookupError(f"No page has the permission {permission} on {view}.")
    return [held[name] for name in names]


# What everybody who signs in may do with their own account, and the pages that belong to no noun.
_OWN_PAGES = [
    ("read", "Search"),
    ("userinfo", "Users"),
    ("this_form_get", "ResetMyPasswordView"),
    ("this_form_post", "ResetMyPasswordView"),
    ("get", "OpenApi"),
    ("show", "SwaggerView"),
]


def add_user(sm: Any, username: str, *, name: str, email: str, role: str, password: str) -> Any:
    first, _, last = name.partition(" ")
    return sm.find_user(username=username) or sm.add_user(
        username, first, last, email, sm.find_role(role), password=password
    )
