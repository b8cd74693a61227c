"""The public JSON endpoints: services, free slots, and a booking by its link."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, jsonify, request

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Invalid, Missing, Unreadable
from app.kernel.workflow import questions
from app.money import gateway
from app.money.bill import Bill
from app.money.gateway import Unreachable
from app.packs.bookings.booking import Booking
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot

api = Blueprint("bookings_api", __name__, url_prefix="/api")

CUSTOMER = Actor("the customer", "public api")
FIELDS = {"slot", "name", "email", "phone", "tz", "answers"}
LONGEST = timedelta(days=62)


@api.get("/services")
def services() -> Any:
    return jsonify(services=[_service(each) for each in Service.offered()])


@api.get("/slots")
def slots() -> Any:
    """The free times of a service, as instants with the offset of the zone that was asked for."""
    service, zone = _called(request.args.get("service", "")), _zone(request.args.get("tz", ""))
    since = _instant("from", clock.now(), zone)
    until = _instant("to", since + timedelta(days=14), zone, end=True)
    if until - since > LONGEST:
        raise Unreadable("Ask for at most two months at a time.")
    return jsonify(slots=[_slot(slot, left, zone) for slot, left in Booking.free_slots(service, since, until)])


@api.post("/bookings")
def book() -> Any:
    """Hold a seat. Sent again with the same Idempotency-Key, the answer is the same booking."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    slot, who, answers = _read(given)
    chosen = session.get(Slot, slot)
    if chosen is None:
        raise Invalid.fields_said({"slot": "There is no such slot."})
    key = request.headers.get("Idempotency-Key", "")[:200]
    with acting(CUSTOMER):
        booking = Booking.hold_once(f"api:{key}" if key else "", chosen, who, answers)
    return jsonify(_booking(booking, full=False)), 201


@api.get("/bookings/<token>")
def show(token: str) -> Any:
    return jsonify(_booking(Booking.by_token(token), full=True))


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(given: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Every field, known and of its kind; prices are not among them."""
    wrong = dict.fromkeys(given.keys() - FIELDS, "Unknown field.")
    slot, answers = given.get("slot"), given.get("answers") or {}
    if isinstance(slot, bool) or not isinstance(slot, int) or not 0 < slot < 2**31:
        wrong["slot"] = "Send the id of a free slot."
    if not isinstance(answers, dict):
        wrong["answers"] = "Send an object."
    for name in ("name", "email", "phone", "tz"):
        if not isinstance(given.get(name, ""), str):
            wrong[name] = "This has to be text."
    wrong |= {name: "Please fill this in." for name in ("name", "email") if not given.get(name) and name not in wrong}
    if wrong:
        raise Invalid.fields_said(wrong)
    zone = given.get("tz") or current_app.extensions["settings"].timezone
    if not clock.is_zone(zone):
        raise Invalid.fields_said({"tz": "This is not a time zone. Write it like Asia/Kolkata."})
    return slot or 0, {"name": given["name"], "email": given["email"], "phone": given.get("phone", ""), "timezone": zone}, answers


def _called(name: str) -> Service:
    """By its address or its number."""
    if not name:
        raise Unreadable("Say which service: ?service=first-consultation.")
    if name.isdecimal() and int(name) < 2**31:
        found = session.get(Service, int(name))
        if found is not None and found.state == "offered":
            return found
        raise Missing
    return Service.called(name)


def _zone(name: str) -> str:
    if name and not clock.is_zone(name):
        raise Unreadable("“tz” is not a time zone. Write it like Asia/Kolkata.")
    return name or str(current_app.extensions["settings"].timezone)


def _instant(name: str, default: datetime, zone: str, *, end: bool = False) -> datetime:
    """A moment, or a day of the asked zone: "to" means until the end of that day."""
    text = request.args.get(name, "")
    if not text:
        return default
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            moment = datetime.combine(day, midnight(), ZoneInfo(zone))
        else:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
        if not 1900 <= moment.year <= 2200:
            raise ValueError
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"“{name}” is neither a date nor a moment. Write it like 2026-11-24.") from None


# --- answering --------------------------------------------------------------------------------------------------------


def _service(it: Service) -> dict[str, Any]:
    asked = [{"name": each.name, "label": each.label, "type": each.kind.__name__, "required": each.required} for each in questions(it.asks)]
    return {
        "id": it.id,
        "slug": it.slug,
        "name": it.name,
        "description": it.description,
        "minutes": it.minutes,
        "price": it.price.as_json(),
        "questions": asked,
    }


def _slot(it: Slot, left: int, zone: str) -> dict[str, Any]:
    here = ZoneInfo(zone)
    starts_at, ends_at = (each.astimezone(here).isoformat() for each in (it.starts_at, it.ends_at))
    return {"id": it.id, "starts_at": starts_at, "ends_at": ends_at, "practitioner": it.practitioner.name, "seats_left": left}


def _booking(it: Booking, *, full: bool) -> dict[str, Any]:
    """What the holder of the link may know; never the birth data, never anybody else's."""
    known: dict[str, Any] = {"token": it.token, "number": it.number, "state": it.state, "price": it.price.as_json()}
    known["hold_expires_at"] = it.hold_expires_at.isoformat() if it.state == "held" else None
    known["checkout"] = _checkout(it.bill) if it.is_payable else None
    if full:
        slot = _slot(it.slot, 0, it.timezone)
        del slot["seats_left"]
        known |= {"service": it.slot.service.slug, "slot": slot, "timezone": it.timezone}
    return known


def _checkout(bill: Bill | None) -> dict[str, Any] | None:
    """None when the gateway is away just now: the seat is held, and asking for the booking again tries again."""
    if bill is None or bill.state != "open":
        return None
    try:
        order_id = bill.announce()
    except Unreachable:
        return None
    return {**gateway.named(bill.gateway).public(), "order_id": order_id, **bill.price.as_json()}
