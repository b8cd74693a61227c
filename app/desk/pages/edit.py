"""Edit pages of one row: add, edit, delete, and forms of moves. A conflict with another editor shows both versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask import Response, flash, redirect, request, send_file, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access

from app.desk.declare.column import KINDS, Column
from app.desk.pages.routes import Routes, return_address
from app.desk.records import editing_now
from app.desk.records.download import as_download
from app.desk.records.writing import (
    AffectsOthers,
    EditConflict,
    delete_row,
    require_feature,
    selectable_rows,
    write_row,
)
from app.kernel import access
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Missing, Refused
from app.kernel.workflow import Move, move_questions, press_move


class EditRoutes(Routes):
    """Forms that add, change and delete a row, forms of moves, and the pictures and files of a row."""

    permissions: ClassVar[Mapping[str, str]] = {
        "choices": "read",
        "picture": "read",
        "file": "read",
        "go": "read",  # plus the right to the move, which is checked in the method
        "add": "add",
        "edit": "edit",
        "delete": "delete",
    }

    # --- reading ---

    @expose("/choices/<path>")
    @has_access
    def choices(self, path: str) -> Any:
        """Return a few rows that can be chosen in a form or a filter and match the words."""
        column = self.resource.column(
            path, [*self.resource.add, *self.resource.edit, *self.resource.filters, *self.resource.list]
        )
        if column is None or column.kind != "relation":
            raise Missing
        return {
            "choices": [
                {"id": row.id, "name": str(row)} for row in selectable_rows(column.target, request.args.get("q", ""))
            ]
        }

    @expose("/<int:pk>/picture/<path>")
    @has_access
    def picture(self, pk: int, path: str) -> Response:
        """Send a picture of a row that the user can read."""
        column = self.resource.column(path, self.resource.show)
        picture = (
            column.value(access.find_visible(self.resource.noun, pk)) if column and column.kind == "picture" else None
        )
        if picture is None or not picture.path.exists():
            raise Missing
        answer = send_file(picture.path, mimetype="image/webp")
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer

    @expose("/<int:pk>/file/<int:file>")
    @has_access
    def file(self, pk: int, file: int) -> Response:
        """Send a file uploaded with the answers of a row that the user can read."""
        found = next(
            (each for each in getattr(access.find_visible(self.resource.noun, pk), "files", ()) if each.id == file),
            None,
        )
        if found is None:
            raise Missing
        return as_download(found)

    # --- writing ---

    @expose("/new", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        row = self.resource.noun()
        require_feature(row)
        return self._answer_form(self.resource.add, row)

    @expose("/<int:pk>/edit", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: int) -> Any:
        return self._answer_form(self.resource.edit, access.find_visible(self.resource.noun, pk))

    @expose("/<int:pk>/delete", methods=["GET", "POST"])
    @has_access
    def delete(self, pk: int) -> Any:
        row = access.find_visible(self.resource.noun, pk)
        asked: dict[str, Any] = {"row": row, "move": None, "asked": [], "typed": {}, "wrong": {}}
        if request.method == "GET":
            return self._render("desk/confirm.html", **asked, refusal=None)
        try:
            delete_row(row, request.form)
        except AffectsOthers as no:
            return self._render("desk/confirm.html", **asked, refusal=no.words, stranded=no.fields), no.status
        flash(f"{self.resource.one} deleted: {row}", "success")
        return redirect(url_for(f"{self.endpoint}.list"))

    def _answer_form(self, columns: Sequence[Column], row: Any) -> Any:
        """Show the form, or save it. A refused form keeps what was typed. Views can override this."""
        new = row.id is None
        if request.method == "GET":
            return self._blank_form(columns, row) if new else self._filled_form(columns, row)
        try:
            write_row(row, columns, {**request.form, **request.files})
        except Refused as no:
            session.rollback()
            row = self.resource.noun() if new else access.find_visible(self.resource.noun, row.id)
            return self._refused_form(columns, row, no), no.status
        editing_now.end_editing(row)
        flash(f"{self.resource.one} created: {row}" if new else f"Changes saved: {row}", "success")
        return redirect(return_address() or url_for(f"{self.endpoint}.show", pk=row.id))

    def _blank_form(self, columns: Sequence[Column], row: Any) -> str:
        typed = {**_initial_values(columns), **request.args}
        known: dict[str, Any] = {"typed": typed, "was": typed, "wrong": {}, "refusal": None, "others": []}
        return self._render("desk/form.html", row=row, columns=columns, **known)

    def _filled_form(self, columns: Sequence[Column], row: Any) -> str:
        typed, others = _current_values(row, columns), editing_now.other_editors(row)
        editing_now.begin_editing(row)
        known = {"typed": typed, "was": typed, "wrong": {}, "refusal": None, "others": others}
        return self._render("desk/form.html", row=row, columns=columns, **known)

    def _refused_form(self, columns: Sequence[Column], row: Any, no: Refused) -> str:
        known: dict[str, Any] = {"typed": request.form, "was": _values_when_opened(), "wrong": no.fields}
        if isinstance(no, EditConflict):
            known = _merge_conflict(row, columns)
        elif isinstance(no, AffectsOthers):
            known |= {"stranded": no.fields, "wrong": {}}
        return self._render("desk/form.html", row=row, columns=columns, refusal=no.words, **known)

    # --- moves ---

    @expose("/<int:pk>/do/<name>", methods=["GET", "POST"])
    @has_access
    def go(self, pk: int, name: str) -> Any:
        """Show the form of a move (GET), or make the move (POST)."""
        row, move = access.find_visible(self.resource.noun, pk), self._require_move(name)
        if request.method == "GET":
            no, asked = move.refuses(row), _questions_of(move, row)
            typed = {each.name: each.begins for each in asked if each.begins}
            return self._render(
                "desk/confirm.html", row=row, move=move, asked=asked, typed=typed, wrong={}, refusal=no
            ), 409 if no else 200
        typed = _typed_answers(move)
        try:
            with transaction():
                _require_version_shown(row)
                said = press_move(row, name, typed)
                access.require_in_scope(row)
        except Refused as no:
            if request.accept_mimetypes.best == "application/json":  # our script shows the message itself
                raise
            session.rollback()
            row = access.find_visible(self.resource.noun, pk)
            return self._render(
                "desk/confirm.html",
                row=row,
                move=move,
                asked=_questions_of(move, row),
                typed=typed,
                wrong=no.fields,
                refusal=no.words,
            ), no.status
        flash(said if isinstance(said, str) else f"{move.done_text(type(row))}: {row}", "success")
        return redirect(return_address() or url_for(f"{self.endpoint}.show", pk=pk))


def _typed_answers(move: Move) -> dict[str, str]:
    """Return the answers typed into the form of a move. Its own field `back` wins over the return address `back`."""
    typed = {key: value for key, value in request.form.items() if key not in ("csrf_token", "back", "version")}
    if any(each.name == "back" for each in _questions_of(move, None)):
        typed["back"] = next((said for said in request.form.getlist("back") if not said.startswith("/desk/")), "")
    return typed


def _initial_values(columns: Sequence[Column]) -> dict[str, str]:
    """Return the initial values of an empty form: defaults, and the owner of the row if there is only one choice."""
    defaults = {each: getattr(getattr(each.attribute, "columns", [None])[0], "default", None) for each in columns}
    given = {
        each.path: KINDS[each.kind].form_value(it.arg)
        for each, it in defaults.items()
        if it is not None and it.is_scalar
    }
    theirs = {
        each.path: selectable_rows(each.target)
        for each in columns
        if each.kind == "relation" and access.sole_owner_relation(each.noun) == each.path
    }
    return given | {path: str(rows[0].id) for path, rows in theirs.items() if len(rows) == 1}


def _current_values(row: Any, columns: Sequence[Column]) -> dict[str, str]:
    return {each.path: each.form_value(row) for each in columns}


def _values_when_opened() -> dict[str, str]:
    """Return the values that the form had when it was opened, which it sends along."""
    try:
        was = json.loads(request.form.get("was", ""))
    except ValueError:
        return {}
    return was if isinstance(was, dict) and all(isinstance(each, str) for each in was.values()) else {}


def _merge_conflict(row: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """Return the form after a conflict: changed fields keep what was typed, the others take the new values."""
    was, now, mine = _values_when_opened(), _current_values(row, columns), request.form
    columns = [each for each in columns if each.kind != "picture"]
    untouched = {
        each.path for each in columns if each.path in was and _same_input(each, mine.get(each.path, ""), was[each.path])
    }
    changed = [
        each for each in columns if not _same_input(each, now[each.path], was.get(each.path, mine.get(each.path, "")))
    ]
    news = [
        (
            each.label,
            each.display(row),
            each.path not in untouched and not _same_input(each, now[each.path], mine.get(each.path, "")),
        )
        for each in changed
    ]
    return {"typed": {**mine, **{path: now[path] for path in untouched}}, "was": now, "news": news, "wrong": {}}


def _same_input(column: Column, one: str, other: str) -> bool:
    """Compare input. Browsers change line endings, and the options of a relation may have the id alone."""
    if column.kind == "relation":
        one, other = (each.split("·")[0].strip() for each in (one, other))
    return one.replace("\r\n", "\n") == other.replace("\r\n", "\n")


def _require_version_shown(row: Any) -> None:
    """Lock the row, and refuse a move if the row has changed since its page was opened."""
    row.lock()
    if request.form.get("version", str(row.version)) != str(row.version):
        raise Refused(f"{row} was changed while this page was open. Review it, then try again if you still want to.")


def _questions_of(move: Move, row: Noun | None) -> list[Any]:
    return move_questions(move.asks, row) if move.asks else []
