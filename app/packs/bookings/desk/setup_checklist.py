"""Setup checklist: the first steps of a new practice, such as adding practitioners, services and opening hours."""

from __future__ import annotations

from sqlalchemy import select

from app.kernel.db import Noun, session
from app.kernel.pack import Step
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot


def _exists(noun: type[Noun]) -> bool:
    return session.scalar(select(noun.id).limit(1)) is not None


first_steps = [
    Step(
        "Add practitioners",
        "Each practitioner has a time zone, a photo and a calendar.",
        lambda: _exists(Practitioner),
        "PractitionerScreens.add",
    ),
    Step(
        "Add services",
        "Set the duration, the price and the cancellation policy.",
        lambda: _exists(Service),
        "ServiceScreens.add",
    ),
    Step(
        "Add opening hours",
        "Set them for each weekday. Bookable times are created automatically.",
        lambda: _exists(Hours),
        "HoursScreens.add",
    ),
    Step(
        "Check available times",
        "They appear in the calendar here and on the service page.",
        lambda: _exists(Slot),
        "SlotScreens.list",
    ),
]
