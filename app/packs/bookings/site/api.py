"""Public JSON API: services, available slots, price quotes, and bookings by their secret link."""

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
from app.site.files import keep_upload
from app.site.frame import accepts_files
from app.site.throttle import limit_wrong_guesses

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
    """List the available slots of a service, with times in the requested time zone."""
    service, zone = _find_service(request.args.get("service", "")), _zone(request.args.get("tz", ""))
    since = _instant("from", clock.now(), zone)
    until = _instant("to", since + timedelta(days=14), zone, end=True)
    if until - since > LONGEST:
        raise Unreadable("Request at most 62 days at a time.")
    return jsonify(slots=[_slot(slot, left, zone) for slot, left in Booking.free_slots(service, since, until)])


@api.post("/bookings/quote")
def quote() -> Any:
    """Quote a price without reserving anything. A booking with the token of the quote gets this price."""
    given = _json_body()
    service, choices = _service_and_choices(given)
    with limit_wrong_guesses("coupon", choices.coupon), transaction():
        made = choices.new_quote(service)
    return jsonify(_quote(service, made)), 201


@api.post("/bookings")
def book() -> Any:
    """Hold a seat. A request repeated with the same Idempotency-Key answers the same booking."""
    slot, who, answers, choices = _parse_booking(_json_body())
    chosen = session.get(Slot, slot)
    if chosen is None:
        raise Invalid.for_fields({"slot": "This slot doesn’t exist."})
    key = request.headers.get("Idempotency-Key", "")[:200]
    with acting(CUSTOMER), limit_wrong_guesses("coupon", choices.coupon):
        booking = Booking.hold_once(f"api:{key}" if key else "", chosen, who, answers, choices)
    return jsonify(_booking(booking)), 201


@api.post("/services/<slug>/files")
@accepts_files
def send(slug: str) -> Any:
    """Upload a file as the answer to a question. Its token is sent with the booking, and is valid as long as a hold."""
    service = Service.by_slug(slug)
    name, chosen = request.form.get("question", ""), request.files.get("file")
    asked = next(
        (
            each
            for each in (service.asks.parsed_questions if service.asks else ())
            if each.kind == "file" and each.name == name
        ),
        None,
    )
    wrong = {} if asked else {"question": "Enter the name of the question that this file answers."}
    wrong |= {} if chosen and chosen.filename else {"file": "Send a file."}
    if wrong or asked is None or chosen is None or service.asks is None:
        raise Invalid.for_fields(wrong)
    upload = keep_upload(chosen, asked, service.asks, service.hold_minutes)
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
    """Move the booking to another slot of the same service. Repeating the request changes nothing."""
    booking, given = Booking.by_token(token), _json_body()
    if wrong := dict.fromkeys(given.keys() - {"slot"}, "Unknown field.") | (
        {} if _is_id(given.get("slot")) else {"slot": "Send the ID of an available slot."}
    ):
        raise Invalid.for_fields(wrong)
    slot = session.get(Slot, given["slot"])
    if slot is None:
        raise Invalid.for_fields({"slot": "This slot doesn’t exist."})
    if slot.id != booking.slot_id:
        with acting(CUSTOMER):
            booking.move_to(slot)
    return jsonify(_booking(booking))


@api.post("/bookings/<token>/cancel")
def cancel(token: str) -> Any:
    """Cancel the booking, with a refund by its policy. `changes` of the booking states the amount in advance."""
    booking, given = Booking.by_token(token), _json_body()
    if wrong := dict.fromkeys(given.keys() - {"why"}, "Unknown field.") | _not_text(given, "why"):
        raise Invalid.for_fields(wrong)
    if booking.state != "cancelled":
        with acting(CUSTOMER):
            booking.call_off(given.get("why", "").strip()[:300])
    return jsonify(_booking(booking))


# --- requests ---------------------------------------------------------------------------------------------------------


def _json_body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    return given


def _parse_booking(given: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any], Choices]:
    """Check the fields and their types, and refuse unknown ones. There is no field for a price."""
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
        raise Invalid.for_fields(wrong)
    zone = given.get("tz") or current_app.extensions["settings"].timezone
    if not clock.is_zone(zone):
        raise Invalid.for_fields({"tz": "Enter a valid time zone, such as Asia/Kolkata."})
    who = {"name": given["name"], "email": given["email"], "phone": given.get("phone", ""), "timezone": zone}
    return slot or 0, who, answers, replace(_choices(given), quote=_check_quote(given.get("quote", "")))


def _service_and_choices(given: dict[str, Any]) -> tuple[Service, Choices]:
    wrong = dict.fromkeys(given.keys() - CHOICES - {"service"}, "Unknown field.") | _wrong_choices(given)
    name = given.get("service")
    if not name or not isinstance(name, str | int) or isinstance(name, bool):
        wrong["service"] = "Specify the service by its slug or ID."
    if wrong:
        raise Invalid.for_fields(wrong)
    return _find_service(str(name)), _choices(given)


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


def _check_quote(token: str) -> str:
    try:
        return Quote.by_token(token).token if token else ""
    except Missing:
        raise Invalid.for_fields({"quote": "This quote doesn’t exist."}) from None


def _find_service(name: str) -> Service:
    """Find a service by its slug or ID."""
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
    """Parse a query parameter: an instant, or a day in the time zone, of which `end` is the end."""
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


# --- responses --------------------------------------------------------------------------------------------------------


def _service(service: Service) -> dict[str, Any]:
    asked = service.asks.parsed_questions if service.asks else []
    return {
        "id": service.id,
        "slug": service.slug,
        "name": service.name,
        "description": service.description,
        "minutes": service.minutes,
        "price": service.price.as_json(),
        "tax": {"percent": service.tax_rate / 100, "included": service.tax_included} if service.tax_rate else None,
        "extras": [
            {"id": each.id, "name": each.name, "price": each.price.as_json()}
            for each in service.extras
            if each.state == "offered"
        ],
        "deposit_percent": service.deposit_percent,
        "policy": refund_policy.policy_in_words(service.policy.tiers) if service.policy else None,
        "questions": [_question(each) for each in asked],
    }


def _question(question: Question) -> dict[str, Any]:
    """A question, for programs that ask it themselves. It is asked only after the answer in `only_if`."""
    limits = {name: value for name in ("least", "most") if (value := getattr(question, name)) is not None}
    if question.kind == "date":
        limits = {"earliest": question.first_day.isoformat(), "latest": question.last_day.isoformat()}
    return {
        "name": question.name,
        "type": question.kind,
        "label": question.text(),
        "help": question.help_text(),
        "labels": dict(question.label),
        "required": question.required,
        "only_if": {question.asked_if: question.equals} if question.asked_if else None,
        "options": [dict(each) for each in question.options],
        "may_be_unknown": question.unknown,
        "limits": limits
        | ({"megabytes": question.max_megabytes} if question.kind == "file" else {})
        | ({"longest": question.max_length} if question.max_length else {}),
    }


def _slot(slot: Slot, left: int, zone: str) -> dict[str, Any]:
    here = ZoneInfo(zone)
    starts_at, ends_at = (each.astimezone(here).isoformat() for each in (slot.starts_at, slot.ends_at))
    return {
        "id": slot.id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "practitioner": slot.practitioner.name,
        "seats_left": left,
    }


def _quote(service: Service, quote: Quote) -> dict[str, Any]:
    deposit = service.deposit_of(quote.total)
    return {
        "token": quote.token,
        "holds_until": quote.holds_until.isoformat(),
        "lines": _lines(quote.price),
        "coupon": quote.coupon.code if quote.coupon else None,
        "total": quote.total.as_json(),
        "deposit": deposit.as_json(),
        "later": (quote.total - deposit).as_json(),
        "policy": refund_policy.policy_in_words(service.policy.tiers) if service.policy else None,
    }


def _lines(price: Price) -> list[dict[str, Any]]:
    return [_line(each) for each in price.lines]


def _line(line: Line) -> dict[str, Any]:
    """List price, discount, and the rest as net and taxes: net + taxes = total."""
    sums = {"listed": line.listed, "off": line.off, "net": line.net, "total": line.total}
    taxes = {name: tax.as_json() for name, tax in line.taxes.items()}
    return {
        "label": line.label,
        "quantity": line.quantity,
        **{name: each.as_json() for name, each in sums.items()},
        "taxes": taxes,
    }


def _booking(booking: Booking) -> dict[str, Any]:
    """A booking as anyone with its link may see it: without the answers to intake questions."""
    slot = _slot(booking.slot, 0, booking.timezone)
    del slot["seats_left"]
    return {
        "token": booking.token,
        "number": booking.number,
        "state": booking.state,
        "service": booking.slot.service.slug,
        "slot": slot,
        "timezone": booking.timezone,
        "hold_expires_at": booking.hold_expires_at.isoformat() if booking.state in ("held", "requested") else None,
        "price": booking.price.as_json(),
        "deposit": booking.deposit.as_json(),
        "lines": _lines(booking.quote.price) if booking.quote else [],
        "policy": refund_policy.policy_in_words(booking.policy) if booking.policy else None,
        "bills": [_bill(each, booking) for each in booking.bills],
        "refunds": [_refund(each) for each in booking.going_back],
        "papers": [_paper(each) for bill in booking.bills for each in bill.invoices],
        "meeting": _meeting(booking),
        "changes": {"why_not": booking.refuses_change(), "back": booking.refund_by_policy().as_json()},
        "checkout": _checkout(booking.bill, booking),
    }


def _meeting(booking: Booking) -> dict[str, Any] | None:
    """Address or link of the meeting; the link only around the start, and never the host's link."""
    meeting = booking.meeting if booking.state == "confirmed" else None
    if meeting is None:
        return None
    opens = None if meeting.driver == "in_person" else (booking.slot.starts_at - EARLY).isoformat()
    return {
        "online": meeting.driver != "in_person",
        "address": meeting.address,
        "opens_at": opens,
        "link": meeting.join_url if meeting.is_open else None,
    }


def _bill(bill: Bill, booking: Booking) -> dict[str, Any]:
    pays = bill.wants_money and booking.awaits(bill)
    return {
        "token": bill.token,
        "number": bill.number,
        "part": bill.part,
        "price": bill.price.as_json(),
        "state": bill.state,
        "due": bill.due_at.isoformat() if bill.due_at else None,
        "pay": _address("pay.checkout", bill.token) if pays else None,
        "on_paper": _address("pay.on_paper", bill.token) if pays else None,
    }


REFUND_STATES = {
    "to_approve": "considered",
    "owed": "promised",
    "failed": "promised",
    "sent": "on_its_way",
    "done": "done",
}


def _refund(refund: Refund) -> dict[str, Any]:
    """A refund as its recipient sees it: a failed attempt is still promised, because staff will repeat it."""
    return {
        "number": refund.number,
        "price": refund.money.as_json(),
        "state": REFUND_STATES[refund.state],
        "by_hand": refund.is_by_hand,
    }


def _paper(invoice: Invoice) -> dict[str, Any]:
    return {
        "number": invoice.number,
        "kind": invoice.kind,
        "day": invoice.day.isoformat(),
        "total": invoice.total.as_json(),
        "pdf": _address("paper.paper", invoice.token),
    }


def _address(endpoint: str, token: str) -> str:
    return str(current_app.extensions["settings"].base_url).rstrip("/") + url_for(endpoint, token=token)


def _checkout(bill: Bill | None, booking: Booking) -> dict[str, Any] | None:
    """Parameters for the gateway's checkout; None while it can’t be reached, and the next request tries again."""
    if bill is None or not bill.wants_money or not booking.awaits(bill):
        return None
    try:
        order_id = bill.announce()
    except Unreachable:
        return None
    return {**gateway.by_name(bill.gateway).public_details(), "order_id": order_id, **bill.price.as_json()}
