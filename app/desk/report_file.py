"""A report as a file that is taken along or sent: CSV line by line, a workbook, or paper."""

from __future__ import annotations

from typing import IO, Any

from flask import current_app

from app.desk import column, report_paper
from app.desk.report import Report
from app.desk.report_paper import ReportPaper
from app.desk.sheet import MOST, workbook
from app.kernel import access, clock
from app.kernel.errors import Refused


def on_paper(report: Report, asked: Any) -> bytes:
    verdict = report.verdict(asked) if report.verdict else None
    table = report.table(asked, at_once=report_paper.MOST)
    return ReportPaper(report, current_app.extensions["settings"].business, report.spoken(asked), table, verdict, _made()).drawn()


def in_a_workbook(report: Report, asked: Any) -> IO[bytes]:
    """Sums stand below and are over all rows, so a workbook that would not hold all of them is refused before it is begun."""
    table = report.table(asked, at_once=MOST)
    if table.count > MOST:
        raise Refused(f"These are {table.count:,} rows, and a workbook takes {MOST:,}. Ask for less, or take it as CSV, which has no end.")
    verdict = report.verdict(asked) if report.verdict else None
    said = [("Report", report.label), ("About", report.note), *report.spoken(asked), ("Rows", f"{table.count:,}"), ("Made", _made())]
    return workbook(report.columns, table.rows, table.totals, [*said, ("Verdict", verdict.words)] if verdict else said)


def _made() -> str:
    return f"Made on {clock.said(clock.now(), column.house.timezone)} for {access.actor().name}"
