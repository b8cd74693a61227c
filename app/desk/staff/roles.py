"""Rights: who may do what, as the enforcement itself answers it; and the roles that an administrator makes."""

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
from app.kernel.access import ADMIN, Actor, acting, guarded, level
from app.kernel.db import session, spaced, stable_name, transaction
from app.kernel.errors import Forbidden, Invalid, Missing, NotSignedIn, Refused

LONGEST = 60


@dataclass(frozen=True)
class Line:
    """One thing that can be done something with: a noun, a report or a page."""

    pack: str
    label: str
    name: str
    verbs: Mapping[str, str]  # each with how it is called
    noun: type[Any] | None = None

    def right(self, verb: str) -> str:
        return f"{self.name}.can_{verb}"

    def kept_from(self, who: Actor) -> str:
        """Phone masked, notes hidden: of what they may read."""
        if self.noun is None or not who.has(self.right("read")):
            return ""
        with acting(who):
            most = {name: level(self.noun, name) for name in guarded(self.noun)}
        return ", ".join(
            f"{spaced(name).lower()} {'read only' if it == 'read' else it}"
            for name, it in most.items()
            if it != "write"
        )


class Rights(BaseView):
    """For administrators alone."""

    route_base = "/desk/rights"
    default_view = "index"
    base_permissions: ClassVar[list[str]] = []  # never granted to anybody: it is for administrators alone

    @expose("/")
    def index(self) -> Any:
        """Each role beside the others, and whose eyes one may look with."""
        must_be_admin()
        may = {
            name: Actor(name, "desk", None, frozenset({name}), rights)
            for name, rights in security.granted().items()
            if name not in (ADMIN, "Public")
        }
        made, groups = {role.name: role.id for role in _made()}, security.groups()
        packs: dict[str, list[Line]] = {}
        for line in lines():
            packs.setdefault(line.pack, []).append(line)
        staff = [user for user in session.scalars(security.everybody()) if user.active]
        roles = sorted(may, key=lambda name: (name in made, name))
        columns = [*(may[name] for name in roles), *groups.values()]
        return self._page(
            "desk/rights.html", packs=packs, roles=roles, columns=columns, made=made, groups=groups, staff=staff
        )

    @expose("/new", methods=["GET", "POST"])
    def new(self) -> Any:
        """A role of one's own: a name, and whose rows it sees. What it may do is ticked afterwards."""
        must_be_admin()
        if request.method == "GET":
            return self._page("desk/rights_new.html", declared=security.declared(), typed={}, refusal=None)
        try:
            with transaction():
                role = begin(request.form.get("name", ""), request.form.get("like", ""))
        except Refused as no:
            session.rollback()
            return self._page(
                "desk/rights_new.html", declared=security.declared(), typed=request.form, refusal=no
            ), no.status
        flash(f"Role {role.name} created. Select its permissions.", "success")
        return redirect(url_for("Rights.edit", id=role.id))

    @expose("/<int:id>", methods=["GET", "POST"])
    def edit(self, id: int) -> Any:
        must_be_admin()
        role = _one_made(id)
        if request.method == "POST":
            with transaction():
                session.refresh(role, with_for_update=True)
                tick(role, request.form.getlist("right"))
            flash(f"Permissions of {role.name} saved. They apply immediately.", "success")
            return redirect(url_for("Rights.index"))
        packs: dict[str, list[Line]] = {}
        for line in lines():
            packs.setdefault(line.pack, []).append(line)
        return self._page(
            "desk/rights_edit.html",
            role=role,
            packs=packs,
            may=security.granted().get(role.name, frozenset()),
            like=security.like(role),
        )

    @expose("/<int:id>/delete", methods=["POST"])
    def delete(self, id: int) -> Any:
        must_be_admin()
        role = _one_made(id)
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


def lines() -> Iterable[Line]:
    """Everything a right can be about, from the declarations."""
    for it in registered_resources():
        verbs = {verb: it.moves[verb].label if verb in it.moves else verb.capitalize() for verb in it.verbs}
        verbs |= {"edit": "Edit custom fields"} if "edit" in verbs and not it.declared.edit else {}
        yield Line(it.pack, it.label, stable_name(it.noun), verbs, it.noun)
    asked: list[Any] = [*registered_reports(), *registered_pages()]
    for each in asked:
        yield Line(each.pack, each.label, each.right, {"read": "Read"})


def _made() -> list[Role]:
    """The roles that no declaration names: those that belong to the administrator."""
    return [
        *session.scalars(
            select(Role).where(Role.name.not_in({*security.declared(), ADMIN, "Public"})).order_by(Role.name)
        )
    ]


def _one_made(id: int) -> Role:
    role = session.get(Role, id) if id < 2**31 else None
    if role is None:
        raise Missing
    if role.name in {*security.declared(), ADMIN, "Public"}:
        raise Forbidden(f"{role.name} is a built-in role and can’t be changed. Create a custom role instead.")
    return role


def begin(name: str, like: str) -> Role:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise Invalid.fields_said({"name": f"Enter a name of at most {LONGEST} characters."})
    if session.scalar(select(Role.id).where(func.lower(Role.name) == name.lower())) or name.lower() in {
        each.lower() for each in security.declared()
    }:
        raise Invalid.fields_said({"name": "A role with this name already exists."})
    if like not in security.declared():
        raise Invalid.fields_said({"like": "Choose one from the list."})
    role = Role(name=name, permissions=security.always_with(like))
    session.add(role)
    session.flush()
    return role


def tick(role: Role, wanted: Iterable[str]) -> None:
    """Exactly these rights, and what everybody has."""
    known = {line.right(verb) for line in lines() for verb in line.verbs}
    if stray := {*wanted} - known:
        raise Invalid(f"Unknown permission: {min(stray)[:60]}.")
    role.permissions = [*security.always_with(security.like(role)), *security.permissions(wanted)]
