"""What a new practice does first: who gives it, what it is, when it can be had."""

from __future__ import annotations

from sqlalchemy import select

from app.kernel.db import Noun, session
from app.kernel.pack import Step
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot


def _any(noun: type[Noun]) -> bool:
    return session.scalar(select(noun.id).limit(1)) is not None


first_steps = [
    Step(
        "Add practitioners",
        "Each practitioner has a time zone, a photo and a calendar.",
        lambda: _any(Practitioner),
        "PractitionerScreens.add",
    ),
    Step(
        "Add services",
        "Set the duration, the price and the cancellation policy.",
        lambda: _any(Service),
        "ServiceScreens.add",
    ),
    Step(
        "Add opening hours",
        "Set them for each weekday. Bookable times are created automatically.",
        lambda: _any(Hours),
        "HoursScreens.add",
    ),
    Step(
        "Check available times",
        "They appear in the calendar here and on the service page.",
        lambda: _any(Slot),
        "SlotScreens.list",
    ),
]
