"""Tests of baskets (carts): one order and payment, with a share, documents and refunds for each bill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from app.kernel import clock, db, jobs
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.messages.message import Message
from app.money.bills.basket import Basket, InBasket
from app.money.bills.bill import Bill, ByHand
from app.money.bills.invoice import Invoice
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.gateways.gateway import Charge, GatewayRefund
from app.money.reconcile import settlement
from app.money.reconcile.gateway_webhooks import receive_webhook
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from tests.conftest import PATIENCE
from tests.money.conftest import books, inr
from tests.money.test_payments import event_about, headers
from tests.proof.invariants import broken

Three = list[Booking]


@pytest.fixture(autouse=True)
def books_hold(app: Flask) -> Any:
    """Check the money invariants after each test."""
    yield
    session.rollback()
    with db.engine().connect() as connection:
        assert broken(connection) == []


@pytest.fixture
def three(open_slot: Any, hold: Any) -> Three:
    """Three unpaid reservations of one customer."""
    return [hold(open_slot(hours=48 + n)) for n in range(3)]


@pytest.fixture
def basket(three: Three) -> Basket:
    return Basket.for_bills(bills_of(three))


def bills_of(bookings: Three) -> list[Bill]:
    return [bill for each in bookings if (bill := each.bill)]


def states(bookings: Three) -> list[str]:
    session.expire_all()
    return [Booking.get(each.id).state for each in bookings]


def paid(basket: Basket, id: str = "pay_1", **more: Any) -> Charge:
    return Charge(id, "captured", basket.price, "card", **more)


def shares() -> list[Payment]:
    session.expire_all()
    return list(session.scalars(select(Payment).order_by(Payment.bill_id, Payment.id)))


# --- one payment for all of them --------------------------------------------------------------------------------------


def test_three_hours_are_one_order_and_one_payment_at_the_gateway(basket: Basket, three: Three, play: Any) -> None:
    told = play(basket, "captured")
    basket.check_gateway()
    basket.check_gateway()
    assert (told["amount"], states(three)) == (299700, ["confirmed"] * 3)
    assert {each.gateway_id for each in shares()} == {told["id"]}
    assert [each.money for each in shares()] == [inr(99900)] * 3
    assert books("gateway razorpay", "received", "deposits") == {
        "gateway razorpay": 299700,
        "received": 0,
        "deposits": -299700,
    }
    assert session.scalar(select(func.count()).select_from(Invoice).where(Invoice.kind == "invoice")) == 3


def test_the_webhook_finds_all_of_them(basket: Basket, three: Three, play: Any, settings: Any, work_off: Any) -> None:
    play(basket, "captured")
    raw = event_about(basket.announce())
    receive_webhook("razorpay", raw, headers(raw, settings))
    work_off()
    assert states(three) == ["confirmed"] * 3


def test_the_clock_finds_what_no_webhook_told(
    basket: Basket, three: Three, play: Any, later: Any, work_off: Any
) -> None:
    play(basket, "captured")
    with later(minutes=3):
        jobs.tick()
        work_off()
    assert states(three) == ["confirmed"] * 3


def test_one_whose_hold_is_over_and_whose_seat_is_gone_gets_its_share_back_and_the_others_stand(
    basket: Basket, three: Three, hold: Any, later: Any, play: Any, work_off: Any, at_the_gateway: Any
) -> None:
    with later(minutes=30):
        hold(three[1].slot, name="Kabir Shah", email="kabir@example.com")
        play(basket, "captured")
        basket.check_gateway()
        work_off()
    assert states(three) == ["confirmed", "expired", "confirmed"]
    assert [each.owed_back != "" for each in shares()] == [False, True, False]
    assert [each["amount"] for each in at_the_gateway(shares()[1])] == [99900]
    assert books("deposits") == {"deposits": -199800}


def test_one_that_trips_does_not_take_the_others_with_it(basket: Basket, three: Three, monkeypatch: Any) -> None:
    """The worker dies between two bills: what was applied is kept, and the next check does the rest, once."""
    whole, times = Payment.apply_charge, iter(range(99))

    def dies(self: Payment, *given: Any) -> None:
        if next(times) == 1:
            raise ConnectionError
        whole(self, *given)

    monkeypatch.setattr(Payment, "apply_charge", dies)
    with pytest.raises(ConnectionError):
        basket.apply_charges([paid(basket)])
    assert states(three) == ["confirmed", "held", "held"]
    basket.apply_charges([paid(basket)])
    assert states(three) == ["confirmed"] * 3
    assert books("gateway razorpay") == {"gateway razorpay": 299700}


def test_an_attempt_that_failed_is_told_once(basket: Basket) -> None:
    basket.apply_charges([Charge("pay_0", "failed", basket.price, "card", "No.")])
    assert (
        session.scalar(select(func.count()).select_from(Message).where(Message.template == "bookings/payment_failed"))
        == 1
    )
    basket.apply_charges([paid(basket)])
    assert [each.state for each in shares()] == ["failed", "captured", "captured", "captured"]


def test_another_sum_than_was_asked_pays_for_nothing(basket: Basket, three: Three) -> None:
    basket.apply_charges([Charge("pay_1", "captured", inr(1234), "card")])
    assert states(three) == ["held"] * 3
    assert [each.left for each in shares()] == [inr(0)]


def test_what_was_paid_by_itself_meanwhile_is_not_paid_twice(basket: Basket, three: Three) -> None:
    three[0].mark_paid(ByHand("cash", "receipt 7"))
    basket.apply_charges([paid(basket)])
    assert states(three) == ["confirmed"] * 3
    assert [each.owed_back for each in shares()] == ["", "This was paid twice.", "", ""]


# --- each goes back by itself -----------------------------------------------------------------------------------------


def test_calling_one_off_gives_back_its_share_of_the_payment(
    basket: Basket, three: Three, play: Any, work_off: Any, at_the_gateway: Any
) -> None:
    play(basket, "captured")
    basket.check_gateway()
    three[2].cancel(CallOff("Ill."))
    id = basket.id
    work_off()
    Basket.get(id).check_gateway()
    assert states(three) == ["confirmed", "confirmed", "cancelled"]
    assert [each["amount"] for each in at_the_gateway(shares()[0])] == [99900]
    assert [(each.money, each.elsewhere) for each in session.scalars(select(Refund))] == [(inr(99900), False)]
    assert [each.left for each in shares()] == [inr(99900), inr(99900), inr(0)]


def test_what_went_back_at_the_gateways_own_pages_is_taken_from_one_after_the_other(
    basket: Basket, three: Three
) -> None:
    basket.apply_charges([paid(basket)])
    gone = GatewayRefund("rfnd_1", "pay_1", "done", inr(150000))
    for _ in range(2):
        basket.apply_charges([paid(basket, returned=150000)], {"pay_1": [gone]})
    assert [
        (each.money, each.elsewhere, each.state) for each in session.scalars(select(Refund).order_by(Refund.id))
    ] == [
        (inr(99900), True, "done"),
        (inr(50100), True, "done"),
    ]
    assert [each.left for each in shares()] == [inr(0), inr(49800), inr(99900)]
    assert books("gateway razorpay", "to-give-back") == {"gateway razorpay": 149700, "to-give-back": 0}


def test_the_settlement_and_the_days_count_know_it_as_one_payment(basket: Basket, play: Any, sandbox: str) -> None:
    requests.post(
        f"{sandbox}/razorpay/settle", json={"deliver": False, "day": "2020-01-02"}, timeout=PATIENCE
    )  # what other tests have paid
    told = play(basket, "captured")
    (tally,) = [each for each in Tally.count_day("razorpay", clock.now().date()) if each.there.currency == "INR"]
    assert told["id"] not in [row["payment"] for row in tally.rows]
    requests.post(f"{sandbox}/razorpay/settle", json={"deliver": False, "day": "2020-01-03"}, timeout=PATIENCE)
    settlement.import_day("razorpay", clock.now().date().replace(year=2020, month=1, day=3))
    (line,) = session.scalars(select(Settlement).where(Settlement.entity_id == told["id"]))
    assert (line.state, line.credit) == ("matched", inr(299700))


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_same_bills_are_the_same_basket(basket: Basket, three: Three) -> None:
    assert Basket.for_bills(reversed(bills_of(three))).id == basket.id
    assert Basket.for_bills(bills_of(three)[:2]).id != basket.id
    assert session.scalar(select(func.count()).select_from(InBasket)) == 5


@pytest.mark.parametrize(("which", "words"), [([0], "2 to 10 items"), ([], "2 to 10 items"), ([0, 0], "2 to 10 items")])
def test_less_than_two_are_no_basket(three: Three, which: list[int], words: str) -> None:
    with pytest.raises(Refused, match=words):
        Basket.for_bills([bills_of(three)[each] for each in which])


def test_what_nobody_waits_for_is_not_asked_for(three: Three) -> None:
    bills = bills_of(three)
    three[0].lapse()
    with pytest.raises(Refused, match="can no longer be paid"):
        Basket.for_bills(bills)


def test_two_currencies_are_two_payments(three: Three, service: Any, open_slot: Any, hold: Any) -> None:
    with transaction():
        service.price = Money(1000, "EUR")
    with pytest.raises(Refused, match="different currencies"):
        Basket.for_bills([*bills_of(three), *bills_of([hold(open_slot(hours=60))])])


def test_a_basket_of_which_one_is_gone_is_not_paid_any_more(basket: Basket, three: Three) -> None:
    assert basket.can_be_paid
    three[1].lapse()
    session.expire_all()
    assert (Basket.get(basket.id).can_be_paid, Basket.for_bills(bills_of([three[0], three[2]])).price) == (
        False,
        inr(199800),
    )


@pytest.fixture
def at_the_gateway(settings: Any) -> Callable[[Payment], list[dict[str, Any]]]:
    """Return the amount that the gateway says was refunded."""
    key = (settings.razorpay_key, settings.razorpay_secret)
    return lambda payment: requests.get(
        f"{settings.razorpay_url}/v1/payments/{payment.gateway_id}/refunds", auth=key, timeout=PATIENCE
    ).json()["items"]
