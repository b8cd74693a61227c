"""The desk's first page: what is there, and what waits for somebody."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, redirect, render_template, url_for
from flask_appbuilder import IndexView, expose
from sqlalchemy import func, select

from app.desk.api import DocsPage, described
from app.desk.history import door_to
from app.desk.house import house
from app.desk.resource import Resource, resources
from app.kernel import access
from app.kernel.audit import Change
from app.kernel.db import session
from app.kernel.errors import Forbidden


class Home(IndexView):
    route_base = "/desk"

    @expose("/")
    def index(self) -> Any:
        who = access.actor()
        if who.user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/"))
        mine = sorted((each for each in resources() if who.may(each.noun, "read")), key=lambda each: each.pack == house.label)
        recent = [*session.scalars(select(Change).order_by(Change.id.desc()).limit(10))] if who.may(Change, "read") else []
        figures = [(each, _by_state(each)) for each in mine if each.noun.states]
        return render_template("desk/home.html", figures=figures, recent=recent, who=who, door_to=door_to)

    @expose("/openapi.json")
    def openapi(self) -> Response:
        """The API's description for the page that draws it: the API itself hears tokens only, and that page has a cookie."""
        if not self.appbuilder.sm.has_access("can_show", DocsPage.class_permission_name):
            raise Forbidden("This is not yours to do.")
        return Response(described(current_app.config["APP_NAME"]), mimetype="application/json")


def _by_state(resource: Resource) -> dict[str, int]:
    """How many rows are in each state, within the reader's own."""
    noun = resource.noun
    counted = dict(session.execute(select(noun.state, func.count()).where(access.within(noun)).group_by(noun.state)).all())
    return {state: counted[state] for state in noun.states if state in counted}
