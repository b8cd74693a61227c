"""XLSX (Excel) import: converts the first visible sheet of an uploaded workbook to CSV, with values, not formulas."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import SEEK_END, BytesIO, StringIO
from typing import Any

from openpyxl import load_workbook
from openpyxl.xml import DEFUSEDXML

from app.desk.declare import column
from app.kernel.errors import Invalid

MAX_UNPACKED = 32 * 1024 * 1024  # bytes: five megabytes can be packed so that they unpack to a thousand times that
MAX_PARTS = 500
MAX_CELLS = 300_000  # a few seconds in the request
MAX_ROWS, MAX_COLUMNS = (
    50_000,
    200,
)  # a formatted but empty cell can make a sheet a million rows long
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_SAVE_AGAIN = "Save it again in your spreadsheet app, or as “CSV UTF-8”, and upload it again."


assert DEFUSEDXML, "Uploaded workbooks must be read with defusedxml."


def workbook_to_csv(raw: bytes) -> str:
    """Convert a workbook to CSV text, so that both formats are imported in the same way."""
    try:
        with zipfile.ZipFile(BytesIO(raw)) as packed:
            _refuse_a_bomb(packed)
            has_formulas = any(
                _FORMULA.search(packed.read(each)) for each in packed.namelist() if each.startswith("xl/worksheets/")
            )
        return _sheet_to_csv(raw, has_formulas=has_formulas)
    except Invalid:
        raise
    except Exception:  # noqa: BLE001  # a broken file can raise anything in the reader
        raise _file_error(f"This workbook can’t be read. {_SAVE_AGAIN}") from None


def _refuse_a_bomb(packed: zipfile.ZipFile) -> None:
    """Refuse a zip bomb. No more than the declared size of a part is ever unpacked."""
    parts = packed.infolist()
    if len(parts) > MAX_PARTS or sum(each.file_size for each in parts) > MAX_UNPACKED:
        raise _file_error(f"This workbook is too large. {_SAVE_AGAIN}")


def _sheet_to_csv(raw: bytes, *, has_formulas: bool) -> str:
    text = StringIO("sep=,\r\n")
    text.seek(0, SEEK_END)
    writer = csv.writer(text)
    formulas = _sheet_rows(raw, shown=False) if has_formulas else None
    cells = 0
    for line, row in enumerate(_sheet_rows(raw, shown=True), 1):
        if line > MAX_ROWS:
            break
        if formulas is not None:
            _refuse_uncalculated(next(formulas), row, line)
        cells_text = [_cell_text(cell, line) for cell in _without_trailing_blanks(row)]
        cells += len(cells_text)
        if cells > MAX_CELLS:
            raise _file_error(
                f"You can import at most {MAX_CELLS:,} cells at once. "
                "Split it into several files, or save it as “CSV UTF-8”."
            )
        writer.writerow([_heading(each) for each in cells_text] if line == 1 else cells_text)
    return text.getvalue()


def _without_trailing_blanks(row: Sequence[Any]) -> Sequence[Any]:
    """Cut empty cells off the end of a row."""
    end = len(row)
    while end and row[end - 1].value is None:
        end -= 1
    return row[:end]


def _sheet_rows(raw: bytes, *, shown: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the first visible sheet: values if `shown`, otherwise formulas."""
    book = load_workbook(BytesIO(raw), read_only=True, data_only=shown, keep_links=False)
    sheet = next((each for each in book.worksheets if each.sheet_state == "visible"), None)
    if sheet is None:
        raise _file_error(f"This workbook has no visible sheet. {_SAVE_AGAIN}")
    sheet.reset_dimensions()  # the stored dimensions may be too small
    yield from sheet.iter_rows(max_col=MAX_COLUMNS + 1)


def _refuse_uncalculated(formulas: tuple[Any, ...], shown: tuple[Any, ...], line: int) -> None:
    for at, (formula, cell) in enumerate(zip(formulas, shown, strict=False)):
        if formula.data_type == "f" and cell.value is None:
            raise _file_error(
                f"The formula in {_cell_address(at, line)} has no saved result. "
                "Open the file, recalculate and save it, then upload it again."
            )


def _cell_text(cell: Any, line: int) -> str:  # noqa: PLR0911  # one line for each kind of cell
    """Write a cell as it would be typed into the form: a date as 2026-11-24, a number without thousands separators."""
    match cell.value:
        case None:
            return ""
        case bool():
            return "yes" if cell.value else "no"
        case datetime():
            return _moment_text(cell.value)
        case date():
            return cell.value.isoformat()
        case time():
            return f"{cell.value:%H:%M}"
        case timedelta():
            return str(cell.value)
        case int() | float():
            return f"{Decimal(f'{cell.value:.15g}'):f}"  # spreadsheets keep 15 significant digits
    if cell.data_type == "e":
        raise _file_error(
            f"{_cell_address(cell.column - 1, line)} shows {cell.value}. "
            "Correct it in your spreadsheet app and upload the file again."
        )
    return str(cell.value)


def _moment_text(value: datetime) -> str:
    """Write a date (stored as midnight) or a time, rounded to the second because fractions are inexact."""
    rounded = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
    return (
        rounded.date().isoformat()
        if rounded.time() == time()
        else rounded.isoformat(timespec="seconds" if rounded.second else "minutes")
    )


def _heading(text: str) -> str:
    """Cut off the time zone that our own exports add to a heading."""
    return text.removesuffix(f" ({column.staff_locale.timezone})")


def _cell_address(at: int, line: int) -> str:
    letters = ""
    while at >= 0:
        at, rest = divmod(at, 26)
        letters, at = chr(ord("A") + rest) + letters, at - 1
    return f"{letters}{line}"


def _file_error(words: str) -> Invalid:
    return Invalid(words, fields={"file": words})
