"""The public pages of a practice: what it offers, when, the form, and the booking itself."""

from __future__ import annotations

import secrets
from calendar import Calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, flash, redirect, render_template, request, send_file, url_for
from flask import session as cookie
from sqlalchemy import select

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Missing, Refused, Unreadable
from app.kernel.workflow import questions
from app.packs.bookings.booking import Booking
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot
from app.site.payments import AFTER_PAYING

site = Blueprint("booking", __name__)

CUSTOMER = Actor("the customer", "site")
WHO = ("name", "email", "phone")


@site.app_template_filter()
def local(instant: datetime, zone: str) -> datetime:
    """The same instant on the wall of another zone, for pages that say its day and its hour apart."""
    return instant.astimezone(ZoneInfo(zone))


@site.get("/")
def home() -> str:
    return render_template("bookings/home.html", services=Service.offered(), practitioners=_practitioners())


@site.get("/services")
def services() -> str:
    return render_template("bookings/services.html", services=Service.offered(), practitioners=_practitioners())


@site.get("/practitioners/<int:id>/photo")
def photo(id: int) -> Any:
    practitioner = session.get(Practitioner, id)
    if practitioner is None or practitioner.photo is None or not practitioner.photo.path.exists():
        raise Missing
    return send_file(practitioner.photo.path, mimetype="image/webp", max_age=3600)


# --- choosing a time --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Month:
    """A month of the visitor's own calendar: which days have a free time, and the times of the day they chose."""

    first: date
    weeks: Sequence[Sequence[date]]
    free: Mapping[date, Sequence[tuple[Slot, int]]]
    chosen: date | None
    today: date
    last: date

    @property
    def times(self) -> Sequence[tuple[Slot, int]]:
        return self.free.get(self.chosen, ()) if self.chosen else ()

    @property
    def before(self) -> date | None:
        earlier = (self.first - timedelta(days=1)).replace(day=1)
        return earlier if earlier >= self.today.replace(day=1) else None

    @property
    def after(self) -> date | None:
        later = (self.first + timedelta(days=31)).replace(day=1)
        return later if later <= self.last else None


@site.get("/book/<slug>")
def choose(slug: str) -> str:
    service, zone = Service.called(slug), _zone()
    month = _month(service, zone, request.args.get("month", ""), request.args.get("day", ""))
    return render_template("bookings/choose.html", service=service, zone=zone, month=month, zones=ZONES)


def _month(service: Service, zone: str, month: str, day: str) -> Month:
    here = ZoneInfo(zone)
    today = clock.now().astimezone(here).date()
    last = clock.ahead(days=service.days_ahead).astimezone(here).date()
    chosen = _date(day) if day else None
    first = (chosen or (_date(month, "%Y-%m", "month") if month else today)).replace(day=1)
    weeks = Calendar().monthdatescalendar(first.year, first.month)
    # From the first to the last day on the page, as the visitor's zone counts them.
    since, until = (datetime.combine(each, midnight(), here).astimezone(UTC) for each in (weeks[0][0], weeks[-1][-1] + timedelta(days=1)))
    free: dict[date, list[tuple[Slot, int]]] = {}
    for slot, left in Booking.free_slots(service, since, until):
        free.setdefault(slot.starts_at.astimezone(here).date(), []).append((slot, left))
    return Month(first, weeks, free, chosen, today, last)


def _date(text: str, form: str = "%Y-%m-%d", called: str = "date") -> date:
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        raise Unreadable(f"“{text[:40]}” is not a {called}.") from None
    if not 2000 <= found.year <= 2200:
        raise Unreadable(f"“{text[:40]}” is too far away.")
    return found


def _zone() -> str:
    """The visitor's zone: chosen, remembered, or the practice's own."""
    asked = request.args.get("tz") or request.form.get("timezone") or request.cookies.get("zone", "")
    return asked if clock.is_zone(asked) else str(current_app.extensions["settings"].timezone)


# --- booking it -------------------------------------------------------------------------------------------------------


@site.get("/book/<slug>/<int:slot>")
def form(slug: str, slot: int) -> Any:
    service = Service.called(slug)
    chosen = _slot(service, slot)
    if mine := _held_from_here(chosen):
        return _form(service, chosen, mine, {}, None)
    if (no := chosen.refuses()) or not _has_room(chosen):
        flash(no or "This time has just been taken. Please choose another one.", "warning")
        return redirect(_back(service, chosen))
    return _form(service, chosen, {}, {}, None)


@site.post("/book/<slug>/<int:slot>")
def book(slug: str, slot: int) -> Any:
    """Reads the form, holds the seat, and leads to the payment. A refusal keeps what was typed."""
    service = Service.called(slug)
    chosen = _slot(service, slot)
    who = {name: request.form.get(name, "") for name in WHO} | {"timezone": _zone()}
    answers = {each.name: request.form[each.name] for each in questions(service.asks) if each.name in request.form}
    once = request.form.get("once", "")[:64]
    corrects = bool(once) and (cookie.get("held") or {}).get("once") == once  # only one's own hold can be let go
    try:
        with acting(CUSTOMER):
            booking = Booking.hold_once(f"site:{once}" if once else "", chosen, who, answers, corrects=corrects)
    except Refused as no:
        session.rollback()
        chosen = _slot(service, slot)
        if no.status == 422:
            return _form(service, chosen, request.form, no.fields, no.words), 422
        flash(no.words, "warning")
        return redirect(_back(service, chosen))
    cookie["held"] = {"slot": slot, "once": once}
    bill = booking.bill
    where = url_for("pay.checkout", token=bill.token) if bill and booking.is_payable else url_for("booking.show", token=booking.token)
    return redirect(where, 303)


def _held_from_here(slot: Slot) -> dict[str, str] | None:
    """Whoever goes back to correct something finds what they typed, not a time that is "taken" by their own hold."""
    held = cookie.get("held") or {}
    booking = Booking.asked_before(f"site:{held.get('once')}") if held.get("slot") == slot.id else None
    if booking is None or not booking.is_payable:
        return None
    who = booking.person
    return {"once": held["once"], "name": who.name, "email": who.email, "phone": who.phone, "timezone": booking.timezone}


def _form(service: Service, slot: Slot, typed: Mapping[str, Any], wrong: Mapping[str, str], refusal: str | None) -> str:
    asked = questions(service.asks)
    return render_template(
        "bookings/form.html",
        service=service,
        slot=slot,
        zone=_zone(),
        asked=asked,
        typed=typed,
        wrong=wrong,
        refusal=refusal,
        once=typed.get("once") or secrets.token_urlsafe(16),
    )


def _slot(service: Service, id: int) -> Slot:
    slot = session.get(Slot, id) if id < 2**31 else None
    if slot is None or slot.service_id != service.id:
        raise Missing
    return slot


def _has_room(slot: Slot) -> bool:
    return any(each.id == slot.id for each, _ in Booking.free_slots(slot.service, slot.starts_at, slot.starts_at + timedelta(seconds=1)))


def _back(service: Service, slot: Slot) -> str:
    day = slot.starts_at.astimezone(ZoneInfo(_zone())).date()
    return url_for("booking.choose", slug=service.slug, day=day.isoformat(), tz=_zone())


# --- the booking ------------------------------------------------------------------------------------------------------


@site.get("/booking/<token>")
def show(token: str) -> str:
    booking = Booking.by_token(token)
    if said := AFTER_PAYING.get(request.args.get("payment", "")) if booking.state == "held" else None:
        flash(said, "warning")
    return render_template("bookings/booking.html", booking=booking, bill=booking.bill)


def _practitioners() -> Sequence[Practitioner]:
    return session.scalars(select(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.name)).all()


# The zones offered without JavaScript; any other may be asked for by ?tz=.
ZONES = (
    "Asia/Kolkata", "Asia/Dubai", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney", "Europe/London", "Europe/Berlin", "Africa/Nairobi",
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "UTC",
)  # fmt: skip
