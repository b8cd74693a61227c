"""Calendar background: available times and closures behind the bookings in the calendar of the desk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from flask import url_for
from sqlalchemy import select

from app.desk.declare.calendar import Span
from app.desk.declare.page import registered_pages
from app.desk.pages.calendar import merge_spans
from app.kernel import access
from app.kernel.db import session
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.offer.service import Service


def calendar_background(since: datetime, until: datetime) -> Iterator[Span]:
    yield from merge_spans(_free_spans(since, until))
    yield from _closures(since, until)


def _free_spans(since: datetime, until: datetime) -> Iterator[Span]:
    """Times that customers can book, too, with one query per service."""
    new_booking = next(
        (
            url_for(each.page_endpoint)
            for each in registered_pages()
            if each.name == "by_phone" and each.is_for(access.actor())
        ),
        "",
    )
    for service in Service.all_offered():
        for slot, _ in Booking.free_slots(service, since, until):
            url = new_booking and f"{new_booking}?slot={slot.id}"
            for giver in slot.givers:
                yield Span("free", slot.starts_at, slot.ends_at, service.name, giver.id, {service.id: slot.id}, url)


def _closures(since: datetime, until: datetime) -> Iterator[Span]:
    """Closures with their reasons. Everyone sees them; the link is only for those who may open the record."""
    found = (
        select(Closure, access.scope_condition(Closure))
        .where(Closure.starts_at < until, Closure.ends_at > since)
        .order_by(Closure.starts_at, Closure.id)
    )
    for closure, is_readable in session.execute(found):
        url = url_for("ClosureScreens.show", pk=closure.id) if is_readable else ""
        reason = closure.reason or "Closed"
        yield Span("shut", closure.starts_at, closure.ends_at, reason, closure.practitioner_id, url=url)
