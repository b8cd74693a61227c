"""Record page of a row: fields, notes, tasks, history, related rows, and links to the next row of the list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from app.desk.declare.about_a_record import about_row
from app.desk.lists.archive import Archived
from app.desk.lists.query import ListQuery, load_row, previous_and_next
from app.desk.notices.colleague import name_of, suggest_colleagues
from app.desk.pages.routes import Routes
from app.desk.records import editing_now
from app.desk.records.json_facts import readable_facts
from app.desk.records.related import related_lists
from app.desk.records.remark import Remark
from app.desk.records.task import Task
from app.desk.records.timeline import KINDS, timeline
from app.desk.sign_in import security
from app.kernel import access
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.workflow import Move, available_moves, moves

TASKS = 30


class RecordRoutes(Routes):
    """The record page and what is posted from it: notes, tasks, archive. Reading a record is enough to write a note."""

    permissions: ClassVar[Mapping[str, str]] = {
        "show": "read",
        "remark": "read",
        "rewrite": "read",
        "task": "read",
        "colleagues": "read",
        "put_away": "edit",
        "fetch": "edit",
    }

    @expose("/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        return self._record_page(load_row(self.resource, pk))

    @expose("/<int:pk>/remark", methods=["POST"])
    @has_access
    def remark(self, pk: int) -> Any:
        row = access.find_visible(self.resource.noun, pk)
        try:
            with transaction():
                said = Remark.write(row, request.form.get("words", ""))
        except Refused as no:
            return self._refused_page(pk, no, "remark")
        return redirect(self._record_url(pk, f"remark-{said.id}"))

    @expose("/<int:pk>/remark/<int:id>", methods=["POST"])
    @has_access
    def rewrite(self, pk: int, id: int) -> Any:
        row = access.find_visible(self.resource.noun, pk)
        said = session.scalar(select(Remark).where(*about_row(Remark, row), Remark.id == id))
        if said is None:
            raise Missing
        try:
            with transaction():
                said.edit_words(request.form.get("words", ""))
        except Refused as no:
            return self._refused_page(pk, no, f"remark-{id}" if said.is_open else "remark")
        return redirect(self._record_url(pk, f"remark-{id}"))

    @expose("/<int:pk>/task", methods=["POST"])
    @has_access
    def task(self, pk: int) -> Any:
        row, typed = access.find_visible(self.resource.noun, pk), request.form
        security.require_right(Task, "finish")
        try:
            with transaction():
                Task.create(row, typed.get("title", ""), typed.get("who", ""), _day(typed.get("due_on", "")))
        except Refused as no:
            return self._refused_page(pk, no, "task")
        return redirect(self._record_url(pk, "tasks"))

    @expose("/<int:pk>/colleagues")
    @has_access
    def colleagues(self, pk: int) -> Any:
        """Return users who match the words and may read the record, to be mentioned or assigned."""
        row = access.find_visible(self.resource.noun, pk)
        found = suggest_colleagues(request.args.get("q", "")[:100], row)
        return {"choices": [{"id": each.id, "name": name_of(each), "username": each.username} for each in found]}

    # --- archive ------------------

    @expose("/<int:pk>/put-away", methods=["POST"])
    @has_access
    def put_away(self, pk: int) -> Any:
        row = self._archivable_row(pk)
        with transaction():
            Archived.archive(row)
        flash(f"Archived: {row}. You can find it in the list under “Archived”.", "success")
        return redirect(self._record_url(pk))

    @expose("/<int:pk>/fetch", methods=["POST"])
    @has_access
    def fetch(self, pk: int) -> Any:
        row = self._archivable_row(pk)
        with transaction():
            Archived.restore(row)
        flash(f"Restored: {row}", "success")
        return redirect(self._record_url(pk))

    def _archivable_row(self, pk: int) -> Any:
        if not self.resource.archive:
            raise Missing
        return access.find_visible(self.resource.noun, pk)

    # --- rendering ---

    def _record_page(
        self, row: Noun, *, refusal: Refused | None = None, at: str = "", typed: Mapping[str, str] | None = None
    ) -> str:
        who = access.actor()
        shown, lacking = related_lists(self.resource, row, who)
        tasks = (
            select(Task)
            .where(*about_row(Task, row))
            .order_by(Task.state.desc(), Task.due_on.asc().nulls_last(), Task.id)
            .limit(TASKS)
        )
        return self._render(
            "desk/show.html",
            row=row,
            moves=available_moves(row, who),
            not_now=_blocked_moves(row, who),
            related=shown,
            lacking=lacking,
            readable_facts=readable_facts,
            timeline=timeline(row, request.args.get("only", ""), request.args.get("until", "")),
            kinds=KINDS,
            tasks=[*session.scalars(tasks)] if who.may(Task, "read") and self.resource.noun is not Task else [],
            asks_tasks=who.may(Task, "finish") and self.resource.noun is not Task,
            away=Archived.find_for(row) if self.resource.archive else None,
            beside=self._list_neighbours(row),
            others=editing_now.other_editors(row) if self.resource.edit and who.may(self.resource.noun, "edit") else [],
            refusal=refusal,
            refused_at=at,
            typed=typed or {},
        )

    def _refused_page(self, pk: int, no: Refused, at: str) -> Any:
        session.rollback()
        return self._record_page(
            access.find_visible(self.resource.noun, pk), refusal=no, at=at, typed=request.form
        ), no.status

    def _record_url(self, pk: int, anchor: str = "") -> str:
        """Return the address of the record, with the list that it was opened from."""
        return url_for(f"{self.endpoint}.show", pk=pk, of=request.form.get("of"), _anchor=anchor or None)

    def _list_neighbours(self, row: Noun) -> dict[str, Any] | None:
        """Return the previous and next row of the list that the record was opened from; its query is in the address."""
        of = self._list_query()
        if of is None:
            return None
        try:
            before, after = previous_and_next(self.resource, ListQuery.parse(MultiDict(parse_qsl(of))), row)
        except Refused:
            return None
        return {"of": of, "list": f"{url_for(f'{self.endpoint}.list')}?{of}", "before": before, "after": after}

    def _list_query(self) -> str | None:
        if "of" in request.values:
            return request.values["of"][:2000]
        there = urlsplit(request.referrer or "")
        if there.netloc != request.host or there.path != url_for(f"{self.endpoint}.list"):
            return None
        return urlencode(
            [(name, value) for name, value in parse_qsl(there.query) if name not in ("page", "after", "before")]
        )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = date.min
    if day is not None and not 1900 <= day.year <= 2200:
        raise Invalid.for_fields({"due_on": "Enter a valid date, such as 2026-11-24."})
    return day


def _blocked_moves(row: Noun, who: access.Actor) -> list[tuple[Move, str]]:
    """Return the moves that are possible in this state but refused at the moment, with the reasons."""
    mine = (it for it in moves(type(row)).values() if it.allowed_for(who, type(row)) and row.state in it.sources)
    return [(it, no) for it in mine if (no := it.refuses(row))]
