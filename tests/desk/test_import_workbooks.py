"""Tests of imports from Excel workbooks: values as the cells show them, and hostile files do no harm."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from openpyxl import Workbook
from sqlalchemy import select

from app.desk.imports import xlsx_table
from app.desk.imports.csv_table import Table, decode_file, parse_table
from app.kernel.db import session
from app.kernel.errors import Invalid
from app.kernel.people import Person
from tests.desk.test_import import send, taken

Enter = Callable[[str], FlaskClient]


def book(*rows: list[Any], **more: Any) -> bytes:
    made = Workbook()
    sheet = made.active
    assert sheet
    for row in rows:
        sheet.append(row)
    if more.get("hidden"):
        sheet.sheet_state = "hidden"
        made.create_sheet("Seen").append(["Name"])
        made["Seen"].append(["Asha"])
    if more.get("since_1904"):
        made.epoch = datetime(1904, 1, 1)
    file = BytesIO()
    made.save(file)
    return file.getvalue()


def table(raw: bytes) -> Table:
    return parse_table(decode_file(raw))


def changed(raw: bytes, part: str, pattern: bytes, to: bytes) -> bytes:
    """The same workbook with one of its parts written over by hand."""
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(raw)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for each in before.namelist():
            content = before.read(each)
            after.writestr(each, re.sub(pattern, to, content, count=1) if each == part else content)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def test_cells_are_said_as_they_would_be_typed() -> None:
    raw = book(
        ["Day", "Moment", "Time", "Whole", "Part", "Phone", "Yes", "Text", "Odd"],
        [
            date(2026, 11, 24),
            datetime(2026, 11, 24, 9, 30),
            time(9, 5),
            5.0,
            0.1 + 0.2,
            919845012345,
            True,
            'आशा; Rao, "A"\nB',
            "=not one"[1:],
        ],
        [None, None, None, 1e21, -0.5, 1234567.891, False, " ", None],
    )
    first, second = table(raw).rows
    assert first == (
        2,
        ["2026-11-24", "2026-11-24T09:30", "09:05", "5", "0.3", "919845012345", "yes", 'आशा; Rao, "A"\nB', "not one"],
    )
    assert second == (3, ["", "", "", "1000000000000000000000", "-0.5", "1234567.891", "no", " "])


def test_days_that_begin_in_1904_are_the_same_days() -> None:
    assert table(book(["Day"], [date(2026, 11, 24)], since_1904=True)).rows[0][1] == ["2026-11-24"]


def test_a_formula_is_what_it_shows_and_never_what_it_says() -> None:
    raw = book(["Name", "Sum"], ["Asha", "=1+1"])
    shown = changed(raw, SHEET, rb"<v\s*/>|<v></v>", b"<v>2</v>")
    assert table(shown).rows[0][1] == ["Asha", "2"]
    with pytest.raises(Invalid, match="The formula in B2 has no saved result"):
        table(raw)
    wrong = changed(raw, SHEET, rb'<c r="B2">(<f>.*?</f>)<v\s*/>', rb'<c r="B2" t="e">\1<v>#REF!</v>')
    with pytest.raises(Invalid, match="B2 shows #REF!"):
        table(wrong)


def test_the_first_sheet_that_is_seen_is_taken() -> None:
    assert table(book(["Other"], ["x"], hidden=True)).rows == [(2, ["Asha"])]


def test_an_empty_line_keeps_the_numbers_of_the_others() -> None:
    assert [line for line, _ in table(book(["Name"], ["Asha"], [None], ["Dev"])).rows] == [2, 4]


def test_a_cell_far_away_is_not_a_million_lines_long() -> None:
    raw = book(["Name"], ["Asha"])
    far = changed(
        raw, SHEET, rb"</sheetData>", b'<row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row></sheetData>'
    )
    assert table(far).rows == [(2, ["Asha"])]


def test_what_is_packed_into_it_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = changed(book(["Name"], ["Asha"]), SHEET, rb"</worksheet>", b" " * (41 * 1024 * 1024) + b"</worksheet>")
    assert len(bomb) < 100_000
    monkeypatch.setattr(xlsx_table, "load_workbook", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(Invalid, match="workbook is too large"):
        decode_file(bomb)


def test_more_cells_than_somebody_waits_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_table, "MAX_CELLS", 3)
    with pytest.raises(Invalid, match="at most 3 cells at once"):
        decode_file(book(["Name", "Notes"], ["Asha", "By train"]))


@pytest.mark.parametrize(
    "entity",
    [
        b'<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml"])
def test_no_entity_is_resolved(part: str, entity: bytes) -> None:
    raw = changed(book(["Name"], ["Asha"]), part, rb"^(<\?xml[^>]*\?>)?", rb"\1" + entity)
    with pytest.raises(Invalid, match="can’t be read"):
        decode_file(raw)


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET, "[Content_Types].xml"])
def test_a_broken_one_is_refused_in_words(part: str) -> None:
    with pytest.raises(Invalid, match="can’t be read"):
        decode_file(changed(book(["Name"], ["Asha"]), part, rb"(?s).*", b"<"))


def test_people_come_in_from_a_workbook_and_from_our_own_export(enter: Enter) -> None:
    dina = enter("dina")
    taken(
        dina,
        "person",
        book(["Name", "E-mail", "Phone", "Notes"], ["Meera Shah", "meera@example.com", 919820012345, "By train."]),
    )
    session.rollback()
    assert [(each.name, each.phone) for each in session.scalars(select(Person))] == [("Meera Shah", "+919820012345")]
    again = dina.get("/desk/person/export.xlsx").data
    assert send(dina, "person", again).startswith("/desk/person/import/")
