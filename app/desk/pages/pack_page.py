"""View of a declared page: the Flask-AppBuilder view, address and permission of a `Page(...)` of a pack."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import g
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access

from app.desk.declare.page import Page


class PageView(BaseView):
    """Serve a declared page to the users whose role may open it."""

    page: ClassVar[Page]
    base_permissions = ["can_read"]
    method_permission_name: ClassVar[dict[str, str]] = {"show": "read"}

    @expose("/", methods=["GET", "POST"])
    @has_access
    def show(self) -> Any:
        g.resource = self.page
        return self.page.answers()


def page_view(page: Page) -> type[PageView]:
    return type(
        page.permission_name,
        (PageView,),
        {"page": page, "route_base": f"/desk/{page.name}", "class_permission_name": page.permission_name},
    )
