"""Roles & permissions page: the table of rights as they are enforced, and the custom roles of administrators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import Role, assoc_group_role, assoc_user_role
from sqlalchemy import exists, func, or_, select

from app.desk.declare.page import registered_pages
from app.desk.declare.report import registered_reports
from app.desk.declare.resource import registered_resources
from app.desk.sign_in import security
from app.kernel.access import ADMIN, Actor, acting, column_guards, column_level
from app.kernel.db import session, spaced, stable_name, transaction
from app.kernel.errors import Forbidden, Invalid, Missing, NotSignedIn, Refused

LONGEST = 60


@dataclass(frozen=True)
class RightsLine:
    """One line of the rights table: a noun, a report or a page, and its verbs."""

    pack: str
    label: str
    name: str
    verbs: Mapping[str, str]  # each with its label
    noun: type[Any] | None = None

    def right(self, verb: str) -> str:
        return f"{self.name}.can_{verb}"

    def restrictions_for(self, who: Actor) -> str:
        """Describe the column guards for an actor who may read the noun: "phone masked, notes hidden"."""
        if self.noun is None or not who.has(self.right("read")):
            return ""
        with acting(who):
            levels = {name: column_level(self.noun, name) for name in column_guards(self.noun)}
        return ", ".join(
            f"{spaced(name).lower()} {'read only' if allowed == 'read' else allowed}"
            for name, allowed in levels.items()
            if allowed != "write"
        )


class Rights(BaseView):
    """For administrators."""

    route_base = "/desk/rights"
    default_view = "index"
    base_permissions: ClassVar[list[str]] = []  # none to grant: administrators only

    @expose("/")
    def index(self) -> Any:
        """Show the rights of each role and group, and the users to view as."""
        must_be_admin()
        may = {
            name: Actor(name, "desk", None, frozenset({name}), rights)
            for name, rights in security.rights_by_role().items()
            if name not in (ADMIN, "Public")
        }
        made, groups = {role.name: role.id for role in _custom_roles()}, security.actors_by_group()
        packs: dict[str, list[RightsLine]] = {}
        for line in rights_lines():
            packs.setdefault(line.pack, []).append(line)
        staff = [user for user in session.scalars(security.users_by_name()) if user.active]
        roles = sorted(may, key=lambda name: (name in made, name))
        columns = [*(may[name] for name in roles), *groups.values()]
        return self._page(
            "desk/rights.html", packs=packs, roles=roles, columns=columns, made=made, groups=groups, staff=staff
        )

    @expose("/new", methods=["GET", "POST"])
    def new(self) -> Any:
        """Create a custom role with a name and a row scope. Its rights are selected afterwards."""
        must_be_admin()
        if request.method == "GET":
            return self._page("desk/rights_new.html", declared=security.declared_roles(), typed={}, refusal=None)
        try:
            with transaction():
                role = create_role(request.form.get("name", ""), request.form.get("like", ""))
        except Refused as no:
            session.rollback()
            return self._page(
                "desk/rights_new.html", declared=security.declared_roles(), typed=request.form, refusal=no
            ), no.status
        flash(f"Role {role.name} created. Select its permissions.", "success")
        return redirect(url_for("Rights.edit", id=role.id))

    @expose("/<int:id>", methods=["GET", "POST"])
    def edit(self, id: int) -> Any:
        must_be_admin()
        role = _find_custom_role(id)
        if request.method == "POST":
            with transaction():
                session.refresh(role, with_for_update=True)
                set_rights(role, request.form.getlist("right"))
            flash(f"Permissions of {role.name} saved. They apply immediately.", "success")
            return redirect(url_for("Rights.index"))
        packs: dict[str, list[RightsLine]] = {}
        for line in rights_lines():
            packs.setdefault(line.pack, []).append(line)
        return self._page(
            "desk/rights_edit.html",
            role=role,
            packs=packs,
            may=security.rights_by_role().get(role.name, frozenset()),
            like=security.row_scope_of(role),
        )

    @expose("/<int:id>/delete", methods=["POST"])
    def delete(self, id: int) -> Any:
        must_be_admin()
        role = _find_custom_role(id)
        has = exists().where(assoc_user_role.c.role_id == id), exists().where(assoc_group_role.c.role_id == id)
        with transaction():
            if session.scalar(select(or_(*has))):
                raise Refused(f"The role {role.name} is still in use. Remove it from all users and groups first.")
            session.delete(role)
        flash(f"Role {role.name} deleted.", "success")
        return redirect(url_for("Rights.index"))

    def _page(self, template: str, **known: Any) -> str:
        g.resource = None
        return render_template(template, **known)


def must_be_admin() -> None:
    who = security.actor()
    if who.user_id is None:
        raise NotSignedIn("Sign in to continue.")
    if ADMIN not in who.roles:
        raise Forbidden("You don’t have permission to do this.")


def rights_lines() -> Iterable[RightsLine]:
    """Yield all resources, reports and pages that rights are about, from the declarations."""
    for resource in registered_resources():
        moves = resource.moves
        verbs = {verb: moves[verb].label if verb in moves else verb.capitalize() for verb in resource.verbs}
        verbs |= {"edit": "Edit custom fields"} if "edit" in verbs and not resource.declared.edit else {}
        yield RightsLine(resource.pack, resource.label, stable_name(resource.noun), verbs, resource.noun)
    asked: list[Any] = [*registered_reports(), *registered_pages()]
    for each in asked:
        yield RightsLine(each.pack, each.label, each.permission_name, {"read": "Read"})


def _custom_roles() -> list[Role]:
    """Return the custom roles: those that no declaration names."""
    return [
        *session.scalars(
            select(Role).where(Role.name.not_in({*security.declared_roles(), ADMIN, "Public"})).order_by(Role.name)
        )
    ]


def _find_custom_role(id: int) -> Role:
    role = session.get(Role, id) if id < 2**31 else None
    if role is None:
        raise Missing
    if role.name in {*security.declared_roles(), ADMIN, "Public"}:
        raise Forbidden(f"{role.name} is a built-in role and can’t be changed. Create a custom role instead.")
    return role


def create_role(name: str, like: str) -> Role:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise Invalid.for_fields({"name": f"Enter a name of at most {LONGEST} characters."})
    if session.scalar(select(Role.id).where(func.lower(Role.name) == name.lower())) or name.lower() in {
        each.lower() for each in security.declared_roles()
    }:
        raise Invalid.for_fields({"name": "A role with this name already exists."})
    if like not in security.declared_roles():
        raise Invalid.for_fields({"like": "Choose one from the list."})
    role = Role(name=name, permissions=security.default_permissions(like))
    session.add(role)
    session.flush()
    return role


def set_rights(role: Role, wanted: Iterable[str]) -> None:
    """Give the role exactly these rights, and those that every user has."""
    known = {line.right(verb) for line in rights_lines() for verb in line.verbs}
    if unknown := {*wanted} - known:
        raise Invalid(f"Unknown permission: {min(unknown)[:60]}.")
    role.permissions = [*security.default_permissions(security.row_scope_of(role)), *security.permissions_for(wanted)]
