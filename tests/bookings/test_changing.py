"""Tests of rescheduling, cancelling and approval: by the link, within the limits, with everything that follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.messages.message import Message
from app.messages.opt_in import OptIn
from app.money.bills.bill import ByHand
from app.money.sums.coupon import Coupon
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import NewTime
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA

pytestmark = pytest.mark.usefixtures("on_each_edge")

Hold = Callable[..., Booking]
OpenSlot = Callable[..., Slot]


@pytest.fixture
def paid(open_slot: OpenSlot, hold: Hold) -> Callable[..., Booking]:
    """Makes a confirmed booking: paid(hours=72)."""

    def paid(hours: float = 72, **who: str) -> Booking:
        booking = hold(open_slot(hours=hours), **who)
        booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    return paid


def said(booking: Booking, template: str) -> list[Message]:
    return [
        *session.scalars(
            select(Message).where(Message.template == template, Message.row_id == booking.id).order_by(Message.id)
        )
    ]


def test_number_link_and_payment_move_along_and_the_old_seat_is_free_at_once(
    paid: Callable[..., Booking], open_slot: OpenSlot, client: Any
) -> None:
    booking, new = paid(), open_slot(hours=96)
    old, number = booking.slot, booking.number
    page = client.get(f"/booking/{booking.token}/move?day={clock.day_of(new.starts_at)}")
    assert f"/booking/{booking.token}/move/{new.id}" in page.text
    assert client.post(f"/booking/{booking.token}/move/{new.id}").status_code == 303
    again = session.get(Booking, booking.id, populate_existing=True)
    assert again is not None
    assert (again.slot_id, again.number, again.state, again.edition) == (new.id, number, "confirmed", 1)
    assert [each.slot_id for each in again.presences] == [new.id]
    assert again.bills[0].state == "paid"
    assert old.id in [slot.id for slot, _ in Booking.free_slots(old.service, clock.now(), clock.ahead(days=30))]
    assert len(said(booking, "bookings/rescheduled")) == 1
    assert client.post(f"/booking/{booking.token}/move/{new.id}").status_code == 303  # pressed twice
    assert session.get(Booking, booking.id, populate_existing=True).edition == 1  # type: ignore[union-attr]


def test_a_time_that_is_gone_leaves_the_old_one_theirs(
    paid: Callable[..., Booking], open_slot: OpenSlot, hold: Hold, client: Any
) -> None:
    booking, new = paid(), open_slot(hours=96)
    hold(new, name="Kabir Shah")
    answer = client.post(f"/booking/{booking.token}/move/{new.id}", follow_redirects=True)
    assert "just been taken" in answer.text
    assert Booking.get(booking.id).slot_id == booking.slot_id
    assert session.scalars(select(Presence.slot_id).where(Presence.booking_id == booking.id)).all() == [booking.slot_id]


def test_there_and_back_again_has_its_reminder(
    paid: Callable[..., Booking], open_slot: OpenSlot, work_off: Any, sandbox: str
) -> None:
    booking, other = paid(), open_slot(hours=96)
    first = booking.slot
    booking.reschedule(NewTime(other.id))
    booking.reschedule(NewTime(first.id))
    with clock.frozen_at(first.starts_at - timedelta(hours=24)):
        work_off()
    assert [each.state for each in said(booking, "bookings/reminder")].count("sent") == 1


def test_a_reminder_is_never_for_the_old_time(
    paid: Callable[..., Booking], open_slot: OpenSlot, work_off: Any, sandbox: str
) -> None:
    booking, later = paid(hours=72), open_slot(hours=120)
    old = booking.slot.starts_at
    booking.reschedule(NewTime(later.id))
    with clock.frozen_at(old - timedelta(hours=23)):
        work_off()
    assert [each.state for each in said(booking, "bookings/reminder")] == ["dropped", "waiting"]


def test_the_rest_of_a_deposit_is_asked_for_once_before_the_new_time(
    open_slot: OpenSlot, hold: Hold, service: Service, work_off: Any, sandbox: str
) -> None:
    with transaction():
        service.deposit_percent = 50
    booking = hold(open_slot(hours=24 * 10))
    booking.mark_paid(ByHand("cash", "R-1"))
    booking.reschedule(NewTime(open_slot(hours=24 * 20).id))
    with clock.frozen_at(booking.slot.starts_at - timedelta(days=2)):
        work_off()
    asked = session.scalars(select(Message).where(Message.template == "money/pay_link").order_by(Message.due_at)).all()
    assert [each.state for each in asked] == ["dropped", "sent"]


def test_too_late_leads_to_the_practice_and_not_to_a_bare_no(
    paid: Callable[..., Booking], open_slot: OpenSlot, client: Any
) -> None:
    booking, new = paid(hours=20), open_slot(hours=96)
    for way in ("move", f"move/{new.id}", "call-off"):
        page = client.get(f"/booking/{booking.token}/{way}")
        assert (page.status_code, "mailto:" in page.text) == (409, True)
    assert client.post(f"/booking/{booking.token}/move/{new.id}").status_code == 409
    assert client.post(f"/booking/{booking.token}/call-off", data={"back": "0"}).status_code == 409
    assert "call-off" not in client.get(f"/booking/{booking.token}").text
    assert Booking.get(booking.id).state == "confirmed"


def test_what_goes_back_is_said_before_and_is_what_was_promised(
    open_slot: OpenSlot, hold: Hold, service: Service, client: Any
) -> None:
    with transaction():
        service.policy = RefundPolicy(name="Half", tiers="48h: 50%")
    booking = hold(open_slot(hours=72))
    booking.mark_paid(ByHand("cash", "R-1"))
    page = client.get(f"/booking/{booking.token}/call-off").text
    assert "₹499.50" in page
    (back,) = re.findall(r'name="back" value="(\d+)"', page)
    assert (
        client.post(f"/booking/{booking.token}/call-off", data={"back": "99900"}).status_code == 409
    )  # never another sum than was shown
    assert (
        client.post(f"/booking/{booking.token}/call-off", data={"back": back, "why": "Travelling"}).status_code == 303
    )
    assert client.post(f"/booking/{booking.token}/call-off", data={"back": back}).status_code == 303  # pressed twice
    after = session.get(Booking, booking.id, populate_existing=True)
    assert after is not None
    assert (after.state, [each.money.amount for each in after.going_back]) == ("cancelled", [49950])


def test_the_same_by_json(paid: Callable[..., Booking], open_slot: OpenSlot, client: Any) -> None:
    booking, new = paid(), open_slot(hours=96)
    moved = client.post(f"/api/bookings/{booking.token}/reschedule", json={"slot": new.id})
    assert (moved.status_code, moved.get_json()["slot"]["id"]) == (200, new.id)
    assert client.post(f"/api/bookings/{booking.token}/reschedule", json={"slot": 10**6}).status_code == 422
    assert client.post(f"/api/bookings/{booking.token}/cancel", json={"price": 1}).status_code == 422
    off = client.post(f"/api/bookings/{booking.token}/cancel", json={"why": "Ill"}).get_json()
    assert (off["state"], off["changes"]["why_not"]) == ("cancelled", "This booking has been cancelled.")
    assert client.post("/api/bookings/nonsense/cancel", json={}).status_code == 404


def test_staff_move_it_with_the_same_rules(
    paid: Callable[..., Booking], open_slot: OpenSlot, hold: Hold, enter: Any
) -> None:
    booking, new, gone = paid(), open_slot(hours=96), open_slot(hours=120)
    hold(gone, name="Kabir Shah")
    desk = enter("dina")
    form = desk.get(f"/desk/booking/{booking.id}/do/reschedule").text
    assert f'value="{new.id}"' in form
    assert f'value="{gone.id}"' not in form
    assert "just been taken" in desk.post(f"/desk/booking/{booking.id}/do/reschedule", data={"slot": gone.id}).text
    assert desk.post(f"/desk/booking/{booking.id}/do/reschedule", data={"slot": new.id}).status_code == 302
    assert "already at this time" in desk.post(f"/desk/booking/{booking.id}/do/reschedule", data={"slot": new.id}).text


def test_two_who_move_to_one_time_get_one_seat_between_them(
    paid: Callable[..., Booking], open_slot: OpenSlot, app: Flask
) -> None:
    ids, new = [paid(hours=72 + n, name=f"Person {n}").id for n in range(4)], open_slot(hours=120).id
    assert sum(_move_at_once(app, ids, new)) == 1
    assert session.scalars(select(Booking.slot_id)).all().count(new) == 1


def test_without_lock_and_constraint_they_would_share_it(
    paid: Callable[..., Booking], open_slot: OpenSlot, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, new = [paid(hours=72 + n, name=f"Person {n}").id for n in range(4)], open_slot(hours=120).id
    monkeypatch.setattr(Slot, "lock", lambda self: self)
    with db.engine().begin() as connection:
        connection.execute(text("alter table booking disable trigger all"))
        connection.execute(text("drop index booking_one_per_seat"))
    try:
        assert sum(_move_at_once(app, ids, new)) > 1
    finally:
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text("truncate booking cascade"))
            connection.execute(text("alter table booking enable trigger all"))
            taking = "state in ('held', 'requested', 'confirmed', 'completed', 'no_show')"
            connection.execute(
                text(f"create unique index booking_one_per_seat on booking (slot_id, seat) where {taking}")
            )


def _move_at_once(app: Flask, ids: list[int], new: int) -> list[bool]:
    def move(id: int) -> bool:
        with app.app_context():
            try:
                Booking.get(id).reschedule(NewTime(new))
            except Refused:
                return False
            finally:
                session.remove()
            return True

    with ThreadPoolExecutor(len(ids)) as crowd:
        return [*crowd.map(move, ids)]


# --- services that require approval -----------------------------------------------------------------------------------


def test_a_request_keeps_its_seat_until_it_is_answered(
    open_slot: OpenSlot, hold: Hold, service: Service, by: Any, later: Any, work_off: Any
) -> None:
    with transaction():
        service.by_approval = True
    slot = open_slot(hours=120)
    booking = hold(slot)
    assert (booking.state, booking.bills) == ("requested", [])
    with pytest.raises(Refused, match="just been taken"):
        hold(slot, name="Kabir Shah")
    with by("dina"):
        booking.approve()
    assert (booking.state, booking.bills[0].state) == ("held", "open")
    booking.mark_paid(ByHand("cash", "R-1"))
    assert booking.state == "confirmed"


def test_a_request_that_nobody_answers_goes_free(
    open_slot: OpenSlot, hold: Hold, service: Service, later: Any, work_off: Any
) -> None:
    with transaction():
        service.by_approval = True
    booking = hold(open_slot(hours=120))
    with later(days=3, minutes=1):
        work_off()
        assert Booking.get(booking.id).state == "expired"
    assert len(said(booking, "bookings/declined")) == 1


# --- whose turn it is, how much there may be, and two together --------------------------------------------------------


def test_whoever_has_least_is_next_and_anybody_means_anybody(
    open_slot: OpenSlot, hold: Hold, asha: Practitioner, dev: Practitioner, client: Any, service: Service
) -> None:
    hold(open_slot(hours=30))
    hers, his = open_slot(hours=72), open_slot(hours=72, of=dev)
    day = hers.starts_at.date()
    page = client.get(f"/book/first?day={day}&tz=UTC").text
    assert f"/book/first/{his.id}" in page
    assert f"/book/first/{hers.id}" not in page
    assert "2 practitioners available" in page
    assert f"/book/first/{hers.id}" in client.get(f"/book/first?day={day}&tz=UTC&with={asha.id}").text
    hold(his, name="Kabir Shah")
    form = {"name": "Meera Iyer", "email": "meera@example.com"}
    assert (
        client.post(f"/book/first/{his.id}", data=form | {"with": dev.id})
        .headers["Location"]
        .startswith("/book/first?")
    )
    assert client.post(f"/book/first/{his.id}", data=form).status_code == 303
    assert [each.slot_id for each in session.scalars(select(Booking).order_by(Booking.id.desc()).limit(1))] == [hers.id]


def test_a_day_holds_no_more_than_its_cap_even_at_the_same_moment(
    open_slot: OpenSlot, hold: Hold, service: Service, app: Flask
) -> None:
    with transaction():
        service.day_cap = 1
    morning = clock.now().replace(hour=4, minute=0, second=0, microsecond=0) + timedelta(days=3)
    hours = (morning - clock.now()).total_seconds() / 3600
    slots = [open_slot(hours=round(hours) + n).id for n in range(3)]

    def ask(id: int) -> bool:
        with app.app_context():
            try:
                Booking.hold(Slot.get(id), MEERA | {"name": f"Person {id}"}, {})
            except Refused:
                return False
            finally:
                session.remove()
            return True

    with ThreadPoolExecutor(3) as crowd:
        assert sum(crowd.map(ask, slots)) == 1
    assert Booking.free_slots(service, clock.now(), clock.ahead(days=5)) == []


def test_the_quiet_before_and_after_adds_up(open_slot: OpenSlot, hold: Hold, service: Service) -> None:
    """An hour with ten minutes after it and twenty before the next: nothing begins within thirty minutes of its end."""
    with transaction():
        service.before_minutes, service.after_minutes = 20, 10
    hold(open_slot(hours=72))
    tight, enough = open_slot(hours=73), open_slot(hours=74)
    assert [slot.id for slot, _ in Booking.free_slots(service, clock.now(), clock.ahead(days=9))] == [enough.id]
    with pytest.raises(Refused):
        hold(tight, name="Kabir Shah")


def test_two_together_are_both_taken(open_slot: OpenSlot, hold: Hold, service: Service, dev: Practitioner) -> None:
    both, his = open_slot(hours=72, partner=dev), open_slot(hours=72, of=dev)
    hold(both)
    assert Booking.free_slots(service, clock.now(), clock.ahead(days=9)) == []
    with pytest.raises(Refused, match="just been taken"):
        hold(his, name="Kabir Shah")


def test_a_tick_on_the_form_is_kept_as_their_word(slot: Slot, client: Any) -> None:
    assert 'name="by" value="whatsapp"' in client.get(f"/book/first/{slot.id}").text
    form = {"name": "Meera Iyer", "email": "meera@example.com", "phone": "+919845012345", "by": ["whatsapp", "pigeon"]}
    assert client.post(f"/book/first/{slot.id}", data=form).status_code == 303
    assert [(each.channel, each.how) for each in session.scalars(select(OptIn))] == [("whatsapp", "Ticked on the form")]


def test_moving_far_away_first_brings_nothing_back_that_was_gone(
    open_slot: OpenSlot, hold: Hold, service: Service
) -> None:
    with transaction():
        service.policy = RefundPolicy(name="Steps", tiers="48h: 100%, 24h: 50%")
    booking = hold(open_slot(hours=30))
    booking.mark_paid(ByHand("cash", "R-1"))
    booking.move_to(open_slot(hours=200))
    assert booking.refund_by_policy().amount == 49950


def test_a_refusal_inside_another_change_is_never_taken_for_a_booking(
    slot: Slot, hold: Hold, service: Service, open_slot: OpenSlot
) -> None:
    with transaction():
        session.add(Coupon(code="ONCE", percent=10, uses_each=1))
    Booking.hold(slot, MEERA, {}, Choices(coupon="ONCE"))
    with pytest.raises(Refused), transaction():
        Booking.hold_once("phone:1", open_slot(hours=60), MEERA, {}, Choices(coupon="ONCE"))
    assert len(session.scalars(select(Booking)).all()) == 1
