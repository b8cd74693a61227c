"""A list as a spreadsheet: line by line, and safe to open."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from tempfile import TemporaryFile
from typing import IO, Any
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException

from app.desk import column as kinds
from app.desk.column import KINDS, Column
from app.kernel.errors import Refused
from app.money.amount import Money

MOST = 20_000  # rows of a workbook: it is made before it is sent, while somebody waits
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LONGEST = 32_767  # letters in one cell, by the format
_DATED = {"moment": "yyyy-mm-dd hh:mm", "day": "yyyy-mm-dd", "time": "hh:mm"}


def csv_of(lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """The mark in front tells a spreadsheet that this is UTF-8."""
    text = StringIO("\ufeff")
    text.seek(1)
    writer = csv.writer(text)
    for line in lines:
        writer.writerow(line)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def lines(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[list[str]]:
    yield [each.label for each in columns]
    for row in rows:
        yield [each.plain(row) for each in columns]


def workbook(columns: Sequence[Column], rows: Iterable[Any]) -> IO[bytes]:
    """Amounts as numbers of their currency, days as days, and text only ever as text: a cell is never a formula."""
    file = TemporaryFile()  # noqa: SIM115  # closed by whoever has sent it
    book = Workbook(file, {"constant_memory": True})
    try:
        try:
            _fill(book, columns, rows)
        finally:
            book.close()  # also takes away what it wrote meanwhile
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _fill(book: Any, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    sheet, formats = book.add_worksheet(), _Formats(book)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, 18)
    for at, column in enumerate(columns):
        zone = f" ({kinds.house.timezone})" if column.kind == "moment" else ""  # a cell has a time, but no zone
        sheet.write_string(0, at, column.label + zone, formats["bold"])
    for nth, row in enumerate(rows, 1):
        if nth > MOST:
            raise Refused(f"A workbook takes {MOST:,} rows. Narrow the list, or take it as CSV, which has no end.")
        for at, column in enumerate(columns):
            if (value := column.value(row)) is not None:
                _write(sheet, (nth, at), column, value, formats)


class _Formats(dict[str, Any]):
    """Each of them made once, when it is first needed."""

    def __init__(self, book: Any) -> None:
        super().__init__()
        self.book = book

    def __missing__(self, name: str) -> Any:
        self[name] = self.book.add_format({"bold": True} if name == "bold" else {"num_format": name})
        return self[name]


def _write(sheet: Any, place: tuple[int, int], column: Column, value: Any, formats: _Formats) -> None:
    match value:
        case Money():
            sheet.write_number(*place, float(value.plain), formats[_currency(value)])
        case bool():
            sheet.write_boolean(*place, value)
        case int() if column.kind == "number":
            sheet.write_number(*place, value)
        case _ if column.kind in _DATED:
            _write_date(sheet, place, column, value, formats)
        case _:
            sheet.write_string(*place, KINDS[column.kind].plain(value)[:_LONGEST])


def _write_date(sheet: Any, place: tuple[int, int], column: Column, value: Any, formats: _Formats) -> None:
    local = value.astimezone(ZoneInfo(kinds.house.timezone)).replace(tzinfo=None) if isinstance(value, datetime) else value
    try:
        sheet.write_datetime(*place, local, formats[_DATED[column.kind]])
    except (ValueError, XlsxWriterException):
        sheet.write_string(*place, KINDS[column.kind].plain(value))  # before 1900 a spreadsheet has no days


def _currency(money: Money) -> str:
    """₹1,234.00: the sign as it is said, and as many places as the currency has coins."""
    places = len(money.plain.partition(".")[2])
    sign = str(Money(0, money.currency)).rstrip("0.")
    return f'"{sign}"#,##0' + (f".{'0' * places}" if places else "")
