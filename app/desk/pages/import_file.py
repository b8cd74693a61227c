"""Import pages of a list: upload a CSV or Excel file, map its columns, validate, import, and undo."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from flask import Response, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access

from app.desk.declare.column import formula_safe
from app.desk.imports.csv_table import MAX_BYTES, Table, cell_of
from app.desk.imports.import_run import ImportRun, importable_columns
from app.desk.lists.export import csv_chunks
from app.desk.pages.routes import Routes
from app.kernel.db import session
from app.kernel.errors import Invalid, Missing, Refused

MOST_SHOWN = 100  # problems on the page; the download has all of them

Problem = tuple[int, str, str, str]  # line, column, value, message


class ImportRoutes(Routes):
    """Upload, column mapping, validation, import and undo. Imports are visible to their author and administrators."""

    permissions: ClassVar[Mapping[str, str]] = {
        "intakes": "add",
        "blank": "add",
        "intake": "add",
        "try_out": "add",
        "take": "add",
        "take_back": "add",
        "problems": "add",
    }

    @expose("/import", methods=["GET", "POST"])
    @has_access
    def intakes(self) -> Any:
        self._require_importable()
        if request.method == "GET":
            return self._imports_page()
        file = request.files.get("file")
        try:
            raw = file.stream.read(MAX_BYTES + 1) if file else b""
            intake = ImportRun.upload(
                self.resource,
                (file and file.filename) or "",
                raw,
                request.form.get("once", "")[:40] or secrets.token_urlsafe(16),
            )
        except Refused as no:
            session.rollback()
            return self._imports_page(no)
        return redirect(url_for(f"{self.endpoint}.intake", id=intake.id))

    def _imports_page(self, refusal: Refused | None = None) -> Any:
        given = {
            "last": ImportRun.recent(self.resource),
            "columns": importable_columns(self.resource),
            "once": secrets.token_urlsafe(16),
            "refusal": refusal,
        }
        page = self._render("desk/import.html", wrong=refusal.fields if refusal else {}, **given)
        return page, refusal.status if refusal else 200

    @expose("/import/blank.csv")
    @has_access
    def blank(self) -> Response:
        """Send an empty CSV file with the headings."""
        self._require_importable()
        return self._csv_response(
            [[each.label for each in importable_columns(self.resource)]], self.resource.file_name("template.csv")
        )

    @expose("/import/<int:id>")
    @has_access
    def intake(self, id: int) -> Any:
        intake = ImportRun.get_own(self.resource, id)
        if intake.state == "waiting" or (intake.state == "tried" and "columns" in request.args):
            return self._mapping_page(intake)
        wrong = [] if intake.is_going else [*self._problems(intake)]
        return self._render(
            "desk/import_show.html",
            intake=intake,
            problems=wrong[:MOST_SHOWN],
            many=len(wrong),
            stay=self._rows_not_undone(intake),
        )

    def _mapping_page(self, intake: ImportRun, refusal: Refused | None = None) -> Any:
        table = intake.table()
        if table is None:
            raise Missing
        chosen = _chosen_columns() if refusal else intake.columns
        given = {
            "intake": intake,
            "table": table,
            "columns": importable_columns(self.resource),
            "chosen": chosen,
            "refusal": refusal,
        }
        return self._render(
            "desk/import_columns.html", wrong=refusal.fields if refusal else {}, **given
        ), refusal.status if refusal else 200

    @expose("/import/<int:id>/try", methods=["POST"])
    @has_access
    def try_out(self, id: int) -> Any:
        intake, chosen = ImportRun.get_own(self.resource, id), _chosen_columns()
        if intake.is_going:
            return self._to_import(intake)
        try:
            self._require_distinct(chosen)
            intake.try_out(chosen)
        except Invalid as no:
            session.rollback()
            return self._mapping_page(ImportRun.get_own(self.resource, id), no)
        return self._to_import(intake)

    @expose("/import/<int:id>/take", methods=["POST"])
    @has_access
    def take(self, id: int) -> Any:
        """Start the import. Pressing twice is one import."""
        intake = ImportRun.get_own(self.resource, id)
        if intake.state not in ("running", "done"):
            intake.take()
        return self._to_import(intake)

    @expose("/import/<int:id>/undo", methods=["POST"])
    @has_access
    def take_back(self, id: int) -> Any:
        intake = ImportRun.get_own(self.resource, id)
        if intake.state not in ("undoing", "undone"):
            intake.take_back()
        return self._to_import(intake)

    @expose("/import/<int:id>/problems.csv")
    @has_access
    def problems(self, id: int) -> Response:
        """Send the problems as CSV, safe from formula injection."""
        intake = ImportRun.get_own(self.resource, id)
        lines = ([str(line), *(formula_safe(each) for each in rest)] for line, *rest in self._problems(intake))
        return self._csv_response(
            [["Line", "Column", "Value", "Problem"], *lines], self.resource.file_name("problems.csv")
        )

    def _problems(self, intake: ImportRun) -> Iterator[Problem]:
        table = intake.table()
        places = {path: int(at) for at, path in intake.columns.items()}
        labels = {each.path: each.label for each in importable_columns(self.resource)}
        for each in intake.lines():
            for path, words in each.wrong.items():
                yield each.line, labels.get(path, "Whole row"), _cell_text(table, each.line, places.get(path)), words

    def _rows_not_undone(self, intake: ImportRun) -> Sequence[tuple[int, int | None, str]]:
        return (
            [(each.line, each.row_id, each.undone) for each in intake.lines() if each.undone]
            if intake.state == "undone"
            else []
        )

    def _require_distinct(self, chosen: dict[str, str]) -> None:
        paths, known = [*chosen.values()], {each.path for each in importable_columns(self.resource)}
        if stray := set(paths) - known:
            raise Invalid("Unknown column.", fields=dict.fromkeys(stray, "Unknown column."))
        if twice := {each for each in paths if paths.count(each) > 1}:
            raise Invalid.for_fields(
                dict.fromkeys(sorted(twice), "Two columns of the file are matched to this field. Choose one of them.")
            )

    def _require_importable(self) -> None:
        if not self.resource.add:
            raise Missing

    def _to_import(self, intake: ImportRun) -> Any:
        return redirect(url_for(f"{self.endpoint}.intake", id=intake.id))

    def _csv_response(self, lines: Sequence[Sequence[str]], name: str) -> Response:
        return Response(
            csv_chunks(lines), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )


def _chosen_columns() -> dict[str, str]:
    """Return the mapping of columns: position in the file -> path of the column."""
    return {
        name[2:]: path
        for name, path in request.form.items()
        if name[:2] == "c-" and name[2:].isdecimal() and len(name) < 6 and path
    }


def _cell_text(table: Table | None, line: int, at: int | None) -> str:
    return cell_of(table.by_line.get(line, ()), at) if table is not None and at is not None else ""
