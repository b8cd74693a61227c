"""New booking by staff, for a customer on the phone: find the customer, choose a time, record or request the payment.

The rules are those of the public form.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as midnight
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import or_
from werkzeug.datastructures import MultiDict

from app.desk.declare import column
from app.desk.declare.page import Page
from app.desk.lists.filters import like_pattern
from app.kernel import access, clock
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.people import Person
from app.kernel.workflow import press_move
from app.money.sums.quote import Quote
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from app.site.files import read_answers

MOST_CUSTOMERS, MOST_TIMES = 8, 24  # shown at once
WAYS = {"link": "Send payment link", "cash": "Cash", "cheque": "Cheque", "bank": "Bank transfer"}


@dataclass(frozen=True)
class Call:
    """The form as filled in so far. Nothing is reserved before the last button."""

    typed: MultiDict[str, str]

    def text(self, name: str) -> str:
        return self.typed.get(name, "").strip()[:500]

    def number(self, name: str) -> int:
        text = self.text(name)
        return int(text) if text.isdecimal() and len(text) < 10 else 0

    @property
    def person(self) -> Person | None:
        try:
            found: Person = access.find_visible(Person, self.number("person"))
        except Missing:
            return None
        return found

    @property
    def slot(self) -> Slot | None:
        return session.get(Slot, self.number("slot"))

    def service(self, offered: Sequence[Service]) -> Service | None:
        """The chosen service, that of the clicked time, or the first in the list."""
        slot, slug = self.slot, self.text("service")
        named = next((each for each in offered if each.slug == slug), None)
        return named or (slot.service if slot and slot.service in offered else next(iter(offered), None))

    @property
    def extras(self) -> list[int]:
        return [int(each) for each in self.typed.getlist("extra")[:50] if each.isdecimal() and len(each) < 10]

    @property
    def since(self) -> datetime:
        try:
            day = date.fromisoformat(self.text("since")) if self.text("since") else clock.today()
        except ValueError:
            raise Invalid.for_fields({"since": "Enter a valid date."}) from None
        return max(clock.now(), datetime.combine(day, midnight(), ZoneInfo(column.staff_locale.timezone)))

    @property
    def who(self) -> dict[str, str]:
        person = self.person
        if person:
            return {"name": person.name, "email": person.email, "phone": person.phone, "timezone": person.timezone}
        return {name: self.text(name) for name in ("name", "email", "phone")} | {
            "timezone": column.staff_locale.timezone
        }


def phone_page() -> Any:
    call = Call(request.form if request.method == "POST" else request.args)
    if "book" not in call.typed:
        return _page(call)
    try:
        booking = _book(call)
    except Refused as no:
        session.rollback()
        return _page(call, no), no.status
    flash(f"{booking.number} for {booking.person.name} {_outcome_of(booking)}.", "success")
    return redirect(url_for("BookingScreens.show", pk=booking.id), 303)


def _book(call: Call) -> Booking:
    """Hold the slot and record the payment in one transaction. A double click is one booking."""
    slot, way = call.slot, call.text("pay") or "link"
    wrong = {"slot": "Choose an available time."} if slot is None else {}
    if way not in WAYS:
        wrong["pay"] = "Choose a payment method."
    if way in ("cash", "cheque", "bank") and not call.text("reference"):
        wrong["reference"] = "This field is required."
    if wrong or slot is None:
        raise Invalid.for_fields(wrong)
    key = f"desk:{call.text('once')[:64]}"
    answers, wrong = read_answers(slot.service.asks, slot.service.hold_minutes)
    if wrong:
        raise Invalid.for_fields(wrong)
    try:
        with transaction():
            booking = Booking.hold_once(
                key, slot, call.who, answers, Choices(call.extras, call.text("coupon"), quote=call.text("quote"))
            )
            if way != "link" and booking.state == "held" and not (booking.bill and booking.bill.is_promised):
                press_move(booking, "mark_paid", {"how": way, "reference": call.text("reference")})
    except Refused:
        made = Booking.by_request_key(key)
        if made is None:
            raise
        raise Refused(f"{made.number} was already created from this form. Start a new booking.") from None
    return booking


def _outcome_of(booking: Booking) -> str:
    """Describe the state of the new booking and what is still due."""
    bills = booking.bills
    if booking.state == "requested":
        return "is waiting for approval. No payment is due yet"
    if promised := next((each for each in bills if each.is_promised), None):
        return f"is waiting for a second approval of {promised.price}"
    if booking.state == "held":
        return f"is waiting for payment. The link was sent to {booking.person.email}"
    uncleared = [each.paying.money for each in bills if each.paying and not each.paying.is_cleared]
    owed = [each.price for each in bills if each.wants_money]
    open_points = [f"the cheque for {each} has not cleared yet" for each in uncleared] + [
        f"{each} is still due" for each in owed
    ]
    if open_points:
        return f"is confirmed; {' and '.join(open_points)}"
    return "is confirmed and paid" if bills else f"is confirmed ({booking.paid_with})"


# --- the page ---------------------------------------------------------------------------------------------------------


def _page(call: Call, no: Refused | None = None) -> str:
    wrong: Mapping[str, str] = dict(no.fields) if no else {}
    offered = Service.all_offered()
    service = call.service(offered)
    try:
        since = call.since
    except Invalid as also:
        since, wrong = clock.now(), {**wrong, **also.fields}
    quote, wrong = _price(call, service, wrong) if service else (None, wrong)
    free = [slot for slot, _ in Booking.free_slots(service, clock.now(), clock.ahead(days=400))] if service else []
    return render_template(
        "bookings/desk/phone.html",
        page=page,
        call=call,
        typed=call.typed,
        service=service,
        offered=offered,
        person=call.person,
        people=_people(call),
        practitioners=session.scalars(
            access.visible_rows(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.name)
        ).all(),
        days=_times(call, free, since),
        gone=no is None and _is_gone(call, service, free),
        quote=quote,
        now=service.deposit_of(quote.total) if service and quote else None,
        asked=service.asks.parsed_questions if service and service.asks else [],
        answers=read_answers(service.asks, service.hold_minutes)[0] if service else {},
        wrong=wrong,
        refusal=no.words if no else None,
        zone=column.staff_locale.timezone,
        ways=WAYS,
        once=call.text("once") or secrets.token_urlsafe(16),
    )


def _people(call: Call) -> Sequence[Person]:
    """Find customers whose name, email or phone number contains each of the words."""
    words = call.text("q")[:200].split()
    if not words:
        return []
    found = access.visible_rows(Person)
    for word in words:
        digits = re.sub(r"\D", "", word)
        somewhere = [each.ilike(like_pattern(word)) for each in (Person.name, Person.email)]
        found = found.where(or_(*somewhere, *([Person.phone.ilike(like_pattern(digits))] if len(digits) >= 3 else [])))
    return session.scalars(found.order_by(Person.name, Person.id).limit(MOST_CUSTOMERS)).all()


def _is_gone(call: Call, service: Service | None, free: Sequence[Slot]) -> bool:
    """Whether the clicked time is past, taken or unknown. One of another service is a leftover of an earlier choice."""
    slot = call.slot
    return bool(call.text("slot")) and (
        slot is None
        or slot.state != "open"
        or slot.starts_at <= clock.now()
        or (slot.service is service and slot not in free)
    )


def _times(call: Call, every: Sequence[Slot], since: datetime) -> list[tuple[date, list[Slot]]]:
    """The next available times by day, and the one that was clicked in the calendar while it is available."""
    whose, chosen, zone = call.number("whose"), call.number("slot"), ZoneInfo(column.staff_locale.timezone)
    free = [slot for slot in every if whose in (0, slot.practitioner_id)]
    shown = [*islice((each for each in free if each.starts_at >= since), MOST_TIMES)]
    shown += [each for each in free if each.id == chosen and each not in shown]
    shown.sort(key=lambda each: (each.starts_at, each.id))
    return [(day, [*slots]) for day, slots in groupby(shown, lambda each: each.starts_at.astimezone(zone).date())]


def _price(call: Call, service: Service, wrong: Mapping[str, str]) -> tuple[Quote, Mapping[str, str]]:
    """Quote the price, without the coupon if that is refused."""
    extras = [each.id for each in service.extras if each.state == "offered" and each.id in call.extras]
    try:
        with transaction():
            return Choices(extras, call.text("coupon")).new_quote(service), wrong
    except Invalid as no:
        session.rollback()
        with transaction():
            return service.quote(extras), {**no.fields, **wrong}


page = Page(
    "by_phone",
    label="New booking",
    icon="plus",
    also="new booking appointment phone call walk in",
    roles="Desk",
    answers=phone_page,
    adds=True,
)
