"""Invitation: what calendars are told of a booking; it goes with its emails, stands on its page, and in the feed of whoever gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.calendars import ics
from app.calendars.ics import Entry
from app.kernel import clock
from app.messages import template
from app.messages.channel import Attachment

if TYPE_CHECKING:  # a booking sends its invitation along; for the type checker alone, the invitation knows its booking
    from app.packs.bookings.booking.booking import Booking

STATUS = {"held": "tentative", "requested": "tentative", "cancelled": "cancelled", "expired": "cancelled"}
GOES_WITH = ("bookings/confirmed", "bookings/rescheduled", "bookings/cancelled")


def attached(booking: Booking, to: str) -> list[Attachment]:
    """With what changes the calendar of its customer, once there is something in it."""
    if to not in GOES_WITH or not booking.paid_with:
        return []
    method = "CANCEL" if booking.state == "cancelled" else "REQUEST"
    return [Attachment("booking.ics", f"{ics.KIND}; method={method}; charset=UTF-8", invitation(booking))]


def invitation(booking: Booking) -> bytes:
    """The way to the meeting is their own page: the link itself is nobody's days before."""
    page = f"{house('base_url')}/booking/{booking.token}"
    about = f"Booking {booking.number} at {house('business')}.\n{clock.format_moment(booking.slot.starts_at, booking.timezone)}\n\nView or change your booking: {page}"
    title = f"{booking.slot.service.name} with {booking.slot.practitioner.name}"
    meeting = booking.meeting
    return ics.invitation(
        entry(
            booking,
            title,
            about,
            page,
            where=meeting.address if meeting else "",
            guest=(booking.person.name, booking.person.email),
        )
    )


def entry(
    booking: Booking, title: str, about: str, link: str, *, where: str = "", guest: tuple[str, str] | None = None
) -> Entry:
    return Entry(
        id=booking.number,
        edition=booking.edition + (booking.state == "cancelled"),
        title=title,
        about=about,
        starts_at=booking.slot.starts_at,
        ends_at=booking.slot.ends_at,
        changed_at=booking.changed_at,
        status=STATUS.get(booking.state, "confirmed"),
        where=where,
        link=link,
        guest=guest,
    )


def house(name: str) -> str:
    return str(template.words.globals.get(name, ""))
