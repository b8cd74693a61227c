"""Tests of meetings: requested once, never waited for, and replaced by a fallback when the provider fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.calendars import place
from app.calendars.jitsi import Jitsi
from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.messages.message import Message
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff, NewTime
from app.packs.bookings.booking.meeting import Link, Meeting
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE

Paid = Callable[..., Booking]
Plan = Callable[..., None]


@pytest.fixture
def paid(open_slot: Callable[..., Slot], hold: Callable[..., Booking]) -> Paid:
    def paid(hours: float = 48, slot: Slot | None = None, **who: str) -> Booking:
        booking = hold(slot or open_slot(hours=hours), **who)
        booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    return paid


@pytest.fixture
def google(sandbox: str, asha: Practitioner) -> str:
    """Asha meets people by Google."""
    with transaction():
        asha.meets_by = "google"
    return f"{sandbox}/google"


@pytest.fixture
def plan(google: str) -> Plan:
    def plan(fault: str, **how: Any) -> None:
        assert requests.post(f"{google}/faults", json={"fault": fault, **how}, timeout=PATIENCE).ok

    return plan


@pytest.fixture
def with_jitsi(app: Flask) -> Iterator[None]:
    before = [place.get_place(each) for each in ("google", "room", "in_person")]
    place.configure(*before, Jitsi("https://meet.example.com/"))
    yield
    place.configure(*before)


def meeting_of(booking: Booking) -> Meeting:
    return session.scalars(
        select(Meeting).where(Meeting.booking_id == booking.id).order_by(Meeting.id.desc()),
        execution_options={"populate_existing": True},
    ).first()  # type: ignore[return-value]


def again(booking: Booking) -> Booking:
    """As it is now: each job ends the session that a test had open."""
    return Booking.get(booking.id)


def told(meeting: Meeting) -> int:
    return len(
        session.scalars(
            select(Message).where(Message.template == "bookings/meeting_failed", Message.row_id == meeting.id)
        ).all()
    )


def events(google: str, meeting: Meeting) -> list[dict[str, Any]]:
    id = meeting.external_id.rpartition("/")[2]
    return [each for each in requests.get(f"{google}/events.json", timeout=PATIENCE).json() if each["id"] == id]


def test_a_confirmation_never_waits_for_its_link(google: str, paid: Paid, work_off: Any) -> None:
    booking = paid()
    assert (booking.state, meeting_of(booking).state) == ("confirmed", "requested")
    work_off()
    meeting = meeting_of(booking)
    assert (meeting.state, meeting.join_url.partition("/sandbox/google/meet/")[1] != "") == ("ready", True)
    (event,) = events(google, meeting)
    assert event["start"]["dateTime"] == booking.slot.starts_at.isoformat().replace("+00:00", "Z")
    assert event["attendees"] == [
        {"email": "asha@example.com"}
    ]  # and never the customer's, who would have the link days before


def test_whatever_happens_on_the_way_it_is_one_meeting_with_one_link(
    google: str, plan: Plan, paid: Paid, work_off: Any, later: Any
) -> None:
    faults = ["reply_lost", "pending", "503", "429", "403_rate", "empty"]
    booked = [paid(hours=48 + n) for n in range(len(faults))]
    for fault in faults:
        plan(fault, path="POST /calendar")
    work_off()
    with later(seconds=10):
        work_off()
    for booking in booked:
        meeting = meeting_of(booking)
        assert (meeting.state, meeting.driver, meeting.trouble, told(meeting)) == ("ready", "google", "", 0)
        assert [each["hangoutLink"] for each in events(google, meeting)] == [meeting.join_url]


def test_the_same_meeting_moves_along_with_its_link(google: str, paid: Paid, open_slot: Any, work_off: Any) -> None:
    booking, new = paid(), open_slot(hours=96)
    work_off()
    before = meeting_of(booking)
    link, id = before.join_url, before.external_id
    again(booking).reschedule(NewTime(new.id))
    work_off()
    after = meeting_of(booking)
    assert (after.state, after.join_url, after.external_id, after.edition) == ("ready", link, id, 1)
    assert [each["start"]["dateTime"] for each in events(google, after)] == [
        new.starts_at.isoformat().replace("+00:00", "Z")
    ]


def test_a_booking_that_moves_while_google_is_asked_ends_at_its_new_time(
    google: str, paid: Paid, open_slot: Any, work_off: Any
) -> None:
    """Two responses may arrive in the wrong order: the one for an older time makes the meeting check again."""
    booking, new = paid(), open_slot(hours=96)
    meeting, asks = meeting_of(booking), place.get_place("google").make

    def moves_meanwhile(wanted: Any) -> Any:
        place.get_place("google").make = asks  # type: ignore[method-assign]
        booking.reschedule(NewTime(new.id))
        session.expire_all()
        return asks(wanted)

    place.get_place("google").make = moves_meanwhile  # type: ignore[method-assign]
    meeting.settle()
    work_off()
    after = meeting_of(booking)
    assert (after.state, after.edition) == ("ready", 1)
    assert events(google, after)[0]["start"]["dateTime"] == new.starts_at.isoformat().replace("+00:00", "Z")


def test_what_is_called_off_is_taken_off_the_calendar(google: str, paid: Paid, work_off: Any) -> None:
    booking = paid()
    work_off()
    again(booking).cancel(CallOff("Ill"))
    work_off()
    meeting = meeting_of(booking)
    assert (meeting.state, [each["status"] for each in events(google, meeting)]) == ("cancelled", ["cancelled"])
    meeting.settle()  # pressed twice
    assert again(booking).meeting is None


def test_what_somebody_took_off_the_calendar_by_hand_comes_back_with_the_next_move(
    google: str, paid: Paid, open_slot: Any, work_off: Any
) -> None:
    booking, new = paid(), open_slot(hours=96)
    work_off()
    meeting = meeting_of(booking)
    place.get_place("google").cancel(meeting.external_id)
    again(booking).reschedule(NewTime(new.id))
    work_off()
    assert (meeting_of(booking).state, [each["status"] for each in events(google, meeting)]) == ("ready", ["confirmed"])


def test_when_google_stays_away_there_is_another_room_and_staff_hear_of_it_once(
    google: str, plan: Plan, paid: Paid, work_off: Any, with_jitsi: None
) -> None:
    plan("503", times=10)
    booking, began = paid(), clock.now()
    for seconds in (0, 6, 30, 100):
        with clock.frozen_at(began + timedelta(seconds=seconds)):
            work_off()
    meeting = meeting_of(booking)
    assert (meeting.state, meeting.driver, booking.state) == ("ready", "jitsi", "confirmed")
    assert meeting.join_url.startswith("https://meet.example.com/")
    assert len(meeting.join_url.rpartition("/")[2]) == 32
    assert "503" in meeting.trouble
    assert told(meeting) == 1


def test_a_no_for_good_is_not_asked_again_and_the_own_room_stands_in(
    google: str, plan: Plan, paid: Paid, work_off: Any, asha: Practitioner
) -> None:
    with transaction():
        asha.room = "https://zoom.example/asha"
    plan("no_conference")
    booking = paid()
    work_off()
    meeting = meeting_of(booking)
    assert (meeting.state, meeting.driver, meeting.join_url) == ("ready", "room", "https://zoom.example/asha")
    assert "delegation" in meeting.trouble


def test_with_nothing_left_the_page_says_that_the_link_is_sent_and_staff_enter_one(
    google: str, plan: Plan, paid: Paid, work_off: Any, client: Any, by: Any
) -> None:
    plan("failing")
    booking = paid(hours=1)
    work_off()
    meeting = meeting_of(booking)
    assert (meeting.state, told(meeting)) == ("failed", 1)
    assert "We’ll send you the meeting link" in client.get(f"/booking/{booking.token}").text
    with by("dina"):
        with pytest.raises(Refused):
            meeting.enter(Link("javascript:alert(1)"))
        meeting.enter(Link("https://zoom.example/for-meera"))
    with clock.frozen_at(booking.slot.starts_at - timedelta(minutes=5)):
        assert "https://zoom.example/for-meera" in client.get(f"/booking/{booking.token}").text


def test_the_link_is_shown_from_a_quarter_of_an_hour_before_and_never_the_hosts(
    google: str, paid: Paid, work_off: Any, client: Any
) -> None:
    booking = paid()
    work_off()
    meeting = meeting_of(booking)
    for minutes, shown in ((-16, False), (-14, True), (30, True), (95, False)):
        with clock.frozen_at(booking.slot.starts_at + timedelta(minutes=minutes)):
            page, told = (
                client.get(f"/booking/{booking.token}").text,
                client.get(f"/api/bookings/{booking.token}").get_json(),
            )
        assert (meeting.join_url in page, bool(told["meeting"]["link"])) == (shown, shown)
        assert meeting.host_url not in page + str(told)


def test_those_who_share_a_time_share_the_room(google: str, paid: Paid, open_slot: Any, work_off: Any) -> None:
    slot = open_slot(seats=3)
    one, two = paid(slot=slot), paid(slot=slot, name="Kabir Shah", email="kabir@example.com")
    work_off()
    assert meeting_of(one).join_url == meeting_of(two).join_url
    again(one).cancel(CallOff("Ill"))
    work_off()
    assert [each["status"] for each in events(google, meeting_of(two))] == ["confirmed"]
    again(two).cancel(CallOff("Ill"))
    work_off()
    assert [each["status"] for each in events(google, meeting_of(two))] == ["cancelled"]


def test_in_person_there_is_an_address_from_the_start(paid: Paid, asha: Practitioner, client: Any) -> None:
    with transaction():
        asha.room = "12 Church Street, Bengaluru"
    booking = paid()
    assert meeting_of(booking).state == "ready"
    assert "12 Church Street" in client.get(f"/booking/{booking.token}").text


def test_with_another_practitioner_it_is_another_meeting(
    google: str, paid: Paid, open_slot: Any, dev: Practitioner, work_off: Any
) -> None:
    booking, new = paid(), open_slot(hours=96, of=dev)
    work_off()
    first = meeting_of(booking)
    again(booking).reschedule(NewTime(new.id))
    work_off()
    assert (meeting_of(booking).driver, meeting_of(booking).state) == ("in_person", "ready")
    assert [each["status"] for each in events(google, first)] == ["cancelled"]


def test_staff_can_try_the_link_before_a_customer_does(
    google: str, plan: Plan, asha: Practitioner, work_off: Any, by: Any
) -> None:
    def says() -> str:
        with by("dina"):
            Practitioner.get(asha.id).try_link()
        work_off()
        return Practitioner.get(asha.id).link_says

    assert "created a meeting link" in says()
    plan("no_conference")
    assert "domain-wide delegation" in says()
    with transaction():
        Practitioner.get(asha.id).meets_by = "jitsi"
    assert "not set up" in says()


def test_a_room_without_a_link_is_refused_in_the_form(asha: Practitioner, token: Any, client: Any) -> None:
    given = {"meets_by": "room", "room": "my house"}
    answer = client.put(f"/api/v1/practitioner/{asha.id}", json=given, headers=token("dina"))
    assert (answer.status_code, "https://" in answer.get_json()["error"]["fields"]["room"]) == (422, True)
