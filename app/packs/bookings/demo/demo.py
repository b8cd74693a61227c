"""Demo data: a small practice with opening hours, bookings of every kind, packages, tasks and an automation."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from sqlalchemy import inspect, select

from app.desk.automations.automation import Automation
from app.desk.declare.field import Field
from app.desk.records.remark import Remark
from app.desk.records.task import Task
from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.forms import Form
from app.kernel.people import Person
from app.messages.opt_in import OptIn
from app.messages.safe_http import sandbox_calendars, sandbox_listener
from app.messages.webhook import Webhook
from app.messages.wording import Wording
from app.money.bills.basket import Basket
from app.money.bills.bill import ByHand
from app.money.bills.payment import GiveBack
from app.money.bills.refund import HandedOut
from app.money.sums.amount import Money
from app.money.sums.coupon import Coupon
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.booking.slot_generator import arrange
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.external_busy import Address, BusyCalendar
from app.packs.bookings.hours.hours import WEEKDAYS, Hours
from app.packs.bookings.hours.special_hours import SpecialHours
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.package import Buyer, Package
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

SERVICES = [
    (
        "First consultation",
        "first-consultation",
        60,
        99900,
        "A full reading of your chart, with time for your questions. We meet by video.",
    ),
    ("Follow-up", "follow-up", 30, 49900, "Half an hour on what has changed since we last spoke."),
    (
        "Compatibility reading",
        "compatibility",
        90,
        179900,
        "Two charts read together, for couples and for partners in business.",
    ),
]
PRACTITIONERS = [
    ("Asha Rao", "Vedic astrologer", "Twenty years of practice in Bengaluru. Speaks Kannada, Hindi and English."),
    ("Dev Mehta", "Astrologer and counsellor", "Trained in Varanasi and in London. Calm, plain-spoken, on time."),
]
EXTRAS = [("Recording to keep", 19900), ("Printed chart", 34900)]
REMINDER = (
    "{{ person.name }}, see you {{ when(booking.slot.starts_at, booking.timezone) }}",
    (
        "Hello {{ person.name }},\n\n"
        "We look forward to your {{ booking.slot.service.name }}. Have your questions ready; we have the tea.\n\n"
        "[View your booking]({{ base_url }}/booking/{{ booking.token }})\n\nKind regards,\n{{ business }}"
    ),
)
BIRTH = [
    {
        "name": "birth_date",
        "kind": "date",
        "label": {"en": "Date of birth", "hi": "जन्म तिथि"},
        "help": {"en": "You can also tell us later."},
        "secret": True,
        "earliest": "1900-01-01",
        "latest": "today",
    },
    {
        "name": "birth_time",
        "kind": "time",
        "label": {"en": "Time of birth", "hi": "जन्म का समय"},
        "secret": True,
        "unknown": True,
    },
    {
        "name": "birth_place",
        "kind": "place",
        "label": {"en": "Place of birth", "hi": "जन्म स्थान"},
        "secret": True,
        "longest": 120,
    },
    {
        "name": "been_before",
        "kind": "yes_no",
        "label": {"en": "Have you had a reading before?", "hi": "क्या आपने पहले परामर्श लिया है?"},
    },
    {
        "name": "last_time",
        "kind": "text",
        "label": {"en": "What was it about?", "hi": "वह किस बारे में था?"},
        "asked_if": "been_before",
        "equals": "yes",
    },
]
CUSTOMERS = [
    ("Meera Iyer", "meera@example.com", "+919845012345", "Asia/Kolkata"),
    ("Kabir Shah", "kabir@example.com", "+919845067890", "Asia/Kolkata"),
    ("Sofia Rossi", "sofia@example.com", "+390612345678", "Europe/Rome"),
    ("Daniel Cohen", "daniel@example.com", "+12125550147", "America/New_York"),
    ("Priya Nair", "priya@example.com", "+919744012345", "Asia/Kolkata"),
]


def demo() -> None:
    """Load the demo, unless there are services already."""
    if session.scalar(select(Service.id).limit(1)):
        return
    with transaction():
        policy = RefundPolicy(name="Standard", tiers="48h: 100%, 24h: 50%")
        taxed = {"tax_rate": 1800, "tax_code": "999799", "policy": policy, "form": _publish_birth_form()}
        services = [
            Service(name=n, slug=s, minutes=m, price=Money(p, "INR"), description=d, **taxed)
            for n, s, m, p, d in SERVICES
        ]
        services[2].deposit_percent = 40
        user = inspect(Practitioner).relationships["user"].mapper.class_
        people = [Practitioner(name=n, title=t, about=a) for n, t, a in PRACTITIONERS]
        people[0].user = session.scalar(select(user).where(user.username == "practitioner"))
        extras = [Extra(service=services[0], name=name, price=Money(price, "INR")) for name, price in EXTRAS]
        session.add_all(
            [
                *services,
                *people,
                *extras,
                Coupon(code="WELCOME-10", percent=10, uses_at_most=100, uses_each=1, note="For new customers"),
            ]
        )
    _customize_messages()
    _add_custom_fields()
    _add_webhook()
    _set_up_meetings(*people)
    _add_automations()
    _add_past_bookings(people[0], services[1])
    _add_opening_hours(people, services)
    _add_bookings(services[0])
    _add_deposit(services[2])
    _add_cart(services[1])
    _add_waiting_list(people, services[2])
    _sell_packages(services[1])
    _add_notes_and_tasks(people[0], services[0])


def _add_custom_fields() -> None:
    """Add custom fields, as an administrator would."""
    with transaction():
        heard = Field(
            noun="person",
            label="How they found us",
            kind="choice",
            options="A friend\nA doctor\nSearch\nSomewhere else",
            listed=True,
        )
        for each in (
            heard,
            Field(noun="booking", label="Referred by", kind="text", help="Who recommended us, if anyone."),
        ):
            each.tidy()
            session.add(each)


def _publish_birth_form() -> Form:
    """Publish the intake form, which has encrypted answers."""
    form = Form(name="Birth details", draft=BIRTH)
    session.add(form)
    session.flush()
    form.publish()
    return form


def _customize_messages() -> None:
    """Record a consent to WhatsApp, and draft a new version of a message that waits to be published."""
    name, email, phone, zone = CUSTOMERS[1]
    with transaction():
        person = Person.find_or_create(name=name, email=email, phone=phone, timezone=zone)
        session.flush()
        OptIn.give(person, "whatsapp", "Agreed by phone")
        session.add(Wording(template="bookings/reminder", edition=1, subject=REMINDER[0], body=REMINDER[1]))


def _add_webhook() -> None:
    """Send events to the sandbox, which shows them at /sandbox/listener."""
    if sandbox_listener():
        with transaction():
            session.add(Webhook(name="Sandbox listener", address=sandbox_listener()))


def _add_automations() -> None:
    """Create tasks for expensive cancellations and for no-shows."""
    call = {"does": "task", "words": "Call {person}: would another time suit them?", "who": "owner", "days": 1}
    ask = {
        "does": "task",
        "words": "Check in with {person}: they missed their {slot.service}",
        "who": "owner",
        "days": 0,
    }
    note = {"does": "remark", "words": "Missed the appointment on {slot.starts_at}."}
    with transaction():
        for name, verb, asked, steps in (
            ("Call back after a cancellation", "cancel", "price:from:1000", [call]),
            ("Follow up on a no-show", "miss", "", [ask, note]),
        ):
            made = Automation(name=name, noun="booking", verb=verb, asked=asked, steps=steps, made_by="Demo Desk")
            made.tidy()
            session.add(made)
            session.flush()
            made.switch_on()


def _set_up_meetings(asha: Practitioner, dev: Practitioner) -> None:
    """Online meetings for one practitioner and an address for the other, and a synced calendar for both."""
    with transaction():
        asha.meets_by = "google"
        dev.room = "12 Church Street, Bengaluru"
        for each in (asha, dev):
            own = BusyCalendar(practitioner=each, name="Private")
            session.add(own)
            session.flush()
            if sandbox_calendars():
                own.connect(Address(f"{sandbox_calendars()}{each.name.split()[0].lower()}.ics"))


def _add_opening_hours(practitioners: list[Practitioner], services: list[Service]) -> None:
    """Opening hours from Monday to Saturday, special hours, closures and a public holiday calendar."""
    asha, dev = practitioners
    hours = [(time(10), time(13)), (time(14), time(16)), (time(16), time(19))]
    week, zone = clock.today() + timedelta(days=7), ZoneInfo(asha.timezone)
    next_monday = week - timedelta(days=week.weekday())
    noon = datetime.combine(next_monday + timedelta(days=1), time(12), zone)
    with transaction():
        asha.holidays = "IN-KA"
        session.add_all(
            Hours(practitioner=each, service=service, weekday=day, opens=opens, closes=closes)
            for each, day in product(practitioners, WEEKDAYS[:6])
            for service, (opens, closes) in zip(services, hours, strict=True)
        )
        session.add_all(
            Assignment(service=service, practitioner=each) for service, each in product(services, practitioners)
        )
        session.add(
            SpecialHours(
                practitioner=asha,
                day=next_monday + timedelta(days=6),
                how="extra",
                opens=time(10),
                closes=time(12),
                note="Extra Sunday opening",
            )
        )
        session.add(SpecialHours(practitioner=dev, day=next_monday + timedelta(days=2), how="closed", note="Wedding"))
        session.add(Closure(practitioner=asha, starts_at=noon, ends_at=noon + timedelta(hours=3), reason="Dentist"))
        session.add(
            Closure(
                practitioner=dev, starts_at=noon + timedelta(days=3), ends_at=noon + timedelta(days=6), reason="Leave"
            )
        )
    for practitioner in practitioners:
        arrange(practitioner)


def _add_notes_and_tasks(asha: Practitioner, service: Service) -> None:
    """Add a note and tasks of the team."""
    booking = session.scalar(select(Booking).where(Booking.state == "confirmed").order_by(Booking.id.desc()).limit(1))
    assert booking
    with transaction():
        session.add(
            Remark(
                noun="booking",
                row_id=booking.id,
                name="Demo Desk",
                words=f"Asked by phone for a seat near the door.\n{asha.name} knows.",
            )
        )
        session.add(
            Task(
                noun="booking",
                row_id=booking.id,
                about=str(booking),
                title="Set aside the printed chart",
                who=asha.user,
                asked_by="Demo Desk",
                due_on=clock.today(),
            )
        )
        session.add(
            Task(
                noun="service",
                row_id=service.id,
                about=str(service),
                title="Review the description",
                asked_by="Demo Desk",
            )
        )


def _add_past_bookings(practitioner: Practitioner, service: Service) -> None:
    """Past bookings: completed ones, a no-show, and some a month earlier for the comparison in reports."""
    for days, (name, email, phone, zone) in zip((41, 33, 5, 4, 3), CUSTOMERS, strict=False):
        start = datetime.combine(
            clock.today() - timedelta(days=days), time(11, 30), ZoneInfo(practitioner.timezone)
        ).astimezone(UTC)
        with clock.frozen_at(start - timedelta(days=2)), transaction():
            slot = Slot.starting_at(practitioner, service, start)
            session.add(slot)
            session.flush()
            booking = Booking.hold(slot, {"name": name, "email": email, "phone": phone, "timezone": zone}, {})
            booking.mark_paid(ByHand("cash", f"R-{100 + days}"))
        with clock.frozen_at(start + timedelta(minutes=40)), transaction():
            booking.miss() if days == 3 else booking.complete()


def _add_bookings(service: Service) -> None:
    """Bookings of every kind: with a coupon, with a company's invoice, cancelled, partly refunded, and unpaid."""
    recording = service.extras[0]
    ways = {
        "Meera Iyer": (Choices(extras=[recording.id], coupon="WELCOME-10"), ByHand("cash", "R-104")),
        "Kabir Shah": (
            Choices(buyer={"tax_number": "27AABCS1429B1ZU", "address": "Shah Textiles, Dadar, Mumbai"}),
            ByHand("bank", "UTR 90412"),
        ),
        "Sofia Rossi": (Choices(), ByHand("cheque", "No. 004512")),
        "Daniel Cohen": (Choices(), ByHand("cash", "R-105")),
    }
    soon = Booking.free_slots(service, clock.now(), clock.ahead(days=14))
    for (slot, _), (name, email, phone, zone) in zip(soon[::3], CUSTOMERS, strict=False):
        who = {"name": name, "email": email, "phone": phone, "timezone": zone}
        choices, by_hand = ways.get(name, (None, None))
        with transaction():
            booking = Booking.hold(
                slot, who, {"birth_place": "Mysuru", "birth_time": "unknown", "been_before": "no"}, choices
            )
            if by_hand:
                booking.mark_paid(by_hand)
            if name == "Meera Iyer":
                _refund_part(booking, recording.price)
            if name == "Daniel Cohen":
                booking.cancel(CallOff("Asked by phone to rebook next month."))


def _add_deposit(service: Service) -> None:
    """A booking with a paid deposit and a balance that is due at the start."""
    slot, _ = Booking.free_slots(service, clock.ahead(days=3), clock.ahead(days=14))[0]
    with transaction():
        booking = Booking.hold(
            slot,
            {"name": "Arjun Menon", "email": "arjun@example.com", "phone": "+919847012345", "timezone": "Asia/Kolkata"},
            {},
        )
        booking.mark_paid(ByHand("bank", "UTR 90455"))


def _add_cart(service: Service) -> None:
    """Two bookings in one cart."""
    soon = Booking.free_slots(service, clock.ahead(days=5), clock.ahead(days=20))
    name, email, phone, zone = CUSTOMERS[4]
    who = {"name": name, "email": email, "phone": phone, "timezone": zone}
    with transaction():
        held = [Booking.hold(slot, who, {}) for slot, _ in soon[::7][:2]]
        Basket.for_bills(bill for each in held if (bill := each.bill))


def _add_waiting_list(practitioners: list[Practitioner], service: Service) -> None:
    """Two waiting list entries for dates that are not open yet."""
    first = clock.today() + timedelta(days=45)
    for practitioner, (name, email, phone, zone) in zip(practitioners, CUSTOMERS[3:], strict=True):
        who = {"name": name, "email": email, "phone": phone, "timezone": zone}
        Waiting.join(service, who, first, first + timedelta(days=10), whose=practitioner.id)


def _sell_packages(service: Service) -> None:
    """Sell a package twice: one is paid and has been used once, the other is unpaid."""
    with transaction():
        package = Package(name="Five follow-ups", service=service, uses=5, price=service.price * 4)
        session.add(package)
        session.flush()
        for name, email, phone, _ in (CUSTOMERS[0], CUSTOMERS[2]):
            package.sell(Buyer(name, email, phone))
        bought = session.scalars(select(Pass).order_by(Pass.id)).first()
        assert bought
        bought.mark_paid(ByHand("cash", "R-107"))
    slot, _ = Booking.free_slots(service, clock.ahead(days=4), clock.ahead(days=20))[0]
    name, email, phone, zone = CUSTOMERS[0]
    Booking.hold(
        slot, {"name": name, "email": email, "phone": phone, "timezone": zone}, {}, Choices(coupon=bought.code)
    )


def _refund_part(booking: Booking, money: Money) -> None:
    payment = booking.bills[0].payments[0]
    payment.give_back(GiveBack(amount=money.plain, why="The recording failed."))
    payment.refunds[0].hand_out(HandedOut("R-106"))
