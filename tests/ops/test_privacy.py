"""Tests of personal data: the export is complete, and deletion leaves nothing that identifies the customer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DatabaseError

from app.kernel import clock, db, privacy
from app.kernel.audit import MASK, Change
from app.kernel.db import nouns, session, transaction
from app.kernel.errors import Refused
from app.kernel.people import Person
from app.messages.message import Message, tell
from app.money.bills.bill import ByHand
from app.money.bills.refund import HandedOut
from app.money.reconcile.gateway_webhooks import Event
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.choices import Choices
from tests.conftest import MEERA
from tests.site.test_account import last

PLANTED = {
    "name": "Zenobia Quux",
    "email": "zenobia@quux.example",
    "phone": "+919812345670",
    "timezone": "Asia/Kolkata",
}
TRACES = r"Zenobia|Quux|quux\.example|9812345670|Plantville|Planted Street|planted note"
KEPT = {"invoice"}  # what the law wants as it was written


@pytest.fixture
def planted(app: Flask, slot: Any, work_off: Any, sandbox: str) -> Booking:
    """A customer with data everywhere: bookings, answers, payments, a dispute and messages."""
    choices = Choices(buyer={"address": "7 Planted Street"})
    booking = Booking.hold_once("once", slot, PLANTED, {"birth_place": "Plantville"}, choices)
    booking.mark_paid(ByHand("cash", "R-1"))
    with transaction():
        booking.person.notes = "planted note: likes to be called Zenobia"
        booking.person.phone = "+919812345670"
        booking.person.more, booking.more = (
            {"ailments": "planted note: hay fever"},
            {"came_with": "a sister of Zenobia"},
        )
        session.add(
            Event(
                gateway="razorpay",
                event_id="evt_p",
                kind="order.paid",
                order_id="order_p",
                body=json.dumps({"email": PLANTED["email"]}),
            )
        )
        booking.bills[0].order_id = "order_p"
    with transaction():
        booking.person.name = "Zenobia Q. Quux"
    work_off()
    return Booking.get(booking.id)


@pytest.fixture
def over(planted: Booking) -> Booking:
    with clock.frozen_at(planted.slot.ends_at):
        planted.complete()
    return planted


@pytest.fixture
def inside(client: FlaskClient) -> Callable[[], FlaskClient]:
    def inside() -> FlaskClient:
        client.post("/account/in", data={"email": PLANTED["email"]})
        assert client.post("/account/code", data={"code": last().digits}).status_code == 303
        return client

    return inside


def traces() -> Iterator[tuple[str, str]]:
    """Return every value in every table that identifies the customer."""
    session.rollback()
    with db.engine().connect() as connection:
        for table in db.metadata.sorted_tables:
            if not table.name.startswith("ab_"):
                for row in connection.execute(text(f"select cast(t as text) from {table.name} t")):
                    yield from ((table.name, found) for found in re.findall(TRACES, str(row[0])))


def test_nothing_that_is_left_says_who_they_were_but_what_the_law_keeps(over: Booking, inside: Any) -> None:
    before = {table for table, _ in traces()}
    assert {"person", "message", "change", "event", "invoice", "bill", "booking"} <= before
    client = inside()
    assert client.post("/account/forget", data={}).status_code == 422
    answer = client.post("/account/forget", data={"sure": "yes"})
    assert answer.status_code == 200
    assert "Invoice: 2" in answer.text
    assert {table for table, _ in traces()} <= KEPT
    session.expire_all()
    assert (over.person.name, over.person.email, over.person.state) == (
        f"Deleted customer {over.person_id}",
        "",
        "forgotten",
    )
    assert client.get("/account").status_code == 303
    assert len(over.bills[0].invoices) == 2


def test_the_history_says_that_it_was_blanked_and_keeps_everything_else(over: Booking) -> None:
    lines = {
        each.id: (each.verb, each.name, each.why, each.before.keys(), each.after.keys())
        for each in session.scalars(select(Change))
    }
    over.person.forget()
    session.expire_all()
    after = [*session.scalars(select(Change).order_by(Change.id))]
    for each in after:
        if each.id in lines:
            assert (each.verb, each.name, each.why, each.before.keys(), each.after.keys()) == lines[each.id]
    blanked = [
        each for each in after if (each.noun, each.row_id) == ("person", over.person_id) and "name" in each.after
    ]
    assert len(blanked) == 2
    assert all(each.after["name"] == MASK for each in blanked)
    told = [each for each in after if each.verb == "redact" and each.noun == "person"]
    assert len(told) == 1
    assert "email" in told[0].why
    assert [each for each in after if each.verb == "forget" and each.row_id == over.person_id]


FORBIDDEN = [
    "update change set before = '{}'",
    "update change set name = 'nobody'",
    "delete from change",
    "set local frontdesk.redacts = 'on'; update change set verb = 'x'",
    "set local frontdesk.redacts = 'on'; update change set after = '{\"name\": \"x\"}'",
    "set local frontdesk.redacts = 'on'; update change set after = '{}' where after <> '{}'",
    "set local frontdesk.redacts = 'on'; delete from change",
]


def test_the_history_lets_nothing_but_a_mask_through(over: Booking) -> None:
    session.rollback()
    for statement in FORBIDDEN:
        with pytest.raises(DatabaseError, match="History is written once"), db.engine().begin() as connection:
            for each in statement.split("; "):
                connection.execute(text(each))


def test_nobody_is_forgotten_while_something_is_to_come_or_owed(planted: Booking, inside: Any, slot: Any) -> None:
    number = planted.number
    refused = inside().post("/account/forget", data={"sure": "yes"})
    assert refused.status_code == 409
    assert f"Booking {number} is still open." in refused.text
    assert (Person.get(planted.person_id).state, Person.get(planted.person_id).email) == ("known", PLANTED["email"])
    session.expire_all()
    planted.cancel(CallOff("Asked for it."))
    refund = planted.going_back[0]
    with pytest.raises(Refused, match="still pending"):
        planted.person.forget()
    refund.hand_out(HandedOut("R-2"))
    planted.person.forget()
    assert not [each for each in traces() if each[0] not in KEPT]


def test_staff_forget_somebody_by_a_move_and_only_those_who_may(
    over: Booking, client: FlaskClient, token: Any, enter: Any
) -> None:
    path = f"/api/v1/person/{over.person_id}/forget"
    assert client.post(path, headers=token("omar")).status_code == 403
    assert "deleted permanently" in enter("dina").get(f"/desk/person/{over.person_id}/do/forget").text
    assert client.post(path, headers=token("dina")).status_code == 200
    assert client.post(path, headers=token("dina")).status_code == 409


def test_what_was_still_to_be_said_is_not_sent_to_somebody_forgotten(over: Booking, work_off: Any) -> None:
    with transaction():
        tell(over.person, "bookings/confirmed", booking=over)
    over.person.forget()
    session.remove()
    work_off()
    message = session.scalars(select(Message).order_by(Message.id.desc())).first()
    assert message
    assert (message.state, message.body) == ("dropped", "")


def test_the_file_holds_everything_under_names_that_can_be_read(over: Booking, inside: Any) -> None:
    with transaction():
        session.add(Person(**MEERA | {"name": "Somebody Else"}))
    answer = inside().get("/account/everything.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    told = json.loads(answer.text)
    person, booking, message, *others = (
        db.label_of_table(each) for each in ("person", "booking", "message", "bill", "payment", "invoice")
    )
    assert {person, booking, message, *others, "History"} <= told.keys()
    assert told["Customer"][0]["Notes"].startswith("planted note")
    assert told[booking][0]["Number"] == over.number
    assert any(over.number in each["Subject"] or over.number in each["Text"] for each in told[message])
    assert f"Customer {over.person_id}: Changed" in [each["What"] for each in told["History"]]
    assert not re.search(r'"[a-z]+(_[a-z]+)+":', re.sub(r"\{[^{}]*\}", "", answer.text))
    assert "Plantville" in answer.text
    assert not re.search("Somebody Else|meera@", answer.text)


def test_every_column_that_tells_who_somebody_is_says_so(app: Flask) -> None:
    """A new noun with personal columns belongs to a customer, or is listed here with the reason."""
    ours = {
        "practitioner",
        "service",
        "extra",
        "hook",
        "coupon",
        "account",
        "refund_policy",
        "picture",
        "job",
        "tick",
        "change",
        "form",
        "business",
    }
    telling = {"email", "phone", "mailbox", "answers", "sealed", "buyer", "notes"}
    for noun in nouns():
        if noun.__tablename__ in ours or privacy.retention_reason(noun) or noun.__module__.startswith("tests."):
            continue
        columns = {each.key for each in inspect(noun).column_attrs}
        assert telling & columns <= privacy.personal_columns(noun).keys(), noun.__name__
        if privacy.personal_columns(noun):
            assert privacy._theirs(noun, [1]) is not None or privacy._is_about(noun), noun.__name__
