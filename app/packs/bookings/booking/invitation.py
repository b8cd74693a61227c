"""Calendar invitation (iCalendar) of a booking: attached to emails, offered on its page, and used in calendar feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.calendars import ics
from app.calendars.ics import Entry
from app.kernel import clock
from app.messages import template as templates
from app.messages.channel import Attachment

if TYPE_CHECKING:  # at run time a booking imports this file
    from app.packs.bookings.booking.booking import Booking

STATUS = {"held": "tentative", "requested": "tentative", "cancelled": "cancelled", "expired": "cancelled"}
ATTACHED_TO = ("bookings/confirmed", "bookings/rescheduled", "bookings/cancelled")


def attachments_of(booking: Booking, template: str) -> list[Attachment]:
    """Attach an invitation to the emails that change the customer's calendar, once the booking was confirmed."""
    if template not in ATTACHED_TO or not booking.paid_with:
        return []
    method = "CANCEL" if booking.state == "cancelled" else "REQUEST"
    return [Attachment("booking.ics", f"{ics.KIND}; method={method}; charset=UTF-8", invitation(booking))]


def invitation(booking: Booking) -> bytes:
    """Write the invitation. It links to the booking's page: the meeting link itself is shown only shortly before."""
    page = f"{setting_of('base_url')}/booking/{booking.token}"
    when = clock.format_moment(booking.slot.starts_at, booking.timezone)
    about = f"Booking {booking.number} at {setting_of('business')}.\n{when}\n\nView or change your booking: {page}"
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


def setting_of(name: str) -> str:
    """A setting that emails use, too: `base_url` or `business`."""
    return str(templates.environment.globals.get(name, ""))
