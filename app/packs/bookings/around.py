"""What lies around the bookings on the staff's calendar: the times that can still be taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from flask import url_for

from app.desk.calendar import Span, together
from app.desk.page import pages
from app.kernel import access
from app.packs.bookings.booking import Booking
from app.packs.bookings.service import Service


def around(since: datetime, until: datetime) -> Iterator[Span]:
    yield from together(_free(since, until))


def _free(since: datetime, until: datetime) -> Iterator[Span]:
    """As a customer would find them: one query for each service, however many days there are."""
    takes = next((each for each in pages() if each.name == "by_phone" and each.is_for(access.actor())), None)
    for service in Service.offered():
        for slot, _ in Booking.free_slots(service, since, until):
            url = url_for(takes.front, slot=slot.id) if takes else ""
            for giver in slot.givers:
                yield Span("free", slot.starts_at, slot.ends_at, service.name, giver.id, {service.id: slot.id}, url)
