"""The public JSON endpoints: services, free slots, what it costs, and a booking by its link."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, jsonify, request, url_for

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Missing, Unreadable
from app.kernel.question import Question
from app.money.bills.bill import Bill
from app.money.bills.invoice import Invoice
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.gateways.gateway import Unreachable
from app.money.sums import refund_policy
from app.money.sums.price import Line, Price
from app.money.sums.quote import Quote
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.booking.meeting import EARLY
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from app.site.files import kept
from app.site.frame import takes_files
from app.site.throttle import guessing

api = Blueprint("bookings_api", __name__, url_prefix="/api")

CUSTOMER = Actor("Customer", "public api")
CHOICES = {"extras", "coupon", "buyer"}
FIELDS = {"slot", "name", "email", "phone", "tz", "answers", "quote"} | CHOICES
BUYER = {"tax_number", "region", "address"}
MOST_EXTRAS = 50
LONGEST = timedelta(days=62)


@api.get("/services")
def services() -> Any:
    return jsonify(services=[_service(each) for each in Service.all_offered()])


@api.get("/slots")
def slots() -> Any:
    """The free times of a service, as instants with the offset of the zone that was asked for."""
    service, zone = _called(request.args.get("service", "")), _zone(request.args.get("tz", ""))
    since = _instant("from", clock.now(), zone)
    until = _instant("to", since + timedelta(days=14), zone, end=True)
    if until - since > LONGEST:
        raise Unreadable("Request at most 62 days at a time.")
    return jsonify(slots=[_slot(slot, left, zone) for slot, left in Booking.free_slots(service, since, until)])


@api.post("/bookings/quote")
def quote() -> Any:
    """What it would cost: nothing is held, and no coupon is used up. Whoever sends the token with the booking gets it at this price."""
    given = _object()
    service, choices = _service_and_choices(given)
    with guessing("coupon", choices.coupon), transaction():
        named = choices.new_quote(service)
    return jsonify(_quote(service, named)), 201


@api.post("/bookings")
def book() -> Any:
    """Hold a seat. Sent again with the same Idempotency-Key, the answer is the same booking."""
    slot, who, answers, choices = _read(_object())
    chosen = session.get(Slot, slot)
    if chosen is None:
        raise Invalid.fields_said({"slot": "This slot doesn’t exist."})
    key = request.headers.get("Idempotency-Key", "")[:200]
    with acting(CUSTOMER), guessing("coupon", choices.coupon):
        booking = Booking.hold_once(f"api:{key}" if key else "", chosen, who, answers, choices)
    return jsonify(_booking(booking)), 201


@api.post("/services/<slug>/files")
@takes_files
def send(slug: str) -> Any:
    """A file first, for one of the questions of a service; its token is the answer to that question, for as long as a hold."""
    service = Service.by_slug(slug)
    name, chosen = request.form.get("question", ""), request.files.get("file")
    asked = next(
        (each for each in (service.asks.asked if service.asks else ()) if each.kind == "file" and each.name == name),
        None,
    )
    wrong = {} if asked else {"question": "Enter the name of the question that this file answers."}
    wrong |= {} if chosen and chosen.filename else {"file": "Send a file."}
    if wrong or asked is None or chosen is None or service.asks is None:
        raise Invalid.fields_said(wrong)
    upload = kept(chosen, asked, service.asks, service.hold_minutes)
    return jsonify(
        token=upload.token,
        name=upload.name,
        type=upload.kind,
        bytes=upload.length,
        keeps_until=upload.expires_at.isoformat(),
    ), 201


@api.get("/bookings/<token>")
def show(token: str) -> Any:
    return jsonify(_booking(Booking.by_token(token)))


@api.post("/bookings/<token>/reschedule")
def reschedule(token: str) -> Any:
    """Another time of the same service; sent twice it is one move."""
    booking, given = Booking.by_token(token), _object()
    if wrong := dict.fromkeys(given.keys() - {"slot"}, "Unknown field.") | (
        {} if _is_id(given.get("slot")) else {"slot": "Send the ID of an available slot."}
    ):
        raise Invalid.fields_said(wrong)
    slot = session.get(Slot, given["slot"])
    if slot is None:
        raise Invalid.fields_said({"slot": "This slot doesn’t exist."})
    if slot.id != booking.slot_id:
        with acting(CUSTOMER):
            booking.move_to(slot)
    return jsonify(_booking(booking))


@api.post("/bookings/<token>/cancel")
def cancel(token: str) -> Any:
    """What goes back is what was promised; `changes` of the booking says the sum before."""
    booking, given = Booking.by_token(token), _object()
    if wrong := dict.fromkeys(given.keys() - {"why"}, "Unknown field.") | _not_text(given, "why"):
        raise Invalid.fields_said(wrong)
    if booking.state != "cancelled":
        with acting(CUSTOMER):
            booking.call_off(given.get("why", "").strip()[:300])
    return jsonify(_booking(booking))


# --- reading ----------------------------------------------------------------------------------------------------------


def _object() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    return given


def _read(given: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any], Choices]:
    """Every field, known and of its kind; prices are not among them."""
    wrong = dict.fromkeys(given.keys() - FIELDS, "Unknown field.") | _wrong_choices(given)
    slot, answers = given.get("slot"), given.get("answers") or {}
    if not _is_id(slot):
        wrong["slot"] = "Send the ID of an available slot."
    if not isinstance(answers, dict):
        wrong["answers"] = "Send an object."
    wrong |= _not_text(given, "name", "email", "phone", "tz", "quote")
    wrong |= {
        name: "This field is required." for name in ("name", "email") if not given.get(name) and name not in wrong
    }
    if wrong:
        raise Invalid.fields_said(wrong)
    zone = given.get("tz") or current_app.extensions["settings"].timezone
    if not clock.is_zone(zone):
        raise Invalid.fields_said({"tz": "Enter a valid time zone, such as Asia/Kolkata."})
    who = {"name": given["name"], "email": given["email"], "phone": given.get("phone", ""), "timezone": zone}
    return slot or 0, who, answers, replace(_choices(given), quote=_named_before(given.get("quote", "")))


def _service_and_choices(given: dict[str, Any]) -> tuple[Service, Choices]:
    wrong = dict.fromkeys(given.keys() - CHOICES - {"service"}, "Unknown field.") | _wrong_choices(given)
    name = given.get("service")
    if not name or not isinstance(name, str | int) or isinstance(name, bool):
        wrong["service"] = "Specify the service by its slug or ID."
    if wrong:
        raise Invalid.fields_said(wrong)
    return _called(str(name)), _choices(given)


def _wrong_choices(given: dict[str, Any]) -> dict[str, str]:
    extras, buyer = given.get("extras", []), given.get("buyer", {})
    wrong = _not_text(given, "coupon")
    if not isinstance(extras, list) or len(extras) > MOST_EXTRAS or not all(map(_is_id, extras)):
        wrong["extras"] = "Send a list of IDs."
    if not isinstance(buyer, dict):
        return wrong | {"buyer": "Send an object."}
    return wrong | dict.fromkeys(buyer.keys() - BUYER, "Unknown field.") | _not_text(buyer, *sorted(BUYER))


def _not_text(given: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: "Enter text." for name in names if not isinstance(given.get(name, ""), str)}


def _is_id(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**31


def _choices(given: dict[str, Any]) -> Choices:
    return Choices(given.get("extras", []), given.get("coupon", ""), given.get("buyer", {}))


def _named_before(token: str) -> str:
    try:
        return Quote.by_token(token).token if token else ""
    except Missing:
        raise Invalid.fields_said({"quote": "This quote doesn’t exist."}) from None


def _called(name: str) -> Service:
    """By its address or its number."""
    if not name:
        raise Unreadable("Specify a service, such as ?service=first-consultation.")
    if name.isdecimal() and len(name) < 10:
        found = session.get(Service, int(name))
        if found is not None and found.state == "offered":
            return found
        raise Missing
    return Service.by_slug(name)


def _zone(name: str) -> str:
    if name and not clock.is_zone(name):
        raise Unreadable("“tz” is not a valid time zone. Use a name such as Asia/Kolkata.")
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
        raise Unreadable(f"“{name}” is not a valid date or time. Use a format such as 2026-11-24.") from None


# --- answering --------------------------------------------------------------------------------------------------------


def _service(it: Service) -> dict[str, Any]:
    asked = it.asks.asked if it.asks else []
    return {
        "id": it.id,
        "slug": it.slug,
        "name": it.name,
        "description": it.description,
        "minutes": it.minutes,
        "price": it.price.as_json(),
        "tax": {"percent": it.tax_rate / 100, "included": it.tax_included} if it.tax_rate else None,
        "extras": [
            {"id": each.id, "name": each.name, "price": each.price.as_json()}
            for each in it.extras
            if each.state == "offered"
        ],
        "deposit_percent": it.deposit_percent,
        "policy": refund_policy.policy_in_words(it.policy.tiers) if it.policy else None,
        "questions": [_question(each) for each in asked],
    }


def _question(it: Question) -> dict[str, Any]:
    """What has to be known to ask it elsewhere; `only_if` says after which answer it is asked at all."""
    limits = {name: value for name in ("least", "most") if (value := getattr(it, name)) is not None}
    if it.kind == "date":
        limits = {"earliest": it.first_day.isoformat(), "latest": it.last_day.isoformat()}
    return {
        "name": it.name,
        "type": it.kind,
        "label": it.says(),
        "help": it.helps(),
        "labels": dict(it.label),
        "required": it.required,
        "only_if": {it.asked_if: it.equals} if it.asked_if else None,
        "options": [dict(each) for each in it.options],
        "may_be_unknown": it.unknown,
        "limits": limits
        | ({"megabytes": it.most_megabytes} if it.kind == "file" else {})
        | ({"longest": it.most_letters} if it.most_letters else {}),
    }


def _slot(it: Slot, left: int, zone: str) -> dict[str, Any]:
    here = ZoneInfo(zone)
    starts_at, ends_at = (each.astimezone(here).isoformat() for each in (it.starts_at, it.ends_at))
    return {
        "id": it.id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "practitioner": it.practitioner.name,
        "seats_left": left,
    }


def _quote(service: Service, it: Quote) -> dict[str, Any]:
    deposit = service.deposit_of(it.total)
    return {
        "token": it.token,
        "holds_until": it.holds_until.isoformat(),
        "lines": _lines(it.price),
        "coupon": it.coupon.code if it.coupon else None,
        "total": it.total.as_json(),
        "deposit": deposit.as_json(),
        "later": (it.total - deposit).as_json(),
        "policy": refund_policy.policy_in_words(service.policy.tiers) if service.policy else None,
    }


def _lines(price: Price) -> list[dict[str, Any]]:
    return [_line(each) for each in price.lines]


def _line(it: Line) -> dict[str, Any]:
    """What is on the price list, what the coupon takes off, and what of the rest is tax: net + taxes = total."""
    sums = {"listed": it.listed, "off": it.off, "net": it.net, "total": it.total}
    taxes = {name: tax.as_json() for name, tax in it.taxes.items()}
    return {
        "label": it.label,
        "quantity": it.quantity,
        **{name: each.as_json() for name, each in sums.items()},
        "taxes": taxes,
    }


def _booking(it: Booking) -> dict[str, Any]:
    """What the holder of the link may know; never the birth data, never anybody else's."""
    slot = _slot(it.slot, 0, it.timezone)
    del slot["seats_left"]
    return {
        "token": it.token,
        "number": it.number,
        "state": it.state,
        "service": it.slot.service.slug,
        "slot": slot,
        "timezone": it.timezone,
        "hold_expires_at": it.hold_expires_at.isoformat() if it.state in ("held", "requested") else None,
        "price": it.price.as_json(),
        "deposit": it.deposit.as_json(),
        "lines": _lines(it.quote.price) if it.quote else [],
        "policy": refund_policy.policy_in_words(it.policy) if it.policy else None,
        "bills": [_bill(each, it) for each in it.bills],
        "refunds": [_refund(each) for each in it.going_back],
        "papers": [_paper(each) for bill in it.bills for each in bill.invoices],
        "meeting": _meeting(it),
        "changes": {"why_not": it.refuses_change(), "back": it.refund_by_policy().as_json()},
        "checkout": _checkout(it.bill, it),
    }


def _meeting(it: Booking) -> dict[str, Any] | None:
    """Where it is, and the link when it is time for it; never what only its host may have."""
    meeting = it.meeting if it.state == "confirmed" else None
    if meeting is None:
        return None
    opens = None if meeting.driver == "in_person" else (it.slot.starts_at - EARLY).isoformat()
    return {
        "online": meeting.driver != "in_person",
        "address": meeting.address,
        "opens_at": opens,
        "link": meeting.join_url if meeting.is_open else None,
    }


def _bill(it: Bill, booking: Booking) -> dict[str, Any]:
    pays = it.wants_money and booking.awaits(it)
    return {
        "token": it.token,
        "number": it.number,
        "part": it.part,
        "price": it.price.as_json(),
        "state": it.state,
        "due": it.due_at.isoformat() if it.due_at else None,
        "pay": _address("pay.checkout", it.token) if pays else None,
        "on_paper": _address("pay.on_paper", it.token) if pays else None,
    }


REFUND_STATES = {
    "to_approve": "considered",
    "owed": "promised",
    "failed": "promised",
    "sent": "on_its_way",
    "done": "done",
}


def _refund(it: Refund) -> dict[str, Any]:
    """How it stands for the one who gets it; what went wrong on the way is ours to mend."""
    return {
        "number": it.number,
        "price": it.money.as_json(),
        "state": REFUND_STATES[it.state],
        "by_hand": it.is_by_hand,
    }


def _paper(it: Invoice) -> dict[str, Any]:
    return {
        "number": it.number,
        "kind": it.kind,
        "day": it.day.isoformat(),
        "total": it.total.as_json(),
        "pdf": _address("paper.paper", it.token),
    }


def _address(endpoint: str, token: str) -> str:
    return str(current_app.extensions["settings"].base_url).rstrip("/") + url_for(endpoint, token=token)


def _checkout(bill: Bill | None, booking: Booking) -> dict[str, Any] | None:
    """None when the gateway is away just now: the seat is held, and asking for the booking again tries again."""
    if bill is None or not bill.wants_money or not booking.awaits(bill):
        return None
    try:
        order_id = bill.announce()
    except Unreachable:
        return None
    return {**gateway.by_name(bill.gateway).public_details(), "order_id": order_id, **bill.price.as_json()}
