"""Tests of bookings: one seat has one booking, before and after payment, at the same moment, and after a hold ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select, text

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.messages.message import Message
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.practitioner import Practitioner, Stretch
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PATIENCE

Hold = Callable[..., Booking]
OpenSlot = Callable[..., Slot]
WorkOff = Callable[[], int]


def free(service: Service, days: int = 30) -> list[int]:
    return [slot.id for slot, _ in Booking.free_slots(service, clock.now(), clock.ahead(days=days))]


def test_a_held_seat_is_gone_for_everybody_else(slot: Slot, hold: Hold, service: Service) -> None:
    hold(slot)
    assert free(service) == []
    with pytest.raises(Refused, match="just been taken"):
        hold(slot, name="Kabir Shah")


def test_a_hold_that_is_over_frees_the_seat_at_once_and_for_the_reader_too(
    slot: Slot, hold: Hold, service: Service, later: Any
) -> None:
    first = hold(slot)
    with later(minutes=16):
        assert free(service) == [slot.id]
        second = hold(slot, name="Kabir Shah")
        assert Booking.get(first.id).state == "expired"
        assert second.state == "held"


def test_the_clock_lapses_a_hold_that_nobody_else_wanted(slot: Slot, hold: Hold, later: Any, work_off: WorkOff) -> None:
    booking = hold(slot)
    with later(minutes=16):
        work_off()
    assert Booking.get(booking.id).state == "expired"


def test_the_database_itself_refuses_a_second_claim_on_a_seat(slot: Slot, hold: Hold, open_slot: OpenSlot) -> None:
    hold(slot)
    other = hold(open_slot(hours=60))
    with pytest.raises(Refused, match="just been taken"), transaction():
        other.slot_id, other.seat = slot.id, 1


def test_nobody_is_in_two_places_at_once(slot: Slot, hold: Hold, service: Service, asha: Practitioner) -> None:
    """Half an hour of the same practitioner, offered by another service, is not free either."""
    with transaction():
        short = Service(name="Follow-up", slug="short", minutes=30, price=service.price, notice_minutes=0)
        session.add(short)
        overlapping = Slot.starting_at(asha, short, slot.starts_at + timedelta(minutes=30))
        session.add(overlapping)
    assert free(short) == [overlapping.id]
    hold(slot)
    assert free(short) == []
    with pytest.raises(Refused, match="just been taken"):
        hold(overlapping, name="Kabir Shah")


def test_the_constraint_holds_where_the_check_is_switched_off(
    slot: Slot, hold: Hold, service: Service, asha: Practitioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        overlapping = Slot.starting_at(asha, service, slot.starts_at + timedelta(minutes=30))
        session.add(overlapping)
    hold(slot)
    monkeypatch.setattr(Booking, "take_seat", classmethod(lambda cls, slot, besides=None: 1))
    for again in (slot, overlapping):
        with pytest.raises(Refused, match="just been taken"):
            Booking.hold(again, MEERA | {"name": "Kabir Shah"}, {})


def test_a_group_session_has_as_many_seats_as_it_says(open_slot: OpenSlot, hold: Hold, service: Service) -> None:
    group = open_slot(seats=3)
    seats = [hold(group, name=f"Person {n}").seat for n in range(3)]
    assert seats == [1, 2, 3]
    with pytest.raises(Refused):
        hold(group, name="Person 4")
    Booking.get(2).cancel(CallOff("Ill"))
    assert hold(group, name="Person 5").seat == 2


@pytest.mark.parametrize(("hours", "words"), [(-2, "too soon"), (24 * 90, "too far ahead")])
def test_times_outside_the_window_are_refused(open_slot: OpenSlot, hold: Hold, hours: float, words: str) -> None:
    with pytest.raises(Refused, match=words):
        hold(open_slot(hours=hours))


def test_a_closed_slot_is_not_offered(slot: Slot, hold: Hold, service: Service) -> None:
    slot.close()
    assert free(service) == []
    with pytest.raises(Refused, match="no longer available"):
        hold(slot)


def test_the_price_is_the_one_that_was_promised(slot: Slot, hold: Hold, service: Service) -> None:
    booking = hold(slot)
    with transaction():
        service.price = service.price + service.price
    assert str(Booking.get(booking.id).price) == "₹999.00"


def test_a_free_service_needs_no_gateway(slot: Slot, hold: Hold, service: Service) -> None:
    with transaction():
        service.price = service.price - service.price
    booking = hold(slot)
    assert (booking.state, booking.bill) == ("confirmed", None)


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"birth_date": "2999-01-01"}, "birth_date"),
        ({"birth_date": "0001-01-01"}, "birth_date"),
        ({"birth_date": "soon"}, "birth_date"),
        ({"birth_time": "25:00"}, "birth_time"),
        ({"birth_place": "x" * 200}, "birth_place"),
        ({"price": "1"}, "price"),
    ],
)
def test_bad_answers_name_their_field_and_hold_nothing(
    slot: Slot, service: Service, answers: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as no:
        Booking.hold(slot, MEERA, answers)
    assert no.value.fields.keys() == {field}
    session.rollback()
    assert free(service) == [slot.id]


def test_confirmation_and_reminder_are_owed_with_the_change_and_sent_once(
    slot: Slot, hold: Hold, work_off: WorkOff, later: Any, sandbox: str
) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    hold(slot).mark_paid(ByHand("cash", "receipt 7"))
    work_off()
    work_off()
    with later(hours=25):
        work_off()
        work_off()
    subjects = [each["subject"] for each in requests.get(f"{sandbox}/mail.json?to=meera", timeout=PATIENCE).json()]
    assert sum(each.startswith("Confirmed") for each in subjects) == 1
    assert sum(each.startswith("Reminder: ") for each in subjects) == 1


def test_a_reminder_is_never_sent_for_a_cancelled_booking_nor_at_once_when_its_time_is_over(
    slot: Slot, open_slot: OpenSlot, hold: Hold, work_off: WorkOff, later: Any
) -> None:
    booking, soon = hold(slot), hold(open_slot(hours=5), name="Kabir Shah")
    booking.mark_paid(ByHand("cash", "x"))
    soon.mark_paid(ByHand("cash", "x"))
    booking.cancel(CallOff("Ill"))
    with later(hours=25):
        work_off()
    reminders = session.scalars(select(Message).where(Message.template == "bookings/reminder")).all()
    assert [(each.row_id, each.state) for each in reminders] == [(booking.id, "dropped")]


def test_the_same_message_keeps_its_id_when_it_is_sent_again(
    slot: Slot, hold: Hold, work_off: WorkOff, sandbox: str
) -> None:
    hold(slot)
    message = session.scalars(select(Message)).one()
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    for _ in range(2):  # killed between the mail and the mark
        work_off()
        with db.engine().begin() as connection:
            connection.execute(text("update message set state = 'waiting'"))
            connection.execute(text("update job set state = 'waiting' where name = 'messages.message.send'"))
    ids = [each["message_id"] for each in requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json()]
    assert len(ids) == 2
    assert set(ids) == {f"<message-{message.id}@frontdesk.example>"}


def test_a_mail_server_that_is_away_holds_up_no_booking(slot: Slot, hold: Hold, app: Flask, work_off: WorkOff) -> None:
    mail = app.extensions["mail"]
    port, mail.port = mail.port, 1
    try:
        booking = hold(slot)
        booking.mark_paid(ByHand("cash", "x"))
        work_off()
    finally:
        mail.port = port
    assert Booking.get(booking.id).state == "confirmed"
    assert session.scalar(select(func.count()).select_from(Message).where(Message.state == "sent")) == 0


def test_a_name_cannot_smuggle_a_header_into_a_mail(slot: Slot, hold: Hold, work_off: WorkOff, sandbox: str) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    hold(slot, name="Meera\r\nBcc: all@example.com").mark_paid(ByHand("cash", "x"))
    work_off()
    letters = requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json()
    assert letters
    assert {each["to"] for each in letters} == {"meera@example.com", "hello@frontdesk.example"}


# --- opening hours ----------------------------------------------------------------------------------------------------


def test_opening_hours_makes_slots_in_the_practitioners_own_zone(asha: Practitioner, service: Service) -> None:
    day = (clock.ahead(days=7)).date()
    day += timedelta(days=(7 - day.weekday()) % 7)  # a Monday
    asha.open_hours(Stretch("first", day, day, time(9), time(12)))
    asha.open_hours(Stretch("first", day, day, time(9), time(12)))  # twice is once
    starts = [slot.starts_at.isoformat() for slot, _ in Booking.free_slots(service, clock.now(), clock.ahead(days=30))]
    assert starts == [f"{day}T{hour}:30:00+00:00" for hour in ("03", "04", "05")]


@pytest.mark.parametrize(
    ("zone", "day", "slots"),
    [("Europe/Berlin", "2027-03-28", 23), ("Europe/Berlin", "2027-10-31", 25), ("Asia/Kolkata", "2027-03-28", 24)],
)
def test_a_day_has_as_many_hours_as_it_really_has(
    asha: Practitioner, service: Service, zone: str, day: str, slots: int
) -> None:
    asha.timezone, here = zone, date.fromisoformat(day)
    with clock.frozen_at(datetime.combine(here - timedelta(days=9), time(), UTC)):
        made = list(asha._starts_on(here, service, Stretch("first", here, here, time(0), time(23, 59, 59))))
    assert len(made) == slots - 1  # the last hour of the day ends after 23:59:59


# --- the crowd --------------------------------------------------------------------------------------------------------


def test_two_hundred_at_once_get_one_seat_between_them(open_slot: OpenSlot, web: str) -> None:
    slot = open_slot()
    session.rollback()

    def ask(n: int) -> requests.Response:
        body = {
            "slot": slot.id,
            "name": f"Person {n}",
            "email": f"p{n}@example.com",
            "phone": "",
            "tz": "Asia/Kolkata",
            "answers": {},
        }
        return requests.post(f"{web}/api/bookings", json=body, timeout=60)

    with ThreadPoolExecutor(200) as crowd:
        answers = list(crowd.map(ask, range(200)))
    assert Counter(each.status_code for each in answers) == {201: 1, 409: 199}
    assert {each.json()["error"]["message"] for each in answers if each.status_code == 409} == {
        "This time has just been taken. Please choose another one."
    }


def test_without_lock_and_constraint_the_crowd_would_break_it(
    open_slot: OpenSlot, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is real: with both switched off, several get the same seat. So the test above can see it."""
    slot = open_slot()
    monkeypatch.setattr(Slot, "lock", lambda self: self)
    with db.engine().begin() as connection:
        connection.execute(text("drop index booking_one_per_seat"))
    try:

        def ask(n: int) -> bool:
            with app.app_context():
                try:
                    Booking.hold(Slot.get(slot.id), MEERA | {"name": f"Person {n}"}, {})
                except Refused:
                    return False
                finally:
                    session.remove()
                return True

        with ThreadPoolExecutor(8) as crowd:
            assert sum(crowd.map(ask, range(8))) > 1
    finally:
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text("truncate booking cascade"))
            connection.execute(
                text(
                    "create unique index booking_one_per_seat on booking (slot_id, seat) "
                    "where state in ('held', 'requested', 'confirmed', 'completed', 'no_show')"
                )
            )


def test_nobody_else_can_let_go_of_a_hold(client: Any, slot: Slot, sandbox: str) -> None:
    body = {"slot": slot.id, "name": "Meera Iyer", "email": "meera@example.com"}
    held = client.post("/api/bookings", json=body, headers={"Idempotency-Key": "1"}).get_json()
    for once in ("1", "api:1", "site:1"):
        client.post(
            f"/book/first/{slot.id}",
            data={"once": once, "name": "Mallory", "email": "m@example.com", "timezone": "UTC"},
        )
    assert client.get(f"/api/bookings/{held['token']}").get_json()["state"] == "held"


def test_a_confirmation_that_was_delayed_is_not_sent_after_a_cancellation(
    slot: Slot, hold: Hold, work_off: WorkOff
) -> None:
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "x"))
    booking.cancel(CallOff("Ill"))
    work_off()
    told = {each.template: each.state for each in session.scalars(select(Message))}
    assert (told["bookings/confirmed"], told["bookings/cancelled"]) == ("dropped", "sent")
