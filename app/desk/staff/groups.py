"""Groups page: users who share roles as long as they are members; edited by administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import Group, Role, User
from sqlalchemy import func, select

from app.desk.sign_in import security
from app.desk.staff.roles import must_be_admin
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Missing, Refused

LONGEST, LONGEST_NOTE = 60, 200


class Groups(BaseView):
    """For administrators. The rights of a group are shown on the page of roles and permissions."""

    route_base = "/desk/groups"
    default_view = "index"
    base_permissions: ClassVar[list[str]] = []

    @expose("/")
    def index(self) -> Any:
        must_be_admin()
        return self._page("desk/groups.html", groups=[*session.scalars(select(Group).order_by(Group.name))])

    @expose("/new", methods=["GET", "POST"])
    def new(self) -> Any:
        must_be_admin()
        return self._form(Group())

    @expose("/<int:id>", methods=["GET", "POST"])
    def edit(self, id: int) -> Any:
        must_be_admin()
        return self._form(_find_group(id))

    @expose("/<int:id>/delete", methods=["POST"])
    def delete(self, id: int) -> Any:
        must_be_admin()
        group = _find_group(id)
        name = group.name
        with transaction():
            session.refresh(group, with_for_update=True)
            group.users, group.roles = [], []
            session.flush()
            session.delete(group)
            security.require_an_admin()
        flash(f"Group {name} deleted. Its members keep the roles assigned to them directly.", "success")
        return redirect(url_for("Groups.index"))

    def _form(self, group: Group) -> Any:
        if request.method == "GET":
            typed = {"name": group.name or "", "note": group.description or ""}
            return self._page(
                "desk/groups_edit.html",
                group=group,
                typed=typed,
                role=[role.id for role in group.roles],
                user=[user.id for user in group.users],
            )
        try:
            with transaction():
                if group.id:
                    session.refresh(group, with_for_update=True)
                save_group(group, request.form, roles=_selected_rows(Role, "role"), users=_selected_rows(User, "user"))
                security.require_an_admin()
        except Refused as no:
            session.rollback()
            return self._page(
                "desk/groups_edit.html",
                group=group,
                typed=request.form,
                role=_selected_ids("role"),
                user=_selected_ids("user"),
                refusal=no,
            ), no.status
        flash(f"Group {group.name} saved. Its members get its roles immediately.", "success")
        return redirect(url_for("Groups.index"))

    def _page(self, template: str, **known: Any) -> str:
        g.resource = None
        people = [*session.scalars(security.users_by_name())]
        return render_template(template, **{"refusal": None} | known, roles=_assignable_roles(), people=people)


def save_group(group: Group, typed: Mapping[str, str], *, roles: Sequence[Role], users: Sequence[User]) -> None:
    name, note = (" ".join(typed.get(each, "").split()) for each in ("name", "note"))
    wrong: dict[str, str] = {}
    if not name or len(name) > LONGEST or not name.isprintable():
        wrong["name"] = f"Enter a name of at most {LONGEST} characters."
    elif session.scalar(select(Group.id).where(func.lower(Group.name) == name.lower(), Group.id != (group.id or 0))):
        wrong["name"] = "A group with this name already exists."
    if len(note) > LONGEST_NOTE:
        wrong["note"] = f"Use at most {LONGEST_NOTE} characters."
    if not roles:
        wrong["role"] = "Select at least one role."
    if wrong:
        raise Invalid.for_fields(wrong)
    session.add(group)
    group.name, group.label, group.description = name, name, note
    group.roles, group.users = [*roles], [*users]
    session.flush()


def _assignable_roles() -> list[Role]:
    return [*session.scalars(select(Role).where(Role.name != "Public").order_by(Role.name))]


def _selected_ids(name: str) -> list[int]:
    return [int(each) for each in request.form.getlist(name) if each.isdecimal() and len(each) < 10]


def _selected_rows(kind: type[Any], name: str) -> list[Any]:
    found = [*session.scalars(select(kind).where(kind.id.in_(_selected_ids(name))).order_by(kind.id))]
    if len(found) < len({*request.form.getlist(name)}):
        raise Invalid("A role or user you selected no longer exists. Reload the page and try again.")
    return found


def _find_group(id: int) -> Group:
    group = session.get(Group, id) if id < 2**31 else None
    if group is None:
        raise Missing
    return group
