"""Tests of the calendar month: it opens at the first available time, whatever day it is today."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask.testing import FlaskClient

from app.kernel import clock
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

# The last evening of a month, of a year and of a February in the practice's time zone, and the same in UTC,
# which is the next morning there.
LAST_DAYS = [
    "2026-11-30T23:50+05:30",
    "2026-12-31T23:50+05:30",
    "2026-12-31T23:50+00:00",
    "2028-02-29T12:00+05:30",
    "2027-01-31T23:50+05:30",
]


@pytest.fixture(params=LAST_DAYS)
def last_day(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def days_to_choose(page: str) -> list[str]:
    return re.findall(r'href="[^"]*day=(\d{4}-\d\d-\d\d)', page)


def test_the_page_opens_at_the_first_free_time_whatever_month_it_is_in(
    last_day: str, client: FlaskClient, open_slot: Callable[..., Slot]
) -> None:
    with clock.frozen_at(datetime.fromisoformat(last_day)):
        slot = open_slot(hours=48)
        page = client.get("/book/first")
    assert page.status_code == 200
    assert f"{clock.day_of(slot.starts_at)}" in days_to_choose(page.text)
    assert "available time" in page.text


def test_a_month_that_was_asked_for_opens_even_if_nothing_is_free(
    client: FlaskClient, open_slot: Callable[..., Slot]
) -> None:
    with clock.frozen_at(datetime.fromisoformat(LAST_DAYS[0])):
        open_slot(hours=48)
        page = client.get("/book/first?month=2026-11")
        assert days_to_choose(page.text) == []
        assert "month=2026-12" in page.text


def test_a_month_in_the_middle_is_read_with_one_question(
    client: FlaskClient, open_slot: Callable[..., Slot], count_queries: Callable[..., int]
) -> None:
    with clock.frozen_at(datetime.fromisoformat("2026-11-11T09:00+05:30")):
        open_slot(hours=48)
        named = count_queries(lambda: client.get("/book/first?month=2026-11"))
        assert count_queries(lambda: client.get("/book/first")) == named


def test_the_times_of_one_practitioner_open_at_theirs(
    last_day: str, client: FlaskClient, open_slot: Callable[..., Slot], dev: object
) -> None:
    with clock.frozen_at(datetime.fromisoformat(last_day)):
        open_slot(hours=48)
        theirs = open_slot(hours=24 * 40, of=dev)
        page = client.get(f"/book/first?with={theirs.practitioner_id}")
    assert days_to_choose(page.text)[:1] == [f"{clock.day_of(theirs.starts_at)}"]


def test_where_nothing_is_free_the_page_stays_in_the_present_month(
    last_day: str, client: FlaskClient, service: Service
) -> None:
    with clock.frozen_at(datetime.fromisoformat(last_day)):
        page = client.get("/book/first")
    assert page.status_code == 200
    assert days_to_choose(page.text) == []
