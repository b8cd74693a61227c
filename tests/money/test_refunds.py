"""Tests of refunds: promised once, retried until completed, never above the payment; also from the dashboard."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from app.kernel import clock, jobs
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.messages.message import Message
from app.money.bills.bill import Bill, ByHand
from app.money.bills.dispute import Dispute
from app.money.bills.payment import Bounce, GiveBack, Payment
from app.money.bills.refund import HandedOut, Refund, Why
from app.money.gateways.gateway import Charge, GatewayRefund
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.changes import CallOff
from tests.conftest import PATIENCE
from tests.money.conftest import booking_of, books, inr, payment_of

WorkOff = Callable[[], int]


def refunds_of(bill: Bill) -> list[Refund]:
    return list(payment_of(bill).refunds)


@pytest.fixture
def at_the_gateway(sandbox: str, settings: Any) -> Callable[[Payment], list[dict[str, Any]]]:
    key = (settings.razorpay_key, settings.razorpay_secret)
    return lambda payment: requests.get(
        f"{settings.razorpay_url}/v1/payments/{payment.gateway_id}/refunds", auth=key, timeout=PATIENCE
    ).json()["items"]


def test_parts_go_back_until_nothing_is_left(bill: Bill, paid: Payment, work_off: WorkOff, at_the_gateway: Any) -> None:
    paid.give_back(GiveBack(amount="250.00", why="A shorter hour"))
    work_off()
    assert (payment_of(bill).state, payment_of(bill).left) == ("partly_refunded", inr(74900))
    with pytest.raises(Invalid):
        payment_of(bill).give_back(GiveBack(amount="749.01", why="Too much"))
    payment_of(bill).give_back(GiveBack(amount="", why="The rest"))
    work_off()
    assert (payment_of(bill).state, [each.state for each in refunds_of(bill)]) == ("refunded", ["done", "done"])
    assert sorted(each["amount"] for each in at_the_gateway(payment_of(bill))) == [25000, 74900]
    assert books("gateway razorpay", "to-give-back", "deposits") == {
        "gateway razorpay": 0,
        "to-give-back": 0,
        "deposits": 0,
    }
    with pytest.raises(Refused):
        payment_of(bill).give_back(GiveBack(why="Once more"))


@pytest.mark.parametrize("typed", ["0", "-5", "abc", "1.001", "1e9"])
def test_a_sum_that_makes_no_sense_is_a_marked_field(paid: Payment, typed: str) -> None:
    with pytest.raises(Invalid) as no:
        paid.give_back(GiveBack(amount=typed, why="x"))
    assert no.value.fields.keys() == {"amount"}


def test_a_crowd_cannot_give_back_more_than_came(paid: Payment, app: Flask) -> None:
    def ask(n: int) -> bool:
        with app.app_context():
            try:
                Payment.get(paid.id).give_back(GiveBack(amount="300", why=f"{n}"))
            except Refused:
                return False
            else:
                return True
            finally:
                session.remove()

    with ThreadPoolExecutor(6) as crowd:
        assert sum(crowd.map(ask, range(9))) == 3
    session.expire_all()
    assert Payment.get(paid.id).back == inr(90000)


def test_a_large_sum_that_somebody_decided_waits_for_somebody_else(
    open_slot: Any, hold: Any, by: Any, service: Any, work_off: WorkOff
) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    bill.apply_charges([Charge("pay_large", "captured", bill.price)])
    with by("dina"):
        payment_of(bill).give_back(GiveBack(amount="12000", why="A complaint"))
    (refund,) = refunds_of(bill)
    assert (refund.state, work_off() and refund.state) == ("to_approve", "to_approve")
    assert books("to-give-back") == {"to-give-back": 0}
    with by("dina"), pytest.raises(Refused, match="Someone else"):
        Refund.get(refund.id).approve()
    with by("ada"):
        Refund.get(refund.id).decline(Why("Not agreed"))
    assert (refunds_of(bill)[0].state, payment_of(bill).left) == ("declined", inr(1_500_000))


def test_what_the_house_owes_anyway_waits_for_nobody(open_slot: Any, hold: Any, by: Any, service: Any) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    with by("dina"):
        bill.apply_charges([Charge("pay_1", "captured", bill.price), Charge("pay_2", "captured", bill.price)])
    assert [each.state for each in session.scalars(select(Refund))] == ["owed"]


def test_a_refund_that_does_not_get_there_is_still_owed_and_alarms(
    open_slot: Any, hold: Any, play: Any, work_off: WorkOff, later: Any, at_the_gateway: Any
) -> None:
    """A refund of ₹24.68 fails at the sandbox, as in Razorpay's test mode."""
    bill = hold(open_slot()).bill
    play(bill, "captured")
    bill.check_gateway()
    payment_of(bill).give_back(GiveBack(amount="24.68", why="A complaint"))
    work_off()
    while at_the_gateway(payment_of(bill))[0]["status"] == "pending":
        time.sleep(0.1)
    with later(minutes=20):
        jobs.tick()
        work_off()
    (refund,) = refunds_of(bill)
    assert (refund.state, bool(refund.trouble)) == ("failed", True)
    assert books("to-give-back") == {"to-give-back": -2468}
    assert session.scalar(select(Message.id).where(Message.template == "money/refund_failed"))
    key = refund.key
    refund.try_again()
    assert (refund.state, refund.key != key) == ("owed", True)


def test_a_refund_whose_reply_is_lost_is_one_refund(
    bill: Bill, paid: Payment, go_wrong: Any, work_off: WorkOff, later: Any, at_the_gateway: Any
) -> None:
    paid.give_back(GiveBack(amount="100", why="x"))
    go_wrong("reply_lost", path="/refund")
    work_off()
    assert refunds_of(bill)[0].state == "owed"
    with later(minutes=2):
        work_off()
    assert refunds_of(bill)[0].state in ("sent", "done")
    assert [each["amount"] for each in at_the_gateway(payment_of(bill))] == [10000]


def test_a_refund_made_at_the_dashboard_is_recognised_and_told(
    bill: Bill, paid: Payment, settings: Any, at_the_gateway: Any, work_off: WorkOff
) -> None:
    key = (settings.razorpay_key, settings.razorpay_secret)
    requests.post(
        f"{settings.razorpay_url}/v1/payments/{paid.gateway_id}/refund",
        json={"amount": 20000},
        auth=key,
        timeout=PATIENCE,
    )
    bill.check_gateway()
    bill.check_gateway()
    (refund,) = refunds_of(bill)
    assert (refund.elsewhere, refund.money, refund.state, payment_of(bill).state) == (
        True,
        inr(20000),
        "done",
        "partly_refunded",
    )
    assert books("gateway razorpay", "to-give-back", "deposits") == {
        "gateway razorpay": 79900,
        "to-give-back": 0,
        "deposits": -79900,
    }
    assert session.scalar(select(Message.id).where(Message.template == "money/refunded_elsewhere"))


def test_a_dashboard_refund_takes_the_place_of_what_we_had_promised(bill: Bill, paid: Payment) -> None:
    """All of it is owed and unsent when 200 are refunded in the dashboard: the rest is still owed, once."""
    booking_of(bill).cancel(CallOff("Ill."))
    by_hand = GatewayRefund("rfnd_1", paid.gateway_id, "done", inr(20000))
    with transaction():
        Payment.get(paid.id).lock()
        Refund.apply_report(Payment.get(paid.id), by_hand)
        Refund.apply_report(Payment.get(paid.id), by_hand)
    ours, theirs = refunds_of(bill)
    assert (ours.state, ours.money, theirs.money, theirs.elsewhere) == ("owed", inr(79900), inr(20000), True)
    assert (payment_of(bill).back, books("to-give-back")) == (inr(99900), {"to-give-back": -79900})


def test_a_capture_that_went_back_before_we_heard_of_it_pays_for_nothing(bill: Bill) -> None:
    back = GatewayRefund("rfnd_1", "pay_1", "done", bill.price)
    bill.apply_charges([Charge("pay_1", "captured", bill.price, returned=bill.price.amount)], {"pay_1": [back]})
    assert (booking_of(bill).state, payment_of(bill).state, len(refunds_of(bill))) == ("held", "refunded", 1)
    assert books("gateway razorpay", "received", "to-give-back") == {
        "gateway razorpay": 0,
        "received": 0,
        "to-give-back": 0,
    }


def test_cash_goes_back_by_hand(bill: Bill, work_off: WorkOff) -> None:
    booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    booking_of(bill).cancel(CallOff("Ill."))
    work_off()
    (refund,) = refunds_of(bill)
    assert (refund.state, books("cash")) == ("owed", {"cash": 99900})
    refund.hand_out(HandedOut("signed 12"))
    assert (refunds_of(bill)[0].state, payment_of(bill).state, books("cash", "to-give-back")) == (
        "done",
        "refunded",
        {"cash": 0, "to-give-back": 0},
    )


@pytest.mark.parametrize(
    ("price", "next_step"),
    [
        (99900, "₹999.00 is to be refunded by hand. Pay it out, and mark the refund as paid out"),
        (2_500_000, "₹25,000.00 will be refunded once someone else has approved it."),
    ],
)
def test_whoever_gives_back_is_told_what_comes_next(
    service: Any, open_slot: Any, hold: Any, enter: Any, by: Any, price: int, next_step: str
) -> None:
    with transaction():
        service.price = inr(price)
    bill = hold(open_slot()).bill
    with by("dina"):
        booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    paid = payment_of(bill)
    if paid.state == "authorized":
        with by("ada"):
            paid.approve()
    dina = enter("dina")
    assert (
        dina.post(f"/desk/payment/{paid.id}/do/give_back", data={"amount": "", "why": "A mistake."}).status_code == 302
    )
    page = dina.get(f"/desk/payment/{paid.id}").text
    assert next_step in page
    assert "refund, done" not in page
    assert "Refunded or pending" in page
    assert "Gateway for online payment" in dina.get(f"/desk/bill/{bill.id}").text


def test_money_that_goes_back_over_the_wire_is_on_its_way(paid: Payment, enter: Any) -> None:
    ada = enter("ada")
    assert 'value="999.00"' in ada.get(f"/desk/payment/{paid.id}/do/give_back").text
    ada.post(f"/desk/payment/{paid.id}/do/give_back", data={"amount": "100", "why": "A mistake."})
    assert (
        "the refund of ₹100.00 to the original payment method is on its way."
        in ada.get(f"/desk/payment/{paid.id}").text
    )
    assert 'value="899.00"' in ada.get(f"/desk/payment/{paid.id}/do/give_back").text
    for wrong in "100,50", "1.00,00":
        answer = ada.post(f"/desk/payment/{paid.id}/do/give_back", data={"amount": wrong, "why": "A mistake."})
        assert (
            answer.status_code,
            "Enter an amount, such as 1,250.50." in answer.text,
            f'value="{wrong}"' in answer.text,
        ) == (422, True, True)


def test_what_came_over_the_wire_is_not_handed_out(paid: Payment) -> None:
    refund = Refund.owe(paid, inr(100), "x")
    with pytest.raises(Refused, match="automatically"):
        refund.hand_out(HandedOut("signed 12"))


# --- by policy --------------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(service: Any) -> RefundPolicy:
    with transaction():
        service.policy = RefundPolicy(name="Two days", tiers="48: 100, 24: 50")
        session.add(service.policy)
    return service.policy


@pytest.mark.parametrize(("before", "back"), [(60, 99900), (48, 99900), (30, 49950), (10, 0)])
def test_what_goes_back_by_the_policy_is_what_was_promised(
    policy: RefundPolicy, open_slot: Any, hold: Any, service: Any, before: int, back: int
) -> None:
    bill = hold(open_slot(hours=100)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    with transaction():
        service.policy.tiers = "1000: 100"  # tomorrow's policy is not what was promised
    with clock.frozen_at(booking_of(bill).slot.starts_at - timedelta(hours=before)):
        assert booking_of(bill).refund_by_policy() == inr(back)
        booking_of(bill).cancel(CallOff("Cannot come", "policy"))
    assert books("to-give-back", "income", "deposits") == {"to-give-back": -back, "income": back - 99900, "deposits": 0}


def test_the_sums_are_said_before_it_is_pressed(policy: RefundPolicy, open_slot: Any, hold: Any, enter: Any) -> None:
    bill = hold(open_slot(hours=30)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    page = enter("dina").get(f"/desk/booking/{bill.row_id}/do/cancel").text
    assert "₹999.00 of ₹999.00 can be refunded" in page
    assert "₹499.50" in page


def test_what_was_promised_is_the_choice_that_stands_there(
    policy: RefundPolicy, open_slot: Any, hold: Any, enter: Any
) -> None:
    unpaid, bill = hold(open_slot(hours=28)), hold(open_slot(hours=30)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    page = enter("dina").get(f"/desk/booking/{bill.row_id}/do/cancel").text
    assert '<option value="policy" selected>According to the cancellation policy</option>' in page
    assert "Choose…" not in page
    assert ">Refund</label>" in page, "with an answer there already, it is not optional"
    assert ">Refund</label>" not in enter("dina").get(f"/desk/booking/{unpaid.id}/do/cancel").text


@pytest.mark.parametrize(
    ("chosen", "back"), [({}, 49950), ({"back": "policy"}, 49950), ({"back": "all"}, 99900), ({"back": "nothing"}, 0)]
)
@pytest.mark.parametrize("way", ["", "/desk/inbox/"])
def test_what_was_chosen_on_the_page_is_what_goes_back(
    policy: RefundPolicy, open_slot: Any, hold: Any, enter: Any, chosen: dict[str, str], back: int, way: str
) -> None:
    bill = hold(open_slot(hours=30)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    typed = MultiDict([*([("back", way)] if way else []), *chosen.items(), ("why", "Ill.")])
    answer = enter("dina").post(f"/desk/booking/{bill.row_id}/do/cancel", data=typed)
    assert answer.headers["Location"] == (way or f"/desk/booking/{bill.row_id}")
    assert sum(each.money.amount for each in refunds_of(bill)) == back


def test_a_choice_that_is_none_is_refused_and_the_way_back_stays(
    policy: RefundPolicy, open_slot: Any, hold: Any, enter: Any
) -> None:
    bill = hold(open_slot(hours=30)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    answer = enter("dina").post(
        f"/desk/booking/{bill.row_id}/do/cancel",
        data=MultiDict([("back", "/desk/inbox/"), ("back", "half"), ("why", "Ill.")]),
    )
    assert answer.status_code == 422
    assert '<input type="hidden" name="back" value="/desk/inbox/">' in answer.text
    assert booking_of(bill).state == "confirmed"


def test_what_went_back_already_counts_towards_the_policy(policy: RefundPolicy, open_slot: Any, hold: Any) -> None:
    bill = hold(open_slot(hours=30)).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    payment_of(bill).give_back(GiveBack(amount="300", why="A complaint"))
    assert booking_of(bill).refund_by_policy() == inr(19950)
    payment_of(bill).give_back(GiveBack(amount="300", why="Another"))
    assert booking_of(bill).refund_by_policy() == inr(0)


# --- cheques, and payments that can’t be refunded ---------------------------------------------------------------------


def test_a_cheque_that_bounces_takes_what_was_to_go_back_of_it_along(bill: Bill) -> None:
    booking_of(bill).mark_paid(ByHand("cheque", "000123"))
    booking_of(bill).cancel(CallOff("Ill."))
    with pytest.raises(Refused, match="hasn’t cleared"):
        refunds_of(bill)[0].hand_out(HandedOut("signed 12"))
    payment_of(bill).bounce(Bounce("Insufficient funds"))
    assert (refunds_of(bill)[0].state, payment_of(bill).back, Bill.get(bill.id).state) == (
        "declined",
        inr(0),
        "void",
    )  # nobody waits for it any more
    assert books("cheques", "to-give-back", "deposits") == {"cheques": 0, "to-give-back": 0, "deposits": 0}


def test_a_cheque_that_is_cleared_can_go_back(bill: Bill) -> None:
    booking_of(bill).mark_paid(ByHand("cheque", "000123"))
    booking_of(bill).cancel(CallOff("Ill."))
    payment_of(bill).clear()
    refunds_of(bill)[0].hand_out(HandedOut("UTR 77"))
    assert books("cheques", "bank", "to-give-back") == {"cheques": 0, "bank": 0, "to-give-back": 0}


def test_what_the_gateway_cannot_bring_goes_by_transfer(bill: Bill, paid: Payment) -> None:
    refund = Refund.owe(paid, inr(99900), "x")
    refund.fail("The card is closed.")
    refund.hand_out(HandedOut("UTR 99"))
    assert (refunds_of(bill)[0].gateway, payment_of(bill).state) == ("bank", "refunded")
    assert books("gateway razorpay", "bank", "to-give-back") == {
        "gateway razorpay": 99900,
        "bank": -99900,
        "to-give-back": 0,
    }


def test_a_refund_that_a_lost_dispute_has_settled_is_not_paid_twice(bill: Bill, paid: Payment) -> None:
    refund = Refund.owe(paid, inr(99900), "x")
    dispute = Dispute(payment=paid, gateway="razorpay", gateway_id="disp_1", money=inr(99900), kept_back=inr(0))
    with transaction():
        session.add(dispute)
    refund.send()
    assert refunds_of(bill)[0].state == "failed"
    with pytest.raises(Refused, match="was lost"):
        refunds_of(bill)[0].settle_by_dispute()
    Dispute.get(dispute.id).lose()
    refunds_of(bill)[0].settle_by_dispute()
    assert books("gateway razorpay", "to-give-back", "disputes-lost", "disputed") == {
        "gateway razorpay": 0,
        "to-give-back": 0,
        "disputes-lost": 0,
        "disputed": 0,
    }
