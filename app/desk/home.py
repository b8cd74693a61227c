"""Home page (dashboard) of the desk: open items, alarms, counts by state, figures and recent changes; openapi.json."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, redirect, render_template, request, url_for
from flask_appbuilder import IndexView, expose
from sqlalchemy import ColumnElement, CompoundSelect, DateTime, Select, cast, func, literal, null, select, union_all

from app.desk.attention import setup_checklist
from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.desk.declare.chart import measure_figure
from app.desk.declare.column import EMPTY
from app.desk.declare.page import registered_pages
from app.desk.declare.report import registered_reports
from app.desk.declare.resource import Resource, registered_resources
from app.desk.pages.rest import DocsPage, openapi_json
from app.desk.records.history import known_noun, record_names, record_url
from app.desk.records.task import Task
from app.kernel import access, clock
from app.kernel.audit import Change
from app.kernel.db import label_of_table, session
from app.kernel.errors import Forbidden
from app.kernel.feature import is_on


class Home(IndexView):
    route_base = "/desk"

    @expose("/")
    def index(self) -> Any:
        who = access.actor()
        if who.user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/"))
        mine = sorted(
            (each for each in registered_resources() if is_on(each.part) and who.may(each.noun, "read")),
            key=lambda each: (each.pack == house.label, each.pack == money.label),
        )
        recent = (
            [*session.scalars(select(Change).order_by(Change.id.desc()).limit(10))] if who.may(Change, "read") else []
        )
        figures = _counts_of([each for each in mine if each.noun.states])
        return render_template(
            "desk/home.html",
            figures=figures,
            waiting=[*_waiting(mine), *_alarms()],
            recent=recent,
            tasks=Task.open_for_user(),
            who=who,
            record_url=record_url,
            noun_of=known_noun,
            names=record_names(recent),
            kind_of=label_of_table,
            lead=setup_checklist.is_shown(),
            counts=any(each.figure and each.is_for(who) for each in registered_reports())
            or any(each.glance and each.is_for(who) for each in registered_pages()),
        )

    @expose("/figures")
    def figures(self) -> Any:
        """Slow figures, loaded by the home page after it is shown; a page of its own without JavaScript."""
        who = access.actor()
        if who.user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/"))
        counted = [
            it
            for each in registered_reports()
            if each.figure and each.is_for(who) and (it := measure_figure(each)).display != EMPTY
        ]
        work = [(each, each.glance()) for each in registered_pages() if each.glance and each.is_for(who)]
        return render_template(
            "desk/figures.html",
            frame="desk/part.html" if "part" in request.args else "desk/shell.html",
            counted=counted,
            work=work,
        )

    @expose("/openapi.json")
    def openapi(self) -> Response:
        """OpenAPI description for the Swagger page, which has a cookie; the API itself accepts tokens only."""
        if not self.appbuilder.sm.has_access("can_show", DocsPage.class_permission_name):
            raise Forbidden("You don’t have permission to do this.")
        return Response(openapi_json(current_app.config["APP_NAME"]), mimetype="application/json")


def _waiting(mine: list[Resource]) -> Iterator[dict[str, Any]]:
    """Yield the open items of the current user, with the first deadline."""
    who = access.actor()
    here = [(resource, it) for resource in mine for it in resource.waits if it.is_for(who.roles)]
    asked = [
        _count_waiting(resource, it.until, nth).where(it.where(), *_scope_conditions(who, resource))
        for nth, (resource, it) in enumerate(here)
    ]
    for nth, count, until in sorted(session.execute(union_all(*asked)), key=itemgetter(0)) if asked else ():
        resource, it = here[nth]
        if count:
            found = {
                "tone": it.tone,
                "count": count,
                "label": it.label,
                "more": _deadline_text(until) or resource.label,
            }
            yield found | {"url": f"{url_for(resource.page_endpoint)}?{urlencode(it.filters)}"}


def _scope_conditions(who: access.Actor, resource: Resource) -> list[ColumnElement[bool]]:
    return [] if access.sees_all(who, resource.noun) else [access.scope_condition(resource.noun)]


@lru_cache(256)
def _count_waiting(resource: Resource, until: str, nth: int) -> Select[int, int, datetime]:
    first = func.min(getattr(resource.noun, until)) if until else null()
    return select(literal(nth), func.count(), cast(first, DateTime(timezone=True))).select_from(resource.noun)


def _deadline_text(until: datetime | None) -> str:
    if until is None:
        return ""
    days = (clock.day_of(until) - clock.today()).days
    return (
        f"{-days} day{'s' if days < -1 else ''} overdue"
        if days < 0
        else f"First due {'today' if not days else 'tomorrow' if days == 1 else f'in {days} days'}"
    )


def _alarms() -> Iterator[dict[str, Any]]:
    """Yield the watched reports whose verdict is bad."""
    who = access.actor()
    for report in registered_reports():
        if report.watched and report.verdict and report.is_for(who):
            verdict = report.verdict(report.parse({}))
            if not verdict.good:
                yield {
                    "tone": "bad",
                    "count": "!",
                    "label": verdict.words,
                    "more": report.label,
                    "url": url_for(report.page_endpoint),
                }


def _counts_of(mine: list[Resource]) -> list[tuple[Resource, dict[str, int]]]:
    """Count the rows in each state: one query for nouns without row scope, one for those with it."""
    who = access.actor()
    whole = tuple(each.noun for each in mine if access.sees_all(who, each.noun))
    asked = [_count_all_by_state(whole)] if whole else []
    if limited := [
        _count_by_state(each.noun).where(access.scope_condition(each.noun)) for each in mine if each.noun not in whole
    ]:
        asked.append(union_all(*limited))
    counted = {(name, state): count for each in asked for name, state, count in session.execute(each)}
    return [
        (each, {state: counted[each.name, state] for state in each.noun.states if (each.name, state) in counted})
        for each in mine
    ]


def _count_by_state(noun: type[Any]) -> Select[str, str, int]:
    return select(literal(noun.__tablename__), noun.state, func.count()).group_by(noun.state)


@lru_cache(64)
def _count_all_by_state(nouns: tuple[type[Any], ...]) -> CompoundSelect[str, str, int]:
    """Build the query once: for thirty nouns, building it takes longer than running it."""
    return union_all(*map(_count_by_state, nouns))
