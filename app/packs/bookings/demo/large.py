"""Large demo data set: ten thousand bookings over a year, made by the methods that customers and staff use."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, text, update

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import Job
from app.messages.message import Message
from app.messages.webhook_delivery import WebhookDelivery
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

NAMES = [
    "Aarav",
    "Diya",
    "Vihaan",
    "Ananya",
    "Arjun",
    "Ishita",
    "Kabir",
    "Meera",
    "Rohan",
    "Priya",
    "Sanjay",
    "Tara",
    "Usha",
    "Vikram",
    "Zoya",
    "Daniel",
    "Sofia",
    "Emma",
    "Luca",
    "Noor",
]
FAMILIES = [
    "Iyer",
    "Shah",
    "Nair",
    "Menon",
    "Rao",
    "Mehta",
    "Khan",
    "Das",
    "Bose",
    "Gupta",
    "Reddy",
    "Singh",
    "Pillai",
    "Joshi",
    "Kapoor",
    "Rossi",
    "Cohen",
    "Meyer",
    "Silva",
    "Okafor",
]
COLLEAGUES = ("Leela Varma", "Farah Khan", "Ravi Kulkarni")
HOUR, BACK, AHEAD = 60, 330, 35  # minutes of a slot, days behind and before today


def large(count: int = 10_000) -> Iterator[int]:
    """Make bookings and yield how many there are. Existing data stays, and no messages are sent about the new ones."""
    chance = random.Random(7)  # noqa: S311  # the same data each time
    session.execute(text("set synchronous_commit to off"))
    service = session.scalars(
        select(Service).where(Service.minutes == HOUR, Service.state == "offered").order_by(Service.id)
    ).first()
    if service is None:
        raise RuntimeError("There is no one-hour service. Load the demo first.")
    people = _practitioners()
    slots = _slots(service, people)
    chance.shuffle(slots)
    for n, slot in enumerate(slots[:count], 1):
        with suppress(Refused):  # the practitioner is busy at that time
            _play_booking(slot, chance)
        if n % 100 == 0:
            session.expunge_all()
            yield n
    _drop_messages()


def _practitioners() -> list[Practitioner]:
    with transaction():
        known = set(session.scalars(select(Practitioner.name)))
        session.add_all(Practitioner(name=each, title="Astrologer") for each in COLLEAGUES if each not in known)
    return [*session.scalars(select(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.id))]


def _slots(service: Service, people: list[Practitioner]) -> list[int]:
    """Add slots for eight hours a day, Monday to Saturday, and list all that have no booking yet."""
    today = clock.today()
    days = [day for n in range(-BACK, AHEAD) if (day := today + timedelta(days=n)).weekday() < 6]
    for person in people:
        zone = ZoneInfo(person.timezone)
        taken = set(session.scalars(select(Slot.starts_at).where(Slot.practitioner_id == person.id)))
        starts = (datetime.combine(day, time(hour), zone).astimezone(UTC) for day in days for hour in range(10, 18))
        with transaction():
            session.add_all([Slot.starting_at(person, service, start) for start in starts if start not in taken])
    booked = select(Booking.slot_id).where(Booking.slot_id == Slot.id).exists()
    return [
        *session.scalars(
            select(Slot.id)
            .where(Slot.service_id == service.id, Slot.starts_at > clock.ahead(days=-BACK), ~booked)
            .order_by(Slot.id)
        )
    ]


def _play_booking(id: int, chance: random.Random) -> None:
    """Make one booking and take it through its life until now."""
    slot, now = Slot.get(id), clock.now()
    asked = min(slot.starts_at, now) - timedelta(hours=chance.randint(30, 24 * 25))
    fate = chance.random()
    with transaction():
        with clock.frozen_at(max(asked, slot.starts_at - timedelta(days=40))):
            booking = Booking.hold(slot, _random_person(chance), {})
            if fate > 0.12:
                booking.mark_paid(ByHand(chance.choice(("cash", "bank")), f"R-{id}"))
        with clock.frozen_at(min(booking.hold_expires_at + timedelta(minutes=1), now)):
            if fate < 0.08 and booking.state == "held":
                booking.lapse()
            elif fate < 0.18:
                booking.cancel(CallOff("Something came up.", "policy"))
        if slot.ends_at < now and booking.state == "confirmed":
            with clock.frozen_at(slot.ends_at):
                (booking.miss if fate > 0.95 else booking.complete)()


def _random_person(chance: random.Random) -> dict[str, str]:
    first, last = chance.choice(NAMES), chance.choice(FAMILIES)
    n = chance.randint(1, 9)
    phone = f"+9198450{chance.randint(10000, 99999)}" if n == 1 else "+919845012345"
    return {
        "name": f"{first} {last}",
        "email": f"{first}.{last}{n}@example.com".lower(),
        "phone": phone,
        "timezone": "Asia/Kolkata",
    }


def _drop_messages() -> None:
    """Close the messages, webhook deliveries and jobs that are due by now without sending anything."""
    once = {"without_a_move": True}
    owed = (Job.state == "waiting") & ((Job.due_at <= clock.now()) | Job.name.like("messages.%"))
    with transaction():
        session.execute(
            update(Message.__table__).where(Message.state == "waiting").values(state="dropped"), execution_options=once
        )
        session.execute(
            update(WebhookDelivery.__table__).where(WebhookDelivery.state == "waiting").values(state="failed"),
            execution_options=once,
        )
        session.execute(
            update(Job.__table__).where(owed).values(state="done", finished_at=clock.now()), execution_options=once
        )
