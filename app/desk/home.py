"""The desk's first page: what is there, and what waits for somebody."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, url_for
from flask_appbuilder import IndexView, expose
from sqlalchemy import func, select

from app.desk.resource import Resource, resources
from app.kernel import access
from app.kernel.audit import Change
from app.kernel.db import session


class Home(IndexView):
    route_base = "/desk"

    @expose("/")
    def index(self) -> Any:
        who = access.actor()
        if who.user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/"))
        mine = [each for each in resources() if who.may(each.noun, "read")]
        recent = [*session.scalars(select(Change).order_by(Change.id.desc()).limit(10))] if who.may(Change, "read") else []
        return render_template("desk/home.html", figures=[(each, _by_state(each)) for each in mine if each.noun.states], recent=recent)


def _by_state(resource: Resource) -> dict[str, int]:
    """How many rows are in each state, within the reader's own."""
    noun = resource.noun
    counted = dict(session.execute(select(noun.state, func.count()).where(access.within(noun)).group_by(noun.state)).tuples())
    return {state: counted[state] for state in noun.states if state in counted}
