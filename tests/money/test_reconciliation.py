"""Tests of reconciliation: settlement reports, disputes and daily totals, compared with our books."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from app.kernel import clock, jobs
from app.kernel.db import session
from app.kernel.errors import Refused
from app.messages.message import Message
from app.money.bills.bill import Bill, ByHand
from app.money.bills.dispute import Dispute
from app.money.bills.payment import GiveBack, Payment
from app.money.gateways.gateway import Charge
from app.money.reconcile import settlement, tally
from app.money.reconcile.gateway_webhooks import Event, receive_webhook
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.packs.bookings.booking.changes import CallOff
from tests.conftest import PATIENCE
from tests.money.conftest import booking_of, books, inr, payment_of
from tests.money.test_payments import headers


@pytest.fixture
def verb(sandbox: str) -> Callable[..., dict[str, Any]]:
    """Act in the gateway dashboard: verb("settle"), verb("payments/pay_1/dispute", amount_deducted=99900)."""

    def verb(path: str, **given: Any) -> dict[str, Any]:
        answer = requests.post(f"{sandbox}/razorpay/{path}", json={"deliver": False} | given, timeout=PATIENCE)
        assert answer.ok, answer.text
        return dict(answer.json())

    return verb


@pytest.fixture(autouse=True)
def nothing_left_of_yesterday(verb: Any) -> None:
    """Settle the payments of other tests, which the sandbox remembers, on another day."""
    verb("settle", day="2020-01-01")


_days = iter(date(2021, 1, 1) + timedelta(n) for n in range(1000))


@pytest.fixture
def settle(verb: Any) -> Callable[[], None]:
    """Settle everything since the last time on a day of its own, and import the report of that day twice."""

    def settle() -> None:
        day = next(_days)
        verb("settle", day=day.isoformat())
        for _ in range(2):
            settlement.import_day("razorpay", day)

    return settle


# --- settlements ------------------------------------------------------------------------------------------------------


def test_a_settlement_closes_the_gateways_account_and_books_fees_and_tax_once(
    bill: Bill, paid: Payment, settle: Any
) -> None:
    settle()
    (line,) = session.scalars(select(Settlement).where(Settlement.entity_id == paid.gateway_id)).all()
    assert (line.state, line.credit, line.fee + line.tax) == ("matched", inr(99900), inr(2358))
    assert books("gateway razorpay", "bank", "fees", "input-tax") == {
        "gateway razorpay": 0,
        "bank": 97542,
        "fees": 1998,
        "input-tax": 360,
    }


def test_a_refund_is_settled_too(bill: Bill, paid: Payment, verb: Any, settle: Any, work_off: Any) -> None:
    paid.give_back(GiveBack(amount="100", why="x"))
    work_off()
    _until_done(bill, verb)
    settle()
    kinds = {each.kind: each.state for each in session.scalars(select(Settlement))}
    assert kinds == {"payment": "matched", "refund": "matched"}
    assert books("gateway razorpay", "to-give-back") == {"gateway razorpay": 0, "to-give-back": 0}


def _until_done(bill: Bill, verb: Any) -> None:
    refund = payment_of(bill).refunds[0]
    if refund.state != "done":
        verb(f"refunds/{refund.gateway_id}/processed")
        bill.check_gateway()
    assert payment_of(bill).refunds[0].state == "done"


def test_a_settled_payment_that_we_do_not_know_waits_for_somebody(bill: Bill, play: Any, settle: Any) -> None:
    play(bill, "captured")
    settle()
    line = session.scalars(select(Settlement)).one()
    assert (line.state, line.trouble) == ("differs", "No matching payment was found in our books.")
    with pytest.raises(Refused, match="No matching payment"):
        line.match_again()
    bill.check_gateway()
    line.match_again()
    assert (line.state, books("gateway razorpay", "bank")) == ("matched", {"gateway razorpay": 0, "bank": 97542})


def test_the_clock_fetches_what_no_webhook_told(bill: Bill, paid: Payment, verb: Any, work_off: Any) -> None:
    verb("settle")
    jobs.tick()
    work_off()
    assert session.scalars(select(Settlement.state).where(Settlement.entity_id == paid.gateway_id)).all() == ["matched"]


# --- the count of a day -----------------------------------------------------------------------------------------------


def test_the_days_count_agrees_and_finds_what_no_webhook_told(bill: Bill, play: Any) -> None:
    """Only our own row counts, because the sandbox has the payments of the whole suite."""
    mine = play(bill, "captured")
    (tally,) = [each for each in Tally.count_day("razorpay", clock.now().date()) if each.there.currency == "INR"]
    assert booking_of(bill).state == "confirmed"
    assert mine["id"] not in [row["payment"] for row in tally.rows]
    assert tally.there - tally.here == tally.difference


def test_a_day_that_agrees_is_counted_in_as_many_questions_whatever_was_paid(
    app: Any, open_slot: Any, hold: Any, count_queries: Any
) -> None:
    def unheard() -> list[Any]:
        session.expunge_all()
        payments = session.scalars(select(Payment)).all()
        return [*tally._orders_to_check("cash", [Charge(each.gateway_id, "captured", each.money) for each in payments])]

    hold(open_slot()).mark_paid(ByHand("cash", "1"))
    few = count_queries(unheard)
    for hours in (60, 70, 80):
        hold(open_slot(hours=hours)).mark_paid(ByHand("cash", str(hours)))
    assert count_queries(unheard) == few
    assert unheard() == []


def test_a_row_that_differs_is_named_and_told_once_a_day(bill: Bill, play: Any, work_off: Any, enter: Any) -> None:
    mine = play(bill, "captured")
    bill.apply_charges([Charge("pay_nobody_knows", "captured", bill.price)])
    for _ in range(2):
        (tally,) = [each for each in Tally.count_day("razorpay", clock.now().date()) if each.there.currency == "INR"]
    assert {"payment": "pay_nobody_knows", "there": "nothing", "here": "₹999.00"} in tally.rows
    assert mine["id"] not in [row["payment"] for row in tally.rows]
    assert tally.state == "differs"
    shown = enter("anil").get(f"/desk/tally/{tally.id}").text
    assert ('<th scope="col">In our books</th>' in shown, '<th scope="col">Here</th>' in shown) == (True, False)
    assert session.scalar(select(func.count()).select_from(Message).where(Message.template == "money/differs")) == 1
    tally.count_again()
    work_off()


# --- disputes ---------------------------------------------------------------------------------------------------------


def hear_of(dispute: dict[str, Any], payment: Payment, settings: Any, work_off: Any, n: int = 1) -> None:
    payload = {
        "payment": {"entity": {"id": payment.gateway_id, "order_id": payment.bill.order_id}},
        "dispute": {"entity": {"id": dispute["id"]}},
    }
    raw = json.dumps({"entity": "event", "event": "payment.dispute.created", "payload": payload}).encode()
    receive_webhook("razorpay", raw, headers(raw, settings, event_id=f"evt_{dispute['id']}_{n}"))
    work_off()


def test_a_dispute_is_told_with_its_day_and_keeps_refunds_back(
    bill: Bill, paid: Payment, verb: Any, settings: Any, work_off: Any
) -> None:
    dispute = verb(f"payments/{paid.gateway_id}/dispute", amount_deducted=99900)
    hear_of(dispute, paid, settings, work_off)
    (found,) = session.scalars(select(Dispute)).all()
    assert (found.state, found.money, found.kept_back, bool(found.respond_by)) == ("open", inr(99900), inr(99900), True)
    assert session.scalar(select(Message.id).where(Message.template == "money/disputed"))
    assert books("disputed", "gateway razorpay") == {"disputed": 99900, "gateway razorpay": 0}
    with pytest.raises(Refused, match="twice"):
        payment_of(bill).give_back(GiveBack(why="x"))
    booking_of(bill).cancel(CallOff("Ill"))
    work_off()
    assert [each.state for each in payment_of(bill).refunds] == ["failed"]


@pytest.mark.parametrize(
    ("outcome", "figures"),
    [
        ("won", {"disputed": 0, "gateway razorpay": 99900, "disputes-lost": 0}),
        ("lost", {"disputed": 0, "gateway razorpay": 0, "disputes-lost": 99900}),
    ],
)
def test_how_a_dispute_ends_is_booked_once(
    bill: Bill, paid: Payment, verb: Any, settings: Any, work_off: Any, outcome: str, figures: dict[str, int]
) -> None:
    dispute = verb(f"payments/{paid.gateway_id}/dispute", amount_deducted=50000)
    hear_of(dispute, paid, settings, work_off)
    verb(f"disputes/{dispute['id']}/{outcome}")
    for n in (2, 3):
        hear_of(dispute, paid, settings, work_off, n)
    assert session.scalars(select(Dispute)).one().state == outcome
    assert books(*figures) == figures
    assert booking_of(bill).state == "confirmed"


def test_what_a_dispute_took_is_settled_as_what_it_is(
    bill: Bill, paid: Payment, verb: Any, settle: Any, settings: Any, work_off: Any
) -> None:
    hear_of(verb(f"payments/{paid.gateway_id}/dispute", amount_deducted=99900), paid, settings, work_off)
    settle()
    assert {(each.kind, each.state) for each in session.scalars(select(Settlement))} == {
        ("payment", "matched"),
        ("adjustment", "matched"),
    }
    assert books("gateway razorpay", "disputed", "bank") == {"gateway razorpay": 0, "disputed": 99900, "bank": -2358}


def test_a_dispute_about_nobodys_payment_is_parked(app: Any, settings: Any, work_off: Any) -> None:
    raw = b'{"entity":"event","event":"payment.dispute.created","payload":{"dispute":{"entity":{"id":"disp_nosuch"}}}}'
    receive_webhook("razorpay", raw, headers(raw, settings, event_id="evt_nosuch"))
    work_off()
    event = session.scalars(select(Event).where(Event.event_id == "evt_nosuch")).one()
    assert event.state == "parked"


# --- what is put aside ------------------------------------------------------------------------------------------------


def test_other_money_than_was_asked_for_goes_back_and_somebody_sees_it(
    bill: Bill, play: Any, settings: Any, work_off: Any
) -> None:
    other = play(bill, "captured", amount=5000)
    raw = (
        b'{"entity":"event","event":"payment.captured","payload":{"payment":{"entity":{"id":"%s","order_id":"%s"}}}}'
        % (
            other["id"].encode(),
            bill.announce().encode(),
        )
    )
    receive_webhook("razorpay", raw, headers(raw, settings))
    work_off()
    event = session.scalars(select(Event).where(Event.event_id == "evt_1")).one()
    assert (event.state, event.trouble) == ("parked", "₹50.00 was paid instead of ₹999.00.")
    event.set_aside()
    assert event.state == "handled"
