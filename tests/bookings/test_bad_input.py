"""Tests of invalid input at every entrance, as one table: the response to it, and that nothing was written."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import text

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.money.bills.bill import Bill, ByHand
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE

LOOK, GONE = "Please correct the highlighted fields.", "This time has just been taken. Please choose another one."
NOTHING_HERE = "This page doesn’t exist, or you don’t have access to it."
TYPED = {"name": "Meera Iyer", "email": "meera@example.com", "phone": "+91 98450 12345", "birth_place": "Mysuru"}
LONG = "x" * 10_000
TOKEN = "A" * 43


@dataclass
class House:
    """The entrances of the program, and the records behind them."""

    public: FlaskClient
    desk: FlaskClient
    headers: dict[str, str]  # of a member of staff, for REST
    service: Service
    open_slot: Callable[..., Slot]
    hold: Callable[..., Booking]
    work_off: Callable[[], int]
    bank: str
    secret: str
    stack: ExitStack
    kept: list[str]
    before: Any = None
    typed: dict[str, str] = field(default_factory=dict)

    # --- the doors ---

    def form(self, slot: Slot | None = None, *, of: str = "first", **typed: str) -> Any:
        at = slot or self.open_slot()
        self.look()
        self.typed = TYPED | {"once": "a-page"} | typed
        return self.public.post(f"/book/{of}/{at.id}", data=self.typed)

    def api(self, slot: Slot | None = None, *, key: str = "", **sent: Any) -> Any:
        at = slot or self.open_slot()
        self.look()
        who = {name: TYPED[name] for name in ("name", "email", "phone")}
        return self.public.post(
            "/api/bookings", json={"slot": at.id} | who | sent, headers={"Idempotency-Key": key} if key else {}
        )

    def call(self, slot: Slot | None = None, **typed: str) -> Any:
        """By telephone, at the desk."""
        at = slot or self.open_slot()
        self.look()
        self.typed = TYPED | typed
        return self.desk.post(
            "/desk/by_phone/",
            data={"book": "yes", "once": "a-page", "service": "first", "slot": at.id, "pay": "link"} | self.typed,
        )

    def rest(self, method: str, path: str, **sent: Any) -> Any:
        self.look()
        return self.public.open(f"/api/v1/{path}", method=method, json=sent, headers=self.headers)

    def hook(self, kind: str, charge: dict[str, Any], *, id: str = "evt_1", secret: str = "") -> Any:
        body = json.dumps(
            {"entity": "event", "event": f"payment.{kind}", "payload": {"payment": {"entity": charge}}}
        ).encode()
        signed = hmac.new((secret or self.secret).encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Razorpay-Signature": signed, "X-Razorpay-Event-Id": id, "Content-Type": "application/json"}
        return self.public.post("/api/payment/webhook/razorpay", data=body, headers=headers)

    # --- what stands already ---

    def held(self, **when: Any) -> Booking:
        return self.hold(self.open_slot(**when))

    def paid(self, **when: Any) -> Booking:
        booking = self.held(**when)
        booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    def bill(self) -> Bill:
        bill = self.held().bill
        assert bill
        return bill

    def pay(self, bill: Bill, outcome: str = "captured", **how: Any) -> dict[str, Any]:
        """The payer's side in the sandbox; it sends no webhook."""
        order = bill.announce()
        answer = requests.post(
            f"{self.bank}/razorpay/orders/{order}/pay",
            json={"outcome": outcome, "deliver": False} | how,
            timeout=PATIENCE,
        ).json()
        return (
            {"id": answer["razorpay_payment_id"], "order_id": order}
            if "razorpay_payment_id" in answer
            else {"order_id": order}
        )

    def later(self, **span: float) -> None:
        self.stack.enter_context(clock.frozen_at(clock.now() + timedelta(**span)))

    # --- what was written ---

    def look(self) -> None:
        """From here on nothing may change. A price that is named holds nothing, and the page names one."""
        session.rollback()
        if self.before is None:
            self.before = self.written()

    def written(self) -> dict[str, Any]:
        asked = " union all ".join(
            f"select '{each}', md5(string_agg(it::text, '' order by it::text)) from {each} it"
            for each in self.kept
            if each != "quote"
        )
        with db.engine().connect() as connection:
            return dict(connection.execute(text(asked)).all())


@pytest.fixture
def house(
    app: Any,
    client: FlaskClient,
    enter: Any,
    token: Any,
    service: Service,
    open_slot: Any,
    hold: Any,
    work_off: Any,
    sandbox: str,
    settings: Any,
    kept: list[str],
) -> Iterator[House]:
    secret = settings.razorpay_webhook_secrets[0]
    with ExitStack() as stack:
        yield House(
            client, enter("dina"), token("dina"), service, open_slot, hold, work_off, sandbox, secret, stack, kept
        )


# --- what needs more than a line --------------------------------------------------------------------------------------


def in_the_past(it: House, send: Callable[..., Any]) -> Any:
    slot = it.open_slot(hours=1)
    it.later(hours=2)
    return send(it, slot)


def of_another_service(it: House) -> Slot:
    with transaction():
        other = Service(name="Another", slug="another", minutes=60, price=Money(50000, "INR"), notice_minutes=0)
        session.add(other)
    slot = it.open_slot(hours=90)
    with transaction():
        slot.service = other
    return slot


def move_to_another_service(it: House) -> Any:
    booking, slot = it.paid(hours=80), of_another_service(it)
    it.look()
    return it.public.post(f"/api/bookings/{booking.token}/reschedule", json={"slot": slot.id})


def another_body(it: House) -> Any:
    slot = it.open_slot()
    it.public.post(
        "/api/bookings",
        json={"slot": slot.id, "name": "Meera Iyer", "email": "meera@example.com"},
        headers={"Idempotency-Key": "k-1"},
    )
    return it.api(slot, key="k-1", name="Kabir Shah")


def same_mailbox_again(it: House, send: Callable[..., Any]) -> Any:
    booking = it.held()
    return send(it, booking.slot, once="another-page") if send is House.form else send(it, booking.slot)


def double_click(it: House) -> Any:
    slot = it.open_slot()
    first = it.public.post(f"/book/first/{slot.id}", data=TYPED | {"once": "a-page"})
    again = it.form(slot)
    assert again.location == first.location
    return again


def double_click_of_a_program(it: House) -> Any:
    slot = it.open_slot()
    sent = {"slot": slot.id, "name": "Meera Iyer", "email": "meera@example.com", "phone": "+91 98450 12345"}
    first = it.public.post("/api/bookings", json=sent, headers={"Idempotency-Key": "k-1"})
    again = it.api(slot, key="k-1")
    assert again.get_json() == first.get_json()
    return again


def forged(it: House) -> Any:
    charge = it.pay(it.bill())
    it.look()
    return it.hook("captured", charge, secret="not the secret")


def replayed(it: House) -> Any:
    charge = it.pay(it.bill())
    it.hook("captured", charge)
    it.work_off()
    it.look()
    again = it.hook("captured", charge)
    it.work_off()
    return again


def out_of_order(it: House) -> Any:
    charge = it.pay(it.bill())
    it.hook("captured", charge)
    it.work_off()
    it.look()
    late = it.hook("failed", charge, id="evt_2")
    it.work_off()
    return late


def other_money(it: House, **how: Any) -> Any:
    bill = it.bill()
    id, charge = bill.id, it.pay(bill, **how)
    it.work_off()
    it.look()
    told = it.hook("captured", charge)
    it.work_off()
    session.rollback()
    assert [each.owed_back != "" for each in Bill.get(id).payments] == [True], "it goes back"
    return told


def in_another_currency(it: House) -> Any:
    """A signed event about an amount that the gateway would never accept for our order is not believed."""
    bill = it.bill()
    order = bill.announce()
    it.work_off()
    it.look()
    told = it.hook(
        "captured",
        {"id": "pay_usd", "order_id": order, "amount": bill.price.amount, "currency": "USD", "status": "captured"},
    )
    it.work_off()
    return told


def back_with_nothing(it: House) -> Any:
    """The way back from the gateway, after the hold was over and with nothing that proves a payment."""
    bill = it.bill()
    it.later(minutes=30)
    it.look()
    return it.public.get(f"/pay/{bill.token}/back", follow_redirects=True)


def page_of(it: House, token: Callable[[Booking], str]) -> Any:
    booking = it.held()
    it.look()
    return it.public.get(f"/booking/{token(booking)}")


def too_late(it: House, send: Callable[[House, Booking], Any]) -> Any:
    booking = it.paid()
    it.later(hours=49)
    it.look()
    return send(it, booking)


def to_the_same_slot(it: House, send: Callable[[House, Booking], Any]) -> Any:
    booking = it.paid()
    it.look()
    return send(it, booking)


def day_of_25_hours(it: House) -> Any:
    """Half past two comes twice in Rome on that night: both are offered, and told apart."""
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    it.stack.enter_context(clock.frozen_at(first - timedelta(days=9)))
    with transaction():
        it.service.minutes = 30
    slots = it.open_slot(), it.open_slot(hours=60)
    with transaction():
        for at, each in zip((first, first + timedelta(hours=1)), slots, strict=True):
            each.starts_at = at
            each.set_times()
    it.look()
    told = it.public.get("/api/slots?service=first&from=2027-10-31&to=2027-10-31&tz=Europe/Rome")
    assert [each["starts_at"] for each in told.get_json()["slots"]] == [
        "2027-10-31T02:30:00+02:00",
        "2027-10-31T02:30:00+01:00",
    ]
    page = it.public.get("/book/first?day=2027-10-31&tz=Europe/Rome")
    assert page.text.count("02:30") >= 2
    return page


def another_zone(it: House) -> Any:
    """A practitioner who moves to another country keeps the times that were booked."""
    booking = it.paid(hours=72)
    it.work_off()
    was, practitioner = booking.slot.starts_at, booking.slot.practitioner_id
    told = it.rest("PUT", f"practitioner/{practitioner}", timezone="America/New_York")
    it.work_off()
    session.expire_all()
    slot = Booking.get(booking.id).slot
    assert slot.starts_at == was
    there = was.astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"{there:%H:%M}" in it.public.get(f"/booking/{booking.token}").text, (
        "the customer's own wall has not changed"
    )
    return told


# --- the table --------------------------------------------------------------------------------------------------------

MONEY_BACK = frozenset(
    {"event", "job", "payment", "refund", "account", "posting", "line", "series", "message", "change", "finding"}
)
PHONE = "Enter a valid phone number, such as +91 98765 43210."
MAILBOX, NAME = "Enter a valid email address.", "Enter a name of 2 to 100 characters."
DAY, HOUR, ZONE = (
    "Enter a date from 1 Jan 1900 to today.",
    "Enter a time, such as 14:30.",
    "Enter a valid time zone, such as Asia/Kolkata.",
)
TOO_SOON, NO_FIELD = "This time is too soon. Please choose a later one.", "Unknown field."
UNKNOWN = "Unknown field, or one that can’t be edited here."
BEGUN = "This appointment has already started."


@dataclass(frozen=True)
class Row:
    """One thing that is sent wrongly: what comes back, and what may be written all the same."""

    what: str
    send: Callable[[House], Any]
    status: int
    says: str
    field: str = ""  # where it stands, at a door for programs
    may_write: frozenset[str] = frozenset()


def booking_as(says: str, *, field: str, **wrong: Any) -> Iterator[Row]:
    """The same mistake at the public form, at the endpoint and at the desk."""
    (name, value), answers = next(iter(wrong.items())), next(iter(wrong)).startswith("birth_")
    yield Row(f"{name} {value[:20]!r} in the form", lambda it: it.form(**wrong), 422, says)
    yield Row(
        f"{name} {value[:20]!r} by JSON",
        lambda it: it.api(**({"answers": wrong} if answers else wrong)),
        422,
        says,
        field,
    )
    if not answers:
        yield Row(f"{name} {value[:20]!r} at the desk", lambda it: it.call(**wrong), 422, says)


TABLE = [
    Row("a slot in the past, in the form", lambda it: in_the_past(it, House.form), 302, TOO_SOON),
    Row("a slot in the past, by JSON", lambda it: in_the_past(it, House.api), 409, TOO_SOON),
    Row(
        "a slot in the past, at the desk",
        lambda it: in_the_past(it, House.call),
        409,
        TOO_SOON,
        may_write=frozenset({"sitting"}),
    ),
    Row(
        "a slot in the past, offered by staff",
        lambda it: it.rest(
            "POST",
            "slot/",
            practitioner=it.open_slot().practitioner_id,
            service=it.service.id,
            starts_at="2020-01-01T09:00",
            seats=1,
        ),
        422,
        "This time is in the past. Choose a later one.",
        "starts_at",
    ),
    Row("a slot of another service, in the form", lambda it: it.form(of_another_service(it)), 404, NOTHING_HERE),
    Row(
        "a slot of another service, to move to",
        move_to_another_service,
        422,
        "Choose one of the available times for this service.",
        "slot",
    ),
    *booking_as(DAY, field="birth_date", birth_date="2999-01-01"),
    *booking_as(DAY, field="birth_date", birth_date="0001-01-01"),
    *booking_as(HOUR, field="birth_time", birth_time="25:00"),
    Row(
        "a time zone on Mars, by JSON",
        lambda it: it.api(tz="Mars/Phobos"),
        422,
        "Enter a valid time zone, such as Asia/Kolkata.",
        "tz",
    ),
    Row(
        "a time zone on Mars, of a practitioner",
        lambda it: it.rest("PUT", f"practitioner/{it.open_slot().practitioner_id}", timezone="Mars/Phobos"),
        422,
        ZONE,
        "timezone",
    ),
    *booking_as(PHONE, field="phone", phone="abc"),
    *booking_as(MAILBOX, field="email", email="a@b.example\nBcc: x@y.example"),
    *booking_as(NAME, field="name", name=LONG),
    Row("a price of the client's, by JSON", lambda it: it.api(price=1), 422, "Unknown field.", "price"),
    Row("a price of the client's, in an answer", lambda it: it.api(answers={"price": "1"}), 422, NO_FIELD, "price"),
    Row(
        "a price of the client's, for a bill that stands",
        lambda it: it.rest("PUT", f"booking/{it.held().id}", price=1),
        422,
        UNKNOWN,
        "price",
    ),
    Row("an unknown field, by JSON", lambda it: it.api(state="confirmed"), 422, "Unknown field.", "state"),
    Row("an unknown field, at a REST door", lambda it: it.rest("POST", "closure/", nosuch=1), 422, UNKNOWN, "nosuch"),
    Row(
        "the same Idempotency-Key with another body",
        another_body,
        409,
        "This Idempotency-Key was already used for a different request.",
    ),
    Row("the same mailbox for the same slot, in the form", lambda it: same_mailbox_again(it, House.form), 302, GONE),
    Row("the same mailbox for the same slot, by JSON", lambda it: same_mailbox_again(it, House.api), 409, GONE),
    Row("a double click on the form", double_click, 303, ""),
    Row("a double click of a program", double_click_of_a_program, 201, ""),
    Row("an event with a wrong signature", forged, 403, "The signature doesn’t match the body."),
    Row("an event that is replayed", replayed, 200, ""),
    Row("“failed” after “captured”", out_of_order, 200, "", may_write=frozenset({"event", "job"})),
    Row("a paisa less than was asked for", lambda it: other_money(it, amount=99899), 200, "", may_write=MONEY_BACK),
    Row("another currency", in_another_currency, 200, "", may_write=frozenset({"event", "job"})),
    Row("the way back, too late and unsigned", back_with_nothing, 200, "Your reservation has expired"),
    Row("the page of a link that is nobody's", lambda it: page_of(it, lambda booking: TOKEN), 404, NOTHING_HERE),
    Row(
        "the page of a link that is another thing's",
        lambda it: page_of(it, lambda booking: booking.bill.token if booking.bill else ""),
        404,
        NOTHING_HERE,
    ),
    Row(
        "calling off after it began",
        lambda it: too_late(
            it, lambda it, booking: it.public.post(f"/booking/{booking.token}/call-off", data={"back": "0"})
        ),
        409,
        BEGUN,
    ),
    Row(
        "calling off after it began, by JSON",
        lambda it: too_late(it, lambda it, booking: it.public.post(f"/api/bookings/{booking.token}/cancel", json={})),
        409,
        BEGUN,
    ),
    Row(
        "moving to the same slot",
        lambda it: to_the_same_slot(
            it, lambda it, booking: it.public.post(f"/booking/{booking.token}/move/{booking.slot_id}")
        ),
        303,
        "",
    ),
    Row(
        "moving to the same slot, by JSON",
        lambda it: to_the_same_slot(
            it,
            lambda it, booking: it.public.post(
                f"/api/bookings/{booking.token}/reschedule", json={"slot": booking.slot_id}
            ),
        ),
        200,
        "",
    ),
    Row(
        "moving to the same slot, at the desk",
        lambda it: to_the_same_slot(
            it,
            lambda it, booking: it.desk.post(
                f"/desk/booking/{booking.id}/do/reschedule", data={"slot": booking.slot_id}
            ),
        ),
        422,
        "The booking is already at this time. Choose another one.",
    ),
    Row("a day with a 25th hour", day_of_25_hours, 200, ""),
    Row(
        "another zone of a practitioner who is booked",
        another_zone,
        200,
        "",
        may_write=frozenset({"practitioner", "change", "job"}),
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what.replace(" ", "-")[:70])
def test_what_is_sent_wrongly_is_answered_in_words_and_writes_nothing(house: House, row: Row) -> None:
    answer = row.send(house)
    assert answer.status_code == row.status, answer.text[:2000]
    session.rollback()
    changed = {name for name, mark in house.written().items() if mark != house.before[name]}
    assert changed <= row.may_write
    if row.says:
        assert row.says in _said(house, answer, row.field)
    for name, value in house.typed.items() if row.status == 422 else ():
        assert value.split("\n")[0] in html.unescape(answer.text), f"{name} is kept as it was typed"


def _said(house: House, answer: Any, field: str) -> str:
    if answer.is_json:
        error = answer.get_json()["error"]
        return str(error["fields"][field] if field else error["message"])
    page = house.public.get(answer.location) if answer.status_code == 302 else answer
    return html.unescape(page.text)
