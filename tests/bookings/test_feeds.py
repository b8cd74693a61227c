"""Tests of calendar files (iCal): in emails, on the page of a booking, and in the feed of a practitioner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from icalendar import Calendar

from app.kernel.access import signature
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff, NewTime
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE


@pytest.fixture
def paid(open_slot: Callable[..., Slot], hold: Callable[..., Booking]) -> Callable[..., Booking]:
    def paid(hours: float = 48) -> Booking:
        booking = hold(open_slot(hours=hours))
        booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    return paid


def event(content: bytes) -> Any:
    (found,) = Calendar.from_ical(content).walk("VEVENT")
    return found


def test_each_email_that_changes_the_time_changes_the_calendar(
    paid: Any, open_slot: Any, work_off: Any, sandbox: str
) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    booking, new = paid(), open_slot(hours=96)
    work_off()
    Booking.get(booking.id).reschedule(NewTime(new.id))
    work_off()
    Booking.get(booking.id).cancel(CallOff("Ill"))
    work_off()
    letters = [
        each
        for each in requests.get(f"{sandbox}/mail.json?to=meera", timeout=PATIENCE).json()
        if "booking.ics" in each["attachments"]
    ]
    sent = [
        requests.get(
            f"{sandbox}/mail/{each['id']}/{each['attachments'].index('booking.ics')}", timeout=PATIENCE
        ).content
        for each in reversed(letters)
    ]
    raw = requests.get(f"{sandbox}/mail/{letters[0]['id']}.eml", timeout=PATIENCE).text
    assert [str(Calendar.from_ical(each)["METHOD"]) for each in sent] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [event(each)["SEQUENCE"] for each in sent] == [0, 1, 2]
    assert len({event(each)["UID"] for each in sent}) == 1
    assert [event(each).start for each in sent] == [booking.slot.starts_at, new.starts_at, new.starts_at]
    assert "method=CANCEL" in raw


def test_a_booking_has_a_file_at_its_own_link_and_nobody_elses(paid: Any, client: Any) -> None:
    booking = paid()
    answer = client.get(f"/booking/{booking.token}/calendar.ics")
    assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
    assert event(answer.data).start == booking.slot.starts_at
    assert "calendar.ics" in client.get(f"/booking/{booking.token}").text
    assert client.get(f"/booking/{booking.token[1:]}x/calendar.ics").status_code == 404


def test_a_feed_shows_whom_they_meet_and_nothing_that_was_confided(
    open_slot: Any, asha: Practitioner, dev: Practitioner, client: Any
) -> None:
    who = {"name": "Meera Iyer", "email": "meera@example.com", "phone": "+919845012345", "timezone": "Asia/Kolkata"}
    held = Booking.hold(open_slot(), who, {"birth_place": "Mysuru"})
    answer = client.get(f"/calendar/{asha.token}.ics")
    entry = event(answer.data)
    assert ("Meera Iyer" in entry["SUMMARY"], entry["STATUS"], entry.start) == (True, "TENTATIVE", held.slot.starts_at)
    for private in ("Mysuru", "meera@example.com", "9845012345", held.token):
        assert private not in answer.text
    assert (
        client.get(f"/calendar/{asha.token}.ics", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    )
    assert not Calendar.from_ical(client.get(f"/calendar/{dev.token}.ics").data).walk("VEVENT")


def test_a_feed_is_read_in_as_many_questions_for_many_bookings_as_for_one(
    paid: Any, asha: Practitioner, client: Any, count_queries: Any
) -> None:
    paid()
    one = count_queries(lambda: client.get(f"/calendar/{asha.token}.ics"))
    for hours in (60, 72, 84):
        paid(hours=hours)
    assert count_queries(lambda: client.get(f"/calendar/{asha.token}.ics")) == one


def test_a_new_calendar_link_ends_the_old_one(asha: Practitioner, client: Any, by: Any) -> None:
    old = asha.token
    with by("dina"):
        asha.renew_link()
    assert client.get(f"/calendar/{old}.ics").status_code == 404
    assert client.get(f"/calendar/{asha.token}.ics").status_code == 200
    assert client.get(f"/calendar/{asha.handle}{signature(f'booking:{asha.handle}')}.ics").status_code == 404
