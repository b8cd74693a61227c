"""CSV import: encoding and separator of an uploaded table, and conversion of its cells to form values."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Any

from sqlalchemy import String, cast, func, inspect, or_

from app.desk.declare.column import Column
from app.desk.imports.xlsx_table import workbook_to_csv
from app.kernel import access
from app.kernel.db import label_of_table, session, spaced
from app.kernel.errors import Invalid

MAX_BYTES = 5 * 1024 * 1024
MAX_ROWS = 20_000
MAX_COLUMNS = 200
_XLSX_MARK, _XLS_MARK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_NAME_COLUMNS = "number", "name", "email", "slug", "username"
_YES, _NO = ("yes", "true", "on", "1", "x"), ("no", "false", "off", "0")


def decode_file(raw: bytes) -> str:
    """Decode an uploaded file by its byte order mark, as UTF-8, or as Windows-1252; a workbook becomes CSV text."""
    if not raw:
        raise _file_error("Choose a file.")
    if len(raw) > MAX_BYTES:
        raise _file_error("Use a file of at most 5 MB.")
    if raw.startswith(_XLSX_MARK):
        return workbook_to_csv(raw)
    if raw.startswith(_XLS_MARK):
        raise _file_error(
            "This workbook is in an old format or has a password. "
            "Save it as an Excel workbook without a password, or as “CSV UTF-8”, and upload it again."
        )
    for encoding in _encodings(raw):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise _file_error(
        "This file isn’t a text table. Save it as “CSV UTF-8” in your spreadsheet app and upload it again."
    )


def _encodings(raw: bytes) -> Sequence[str]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    if b"\x00" in raw[:200]:
        return ["utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"]
    return ["utf-8-sig", "cp1252"]


@dataclass(frozen=True)
class Table:
    """The column headings, and the rows with their line numbers in a spreadsheet."""

    heads: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]

    @cached_property
    def by_line(self) -> dict[int, Sequence[str]]:
        return dict(self.rows)

    def column_name(self, at: int) -> str:
        return self.heads[at] or f"Column {at + 1}"

    def sample_values(self, at: int) -> list[str]:
        """Return the first few values of a column, to recognise it by."""
        return [cell for cell in (cell_of(cells, at) for _, cells in self.rows[:50]) if cell][:3]


def parse_table(text: str) -> Table:
    declared = re.match(r"sep=(.)\r?\n", text)
    body = text[declared.end() :] if declared else text
    try:
        lines = [*csv.reader(StringIO(body, newline=""), delimiter=declared[1] if declared else _separator(body))]
    except csv.Error:
        raise _file_error("This file can’t be read as a table. A closing quotation mark may be missing.") from None
    heads = [each.strip() for each in lines[0]] if lines else []
    rows = [(line, cells) for line, cells in enumerate(lines[1:], 2) if any(each.strip() for each in cells)]
    if not any(heads) or not rows:
        raise _file_error("This file has no rows. Put the column names in the first row and the data below it.")
    if len(rows) > MAX_ROWS:
        raise _file_error(
            f"You can import at most {MAX_ROWS:,} rows at once, and this file has {len(rows):,}. "
            "Split it into several files."
        )
    if len(heads) > MAX_COLUMNS:
        raise _file_error(f"Use at most {MAX_COLUMNS} columns.")
    return Table(heads, rows)


def _separator(text: str) -> str:
    """Guess the separator: the most columns in the first line, and as many in the lines below."""
    few = [*_first_lines(text)]

    def fits(mark: str) -> tuple[int, int]:
        head, *rest = [len(line) for line in csv.reader(few, delimiter=mark)] or [0]
        return head, rest.count(head)

    return max(",;\t", key=fits)


def _first_lines(text: str) -> Iterator[str]:
    reading = StringIO(text)
    yield from (line for _, line in zip(range(20), reading, strict=False))


def cell_of(cells: Sequence[str], at: int) -> str:
    """Return the text of a cell, without the apostrophe with which an export protects against formulas."""
    cell = cells[at].strip() if at < len(cells) else ""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@\t\r") else cell


def cell_to_form_value(column: Column, cell: str) -> str:
    """Convert a cell to the text that the form field would hold; ValueError if it is not clear."""
    match column.kind:
        case "yesno":
            return _yes_or_no(cell)
        case "choice":
            return _choice_for(column, cell)
        case "relation":
            return cell if "·" in cell else str(_related_id(column.target, cell))
    return cell


def _choice_for(column: Column, cell: str) -> str:
    """Find a choice by its value or its label, in any case."""
    text = cell.casefold()
    return next(
        (
            each
            for each in column.choices
            if text in (each.casefold(), spaced(each).casefold(), column.option_label(each).casefold())
        ),
        cell,
    )


def _yes_or_no(cell: str) -> str:
    if cell.casefold() in _YES:
        return "on"
    if cell.casefold() in _NO:
        return "off"
    raise ValueError("Enter yes or no.")


def _related_id(target: Any, cell: str) -> int:
    """Find the one row that the user may read with this number, name or email address."""
    columns = inspect(target).columns
    names = [
        cast(columns[each], String)
        for each in _NAME_COLUMNS
        if each in columns and not columns[each].info.get("secret")
    ]
    whole = [func.concat_ws(" ", columns["first_name"], columns["last_name"])] if "first_name" in columns else []
    matches = [each == cell for each in names + whole]
    matches += [func.lower(columns["email"]) == cell.lower()] if "email" in columns else []
    # A noun without a name is shown everywhere as "Booking 12".
    if numbered := re.fullmatch(rf"{re.escape(label_of_table(target.__tablename__))} (\d{{1,9}})", cell):
        matches.append(target.id == int(numbered[1]))
    found = [*session.scalars(access.visible_rows(target).where(or_(*matches)).limit(2)).unique()] if matches else []
    if len(found) > 1:
        raise ValueError("Several records have this name. Enter the ID or email address instead.")
    if not found:
        raise ValueError("This record doesn’t exist, or you don’t have access to it.")
    return int(found[0].id)


def _file_error(words: str) -> Invalid:
    return Invalid(words, fields={"file": words})
