"""Tests of report files: Excel workbooks with totals, and PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from pypdf import PdfReader

from app.desk.declare.chart import Chart
from app.desk.declare.report import Report, Row, Verdict
from app.desk.lists import export
from app.desk.reports import pdf
from app.desk.reports.file import report_pdf, report_workbook
from app.kernel.errors import Refused
from app.kernel.workflow import asked
from app.money.sums.amount import Money
from tests.desk.test_sheets import cells

WORDS = (
    "A long explanation that has to be broken into several lines, "
    "because no page is as wide as what somebody has written into it. "
)


@dataclass(frozen=True)
class Since:
    since: date = asked("From", default=date(2026, 11, 1))
    which: str = asked("Which", default="all", among=lambda: {"all": "All of them", "some": "Some of them"})


def report(rows: Callable[[Any], Any], **more: Any) -> Report:
    columns = {"day": "day", "who": "text", "what": "text", "rate": "rate", "money": "money"}
    return Report(
        "trial", asks=Since, columns=columns, rows=rows, total="money", roles="Auditor", note="A note.", **more
    )


def some(count: int, what: str = "Tea") -> Callable[[Any], Iterator[Row]]:
    def rows(_: Any) -> Iterator[Row]:
        for n in range(count):
            yield {
                "day": date(2026, 11, 1 + n % 28),
                "who": "आशा राव",
                "what": what,
                "rate": 1250,
                "money": Money(100 + n, "INR" if n % 2 == 0 else "EUR"),
            }

    return rows


def pages(drawn: bytes) -> list[Any]:
    return [*PdfReader(BytesIO(drawn)).pages]


def words(drawn: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pages(drawn)).split())


@pytest.fixture(autouse=True)
def house(app: Flask) -> None:
    """An empty one."""


def test_the_paper_says_what_was_asked_and_sums_each_currency() -> None:
    trial = report(some(5), verdict=lambda _: Verdict(False, "It does not come out."))
    told = words(report_pdf(trial, trial.parse({"which": "some"})))
    for each in (
        "Trial",
        "A note.",
        "Asha & Dev",
        "From 1 Nov 2026",
        "Which Some of them",
        "It does not come out.",
        "12.5%",
        "₹1.04",
    ):
        assert each in told
    assert "Total EUR €2.04" in told
    assert "Total INR ₹3.06" in told
    assert "Page 1 of 1" in told
    assert "Created on" in told


def test_names_in_devanagari_and_the_rupee_sign_are_drawn() -> None:
    trial = report(some(3))
    told = words(report_pdf(trial, trial.parse({})))
    assert "आशा राव" in told
    assert "?" not in told


def test_a_wide_table_lies_across_and_its_words_are_broken() -> None:
    narrow, wide = report(some(3)), report(some(3, WORDS))
    assert pages(report_pdf(narrow, narrow.parse({})))[0].mediabox.width < 600
    drawn = report_pdf(wide, wide.parse({}))
    assert pages(drawn)[0].mediabox.width > 800
    assert words(drawn).count("somebody has written into it.") == 3, "nothing is cut off"


def test_thousands_of_rows_are_bounded_and_the_paper_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_ROWS", 100)
    trial = report(some(1000))
    drawn = report_pdf(trial, trial.parse({}))
    told = words(drawn)
    assert "Showing the first 100 of 1,000 rows. Totals include all rows" in told
    assert f"Page 1 of {len(pages(drawn))}" in told
    assert "₹2,995.00" in told, "the sum is over what is not printed too"
    assert told.count("Who What Rate Money") == len(pages(drawn)), "the heads come again on each page"


def test_a_chart_is_drawn_and_not_pasted() -> None:
    for shape in ("columns", "bars"):
        trial = report(some(20), chart=Chart("day" if shape == "columns" else "what", "money", shape))
        (page, *_) = pages(report_pdf(trial, trial.parse({})))
        told = page.get_contents().get_data()
        assert "Money by" in page.extract_text()
        assert told.count(b" re f") > (12 if shape == "columns" else 4)
        assert not page.images


def test_an_empty_report_is_a_paper_too() -> None:
    trial = report(some(0), empty="Nothing was sold.")
    assert "Nothing was sold." in words(report_pdf(trial, trial.parse({})))


def test_a_workbook_has_numbers_shares_days_and_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = report(some(2, "=1+1"))
    with report_workbook(trial, trial.parse({})) as file:
        body = file.read()
    table = cells(body)
    assert table[0] == [("inlineStr", each) for each in ("Day", "Who", "What", "Rate", "Money")]
    assert table[1][2:] == [("inlineStr", "=1+1"), ("n", "0.125"), ("n", "1")]
    assert [row[0][1] for row in table[3:]] == ["Total EUR", "Total INR"]
    assert [("inlineStr", "From"), ("inlineStr", "1 Nov 2026")] in cells(body, page=2)
    monkeypatch.setattr("app.desk.reports.file.MOST_ROWS", 1)
    monkeypatch.setattr(export, "MOST_ROWS", 1)
    with pytest.raises(Refused, match="export as CSV"):
        report_workbook(trial, trial.parse({}))
