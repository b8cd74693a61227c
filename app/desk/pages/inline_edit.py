"""Inline editing in a list: one cell, or one column of many rows (bulk edit), with undo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from flask import jsonify, request
from flask import session as cookie
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.desk.lists.bulk_edit import BulkEdit, current_values, previous_values, restore_values
from app.desk.pages.routes import Routes
from app.desk.records.writing import write_row
from app.kernel import access, clock
from app.kernel.audit import name_change
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Missing, Refused

MOST_AT_ONCE = 500
_UNDO = "undo"


class InlineEditRoutes(Routes):
    """Edits from within a list. Permissions, checks and history are those of the row's own form."""

    permissions: ClassVar[Mapping[str, str]] = {"cell": "edit", "change": "edit", "undo": "edit"}

    @expose("/<int:pk>/cell/<path>", methods=["GET", "POST"])
    @has_access
    def cell(self, pk: int, path: str) -> Any:
        """Show the form of one cell, or save it. A refusal returns the current value with the message."""
        row, column = access.find_visible(self.resource.noun, pk), self._editable_column(path)
        if request.method == "GET":
            return self._render("desk/cell.html", row=row, column=column, typed={path: column.form_value(row)})
        refusal: Refused | None = None
        try:
            write_row(row, [column], request.form)
        except Refused as no:
            session.rollback()
            row, refusal = access.find_visible(self.resource.noun, pk), no
        now = {"said": column.display(row), "version": row.version}
        if refusal is None:
            return jsonify(now)
        return jsonify(now | {"refusal": refusal.fields.get(path, refusal.words)}), refusal.status

    @expose("/change", methods=["POST"])
    @has_access
    def change(self) -> Any:
        """Choose a column, enter a value, and report the result for each row. Refused rows do not stop the others."""
        ids = chosen_ids()
        if not request.form.get("path"):
            return self._render(
                "desk/change.html", rows=self._rows(ids), open_to=editable_columns(self.resource), column=None
            )
        column = self._editable_column(request.form["path"])
        asked = {"rows": self._rows(ids), "column": column, "typed": {}, "wrong": {}}
        if "done" not in request.form:
            return self._render("desk/change.html", **asked)
        try:
            column.parse(request.form.get(column.path))
        except ValueError as error:
            return self._render(
                "desk/change.html", **asked | {"typed": request.form, "wrong": {column.path: str(error)}}
            ), 422
        kept: dict[str, Any] = {}
        report = [self._change_one(id, column, kept) for id in ids]
        batch = self._save_for_undo(column, kept)
        return self._render("desk/bulk.html", move=None, title=f"Edit: {column.label}", report=report, batch=batch)

    @expose("/undo/<int:id>", methods=["POST"])
    @has_access
    def undo(self, id: int) -> Any:
        """Undo a bulk edit completely or not at all. A row that was changed since stops it."""
        batch = BulkEdit.find_own(self.resource.name, id)
        with transaction():
            batch.require_open()
            for number, kept in sorted(batch.rows.items(), key=lambda each: int(each[0])):
                self._put_back(access.find_visible(self.resource.noun, int(number)), kept)
            batch.undone_at = clock.now()
        cookie.pop(_UNDO, None)
        report = [(str(row), row.id, "") for row in self._rows([int(each) for each in batch.rows])]
        return self._render("desk/bulk.html", move=None, title="Change undone", report=report)

    def _put_back(self, row: Noun, kept: dict[str, Any]) -> None:
        row.lock()
        if row.version != kept["version"]:
            raise Refused(f"{row} has been changed since, so nothing was undone. Edit the other records instead.")
        name_change(row, "taken_back")
        restore_values(row, kept["was"])
        access.require_in_scope(row)

    def _change_one(self, id: int, column: Column, kept: dict[str, Any]) -> tuple[str, int, str]:
        row = None
        try:
            row = access.find_visible(self.resource.noun, id)
            before, version = current_values(row), row.version
            write_row(row, [column], request.form.to_dict() | {"version": version})
        except Refused as no:
            session.rollback()
            return (str(row or f"{self.resource.one} {id}"), id, no.fields.get(column.path, no.words))
        if row.version != version:
            kept[str(id)] = {"was": previous_values(row, before), "version": row.version}
        return (str(row), id, "")

    def _save_for_undo(self, column: Column, kept: dict[str, Any]) -> BulkEdit | None:
        """Save what is needed for undo, if every row can be restored."""
        if not kept or any(each["was"] is None for each in kept.values()):
            return None
        with transaction():
            batch = BulkEdit(resource=self.resource.name, path=column.path, user_id=access.actor().user_id, rows=kept)
            session.add(batch)
        cookie[_UNDO] = {
            "id": batch.id,
            "resource": batch.resource,
            "many": len(kept),
            "until": batch.undo_until.isoformat(),
        }
        return batch

    def _editable_column(self, path: str) -> Column:
        column = self.resource.column(path, editable_columns(self.resource))
        if column is None:
            raise Missing
        return column

    def _rows(self, ids: Sequence[int]) -> Sequence[Any]:
        return [
            *session.scalars(
                access.visible_rows(self.resource.noun)
                .where(self.resource.noun.id.in_(ids))
                .order_by(self.resource.noun.id)
            ).unique()
        ]


def undo_offer(resource: Resource) -> dict[str, Any] | None:
    """The last bulk edit of this list by the current user, while it can be undone; the session cookie remembers it."""
    last: dict[str, Any] | None = cookie.get(_UNDO)
    if last is None or last["resource"] != resource.name or clock.now() >= datetime.fromisoformat(last["until"]):
        return None
    return last


def editable_columns(resource: Resource) -> list[Column]:
    return [each for each in resource.edit if each.kind != "picture"]


def chosen_ids() -> Sequence[int]:
    return [int(id) for id in request.form.getlist("id") if id.isdecimal() and len(id) < 10][:MOST_AT_ONCE]
