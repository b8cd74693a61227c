"""iCal files: one booking for its customer, and a feed of all bookings for a practitioner, at secret addresses."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, request
from sqlalchemy import select

from app.calendars import ics
from app.kernel import clock
from app.kernel.db import session
from app.kernel.errors import Missing
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.invitation import entry, invitation, setting_of
from app.packs.bookings.booking.seats import TAKING
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

feeds = Blueprint("feeds", __name__)

PAST, TO_COME = timedelta(days=30), timedelta(days=400)


@feeds.get("/booking/<token>/calendar.ics")
def booking(token: str) -> Response:
    found = Booking.by_token(token)
    if found.state == "expired":
        raise Missing
    return _file(invitation(found), f"{found.number}.ics")


@feeds.get("/calendar/<token>.ics")
def calendar(token: str) -> Response:
    return _file(_feed(Practitioner.by_token(token)), "calendar.ics")


def _feed(whose: Practitioner) -> bytes:
    """All bookings of a practitioner: who and when, without answers or contact details."""
    theirs = (Slot.practitioner_id == whose.id) | (Slot.partner_id == whose.id)
    within = Slot.starts_at.between(clock.now() - PAST, clock.now() + TO_COME)
    found = (
        select(Booking)
        .join(Slot, Booking.slot_id == Slot.id)
        .where(theirs, within, Booking.state.in_((*TAKING, "cancelled")))
    )
    bookings = session.scalars(found.order_by(Slot.starts_at, Booking.id)).unique()
    desk = f"{setting_of('base_url')}/desk/booking"
    entries = [
        entry(each, f"{each.slot.service.name}: {each.person.name}", f"Booking {each.number}", f"{desk}/{each.id}")
        for each in bookings
    ]
    return ics.feed(f"{whose.name}, {setting_of('business')}", whose.timezone, entries)


def _file(content: bytes, name: str) -> Response:
    answer = Response(
        content,
        mimetype=ics.KIND,
        headers={"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-cache"},
    )
    answer.add_etag()
    answer.make_conditional(request)
    return answer
