"""Routes: the base of the groups of routes in this folder: template context, permissions, and lookup of moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flask import g, render_template, request

from app.desk.declare.resource import Resource
from app.desk.records.history import changes_in_words, record_label, record_url
from app.desk.records.writing import MOST_OPTIONS, selectable_rows
from app.desk.sign_in import security
from app.kernel import access
from app.kernel.errors import Missing
from app.kernel.feature import is_on
from app.kernel.workflow import Move


class Routes:
    """One group of routes. `view.py` assembles the groups into the view of a noun.

    A group names no other group: what it needs beyond its own methods comes from here or from a function.
    """

    resource: ClassVar[Resource]
    endpoint: str
    permissions: ClassVar[Mapping[str, str]] = {}  # route method -> the verb that a role needs

    def _render(self, template: str, **context: Any) -> str:
        g.resource = self.resource
        shared = {
            "resource": self.resource,
            "endpoint": self.endpoint,
            "may": _permitted_verbs(self.resource),
            "selectable_rows": selectable_rows,
            "many": MOST_OPTIONS,
            "record_url": record_url,
            "record_label": record_label,
            "changes_in_words": changes_in_words,
            "way_back": return_address(),
        }
        return render_template(template, **(shared | context))

    def _require_move(self, name: str) -> Move:
        """The move with this name, if a person can press it and the current user has the right to it."""
        move = self.resource.moves.get(name)
        if move is None or not move.by:
            raise Missing
        security.require_right(self.resource.noun, name)
        return move


def permissions_of(*groups: type[Routes]) -> dict[str, str]:
    """Flask-AppBuilder's `method_permission_name` for a view that is assembled from these groups."""
    merged: dict[str, str] = {}
    for group in groups:
        if repeated := merged.keys() & group.permissions.keys():
            raise TypeError(f"{group.__name__}: {', '.join(sorted(repeated))} is a route of another group.")
        merged |= group.permissions
    return merged


def _permitted_verbs(resource: Resource) -> set[str]:
    who = access.actor()
    return {verb for verb in resource.verbs if who.may(resource.noun, verb) and (verb != "add" or is_on(resource.part))}


def return_address() -> str:
    """The desk page to return to, from the parameter `back`; addresses outside the desk are ignored."""
    return next((there for there in request.values.getlist("back") if there.startswith("/desk/")), "")
