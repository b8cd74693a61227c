"""Inbox ("To do"): open items of the current user across all packs, decided one by one or in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from sqlalchemy import select

from app.desk.declare.resource import Resource, Waits, registered_resources
from app.desk.lists.query import load_related
from app.desk.notices.notice import waiting_items
from app.desk.sign_in import security
from app.kernel import access
from app.kernel.db import session, stable_name, transaction
from app.kernel.errors import Missing, Refused
from app.kernel.workflow import Move, available_moves, move_questions, parse_asked, press_move

AT_ONCE = 25


@dataclass(frozen=True)
class WaitingRows:
    """Rows that wait for the same thing, each with the moves that the user may make now."""

    resource: Resource
    waits: Waits
    rows: list[tuple[Any, list[Move]]]
    more: bool

    @property
    def shared_moves(self) -> list[Move]:
        """Return the moves for bulk decisions: possible for at least one row, and asking the same of every row."""
        found = {move.name: move for _, moves in self.rows for move in moves if _is_shareable(move)}
        return [*found.values()] if len(self.rows) > 1 else []


class Inbox(BaseView):
    """What is open for whom is declared (`Waits`); the moves check rights and second approvals themselves."""

    route_base = "/desk/inbox"
    base_permissions: tuple[str, ...] = ()

    @expose("/")
    def index(self) -> Any:
        if access.actor().user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/inbox/"))
        return _page()

    @expose("/decide", methods=["POST"])
    def decide(self) -> Any:
        """Decide each row in its own transaction, and report the rows that refused and why."""
        if access.actor().user_id is None:
            return redirect(url_for("AuthDBView.login", next="/desk/inbox/"))
        resource = next((each for each in registered_resources() if each.name == request.form.get("noun")), None)
        move = resource.moves.get(request.form.get("move", "")) if resource else None
        if resource is None or move is None or not move.by or not _is_shareable(move):
            raise Missing
        security.require_right(resource.noun, "read")
        security.require_right(resource.noun, move.name)
        ids = [int(id) for id in request.form.getlist("id") if id.isdecimal() and len(id) < 10][:AT_ONCE]
        chosen = access.visible_rows(resource.noun).where(resource.noun.id.in_(ids))
        rows = [*session.scalars(load_related(resource.noun, chosen, resource.card)).unique()]
        asked = move_questions(move.asks) if move.asks else []
        answers = {each.name: request.form.get(each.name, "") for each in asked}
        context: dict[str, Any] = {
            "resource": resource,
            "move": move,
            "rows": rows,
            "asked": asked,
            "typed": answers,
            "wrong": {},
            "refusal": None,
        }
        if rows and "sure" not in request.form:
            return render_template("desk/inbox_decide.html", **context)
        try:
            if rows and move.asks:
                parse_asked(move.asks, answers)  # before any row, so that a mistake is reported once
        except Refused as no:
            return render_template(
                "desk/inbox_decide.html", **context | {"wrong": no.fields, "refusal": no.words}
            ), no.status
        return _page([_decide_one(resource, id, move, answers) for id in ids], move)


def _is_shareable(move: Move) -> bool:
    """Return whether one answer fits many rows: a reason does, an amount, time or reference does not."""
    return not move.asks or [each.name for each in move_questions(move.asks)] == ["why"]


def _decide_one(resource: Resource, id: int, move: Move, answers: dict[str, str]) -> dict[str, Any]:
    row, problem = None, ""
    try:
        row = access.find_visible(resource.noun, id)
        with transaction():
            press_move(row, move.name, answers)
            access.require_in_scope(row)
    except Refused as no:
        session.rollback()
        problem = no.words
    return {
        "name": str(row or f"{resource.one} {id}"),
        "url": url_for(f"{stable_name(resource.noun)}Screens.show", pk=id),
        "problem": problem,
    }


def _page(report: Sequence[dict[str, Any]] | None = None, move: Move | None = None) -> str:
    return render_template("desk/inbox.html", heaps=_all_waiting_rows(), report=report, move=move)


def _all_waiting_rows() -> list[WaitingRows]:
    return [heap for resource, it in waiting_items() if (heap := _waiting_rows(resource, it)).rows]


def _waiting_rows(resource: Resource, it: Waits) -> WaitingRows:
    noun, who = resource.noun, access.actor()
    first = getattr(noun, it.until) if it.until else noun.id
    statement = (
        load_related(noun, select(noun).where(access.scope_condition(noun), it.where()), resource.card)
        .order_by(first, noun.id)
        .limit(AT_ONCE + 1)
    )
    rows = [*session.scalars(statement).unique()]
    return WaitingRows(resource, it, [(row, available_moves(row, who)) for row in rows[:AT_ONCE]], len(rows) > AT_ONCE)
