"""Browser tests of late payment, rescheduling across a clock change, and the waiting list, with real servers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import requests
from icalendar import Calendar
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kernel import clock
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PATIENCE
from tests.stories.test_the_walk import choose_a_time, fill_in, pay, wait_for_mail

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("working")]

Visit = Callable[..., Page]
ROME = ZoneInfo("Europe/Rome")


def test_money_that_comes_late_still_takes_the_time_that_is_free(
    visit: Visit, web: str, sandbox: str, slot: Slot
) -> None:
    page = visit()
    choose_a_time(page, web)
    fill_in(page)
    page.get_by_role("button", name=re.compile("Pay ₹999.00")).click()
    expect(page.get_by_role("button", name=re.compile("Pay INR"))).to_be_visible()
    booking = session.get(Booking, 1)
    assert booking
    with transaction():
        booking.hold_expires_at = clock.ahead(minutes=-1)
    booking.lapse()
    page.get_by_role("button", name=re.compile("Pay INR")).click()
    expect(page.locator("main")).to_contain_text("Your booking is confirmed")
    assert session.scalars(select(Change.verb).where(Change.noun == "booking", Change.verb == "confirm_late")).all()


def the_night_clocks_change() -> date:
    """The next one in Rome on which an hour is left out."""
    day = clock.today() + timedelta(days=2)
    while _noon(day).utcoffset() >= _noon(day + timedelta(days=1)).utcoffset():  # type: ignore[operator]
        day += timedelta(days=1)
    return day


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), ROME)


@pytest.mark.usefixtures("on_each_edge")
def test_nine_oclock_stays_nine_oclock_when_a_booking_moves_into_summer(
    visit: Visit, web: str, sandbox: str, service: Service, asha: Practitioner
) -> None:
    """Page, JSON, invitation, email and database mean the same instant."""
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    night = the_night_clocks_change()
    winter, summer = (datetime.combine(night + timedelta(days=n), time(9), ROME).astimezone(UTC) for n in (-1, 2))
    with transaction():
        asha.timezone, service.days_ahead = "Europe/Rome", 400  # the next such night can be a year away
        slots = [Slot.starting_at(asha, service, each) for each in (winter, summer)]
        session.add_all(slots)
    booking = Booking.hold(slots[0], MEERA | {"timezone": "Europe/Rome"}, {})
    booking.mark_paid(ByHand("cash", "R-1"))
    page = visit()
    page.goto(f"{web}/booking/{booking.token}")
    expect(page.get_by_role("link", name="Reschedule")).to_be_visible()
    page.goto(f"{web}/booking/{booking.token}/move?day={night + timedelta(days=2)}&tz=Europe/Rome")
    page.get_by_role("link", name=re.compile("09:00")).click()
    page.get_by_role("button", name="Reschedule booking").click()
    expect(page.locator("main")).to_contain_text("09:00 – 10:00 CEST")
    told = requests.get(f"{web}/api/bookings/{booking.token}", timeout=PATIENCE).json()
    assert datetime.fromisoformat(told["slot"]["starts_at"]) == summer
    assert told["slot"]["starts_at"].endswith("T09:00:00+02:00")
    (event,) = Calendar.from_ical(
        requests.get(f"{web}/booking/{booking.token}/calendar.ics", timeout=PATIENCE).text
    ).walk("VEVENT")
    assert event["DTSTART"].dt.astimezone(UTC) == summer
    session.expire_all()
    assert Booking.get(booking.id).slot.starts_at == summer
    wait_for_mail(page, sandbox, "New time")
    (letter,) = (
        each
        for each in requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json()
        if each["subject"].startswith("New time")
    )
    assert "09:00 CEST" in letter["subject"]


def test_what_comes_free_is_offered_kept_and_taken(
    visit: Visit, web: str, sandbox: str, slot: Slot, hold: Callable[..., Booking]
) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    booking = hold(slot)
    page = visit(width=390)
    page.goto(f"{web}/book/first")
    page.get_by_role("link", name="Join the waiting list").click()
    page.get_by_label("Name", exact=True).fill("Kabir Shah")
    page.get_by_label("Email").fill("kabir@example.com")
    page.get_by_role("button", name="Join waiting list").click()
    expect(page.locator("main")).to_contain_text("You’re next.")
    booking.cancel(CallOff("Ill."))
    wait_for_mail(page, sandbox, "A time is reserved for you")
    waiting = session.scalars(select(Waiting)).one()
    page.goto(f"{web}/waiting/{waiting.token}")
    page.get_by_role("link", name="Book this time").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Kabir Shah")
    page.get_by_role("button", name="Continue to payment").click()
    pay(page)
    expect(page.locator("main")).to_contain_text("Your booking is confirmed")
