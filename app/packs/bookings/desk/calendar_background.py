"""What lies around the bookings on the staff's calendar: the times that can still be taken, and those that are blocked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from flask import url_for
from sqlalchemy import select

from app.desk.declare.calendar import Span
from app.desk.declare.page import registered_pages
from app.desk.pages.calendar import together
from app.kernel import access
from app.kernel.db import session
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.offer.service import Service


def around(since: datetime, until: datetime) -> Iterator[Span]:
    yield from together(_free(since, until))
    yield from _shut(since, until)


def _free(since: datetime, until: datetime) -> Iterator[Span]:
    """As a customer would find them: one query for each service, however many days there are."""
    takes = next(
        (url_for(each.front) for each in registered_pages() if each.name == "by_phone" and each.is_for(access.actor())),
        "",
    )
    for service in Service.all_offered():
        for slot, _ in Booking.free_slots(service, since, until):
            url = takes and f"{takes}?slot={slot.id}"
            for giver in slot.givers:
                yield Span("free", slot.starts_at, slot.ends_at, service.name, giver.id, {service.id: slot.id}, url)


def _shut(since: datetime, until: datetime) -> Iterator[Span]:
    """Why the whole practice is closed is everybody's to know, though only its own closures are a practitioner's to change."""
    found = (
        select(Closure, access.within(Closure))
        .where(Closure.starts_at < until, Closure.ends_at > since)
        .order_by(Closure.starts_at, Closure.id)
    )
    for it, mine in session.execute(found):
        url = url_for("ClosureScreens.show", pk=it.id) if mine else ""
        yield Span("shut", it.starts_at, it.ends_at, it.reason or "Closed", it.practitioner_id, url=url)
