"""Tests of lists: totals, CSV and Excel export, and pages that stay right while rows are added."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient

from app.desk.lists import export, query
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.money.sums.amount import Money
from app.packs.bookings.offer.service import Service

Enter = Callable[[str], FlaskClient]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
def services(app: Any) -> None:
    with transaction():
        for n, (minutes, price) in enumerate(
            [(60, Money(99900, "INR")), (30, Money(100, "INR")), (45, Money(5050, "EUR"))]
        ):
            session.add(Service(name=f"=S{n}", slug=f"s{n}", minutes=minutes, price=price))


def people(*names: str) -> None:
    with transaction():
        session.add_all([Person(name=f"{name}{name}", email=f"{name}@example.com", notes="") for name in names])


def foot(page: str) -> list[str]:
    found = re.search(r"<tfoot.*?</tfoot>", page, re.DOTALL)
    return [each for each in re.sub(r"<[^>]+>", "\n", found[0]).split("\n") if each.strip()] if found else []


def shown(page: str) -> list[str]:
    return [each[0] for each in re.findall(r'rowheader"[^>]*><a href="[^"]+">([^<]+)<', page)]


def link(page: str, rel: str) -> str:
    (found,) = re.findall(rf'<a href="([^"]+)" rel="{rel}"', page)
    return str(found).replace("&amp;", "&")


def cells(body: bytes, page: int = 1) -> list[list[tuple[str, str]]]:
    """Each cell's kind and what is in it, as a spreadsheet reads them."""
    with zipfile.ZipFile(BytesIO(body)) as book:
        root = ET.fromstring(book.read(f"xl/worksheets/sheet{page}.xml"))
    return [[(each.get("t", "n"), "".join(each.itertext())) for each in row] for row in root.iter(f"{MAIN}row")]


# --- sums -------------------------------------------------------------------------------------------------------------


def test_the_sums_are_of_the_whole_list_and_of_each_currency(services: None, enter: Enter) -> None:
    dina = enter("dina")
    whole = ["Total", "135", "€50.50", "₹1,000.00", "3"]
    assert foot(dina.get("/desk/service/").text) == whole
    assert foot(dina.get("/desk/service/?size=1&page=2").text) == whole
    assert foot(dina.get("/desk/service/?size=1&q=s1").text) == []
    assert foot(dina.get("/desk/service/?size=1&w=minutes:from:45&cols=name,price").text) == [
        "Total",
        "€50.50",
        "₹999.00",
    ]


def test_a_sum_of_years_or_rates_is_no_sum(services: None, enter: Enter) -> None:
    assert foot(enter("dina").get("/desk/service/?cols=name,tax_rate,deposit_percent").text) == []


def test_beyond_what_is_counted_the_list_says_so_and_counts_when_asked(
    services: None, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "COUNT_LIMIT", 2)
    page = enter("dina").get("/desk/service/?size=1").text
    assert ("more than 2" in page, foot(page)) == (True, [])
    asked = re.search(r'href="([^"]+)">Count and total all', page)
    assert asked
    page = enter("dina").get(asked[1].replace("&amp;", "&")).text
    assert ("more than" in page, len(foot(page))) == (False, 5)


# --- workbooks --------------------------------------------------------------------------------------------------------


def test_a_workbook_has_numbers_days_and_no_formulas(services: None, enter: Enter) -> None:
    answer = enter("dina").get("/desk/service/export.xlsx?cols=name,price,minutes,tax_included&order=id")
    assert answer.mimetype == export.XLSX
    assert cells(answer.data)[:2] == [
        [
            ("inlineStr", "Name"),
            ("inlineStr", "Price"),
            ("inlineStr", "Duration (min)"),
            ("inlineStr", "Price includes tax"),
        ],
        [("inlineStr", "=S0"), ("n", "999"), ("n", "60"), ("b", "1")],
    ]
    with zipfile.ZipFile(BytesIO(answer.data)) as book:
        styles = book.read("xl/styles.xml").decode()
    assert "&quot;₹&quot;#,##0.00" in styles
    assert "&quot;€&quot;#,##0.00" in styles


def test_a_workbook_is_of_the_readers_own_rows_in_the_time_of_the_house(
    enter: Enter, open_slot: Any, asha: Any, dev: Any
) -> None:
    mine = open_slot(of=asha)
    open_slot(of=dev)
    head, *rows = cells(enter("asha").get("/desk/slot/export.xlsx?cols=starts_at,practitioner&w=seats:is:1").data)
    assert head[0][1] == "Starts at (Asia/Kolkata)"
    assert [row[1][1] for row in rows] == ["Asha Rao"]
    days = mine.starts_at.timestamp() / 86400 + 25569 + 5.5 / 24
    assert abs(float(rows[0][0][1]) - days) < 1e-6
    assert enter("asha").get("/desk/job/export.xlsx").status_code == 403


def test_a_workbook_that_would_not_end_is_refused_in_words(
    services: None, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MOST_ROWS", 2)
    answer = enter("dina").get("/desk/service/export.xlsx")
    assert answer.status_code == 409
    assert "export it as CSV" in answer.text


# --- pages ------------------------------------------------------------------------------------------------------------


def walk(desk: FlaskClient, address: str) -> list[str]:
    """Every row, page after page, by the links alone."""
    found: list[str] = []
    for _ in range(12):
        page = desk.get(address).text
        found += shown(page)
        if 'rel="next"' not in page:
            return found
        address = link(page, "next")
    raise AssertionError


@pytest.mark.parametrize(
    "order", ["name", "-name", "id", "-id", "notes", "-notes", "email", "created_at", "-created_at", "state"]
)
def test_every_order_shows_every_row_once(app: Any, enter: Enter, order: str) -> None:
    people(*"abcde")
    found = walk(enter("dina"), f"/desk/person/?size=2&order={order}&cols=name")
    assert sorted(found) == [*"abcde"]


def test_where_nothing_stands_is_passed_through_too(enter: Enter, open_slot: Any, dev: Any) -> None:
    first, second, third, *_ = [open_slot(hours=24 * n, seats=n) for n in range(1, 6)]
    with transaction():
        for each in (first, third):
            each.partner_id = dev.id
    for order in ("partner", "-partner"):
        page, found = (
            f"/desk/slot/?size=1&cols=seats,partner&order={order}",
            walk(enter("dina"), f"/desk/slot/?size=1&cols=seats,partner&order={order}"),
        )
        assert sorted(found) == ["1", "2", "3", "4", "5"], page
    assert second.partner_id is None


def test_rows_that_arrive_meanwhile_are_neither_shown_twice_nor_passed_over(app: Any, enter: Enter) -> None:
    people(*"abcdefg")
    dina = enter("dina")
    page = dina.get("/desk/person/?size=2&order=-id&cols=name").text
    assert shown(page) == ["g", "f"]
    people("h", "i", "j")
    page = dina.get(link(page, "next")).text
    assert shown(page) == ["e", "d"]
    page = dina.get(link(page, "next")).text
    assert (shown(page), ">3</span>" in page) == (["c", "b"], True)
    assert shown(dina.get(link(page, "prev")).text) == ["e", "d"]


def test_a_place_that_is_none_is_a_clear_no(app: Any, enter: Enter) -> None:
    for order, after in (
        ("id", "x"),
        ("created_at", "1:yesterday"),
        ("created_at", "1:2026-01-01"),
        ("id", "9" * 12),
        ("name", "-1:x"),
    ):
        answer = enter("dina").get(f"/desk/person/?order={order}&after={after}")
        assert answer.status_code == 400
        assert "This page of the list isn’t valid" in answer.text
