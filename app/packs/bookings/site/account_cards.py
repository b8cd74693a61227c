"""Account cards: the bookings and packages on a customer's account page."""

from __future__ import annotations

from collections.abc import Sequence

from flask import url_for
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session
from app.kernel.pack import Card
from app.kernel.people import Person
from app.kernel.translation import say, unsaid
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.prepaid import Pass

STATE_LABELS = {
    "held": unsaid("Awaiting payment"),
    "requested": unsaid("Requested"),
    "confirmed": unsaid("Confirmed"),
    "completed": unsaid("Completed"),
    "no_show": unsaid("Missed"),
    "cancelled": unsaid("Cancelled"),
    "expired": unsaid("Expired"),
    "open": unsaid("Awaiting payment"),
    "active": unsaid("Active"),
    "used_up": unsaid("Used up"),
}
TONES = {"held": "warn", "requested": "info", "confirmed": "good", "cancelled": "bad"}


def account_cards(people: Sequence[Person]) -> list[Card]:
    """Cards for all bookings and packages of these people."""
    theirs = select(Booking).where(Booking.person_id.in_([each.id for each in people])).order_by(Booking.id)
    bought = select(Pass).where(Pass.person_id.in_([each.id for each in people])).order_by(Pass.id)
    return [
        *(_booking_card(each) for each in session.scalars(theirs).unique()),
        *(_package_card(each) for each in session.scalars(bought).unique()),
    ]


def _package_card(bought: Pass) -> Card:
    """Dated with the day of expiry; before the payment, with the day of the order."""
    state = "expired" if bought.state == "active" and bought.is_over else bought.state
    return Card(
        title=say(
            "%(package)s: %(n)s of %(all)s left", package=bought.package.name, n=bought.uses_left, all=bought.uses
        ),
        number=bought.number,
        state=say(STATE_LABELS[state]),
        tone={"open": "warn", "active": "good", "cancelled": "bad"}.get(state, ""),
        at=bought.expires_at or bought.created_at,
        timezone=bought.person.timezone,
        link=url_for("pass.show", token=bought.token),
        is_over=state not in ("open", "active"),
        name=bought.person.name,
    )


def _booking_card(booking: Booking) -> Card:
    slot = booking.slot
    state = "expired" if booking.state == "held" and not booking.is_payable else booking.state
    return Card(
        title=say("%(service)s with %(practitioner)s", service=slot.service.name, practitioner=slot.practitioner.name),
        number=booking.number,
        state=say(STATE_LABELS[state]),
        tone=TONES.get(state, ""),
        at=slot.starts_at,
        timezone=booking.timezone,
        link=url_for("booking.show", token=booking.token),
        is_over=state not in ("held", "requested", "confirmed") or slot.ends_at <= clock.now(),
        name=booking.person.name,
    )
