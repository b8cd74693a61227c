"""Security manager of Flask-AppBuilder: users, roles, permissions, JWT and API keys; the actor of a request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

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
from app.desk.sign_in.password import DUMMY_HASH, check_password, hash_password, needs_rehash
from app.desk.sign_in.session import ACTIVITY_INTERVAL, StaffSession, hash_key, record_activity
from app.desk.sign_in.sign_in_page import AuthDBView, SignIn
from app.desk.sign_in.throttle import throttle_attempts
from app.kernel import access
from app.kernel.access import ADMIN, SEES, Actor
from app.kernel.db import NOW, session, stable_name, transaction
from app.kernel.errors import Forbidden, Refused, Unreadable

_CAN = "can_"
IMPERSONATION_SECONDS = 30 * 60


class _SafeList:
    """Answer 400 where Flask-AppBuilder's own lists fail with 500, for example on an invalid page number."""

    def _list(self, **kwargs: Any) -> Any:
        try:
            return super()._list(**kwargs)  # type: ignore[misc]
        except (ValueError, AttributeError, KeyError, SQLAlchemyError):
            raise Unreadable("This page of the list doesn’t exist, or the list can’t be sorted this way.") from None


def _with_groups(fieldset: tuple[Any, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """Add the groups to the account fields that Flask-AppBuilder shows of a user."""
    _, options = fieldset
    return "Account", options | {"fields": ["username", "active", "roles", "groups", "login_count"]}


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


class Users(_SafeList, UserDBModelView):
    validators_columns: ClassVar[dict[str, Any]] = {"email": [Email("Enter a valid email address.")]}
    include_route_methods = {"list", "show", "add", "edit", "userinfo"}
    label_columns: ClassVar[dict[str, Any]] = UserDBModelView.label_columns | _USER_LABELS
    show_fieldsets = [_with_groups(UserDBModelView.show_fieldsets[0]), _PERSONAL, _ACTIVITY]
    user_show_fieldsets = [_with_groups(UserDBModelView.user_show_fieldsets[0]), _PERSONAL]
    add_row_message, edit_row_message = "User added.", "Changes saved."

    def pre_add(self, item: Any) -> None:
        item.password = hash_password(item.password)

    def pre_update(self, item: Any) -> None:
        require_an_admin()


class ChangePasswordForm(DynamicForm):
    """Ask for the current password, so that an unattended browser is not enough to take over the account."""

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
            with throttle_attempts("password", current_user.username):
                if not check_password(current_user.password or DUMMY_HASH, typed.data):
                    raise Refused("Incorrect password.")
        except Refused as no:
            raise ValidationError(no.words) from None


class ResetMyPasswordView(views.ResetMyPasswordView):  # the class name is the endpoint and the permission
    form = ChangePasswordForm
    form_title = "Change my password"
    message = "Password changed. You have been signed out everywhere else."


class SetPasswordForm(ChangePasswordForm):
    """Ask for the administrator's own password before they set another user's."""

    present = PasswordField("Your password", validators=[DataRequired()], widget=BS3PasswordFieldWidget())
    password = PasswordField(
        "New password for this user",
        validators=[DataRequired(), PasswordComplexityValidator()],
        widget=BS3PasswordFieldWidget(),
    )


class ResetPasswordView(views.ResetPasswordView):  # of another user, by an administrator
    form = SetPasswordForm
    form_title = "Set a new password"
    message = "Password changed. The user has been signed out everywhere."


class Roles(_SafeList, RoleModelView):
    include_route_methods = {"list", "show"}


class OldGroups(UserGroupModelView):
    """Redirect Flask-AppBuilder's list of groups to the desk's own page."""

    include_route_methods = {"list"}

    @expose("/list/")
    def list(self) -> Any:
        return redirect(url_for("Groups.index"))


def check_password_length(password: str) -> None:
    """Require length only: rules about digits and symbols make passwords harder to remember, not to guess."""
    if len(password) < 10:
        raise PasswordComplexityValidationError("Use at least 10 characters, and choose something hard to guess.")


_DIRECT_ROLES = select(assoc_user_role.c.role_id).where(assoc_user_role.c.user_id == bindparam("user"))
_GROUP_ROLES = (
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
_ROLES = _EVERY_ROLE.where(Role.id.in_(_DIRECT_ROLES.union(_GROUP_ROLES))).subquery()
_GRANTED = select(func.jsonb_object_agg(_ROLES.c.name, _ROLES.c.may, type_=JSONB).cast(Text)).scalar_subquery()
_ANY_ROLE = _EVERY_ROLE.subquery()
_EVERY_GROUP = (
    select(Group.id, Group.name, func.jsonb_object_agg(_ANY_ROLE.c.name, _ANY_ROLE.c.may, type_=JSONB))
    .join(assoc_group_role, assoc_group_role.c.group_id == Group.id)
    .join(_ANY_ROLE, _ANY_ROLE.c.id == assoc_group_role.c.role_id)
    .group_by(Group.id, Group.name)
    .order_by(Group.name)
)
_CURRENT_SESSION = (
    StaffSession.user_id == bindparam("user"),
    or_(StaffSession.digest == bindparam("digest"), StaffSession.id == bindparam("sitting")),
    *StaffSession.valid_conditions(),
)
_SESSION = (
    select(func.jsonb_build_array(StaffSession.id, StaffSession.seen_at < NOW - ACTIVITY_INTERVAL, type_=JSONB))
    .where(*_CURRENT_SESSION)
    .limit(1)
    .scalar_subquery()
)
_USER_COLUMNS = load_only(User.username, User.first_name, User.last_name, User.email, User.active)
_USER_WITH_RIGHTS = select(User, _GRANTED, _SESSION).where(User.id == bindparam("user")).options(_USER_COLUMNS)


class DeskSecurityManager(SecurityManager):
    """Load all rights of a user in one query a request, instead of one for each button and menu entry."""

    userstatschartview = None  # its charts are loaded from another site
    userdbmodelview = Users
    rolemodelview = Roles
    resetmypasswordview = ResetMyPasswordView
    resetpasswordview = ResetPasswordView
    groupmodelview = OldGroups
    authdbview = AuthDBView
    security_api = SignIn

    def create_limiter(self, app: Any) -> Any:
        limiter = Limiter(key_func=get_remote_address)
        limiter.init_app(app)
        return limiter

    def load_user(self, pk: Any) -> Any:
        """Load the user, their session and their rights in one query."""
        with session.no_autoflush:
            loaded = session.execute(_USER_WITH_RIGHTS, {"user": int(pk)} | _session_keys()).one_or_none()
        if loaded is None:
            return None
        user, rights, staff_session = loaded
        if not user.is_active or (staff_session is None and _needs_session()):
            return None
        if staff_session and staff_session[1]:
            record_activity(staff_session[0])
        g._granted = (user.id, rights or "{}")
        return user

    def create_jwt_manager(self, app: Any) -> Any:
        manager = JWTManager(app)
        manager.user_lookup_loader(self.load_user_jwt)
        return manager

    def load_user_jwt(self, header: Any, claims: Any) -> Any:
        g._claims = claims
        return super().load_user_jwt(header, claims)

    def create_login_manager(self, app: Any) -> Any:
        manager = super().create_login_manager(app)
        manager.login_view = "AuthDBView.login"  # the default "login" is no endpoint and would end in a 500
        return manager

    def is_item_public(self, permission_name: str, view_name: str) -> bool:
        """Return False without a query: no page of the desk is public."""
        return False

    def has_access(self, permission_name: str, view_name: str) -> bool:
        return actor().has(f"{view_name}.{permission_name}")

    def validate_api_key(self, api_key_string: str) -> Any:
        """For this request an API token acts as its owner, limited to its scopes."""
        token = ApiToken.find_by_secret(api_key_string)
        user = self.load_user(token.user_id) if token is not None else None
        if token is None or user is None:
            return None
        g._token = (user, frozenset(token.scopes))
        return user

    def get_user_menu_access(self, menu_names: list[str] | None = None) -> set[str]:
        return set(menu_names or []) if ADMIN in actor().roles else set()

    def auth_user_db(self, username: str, password: str) -> Any:
        """Return the user with this name and password. An unknown name takes as long as a known one."""
        user = self.find_account(username)
        stored = user.password if user is not None and user.is_active and user.password else DUMMY_HASH
        if not check_password(stored, password):
            self.update_user_auth_stat(user, False) if user is not None else self.noop_user_update(
                self.get_first_user()
            )
            return None
        if needs_rehash(stored):
            user.password = hash_password(password)
        self.update_user_auth_stat(user, True)
        return user

    def add_user(self, *args: Any, password: str = "", **more: Any) -> Any:
        return super().add_user(*args, **more | ({"hashed_password": hash_password(password)} if password else {}))

    def reset_password(self, userid: Any, password: str) -> None:
        """Set a new password and end all other sessions."""
        user = self.get_user_by_id(userid)
        user.password = hash_password(password)
        self.update_user(user)
        StaffSession.end_all(int(userid), but=cookie.get("sitting", "") if has_request_context() else "")

    def find_account(self, name: str) -> Any:
        """Find a user by username or email. Both are always queried, so that the time tells nothing."""
        by_name, by_email = self.find_user(username=name), self.find_user(email=name)
        return by_name or by_email


def actor() -> Actor:
    """Return who acts in this request, with roles and rights; cached for the request."""
    user = _user()
    if user is None or not user.is_active:
        return Actor("a visitor", door())
    known: tuple[int, Actor] | None = getattr(g, "_actor", None)
    if known is None or known[0] != user.id:
        who = _impersonated(_actor_of(user))
        known = g._actor = (user.id, who)
        if who.door == "api":
            access.set_actor_source(lambda: who)  # a program is the same one until it has its answer
    return known[1]


def _impersonated(who: Actor) -> Actor:
    """Impersonation: an administrator who views as another user has their rights; the history names both."""
    mark = cookie.get("seen_as") if who.door != "api" else None
    if not mark or mark["by"] != who.user_id or ADMIN not in who.roles or mark["until"] < time.time():
        return who
    user = session.get(User, mark["user"])
    if user is None or not user.is_active:
        return who
    other = _actor_of(user)
    return who if ADMIN in other.roles else replace(other, name=f"{who.name} as {other.name}", on_behalf_of=who.name)


def _session_keys() -> dict[str, Any]:
    """Return the session named by the cookie or, in the API, by the JWT; never by both."""
    if door() == "api":
        return {"digest": "", "sitting": g.get("_claims", {}).get("sitting")}
    return {"digest": hash_key(cookie.get("sitting", "")), "sitting": None}


def _needs_session() -> bool:
    """Return whether a session is required: always, except for an API login without a refresh token."""
    return door() != "api" or "sitting" in g.get("_claims", {})


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
    """Return the signed-in user: the API accepts tokens only, the pages cookies only."""
    if door() == "api":
        if "_token" in g:
            return g._token[0]
        return (
            jwt_user._get_current_object()
            if getattr(g, "_jwt_extended_jwt_user", None) and get_jwt_identity()
            else None
        )
    user = current_user._get_current_object()  # the proxy looks up its request at each access
    return user if user is not None and user.is_authenticated else None


def _load_rights(id: int) -> str:
    with session.no_autoflush:
        return session.scalar(select(_GRANTED), {"user": id}) or "{}"


def _actor_of(user: Any) -> Actor:
    loaded: tuple[int, str] | None = getattr(g, "_granted", None)
    roles, rights = _parse_rights(loaded[1] if loaded and loaded[0] == user.id else _load_rights(user.id))
    name = " ".join(filter(None, (user.first_name, user.last_name))) or user.username
    return Actor(name, door(), user.id, roles, rights, g._token[1] if has_request_context() and "_token" in g else None)


@lru_cache(256)
def _parse_rights(granted: str) -> tuple[frozenset[str], frozenset[str]]:
    """Parse roles and rights. They are loaded at each request, but the same text is parsed once."""
    by_role = json.loads(granted)
    return frozenset(by_role), _rights_in(by_role)


def _rights_in(granted: dict[str, str | None]) -> frozenset[str]:
    """Collect the rights of all roles. An administrator's are not listed, since there every check passes."""
    return frozenset() if ADMIN in granted else frozenset("\n".join(filter(None, granted.values())).split("\n"))


def require_right(noun: type[Any], verb: str) -> None:
    """Refuse unless the current user has this right on the noun."""
    if not actor().may(noun, verb):
        raise Forbidden("You don’t have permission to do this.")


def users_by_name() -> Any:
    return select(User).order_by(User.first_name, User.last_name, User.username)


def rights_by_role() -> dict[str, frozenset[str]]:
    """Return the rights of each role, from the rows that enforcement reads."""
    return {name: frozenset((may or "").split("\n")) - {""} for _, name, may in session.execute(_EVERY_ROLE)}


def actors_by_group() -> dict[int, Actor]:
    """Return, for each group, an actor that has the roles of the group and no others."""
    return {
        id: Actor(name, "desk", None, frozenset(granted), _rights_in(granted))
        for id, name, granted in session.execute(_EVERY_GROUP)
    }


def require_an_admin() -> None:
    """Refuse a change that would leave no active administrator."""
    session.flush()
    admins = select(Role.id).where(Role.name == ADMIN)
    own = select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id.in_(admins))
    grouped = select(assoc_user_group.c.user_id).join(
        assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id
    )
    by_group = grouped.where(assoc_group_role.c.role_id.in_(admins))
    if session.scalar(select(User.id).where(User.active, User.id.in_(own.union(by_group))).limit(1)) is None:
        raise Refused("There must be at least one active administrator. Give another user the Admin role first.")


def declared_roles() -> list[str]:
    """Return the roles named by resources, reports and pages; each release rewrites their rights."""
    named: list[Any] = [*registered_resources(), *registered_reports(), *registered_pages()]
    return sorted({role for each in named for role in each.roles} - {ADMIN})


def row_scope_of(role: Any) -> str:
    """Return the declared role whose row scope a custom role has."""
    rights = (f"{each.view_menu.name}.{each.permission.name}" for each in role.permissions)
    return next((right.removeprefix(SEES) for right in rights if right.startswith(SEES)), "")


def default_permissions(like: str) -> list[Any]:
    """Return what every user may do, and the mark that gives the row scope."""
    return permissions_for([*(f"{view}.{_CAN}{verb}" for verb, view in _OWN_PAGES), SEES + like])


def permissions_for(rights: Iterable[str]) -> list[Any]:
    return _stored_permissions((permission, view) for view, _, permission in (right.partition(".") for right in rights))


def desk_actor(user: Any) -> Actor:
    """Return the actor that this user would be at the desk, for jobs and checks on their behalf."""
    return replace(_actor_of(user), door="desk")


def write_roles(desk: Any) -> None:
    """Write the declared roles and their rights to the database. Runs in a release, never while serving."""
    asked: list[Any] = [*registered_reports(), *registered_pages()]
    named = {role for each in [*registered_resources(), *asked] for role in each.roles}
    _write_permissions(desk, asked)
    desk.add_permissions(update_perms=True)  # removes permissions that no page asks for
    for name in sorted(named | {ADMIN, "Public"}):
        if desk.sm.find_role(name) is None:
            desk.sm.add_role(name)
    with transaction():
        for name in sorted(named - {ADMIN}):  # an administrator has every right without a list
            wanted = {
                (f"{_CAN}{verb}", stable_name(resource.noun))
                for resource in registered_resources()
                for verb in resource.rights(name) & {*resource.verbs}
            }
            wanted |= {(f"{_CAN}read", each.permission_name) for each in asked if name in each.roles}
            own = {(f"{_CAN}{verb}", view) for verb, view in _OWN_PAGES}
            desk.sm.find_role(name).permissions = _stored_permissions(wanted | own)


def _write_permissions(desk: Any, asked: Iterable[Any]) -> None:
    """Write the permissions of all pages and declarations together: Flask-AppBuilder needs four queries for each."""
    wanted = {
        (permission, view.class_permission_name) for view in desk.baseviews for permission in view.base_permissions
    }
    menu = [each for group in desk.menu.get_list() for each in (group, *group.childs)]
    wanted |= {("menu_access", each.name) for each in menu if each.name != "-"}
    wanted |= {
        (_CAN + verb, stable_name(resource.noun)) for resource in registered_resources() for verb in resource.verbs
    }
    wanted |= {(f"{_CAN}read", each.permission_name) for each in asked}
    view, _, mark = SEES.partition(".")
    wanted |= {(mark + name, view) for name in declared_roles()}
    with transaction():
        marks, views = (
            _find_or_add(Permission, {permission for permission, _ in wanted}),
            _find_or_add(ViewMenu, {view for _, view in wanted}),
        )
        there = {(each.permission_id, each.view_menu_id) for each in session.scalars(select(PermissionView))}
        pairs = [(marks[permission], views[view]) for permission, view in sorted(wanted)]
        session.add_all(
            PermissionView(permission=mark, view_menu=view) for mark, view in pairs if (mark.id, view.id) not in there
        )


def _find_or_add(kind: type[Any], names: set[str]) -> dict[str, Any]:
    """Return the rows with these names by name, and add the missing ones."""
    found = {each.name: each for each in session.scalars(select(kind).where(kind.name.in_(names)))}
    made = {name: kind(name=name) for name in sorted(names - found.keys())}
    session.add_all(made.values())
    session.flush()
    return found | made


def _stored_permissions(wanted: Iterable[tuple[str, str]]) -> list[Any]:
    names = sorted({*wanted})
    asked = select(PermissionView).join(PermissionView.permission).join(PermissionView.view_menu)
    found = session.scalars(asked.where(tuple_(Permission.name, ViewMenu.name).in_(names)))
    held = {(each.permission.name, each.view_menu.name): each for each in found}
    for permission, view in names:
        if (permission, view) not in held:
            raise LookupError(f"No page has the permission {permission} on {view}.")
    return [held[name] for name in names]


# What every signed-in user may do with their own account, and the pages that belong to no noun.
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
