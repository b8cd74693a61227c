"""View of a noun: its Flask-AppBuilder ModelView, assembled from the groups of routes in this folder."""

from __future__ import annotations

from typing import Any, ClassVar

from flask_appbuilder import ModelView

from app.desk.declare.resource import Resource
from app.desk.pages.edit import EditRoutes
from app.desk.pages.fab_rows import ScopedInterface
from app.desk.pages.import_file import ImportRoutes
from app.desk.pages.inline_edit import InlineEditRoutes
from app.desk.pages.list import ListRoutes
from app.desk.pages.record import RecordRoutes
from app.desk.pages.routes import permissions_of
from app.kernel.db import stable_name


class NounView(ListRoutes, ImportRoutes, InlineEditRoutes, EditRoutes, RecordRoutes, ModelView):
    """Flask-AppBuilder registers the routes and checks permissions; the groups of routes do the rest."""

    related_views: ClassVar[tuple[Any, ...]] = ()
    method_permission_name: ClassVar[dict[str, str]] = permissions_of(
        ListRoutes, ImportRoutes, InlineEditRoutes, EditRoutes, RecordRoutes
    )

    def _init_properties(self) -> None:
        """Do not derive columns from the table: only declared columns are shown."""

    def _init_forms(self) -> None:
        """Do not build WTForms: forms are rendered from declared columns."""

    def _init_titles(self) -> None:
        self.title = self.list_title = self.resource.label


def view_of(resource: Resource) -> type[NounView]:
    """The view class of a resource, with the routes that its verbs allow; the class name is its endpoint."""
    noun, base = resource.noun, resource.screens or NounView
    optional = {"add", "edit", "delete"}
    body = {
        "resource": resource,
        "datamodel": ScopedInterface(noun),
        "route_base": f"/desk/{resource.name}",
        "class_permission_name": stable_name(noun),
        "base_permissions": [f"can_{verb}" for verb in resource.verbs],
        "include_route_methods": {
            name for name, verb in base.method_permission_name.items() if verb not in optional or verb in resource.verbs
        },
    }
    return type(resource.endpoint, (base,), body)
