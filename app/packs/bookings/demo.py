"""A small believable practice, so that the first look shows something alive."""

from __future__ import annotations

from datetime import time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import inspect, select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.money.amount import Money
from app.money.bill import ByHand
from app.packs.bookings.booking import Booking, CallOff
from app.packs.bookings.practitioner import Hours, Practitioner
from app.packs.bookings.service import Service

SERVICES = [
    ("First consultation", "first-consultation", 60, 99900, "A full reading of your chart, with time for your questions. We meet by video."),
    ("Follow-up", "follow-up", 30, 49900, "Half an hour on what has changed since we last spoke."),
    ("Compatibility reading", "compatibility", 90, 179900, "Two charts read together, for couples and for partners in business."),
]
PRACTITIONERS = [
    ("Asha Rao", "Vedic astrologer", "Twenty years of practice in Bengaluru. Speaks Kannada, Hindi and English."),
    ("Dev Mehta", "Astrologer and counsellor", "Trained in Varanasi and in London. Calm, plain-spoken, on time."),
]
CUSTOMERS = [
    ("Meera Iyer", "meera@example.com", "+919845012345", "Asia/Kolkata"),
    ("Kabir Shah", "kabir@example.com", "+919845067890", "Asia/Kolkata"),
    ("Sofia Rossi", "sofia@example.com", "+390612345678", "Europe/Rome"),
    ("Daniel Cohen", "daniel@example.com", "+12125550147", "America/New_York"),
    ("Priya Nair", "priya@example.com", "+919744012345", "Asia/Kolkata"),
]


def demo() -> None:
    """Two practitioners, three services, four weeks of open hours, and a handful of bookings. Only in an empty practice."""
    if session.scalar(select(Service.id).limit(1)):
        return
    with transaction():
        services = [Service(name=n, slug=s, minutes=m, price=Money(p, "INR"), description=d, intake="birth") for n, s, m, p, d in SERVICES]
        user = inspect(Practitioner).relationships["user"].mapper.class_
        people = [Practitioner(name=n, title=t, about=a) for n, t, a in PRACTITIONERS]
        people[0].user = session.scalar(select(user).where(user.username == "practitioner"))
        session.add_all([*services, *people])
    _open(people, services)
    _book(services[0])


def _open(practitioners: list[Practitioner], services: list[Service]) -> None:
    first = clock.now().astimezone(ZoneInfo("Asia/Kolkata")).date()
    last = first + timedelta(days=28)
    hours = [(time(10), time(13)), (time(14), time(16)), (time(16), time(19))]
    for practitioner in practitioners:
        for service, (opens, closes) in zip(services, hours, strict=True):
            practitioner.open_hours(Hours(service.slug, first, last, opens, closes))


def _book(service: Service) -> None:
    soon = Booking.free_slots(service, clock.now(), clock.ahead(days=14))
    for (slot, _), (name, email, phone, zone) in zip(soon[::3], CUSTOMERS, strict=False):
        who = {"name": name, "email": email, "phone": phone, "timezone": zone}
        with transaction():
            booking = Booking.hold(slot, who, {"birth_place": "Mysuru"})
            if name != "Priya Nair":
                booking.mark_paid(ByHand("cash", "demo"))
            if name == "Daniel Cohen":
                booking.cancel(CallOff("Asked by telephone to be called another month."))
