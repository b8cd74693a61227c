"""Tests of every report of every pack: access, formats, filters and queries, without a test of its own."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from html import unescape
from io import BytesIO, StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pypdf import PdfReader

from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.desk.declare.report import CELLS, SUMS, Report
from app.desk.reports import page
from app.kernel.db import session
from app.packs import PACKS
from tests.conftest import CAST
from tests.desk.test_sheets import cells as in_sheet

REPORTS: list[Report] = [each for pack in [house, money, *PACKS] for each in pack.reports]
Token = Callable[[str], dict[str, str]]
Enter = Callable[[str], FlaskClient]

every_report = pytest.mark.parametrize("report", REPORTS, ids=lambda each: each.name)

# Long enough for all demo data and its reconciled days.
ALWAYS = "since=2020-01-01&until=2100-01-01"
PATHS = "", "export.csv", "export.xlsx", "export.pdf"


@pytest.fixture
def app(peopled: Flask) -> Flask:
    return peopled


def about(report: Report) -> str:
    """Parameters with results; for a parameter that is a row, the first one."""
    asked = [ALWAYS] if any(each.name == "since" for each in report.questions) else []
    return "&".join(asked + [f"{name}=1" for name in list(report.points)[:1]])


def spreadsheet(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text.removeprefix("\ufeff"))))


def cells(page: str, part: str = "tbody") -> list[list[str]]:
    """Read the cells of the table, row by row."""
    body = re.search(rf"<{part}.*?</{part}>", page, re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", body[0], re.DOTALL) if body else []
    unseen = re.compile(r'<span class="unseen">.*?</span>', re.DOTALL)
    return [
        [
            unescape(re.sub("<.*?>", "", unseen.sub("", cell))).strip()
            for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)
        ]
        for row in rows
    ]


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip drawing files: access is decided before, and each format is tested once below."""
    monkeypatch.setattr(page, "report_workbook", lambda *_: BytesIO(b"a workbook"))
    monkeypatch.setattr(page, "report_pdf", lambda *_: b"paper")


@every_report
@pytest.mark.usefixtures("without_drawing")
def test_reading_is_for_the_roles_that_may(report: Report, client: FlaskClient, token: Token, enter: Enter) -> None:
    for name, role in CAST.items():
        status = 200 if name == "ada" or role in report.roles else 403
        assert client.get(f"/api/v1/report/{report.name}", headers=token(name)).status_code == status, name
        desk = enter(name)
        for path in PATHS:
            assert desk.get(f"/desk/reports/{report.name}/{path}").status_code == status, (name, path)
        for each in report.points:
            assert desk.get(f"/desk/reports/{report.name}/choices/{each}").status_code == status, (name, each)
        assert (f'href="/desk/reports/{report.name}/"' in menu_of(desk, name)) == (status == 200), name


_menus: dict[str, str] = {}


def menu_of(desk: FlaskClient, name: str) -> str:
    """Cache the Home page, whose menu is the same for every report."""
    return _menus.setdefault(name, desk.get("/desk/").text)


@every_report
def test_a_stranger_is_sent_away_at_every_door(report: Report, client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/report/{report.name}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "not_signed_in")
    for path in PATHS:
        assert client.get(f"/desk/reports/{report.name}/{path}").status_code == 302


@every_report
def test_the_page_the_spreadsheet_and_the_endpoint_say_the_same(
    report: Report, client: FlaskClient, token: Token, enter: Enter
) -> None:
    desk = enter("omar")
    page = desk.get(f"/desk/reports/{report.name}/?{about(report)}")
    assert page.status_code == 200
    rows = spreadsheet(desk.get(f"/desk/reports/{report.name}/export.csv?{about(report)}").text)
    told = client.get(f"/api/v1/report/{report.name}?{about(report)}", headers=token("omar")).get_json()
    has_sums = any(each.kind in SUMS for each in report.columns)
    assert rows[0] == [each.label for each in report.columns] + ["Currency"] * has_sums
    assert told["count"] == len(told["result"]) == len(rows) - 1 == len(cells(page.text)), (
        "the three doors hold different rows"
    )
    assert told["count"], f"the demo world shows nothing in {report.label.lower()}"
    for said, line, row in zip(cells(page.text), rows[1:], told["result"], strict=True):
        shown = said + [""] * (len(report.columns) - len(said))  # in a row with empty cells, the text runs on
        for at, column in enumerate(report.columns):
            value = row[column.name]
            assert (value is None) == (line[at] == "") or value == "", (column.name, value, line[at])
            if column.kind == "money" and value is not None:
                digits = re.sub(r"[^0-9.-]", "", shown[at])
                assert digits == line[at]
                assert value["amount"] == int(line[at].replace(".", ""))
                assert value["currency"] == line[-1]
            elif column.kind in ("text", "relation"):
                assert shown[at] == line[at].removeprefix("'")


@every_report
def test_the_workbook_and_the_paper_hold_what_the_spreadsheet_holds(report: Report, enter: Enter) -> None:
    desk, asked = enter("omar"), f"/desk/reports/{report.name}/{{}}?{about(report)}"
    rows = spreadsheet(desk.get(asked.format("export.csv")).text)
    book = desk.get(asked.format("export.xlsx")).data
    table = [[said for _, said in row] for row in in_sheet(book)]
    sums = [row for row in table[1:] if row and row[0].startswith("Total ")]
    assert len(table) - 1 - len(sums) == len(rows) - 1
    assert ["Report", report.label] in [[said for _, said in row] for row in in_sheet(book, page=2)]
    paper = desk.get(asked.format("export.pdf"))
    assert paper.mimetype == "application/pdf"
    told = " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(paper.data)).pages).split())
    assert report.label in told
    for row in rows[1:]:
        for at, column in enumerate(report.columns):
            if column.kind == "text" and len(row[at]) < 12:
                assert row[at].removeprefix("'") in told
    assert told.count("Total ") >= len(sums)


@every_report
def test_sums_are_over_all_rows_and_of_one_currency_each(
    report: Report, client: FlaskClient, token: Token, enter: Enter
) -> None:
    told = client.get(f"/api/v1/report/{report.name}?{about(report)}", headers=token("omar")).get_json()
    for currency, sums in told["totals"].items():
        for name, total in sums.items():
            held = [row[name]["amount"] for row in told["result"] if row[name] and row[name]["currency"] == currency]
            assert total == {"amount": sum(held), "currency": currency}
    foot = cells(enter("omar").get(f"/desk/reports/{report.name}/?{about(report)}").text, "tfoot")
    assert [row[0].split()[-1] for row in foot] == list(told["totals"])


@every_report
def test_a_wrong_question_is_a_sentence_and_keeps_what_was_typed(
    report: Report, client: FlaskClient, token: Token, enter: Enter
) -> None:
    omar = enter("omar")
    wrong = [
        (each.name, "2026-13-45" if each.name not in report.points else "99999999999") for each in report.questions
    ]
    for name, typed in [*wrong, *((name, "‹x›") for name, _ in wrong), ("nosuch", "1")]:
        answer = client.get(f"/api/v1/report/{report.name}", query_string={name: typed}, headers=token("omar"))
        assert answer.status_code == 422, (name, typed, answer.text)
        assert answer.get_json()["error"]["fields"].keys() == {name}
        page = omar.get(f"/desk/reports/{report.name}/", query_string={name: typed})
        assert page.status_code == 422
        assert answer.get_json()["error"]["fields"][name] in unescape(page.text)
        if name != "nosuch" and not next(each for each in report.questions if each.name == name).among:
            assert f'value="{typed}"' in page.text
    for path in PATHS:
        assert omar.get(f"/desk/reports/{report.name}/{path}", query_string={"nosuch": "1"}).status_code == 422, path


@every_report
def test_where_nothing_is_found_the_page_says_what_to_do(report: Report, enter: Enter) -> None:
    long_ago = "&".join(f"{each.name}=1999-01-01" for each in report.questions if each.kind.__name__ == "date")
    page = enter("omar").get(f"/desk/reports/{report.name}/?{long_ago}")
    assert page.status_code == 200
    if not cells(page.text):
        assert unescape(report.empty) in unescape(page.text)
    assert unescape(report.note) in unescape(page.text)


@every_report
def test_it_is_asked_in_as_many_queries_whatever_there_is(
    report: Report, client: FlaskClient, token: Token, count_queries: Any
) -> None:
    who = token("omar")

    def asks(question: str) -> int:
        session.remove()
        return int(count_queries(lambda: client.get(f"/api/v1/report/{report.name}?{question}", headers=who)))

    nothing = "&".join(f"{each.name}=1999-01-01" for each in report.questions if each.kind.__name__ == "date")
    few = asks(nothing + "".join(f"&{name}=1" for name in list(report.points)[:1]))
    # Each kind of payable record costs one query; each row none.
    assert asks(about(report)) <= few + 1


@every_report
def test_it_is_in_the_description(report: Report, client: FlaskClient, token: Token) -> None:
    told = client.get("/api/v1/_openapi", headers=token("ada")).get_json()["paths"][f"/api/v1/report/{report.name}"][
        "get"
    ]
    assert {each["name"] for each in told["parameters"]} == {each.name for each in report.questions}
    row = told["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["result"]["items"]
    assert row["properties"].keys() == {each.name for each in report.columns}


def test_a_declaration_that_makes_no_sense_does_not_load() -> None:
    for more, word in (
        ({"columns": {"a": "nosuch"}}, "kind"),
        ({"columns": {"a": "text"}, "total": "b"}, "no column b"),
        ({"columns": {"a": "text"}, "total": "a"}, "cannot be summed"),
        ({"columns": {"a": "text"}, "groups": "b"}, "no column b"),
    ):
        with pytest.raises(TypeError, match=word):
            Report("trial", rows=lambda _: [], roles="Auditor", note="", **more)  # type: ignore[arg-type]
    assert set(SUMS) <= CELLS.keys()
