"""Tests of the desk's home page: today's work, figures of four weeks against the four before, and charts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.desk.declare.chart import Chart, Figure
from app.desk.declare.report import NoParameters, Report
from app.kernel import clock
from app.money.bills.bill import ByHand
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]
Hold = Callable[..., Booking]
OpenSlot = Callable[..., Slot]


def told(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<.*?>", " ", page))


def test_a_figure_stands_beside_the_same_of_the_weeks_before(hold: Hold, open_slot: OpenSlot, enter: Enter) -> None:
    with clock.frozen_at(clock.now() - timedelta(days=30)):
        hold(open_slot()).mark_paid(ByHand("cash", "R-0"))
    for nth in 1, 2:
        hold(open_slot(hours=24 + nth)).mark_paid(ByHand("cash", f"R-{nth}"))
    page = told(enter("dina").get("/desk/figures?part=1").text)
    assert "Invoiced for bookings ₹1,998.00 +100% vs previous 28 days" in page
    assert "Bookings made 2 +100%" in page


def test_figures_are_for_whoever_may_read_their_report(
    hold: Hold, open_slot: OpenSlot, dev: Practitioner, enter: Enter, client: FlaskClient
) -> None:
    hers, his = hold(open_slot(hours=2)), hold(open_slot(hours=2, of=dev), name="Kabir Shah", email="kabir@example.com")
    for booking in hers, his:
        booking.mark_paid(ByHand("cash", booking.number))
    today = enter("asha").get("/desk/figures?part=1").text
    assert "Invoiced" not in today
    assert "Kabir" not in today
    if clock.day_of(hers.slot.starts_at) == clock.today():  # unless that is tomorrow
        assert "Meera Iyer" in today
        assert "Kabir Shah" in enter("dina").get("/desk/figures").text
    assert "Invoiced" not in enter("nobody").get("/desk/figures").text
    assert client.get("/desk/figures").status_code == 302
    assert "data-late" in enter("asha").get("/desk/").text
    assert "data-late" not in enter("nobody").get("/desk/").text


def test_a_report_is_drawn_above_its_table(hold: Hold, open_slot: OpenSlot, enter: Enter) -> None:
    hold(open_slot()).mark_paid(ByHand("cash", "R-1"))
    page = enter("dina").get("/desk/reports/lead_time/").text
    bars = re.search(r'<table class="bars">.*?</table>', page, re.DOTALL)
    assert bars
    assert told(bars[0]).split() == ["Bookings", "by", "service", "First", "consultation", "1"]
    assert 'width="100.0"' in bars[0]


def report(**more: Any) -> Report:
    columns = {"week": "day", "total": "money", "came": "number", "missed": "number"}
    return Report("made_up", columns=columns, rows=lambda asked: (), roles="Desk", note="", **more)


def test_a_week_without_anything_is_drawn_too_and_only_the_house_has_a_height() -> None:
    chart, monday = Chart("week", "total"), date(2026, 11, 2)
    sums: dict[Any, int] = {}
    for weeks, money in (
        (0, Money(10000, "INR")),
        (1, Money(5000, "INR")),
        (3, Money(-20000, "INR")),
        (3, Money(99, "USD")),
    ):
        chart.add_row({"week": monday + timedelta(weeks=weeks), "total": money}, sums)
    points = chart.points(report(chart=chart), sums)
    assert [(each.label, each.part, each.below) for each in points] == [
        ("2 Nov 2026", 0.5, False),
        ("9 Nov 2026", 0.25, False),
        ("16 Nov 2026", 0.0, False),
        ("23 Nov 2026", 1.0, True),
    ]
    assert points[3].display == "-₹200.00"


def test_a_share_is_of_all_rows_together_and_of_nothing_there_is_none() -> None:
    share = Figure("missed / came missed", "No-show rate")
    assert share.of_rows([{"came": 3, "missed": 1}, {"came": 4, "missed": 0}]) == 1250
    assert share.of_rows([]) is None
    assert Figure("came", "Came").of_rows([]) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"chart": Chart("month", "total")}, {"figure": Figure("went", "Went")}, {"figure": Figure("came", "Came")}],
)
def test_what_cannot_be_drawn_or_counted_does_not_load(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        report(asks=NoParameters, **wrong)
