"""CSV and Excel export of a list or report, row by row, safe from formula injection."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import StringIO
from tempfile import TemporaryFile
from typing import IO, Any, Protocol
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from app.desk.declare import column as kinds
from app.desk.declare.column import Column
from app.kernel.errors import Refused
from app.money.sums.amount import Money

MOST_ROWS = 20_000  # rows of an Excel file, which is written before it is sent, while the user waits
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LONGEST_CELL = 32_767  # characters in one cell, a limit of the format
_PERCENT = "0.##%"
_DATE_FORMATS = {"moment": "yyyy-mm-dd hh:mm", "day": "yyyy-mm-dd", "time": "hh:mm"}


class ExportColumn(Protocol):
    """A column of a list or a report, as the exports need it."""

    @property
    def label(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def value(self, row: Any) -> Any: ...
    def sheet_text(self, row: Any) -> str: ...


def csv_chunks(lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines as CSV. The byte order mark tells spreadsheets that this is UTF-8."""
    text = StringIO("\ufeff")
    text.seek(1)
    writer = csv.writer(text)
    for line in lines:
        writer.writerow(line)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def csv_lines(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[list[str]]:
    yield [each.label for each in columns]
    for row in rows:
        yield [each.csv_text(row) for each in columns]


def xlsx_file(
    columns: Sequence[ExportColumn],
    rows: Iterable[Any],
    sums: Mapping[str, Any] | None = None,
    asked: Sequence[tuple[str, str]] = (),
) -> IO[bytes]:
    """Write an Excel file: amounts and dates are real values, and text is never a formula.

    The totals of each currency (`sums`) are below the rows, and the parameters (`asked`) are on a second sheet.
    """
    file = TemporaryFile()  # noqa: SIM115  # closed after it has been sent
    book = Workbook(file, {"constant_memory": True})
    try:
        try:
            formats = _Formats(book)
            _write_table(book.add_worksheet(), columns, rows, sums or {}, formats)
            if asked:
                _write_parameters(book.add_worksheet("Filters"), asked, formats)
        finally:
            book.close()  # also deletes its temporary files
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _write_table(
    sheet: Any, columns: Sequence[ExportColumn], rows: Iterable[Any], sums: Mapping[str, Any], formats: _Formats
) -> None:
    nth = 0
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, 18)
    for at, column in enumerate(columns):
        zone = f" ({kinds.staff_locale.timezone})" if column.kind == "moment" else ""  # a cell cannot store a time zone
        sheet.write_string(0, at, column.label + zone, formats["bold"])
    for nth, row in enumerate(rows, 1):
        if nth > MOST_ROWS:
            raise Refused(f"An Excel file can have at most {MOST_ROWS:,} rows. Narrow the list, or export it as CSV.")
        for at, column in enumerate(columns):
            _write_cell(sheet, (nth, at), column, row, formats)
    for below, (currency, row) in enumerate(sums.items(), nth + 1):
        sheet.write_string(below, 0, f"Total {currency}", formats["bold"])
        for at, column in enumerate(columns[1:], 1):
            if (value := column.value(row)) is not None:
                sheet.write_number(below, at, float(value.plain), formats[f"bold {_money_format(value)}"])


def _write_parameters(sheet: Any, lines: Sequence[tuple[str, str]], formats: _Formats) -> None:
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 80)
    for nth, (name, said) in enumerate(lines):
        sheet.write_string(nth, 0, name, formats["bold"])
        sheet.write_string(nth, 1, said[:_LONGEST_CELL])


class _Formats(dict[str, Any]):
    """Cell formats of the workbook, created on first use."""

    def __init__(self, book: Any) -> None:
        super().__init__()
        self.book = book

    def __missing__(self, name: str) -> Any:
        look = {"bold": True} if name.startswith("bold") else {}
        number = name.removeprefix("bold").strip()
        self[name] = self.book.add_format(look | ({"num_format": number} if number else {}))
        return self[name]


def _write_cell(sheet: Any, place: tuple[int, int], column: ExportColumn, row: Any, formats: _Formats) -> None:
    match value := column.value(row):
        case None:
            pass
        case Money():
            sheet.write_number(*place, float(value.plain), formats[_money_format(value)])
        case bool():
            sheet.write_boolean(*place, value)
        case int() if column.kind == "number":
            sheet.write_number(*place, value)
        case int() if column.kind == "rate":
            sheet.write_number(*place, value / 10_000, formats[_PERCENT])
        case _ if column.kind in _DATE_FORMATS:
            _write_date(sheet, place, column, row, formats)
        case _:
            sheet.write_string(*place, column.sheet_text(row)[:_LONGEST_CELL])


def _write_date(sheet: Any, place: tuple[int, int], column: ExportColumn, row: Any, formats: _Formats) -> None:
    value = column.value(row)
    local = (
        value.astimezone(ZoneInfo(kinds.staff_locale.timezone)).replace(tzinfo=None)
        if isinstance(value, datetime)
        else value
    )
    try:
        sheet.write_datetime(*place, local, formats[_DATE_FORMATS[column.kind]])
    except (ValueError, XlsxWriterException):
        sheet.write_string(*place, column.sheet_text(row))  # spreadsheets have no dates before 1900


def _money_format(money: Money) -> str:
    """Return a number format like ₹1,234.00, with the sign and the decimal places of the currency."""
    places = len(money.plain.partition(".")[2])
    sign = str(Money(0, money.currency)).rstrip("0.")
    return f'"{sign}"#,##0' + (f".{'0' * places}" if places else "")
