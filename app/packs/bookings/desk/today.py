"""Today's appointments: the bookings of a day in order, with check-in, amounts due and meeting links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as midnight
from typing import Any
from zoneinfo import ZoneInfo

from flask import render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from app.desk.declare import column
from app.desk.declare.page import Glance, Page
from app.kernel import access, clock
from app.kernel.db import session
from app.kernel.errors import Unreadable
from app.kernel.workflow import Move, available_moves
from app.money.bills.bill import Bill
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

SHOWN = ("requested", "held", "confirmed", "completed", "no_show")
BUTTONS = ("arrive", "complete", "miss", "mark_paid", "approve", "decline", "reschedule")


@dataclass(frozen=True)
class Entry:
    """A booking of the day, with its unpaid bill, its meeting and the buttons for it."""

    booking: Booking
    starts_at: datetime
    ends_at: datetime
    bill: Bill | None
    meeting: Meeting | None
    moves: Sequence[Move]

    @property
    def is_on(self) -> bool:
        return self.booking.state == "confirmed" and self.starts_at <= clock.now() < self.ends_at

    @property
    def is_to_come(self) -> bool:
        return self.booking.state in ("requested", "held", "confirmed") and self.ends_at > clock.now()


def today_page() -> Any:
    day, of = _day(), request.args.get("of", "")
    practitioners = [
        *session.scalars(
            access.visible_rows(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.name)
        )
    ]
    chosen = next((each for each in practitioners if str(each.id) == of), None)
    zone = getattr(
        chosen or (practitioners[0] if len(practitioners) == 1 else None), "timezone", column.staff_locale.timezone
    )
    entries = _entries(day, zone, chosen)
    return render_template(
        "bookings/desk/today.html",
        day=day,
        today=clock.today(),
        zone=zone,
        practitioners=practitioners,
        chosen=chosen,
        entries=entries,
        page=page,
        next_one=next((each for each in entries if each.is_to_come), None),
        step=timedelta(1),
        here=_page_url(day, of),
    )


def _day() -> date:
    try:
        day = date.fromisoformat(request.args["day"]) if request.args.get("day") else clock.today()
    except ValueError:
        raise Unreadable("“day” must be a date, such as 2026-11-24.") from None
    if not 1901 <= day.year <= 2199:
        raise Unreadable("This date is out of range.")
    return day


def _page_url(day: date, of: str) -> str:
    query: dict[str, Any] = {"day": day.isoformat() if request.args.get("day") else None, "of": of or None}
    return url_for(page.page_endpoint, **query)


def _entries(day: date, zone: str, chosen: Practitioner | None) -> list[Entry]:
    """Load the bookings of a day with four queries, however many there are."""
    first = datetime.combine(day, midnight(), ZoneInfo(zone))
    of_that_day = (Slot.starts_at >= first) & (
        Slot.starts_at < datetime.combine(day + timedelta(1), midnight(), ZoneInfo(zone))
    )
    found = (
        access.visible_rows(Booking).join(Slot, Booking.slot_id == Slot.id).where(of_that_day, Booking.state.in_(SHOWN))
    )
    if chosen:
        found = found.where((Slot.practitioner_id == chosen.id) | (Slot.partner_id == chosen.id))
    bookings = (
        session.scalars(found.options(contains_eager(Booking.slot)).order_by(Slot.starts_at, Booking.id)).unique().all()
    )
    ids, who = [each.id for each in bookings], access.actor()
    owed = (
        select(Bill)
        .where(Bill.noun == Booking.__tablename__, Bill.row_id.in_(ids), Bill.state.in_(("open", "unpaid")))
        .order_by(Bill.id.desc())
    )
    bills: Mapping[int, Bill] = {each.row_id: each for each in session.scalars(owed)}
    meetings = {
        each.booking_id: each
        for each in session.scalars(select(Meeting).where(Meeting.booking_id.in_(ids), Meeting.state != "cancelled"))
    }
    return [
        _entry(
            each,
            bills.get(each.id),
            meetings.get(each.id),
            [move for move in available_moves(each, who) if move.name in BUTTONS],
            zone,
        )
        for each in bookings
    ]


def _entry(booking: Booking, bill: Bill | None, meeting: Meeting | None, moves: Sequence[Move], zone: str) -> Entry:
    starts, ends = (each.astimezone(ZoneInfo(zone)) for each in (booking.slot.starts_at, booking.slot.ends_at))
    return Entry(
        booking,
        starts,
        ends,
        bill if bill and booking.awaits(bill) else None,
        meeting,
        sorted(moves, key=lambda move: BUTTONS.index(move.name)),
    )


def _glance() -> list[Glance]:
    """Appointments on the start page: those in progress and the next ones."""
    entries = [each for each in _entries(clock.today(), column.staff_locale.timezone, None) if each.is_to_come]
    return [_glance_line(each) for each in entries[:6]]


def _glance_line(entry: Entry) -> Glance:
    booking = entry.booking
    return Glance(
        f"{entry.starts_at:%H:%M}",
        str(booking.person),
        f"{booking.slot.service} · {booking.slot.practitioner}",
        booking.state,
        url_for("BookingScreens.show", pk=booking.id),
        Booking,
    )


page = Page(
    "today",
    label="Today’s appointments",
    icon="users",
    also="appointments arrivals check in reception front desk",
    roles="Desk Practitioner Auditor",
    answers=today_page,
    glance=_glance,
)
