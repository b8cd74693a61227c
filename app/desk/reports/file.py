"""Report files: CSV, XLSX (Excel) and PDF of a report, for download and as an email attachment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from flask import current_app

from app.desk.declare import column
from app.desk.declare.report import Report
from app.desk.lists.export import MOST_ROWS, XLSX, csv_chunks, xlsx_file
from app.desk.reports import pdf
from app.desk.reports.pdf import ReportPdf
from app.kernel import access, clock
from app.kernel.errors import Refused
from app.messages.channel import Attachment

FORMATS = {"pdf": "PDF", "xlsx": "Excel", "csv": "CSV"}
MAX_ATTACHMENT = 7 * 1024 * 1024  # many mailboxes refuse larger emails
_TOO_LARGE = "Attachments can be up to 7 MB. Choose a shorter period, or open the report online."


def report_pdf(report: Report, asked: Any) -> bytes:
    verdict = report.verdict(asked) if report.verdict else None
    table = report.table(asked, at_once=pdf.MAX_ROWS)
    return ReportPdf(
        report,
        current_app.extensions["settings"].business,
        report.parameters_in_words(asked),
        table,
        verdict,
        _created_line(),
    ).render()


def report_workbook(report: Report, asked: Any) -> IO[bytes]:
    """Build the workbook. Refuse one that cannot hold all rows, because its totals would not match."""
    table = report.table(asked, at_once=MOST_ROWS)
    if table.count > MOST_ROWS:
        raise Refused(
            f"This report has {table.count:,} rows. An Excel file can hold {MOST_ROWS:,}. "
            "Choose a shorter period, or export as CSV."
        )
    verdict = report.verdict(asked) if report.verdict else None
    summary = [
        ("Report", report.label),
        ("Description", report.note),
        *report.parameters_in_words(asked),
        ("Rows", f"{table.count:,}"),
        ("Created", _created_line()),
    ]
    return xlsx_file(
        report.columns, table.rows, table.totals, [*summary, ("Result", verdict.words)] if verdict else summary
    )


def report_attachment(report: Report, asked: Any, kind: str) -> Attachment:
    """Render the report as an email attachment, or refuse if it is too large."""
    match kind:
        case "pdf":
            content, mimetype = report_pdf(report, asked), "application/pdf"
        case "xlsx":
            with report_workbook(report, asked) as file:
                content, mimetype = file.read(), XLSX
        case _:
            content, mimetype = _joined_lines(csv_chunks(report.lines(asked))), "text/csv"
    if len(content) > MAX_ATTACHMENT:
        raise Refused(_TOO_LARGE)
    return Attachment(f"{report.name}.{kind}", mimetype, content)


def _joined_lines(lines: Iterable[str]) -> bytes:
    """Join the CSV lines, and stop as soon as they are too large."""
    parts, size = [], 0
    for line in lines:
        parts.append(line.encode())
        size += len(parts[-1])
        if size > MAX_ATTACHMENT:
            raise Refused(_TOO_LARGE)
    return b"".join(parts)


def _created_line() -> str:
    return f"Created on {clock.format_moment(clock.now(), column.staff_locale.timezone)} by {access.actor().name}"
