"""What a new practice does first: who gives it, what it is, when it can be had."""

from __future__ import annotations

from sqlalchemy import select

from app.kernel.db import Noun, session
from app.kernel.pack import Step
from app.packs.bookings.hours import Hours
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot


def _any(noun: type[Noun]) -> bool:
    return session.scalar(select(noun.id).limit(1)) is not None


first_steps = [
    Step(
        "Say who gives it", "Each practitioner has a time zone, a picture and a calendar of their own.", lambda: _any(Practitioner), "PractitionerScreens.add"
    ),
    Step("Say what you offer", "How long it takes, what it costs, what goes back when it is called off.", lambda: _any(Service), "ServiceScreens.add"),
    Step("Open your hours", "By the day of the week. Free times follow them by themselves, a season ahead.", lambda: _any(Hours), "HoursScreens.add"),
    Step("See the first free times", "On the calendar of the desk, and on the page of the service.", lambda: _any(Slot), "SlotScreens.list"),
]
