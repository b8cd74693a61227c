"""Report page, its downloads (CSV, XLSX, PDF), the form that schedules it by email, and its REST endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, cast

from flask import (
    Response,
    flash,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from flask_appbuilder import BaseView, expose
from flask_appbuilder.api import BaseApi
from flask_appbuilder.security.decorators import has_access, permission_name, protect

from app.desk.declare.report import Report, Table
from app.desk.lists.export import XLSX, csv_chunks
from app.desk.notices.colleague import name_of
from app.desk.pages.rest import Api
from app.desk.records.history import record_url
from app.desk.records.writing import MOST_OPTIONS, selectable_rows
from app.desk.reports.file import report_pdf, report_workbook
from app.desk.reports.subscription import Schedule, Subscription
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.workflow import move_questions, parse_asked


class ReportPage(BaseView):
    """The parameters above, the rows below. Parameters are in the address, so that a result can be shared."""

    report: ClassVar[Report]
    base_permissions = ["can_read"]
    method_permission_name: ClassVar[dict[str, str]] = {
        "show": "read",
        "export": "read",
        "sheet": "read",
        "paper": "read",
        "send": "read",
        "choices": "read",
    }

    @expose("/")
    @has_access
    def show(self) -> Any:
        typed = _query_values()
        try:
            asked = self.report.parse(typed)
        except Refused as no:
            return self._page(typed=typed, wrong=no.fields, refusal=no.words, table=None), no.status
        table, verdict = self.report.table(asked), self.report.verdict(asked) if self.report.verdict else None
        spoken = self.report.parameters_in_words(asked)
        return self._page(
            typed=self.report.form_values(asked), wrong={}, refusal=None, table=table, verdict=verdict, spoken=spoken
        )

    @expose("/export.csv")
    @has_access
    def export(self) -> Response:
        """Stream the rows as CSV, safe to open in a spreadsheet."""
        lines = self.report.lines(self.report.parse(_query_values()))
        headers = {"Content-Disposition": f'attachment; filename="{self.report.name}.csv"'}
        return Response(stream_with_context(csv_chunks(lines)), mimetype="text/csv", headers=headers)

    @expose("/export.xlsx")
    @has_access
    def sheet(self) -> Response:
        """Download an Excel workbook: rows and totals, and the parameters on a second sheet."""
        file = report_workbook(self.report, self.report.parse(_query_values()))
        return send_file(file, mimetype=XLSX, as_attachment=True, download_name=f"{self.report.name}.xlsx")

    @expose("/export.pdf")
    @has_access
    def paper(self) -> Response:
        """Download the report as PDF."""
        drawn = report_pdf(self.report, self.report.parse(_query_values()))
        return Response(
            drawn,
            mimetype="application/pdf",
            headers={"Content-Disposition": f'attachment; filename="{self.report.name}.pdf"'},
        )

    @expose("/send", methods=["GET", "POST"])
    @has_access
    def send(self) -> Any:
        """Schedule the report by email. Its period moves with each delivery; other parameters are in the address."""
        security.require_right(Subscription, "edit")
        asked = self.report.form_values(self.report.parse(_query_values()))
        if request.method == "GET":
            return self._send(asked, typed={})
        typed = {name: text for name, text in request.form.items() if name not in ("csrf_token", "who")}
        try:
            with transaction():
                made = Subscription.subscribe(self.report, asked, parse_asked(Schedule, typed), _chosen_recipient())
        except Refused as no:
            session.rollback()
            return self._send(asked, typed=request.form, refusal=no), no.status
        flash(f"{made} will be sent {made.when}.", "success")
        return redirect(url_for("SubscriptionScreens.show", pk=made.id))

    def _send(self, asked: dict[str, str], typed: Any, refusal: Refused | None = None) -> str:
        g.resource = self.report
        others = security.users_by_name() if access.ADMIN in access.actor().roles else None
        people = (
            [(each.id, name_of(each)) for each in session.scalars(others) if each.active] if others is not None else []
        )
        spoken = self.report.parameters_in_words(self.report.parse(asked), without_days=True)
        context = {
            "typed": typed,
            "refusal": refusal,
            "people": people,
            "me": access.actor().user_id,
            "asked": asked,
            "spoken": spoken,
        }
        return render_template(
            "desk/report_send.html",
            report=self.report,
            endpoint=self.endpoint,
            asks=[replace(each, required=True) for each in move_questions(Schedule)],
            **context,
        )

    @expose("/choices/<name>")
    @has_access
    def choices(self, name: str) -> Any:
        """Suggest a few matching rows for a parameter that refers to records."""
        if name not in self.report.points:
            raise Missing
        return {
            "choices": [
                {"id": row.id, "name": str(row)}
                for row in selectable_rows(self.report.points[name], request.args.get("q", ""))
            ]
        }

    def _page(self, **context: Any) -> str:
        g.resource = self.report
        who = access.actor()
        context |= {
            "mine": Subscription.list_for(who.user_id, self.report.name),
            "sends": who.may(Subscription, "edit"),
        }
        return render_template(
            "desk/report.html",
            report=self.report,
            endpoint=self.endpoint,
            selectable_rows=selectable_rows,
            many=MOST_OPTIONS,
            record_url=record_url,
            **context,
        )


class ReportEndpoint(BaseApi):
    """REST endpoint of a report: all rows at once, amounts in minor units with their currency."""

    report: ClassVar[Report]
    route_base = "/api/v1/report"
    base_permissions = ["can_read"]
    method_permission_name: ClassVar[dict[str, str]] = {"get": "read"}
    responses: ClassVar[dict[str, Any]] = {}
    response_403, response_401 = Api.response_403, Api.response_401

    def _answer(self) -> Response:
        report = self.report
        asked = report.parse(_query_values())
        verdict = report.verdict(asked) if report.verdict else None
        table = report.table(asked, at_once=None)
        return jsonify(
            asked=report.form_values(asked),
            count=table.count,
            result=[{each.name: each.json(row) for each in report.columns} for row in table.rows],
            totals=_totals_json(table),
            verdict=verdict and {"good": verdict.good, "words": verdict.words},
        )


def _query_values() -> dict[str, str]:
    return {name: text.strip() for name, text in request.args.items() if text.strip()}


def _chosen_recipient() -> User:
    """Return the chosen user, by default the current one."""
    chosen = request.form.get("who") or str(access.actor().user_id)
    user = session.get(User, int(chosen)) if chosen.isdecimal() and len(chosen) < 10 else None
    if user is None:
        raise Invalid.for_fields({"who": "Choose one from the list."})
    return user


def _totals_json(table: Table) -> dict[str, Any]:
    return {
        currency: {name: money.as_json() for name, money in sums.items()} for currency, sums in table.totals.items()
    }


def page_of(report: Report) -> type[ReportPage]:
    body = {
        "report": report,
        "route_base": f"/desk/reports/{report.name}",
        "class_permission_name": report.permission_name,
    }
    return type(f"{report.permission_name}Page", (ReportPage,), body)


def endpoint_of(report: Report) -> type[ReportEndpoint]:
    def get(self: ReportEndpoint) -> Response:
        return self._answer()

    get.__doc__ = report.note
    asked = cast(Any, expose(f"/{report.name}", methods=["GET"])(protect()(permission_name("get")(get))))
    return type(
        f"{report.permission_name}Endpoint",
        (ReportEndpoint,),
        {"report": report, "class_permission_name": report.permission_name, "get": asked},
    )
