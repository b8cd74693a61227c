"""List pages of a noun: the list, filter builder, saved views, CSV and Excel export, and bulk moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

from flask import Response, flash, redirect, request, send_file, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access

from app.desk.lists import filter_form, filters
from app.desk.lists.export import XLSX, csv_chunks, csv_lines, xlsx_file
from app.desk.lists.query import (
    ListPage,
    ListQuery,
    chosen_columns,
    list_page,
    list_problem,
    related_name,
    rows_for_export,
)
from app.desk.lists.saved_view import SavedView
from app.desk.pages.inline_edit import chosen_ids, editable_columns, undo_offer
from app.desk.pages.routes import Routes
from app.kernel import access
from app.kernel.db import session, transaction
from app.kernel.errors import Refused, Unreadable
from app.kernel.workflow import Move, press_move


class ListRoutes(Routes):
    """The list of a noun: filters, saved views, export and bulk moves, always within the rows that the user can see."""

    permissions: ClassVar[Mapping[str, str]] = {
        "list": "read",
        "filter": "read",
        "export": "read",
        "sheet": "read",
        "bulk": "read",
        "views": "read",
        "view": "read",
        "opens": "read",
        "unkeep": "read",
    }

    @expose("/")
    @has_access
    def list(self) -> Any:
        asked, views = ListQuery.parse(request.args), SavedView.for_list(self.resource.name)
        first = SavedView.default_for(self.resource.name, views)
        if first and not request.args and not list_problem(self.resource, ListQuery.parse(first.asked)):
            return redirect(self._view_url(first))
        page = list_page(self.resource, asked)
        given = {
            "views": views,
            "address": self._view_url,
            "everything": self._unfiltered_url(first),
            "now": _current_view(views, asked),
            "asking": self._conditions_in_words(asked),
        }
        return self._render(
            "desk/list.html", page=page, pressable=self._bulk_moves(page), **given, **self._editing_context(page)
        )

    def _editing_context(self, page: ListPage) -> dict[str, Any]:
        """Return which cells can be edited in place, whether rows can be edited in bulk, and what can be undone."""
        if not access.actor().may(self.resource.noun, "edit"):
            return {"cells": set(), "undo": None}
        paths = {each.path for each in editable_columns(self.resource)}
        return {
            "cells": paths & {each.path for each in page.columns},
            "changes": bool(paths),
            "undo": undo_offer(self.resource),
        }

    @expose("/export.csv")
    @has_access
    def export(self) -> Response:
        """Stream the list as CSV, with its filters and columns, safe from formula injection."""
        asked = ListQuery.parse(request.args)
        headers = {"Content-Disposition": f'attachment; filename="{self.resource.file_name("csv")}"'}
        return Response(
            csv_chunks(csv_lines(chosen_columns(self.resource, asked), rows_for_export(self.resource, asked))),
            mimetype="text/csv",
            headers=headers,
        )

    @expose("/export.xlsx")
    @has_access
    def sheet(self) -> Response:
        """Send the list as an Excel file, with amounts as numbers and dates as dates."""
        asked = ListQuery.parse(request.args)
        with closing(rows_for_export(self.resource, asked)) as rows:
            file = xlsx_file(chosen_columns(self.resource, asked), rows)
        return send_file(file, mimetype=XLSX, as_attachment=True, download_name=self.resource.file_name("xlsx"))

    # --- filter builder ----------------

    @expose("/filter")
    @has_access
    def filter(self) -> Any:
        """Show the filter builder; applying it leads to the list with the filter in its address."""
        asked = ListQuery.parse(request.args)
        groups = filter_form.form_lines(self.resource, asked.groups, request.args)
        wrong = False
        if request.args.get("do") == "show":
            for line in (line for group in groups for line in group):
                line.wrong = list_problem(self.resource, ListQuery(groups=((line.condition,),)))
                wrong = wrong or bool(line.wrong)
            if not wrong:
                question = filters.filter_text([[line.condition for line in group] for group in groups])
                return redirect(self._list_url(asked.address_args(w=question)))
        words = {
            "operator_label": filters.operator_label,
            "relative_periods": filters.RELATIVE_PERIODS,
            "open_to": filters.filterable_columns(self.resource),
        }
        return self._render("desk/filter.html", asked=asked, groups=groups, **words), 400 if wrong else 200

    def _conditions_in_words(self, asked: ListQuery) -> Sequence[str]:
        """Return the filter as sentences, one of which must be true."""
        return [
            " and ".join(filters.condition_in_words(self.resource, it, related_name) for it in group)
            for group in asked.groups
        ]

    # --- saved views ---

    @expose("/views", methods=["GET", "POST"])
    @has_access
    def views(self) -> Any:
        """Show the saved views, or save the list in this address as one."""
        asked = ListQuery.parse(request.args)
        if problem := list_problem(self.resource, asked):
            raise Unreadable(problem)
        if request.method == "GET":
            return self._views_page(asked)
        try:
            with transaction():
                view = SavedView.create(
                    self.resource.name, asked.address_args(view=None), **_view_settings(request.form)
                )
        except Refused as no:
            return self._views_page(asked, typed=request.form, refusal=no)
        flash(f"View saved: {view.name}", "success")
        return redirect(self._view_url(view))

    @expose("/views/<int:id>", methods=["POST"])
    @has_access
    def view(self, id: int) -> Any:
        """Change the settings of a view, or replace its query with the current one."""
        view = SavedView.find_own(self.resource.name, id)
        try:
            with transaction():
                view.lock()
                if "now" in request.form:
                    view.asked = ListQuery.parse(request.args).address_args(view=None)
                else:
                    view.update_settings(**_view_settings(request.form))
        except Refused as no:
            return self._views_page(ListQuery(), refusal=no)
        flash(f"View updated: {view.name}", "success")
        return redirect(self._view_url(view) if "now" in request.form else url_for(f"{self.endpoint}.views"))

    @expose("/views/<int:id>/opens", methods=["POST"])
    @has_access
    def opens(self, id: int) -> Any:
        """Open the list with a shared view for the current user, or stop doing so."""
        wanted = request.form.get("opens") == "yes"
        with transaction():
            view = SavedView.set_default(self.resource.name, id, wanted=wanted)
        flash(f"The list now opens with {f'“{view.name}”' if wanted else 'all records'} for you.", "success")
        return redirect(url_for(f"{self.endpoint}.views"))

    @expose("/views/<int:id>/delete", methods=["POST"])
    @has_access
    def unkeep(self, id: int) -> Any:
        view = SavedView.find_own(self.resource.name, id)
        with transaction():
            session.delete(view)
        flash(f"View deleted: {view.name}. Its records are unchanged.", "success")
        return redirect(url_for(f"{self.endpoint}.views"))

    def _views_page(
        self, asked: ListQuery, *, typed: Mapping[str, str] | None = None, refusal: Refused | None = None
    ) -> Any:
        session.rollback()
        views = SavedView.for_list(self.resource.name)
        kept = {
            "views": views,
            "default_view": SavedView.default_for(self.resource.name, views),
            "address": self._view_url,
        }
        given = {"asked": asked, "typed": typed or {}, "refusal": refusal, **kept}
        return self._render(
            "desk/views.html", wrong=refusal.fields if refusal else {}, **given
        ), refusal.status if refusal else 200

    def _view_url(self, view: SavedView) -> str:
        return self._list_url(view.asked | {"view": view.id})

    def _list_url(self, asked: Mapping[str, Any]) -> str:
        return url_for(f"{self.endpoint}.list", **asked)

    def _unfiltered_url(self, first: SavedView | None) -> str:
        """Return the address of the list without a filter, which must not open the default view."""
        return url_for(f"{self.endpoint}.list", view="all" if first else None)

    # --- bulk moves ---

    @expose("/bulk", methods=["POST"])
    @has_access
    def bulk(self) -> Any:
        """Make a move on many rows. A refused row does not stop the others, and the report says why."""
        move, ids = self._require_move(request.form.get("move", "")), chosen_ids()
        if move.asks:
            raise Unreadable(f"“{move.label}” needs details for each record. Open the records one by one.")
        if (move.confirm or move.careful) and "sure" not in request.form:
            rows = [*session.scalars(access.visible_rows(self.resource.noun).where(self.resource.noun.id.in_(ids)))]
            return self._render(
                "desk/confirm.html", row=None, rows=rows, move=move, asked=[], typed={}, wrong={}, refusal=None
            )
        report = [self._press_one(id, move.name) for id in ids]
        return self._render("desk/bulk.html", move=move, report=report)

    def _press_one(self, id: int, name: str) -> tuple[str, int, str]:
        row = None
        try:
            row = access.find_visible(self.resource.noun, id)
            with transaction():
                press_move(row, name, {})
                access.require_in_scope(row)
        except Refused as no:
            session.rollback()
            return (str(row or f"{self.resource.one} {id}"), id, no.words)
        return (str(row), id, "")

    def _bulk_moves(self, page: ListPage) -> Sequence[Move]:
        """Return the moves that need no form and that at least one row of this page can make."""
        who, rows = access.actor(), page.rows
        fits = (it for it in self.resource.moves.values() if not it.asks and it.allowed_for(who, self.resource.noun))
        return [it for it in fits if any(row.state in it.sources for row in rows)]


def _current_view(views: Sequence[SavedView], asked: ListQuery) -> SavedView | None:
    """Return the saved view that the address is based on."""
    return next((each for each in views if str(each.id) == asked.view), None)


def _view_settings(form: Mapping[str, str]) -> dict[str, Any]:
    return {"name": form.get("name", ""), "shared": "shared" in form, "first": "first" in form}
