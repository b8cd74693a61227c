"""What of this practice is somebody's own, for the page of their account."""

from __future__ import annotations

from collections.abc import Sequence

from flask import url_for
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session, spaced
from app.kernel.pack import Card
from app.kernel.people import Person
from app.packs.bookings.booking import Booking

TONES = {"held": "warn", "requested": "info", "confirmed": "good", "cancelled": "bad"}


def mine(people: Sequence[Person]) -> list[Card]:
    """Every booking of theirs, each with its own page."""
    theirs = select(Booking).where(Booking.person_id.in_([each.id for each in people])).order_by(Booking.id)
    return [_card(each) for each in session.scalars(theirs).unique()]


def _card(booking: Booking) -> Card:
    slot = booking.slot
    state = "expired" if booking.state == "held" and not booking.is_payable else booking.state
    return Card(
        title=f"{slot.service.name} with {slot.practitioner.name}",
        number=booking.number,
        state=spaced(state),
        tone=TONES.get(state, ""),
        at=slot.starts_at,
        timezone=booking.timezone,
        link=url_for("booking.show", token=booking.token),
        is_over=state not in ("held", "requested", "confirmed") or slot.ends_at <= clock.now(),
        name=booking.person.name,
    )
