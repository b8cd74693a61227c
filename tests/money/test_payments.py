"""Tests of payments through Razorpay’s SDK: every capture settles its bill or is refunded, in any order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.kernel import jobs
from app.kernel.db import session, transaction
from app.kernel.jobs import Job
from app.messages.message import Message
from app.money.bills.bill import Bill
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, Unreachable
from app.money.gateways.razorpay import Razorpay
from app.money.reconcile.gateway_webhooks import Event, receive_webhook
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE
from tests.money.conftest import booking_of, captured, payments_of

Hold = Callable[..., Booking]
WorkOff = Callable[[], int]


def test_a_payment_confirms_the_booking(bill: Bill, play: Any) -> None:
    play(bill, "captured")
    bill.check_gateway()
    assert booking_of(bill).state == "confirmed"
    assert (bill.state, payments_of(bill)[0].state, payments_of(bill)[0].owed_back) == ("paid", "captured", "")


def test_the_gateways_order_is_made_once_even_when_its_reply_is_lost(
    bill: Bill, go_wrong: Any, sandbox: str, settings: Any
) -> None:
    go_wrong("reply_lost", path="/v1/orders")  # the look-up fails first …
    with pytest.raises(Unreachable):
        bill.announce()
    go_wrong("none", path="/v1/orders")  # … then it answers, and now the reply to the order itself is lost
    go_wrong("reply_lost", path="/v1/orders")
    with pytest.raises(Unreachable):
        bill.announce()
    order = bill.announce()
    known = requests.get(
        f"{sandbox}/razorpay/v1/orders?receipt={bill.receipt}",
        auth=(settings.razorpay_key, settings.razorpay_secret),
        timeout=PATIENCE,
    ).json()
    assert [each["id"] for each in known["items"]] == [order]


@pytest.mark.parametrize("fault", ["502", "500", "429"])
def test_a_gateway_on_a_bad_day_is_a_sentence_and_nothing_is_lost(
    bill: Bill, go_wrong: Any, client: FlaskClient, fault: str
) -> None:
    go_wrong(fault, path="/v1/orders")
    answer = client.get(f"/pay/{bill.token}")
    assert answer.status_code == 503
    assert "payment gateway" in answer.text
    assert client.get(f"/pay/{bill.token}").status_code == 200
    assert booking_of(bill).state == "held"


def test_no_transaction_is_open_while_the_gateway_is_asked(bill: Bill) -> None:
    with pytest.raises(RuntimeError, match="external service"), transaction():
        bill.announce()


def test_less_money_than_asked_for_goes_back(bill: Bill, play: Any, work_off: WorkOff) -> None:
    play(bill, "captured", amount=bill.price.amount - 1)
    bill.check_gateway()
    assert booking_of(bill).state == "held"
    assert "₹998.99 was paid instead of ₹999.00" in payments_of(bill)[0].owed_back
    work_off()
    assert payments_of(bill)[0].state == "refunded"


def test_another_currency_goes_back(bill: Bill) -> None:
    bill.apply_charges([captured(bill, money=Money(99900, "USD"))])
    assert booking_of(bill).state == "held"
    assert payments_of(bill)[0].owed_back


def test_paying_twice_confirms_once_and_gives_the_second_back(bill: Bill) -> None:
    bill.apply_charges([captured(bill, "pay_1")])
    bill.apply_charges([captured(bill, "pay_1"), captured(bill, "pay_2")])
    assert booking_of(bill).state == "confirmed"
    assert [bool(each.owed_back) for each in payments_of(bill)] == [False, True]


def test_late_money_takes_the_seat_again_if_it_is_free(bill: Bill, play: Any, later: Any, work_off: WorkOff) -> None:
    play(bill, "late", after=0)
    with later(minutes=16):
        work_off()
        assert booking_of(bill).state == "expired"
        Bill.get(bill.id).check_gateway()
        assert booking_of(bill).state == "confirmed"


def test_late_money_for_a_seat_that_is_gone_goes_back_and_says_so(
    bill: Bill, slot: Slot, hold: Hold, play: Any, later: Any, work_off: WorkOff
) -> None:
    play(bill, "late", after=0)
    with later(minutes=16):
        other = hold(slot, name="Kabir Shah", email="kabir@example.com")
        bill.check_gateway()
        assert booking_of(bill).state == "expired"
        assert Booking.get(other.id).state == "held"
        work_off()
        assert payments_of(bill)[0].state == "refunded"
        assert payments_of(bill)[0].refunds[0].gateway_id
        assert session.scalar(select(Message.id).where(Message.template == "money/refunded"))


def test_money_for_a_cancelled_booking_goes_back(bill: Bill) -> None:
    booking_of(bill).cancel(CallOff("Asked to."))
    bill.apply_charges([captured(bill)])
    assert booking_of(bill).state == "cancelled"
    assert payments_of(bill)[0].owed_back


def test_cancelling_a_paid_booking_gives_the_money_back_once(
    bill: Bill, play: Any, work_off: WorkOff, sandbox: str, settings: Any
) -> None:
    paid = play(bill, "captured")
    bill.check_gateway()
    booking_of(bill).cancel(CallOff("Ill."))
    work_off()
    work_off()
    assert payments_of(bill)[0].state == "refunded"
    refunds = requests.get(
        f"{sandbox}/razorpay/v1/payments/{paid['id']}/refunds",
        auth=(settings.razorpay_key, settings.razorpay_secret),
        timeout=PATIENCE,
    ).json()
    assert [each["amount"] for each in refunds["items"]] == [99900]


def test_a_refund_whose_reply_is_lost_is_not_made_twice(
    bill: Bill, play: Any, go_wrong: Any, later: Any, work_off: WorkOff, sandbox: str, settings: Any
) -> None:
    paid = play(bill, "captured")
    bill.check_gateway()
    booking_of(bill).cancel(CallOff("Ill."))
    go_wrong("reply_lost", path="/refund")
    work_off()
    with later(minutes=1):
        work_off()
    assert payments_of(bill)[0].state == "refunded"
    refunds = requests.get(
        f"{sandbox}/razorpay/v1/payments/{paid['id']}/refunds",
        auth=(settings.razorpay_key, settings.razorpay_secret),
        timeout=PATIENCE,
    ).json()
    assert refunds["count"] == 1


@pytest.mark.proof
def test_every_order_of_what_is_heard_ends_the_same(slot: Slot, hold: Hold, later: Any, open_slot: Any) -> None:
    """Created, failed, authorized, captured, captured again: 120 orders, one result."""
    heard = ["failed", "authorized", "captured", "captured", "created"]
    for n, order in enumerate(sorted(set(permutations(heard)))):
        bill = hold(open_slot(hours=100 + 2 * n)).bill
        assert bill
        for state in order:
            bill.apply_charges([Charge(f"pay_{n}", state, bill.price)])
        assert (booking_of(bill).state, payments_of(bill)[0].state, payments_of(bill)[0].owed_back) == (
            "confirmed",
            "captured",
            "",
        ), order
    confirmations = session.scalar(
        select(func.count()).select_from(Message).where(Message.template == "bookings/confirmed")
    )
    assert confirmations == n + 1


def test_the_browsers_return_is_believed_only_with_its_signature(bill: Bill, play: Any) -> None:
    proof = play(bill, "captured")
    assert bill.handle_return(proof | {"razorpay_signature": "0" * 64}) == "unverified"
    assert bill.handle_return({"error[code]": "BAD_REQUEST_ERROR"}) == "failed"
    assert booking_of(bill).state == "held"
    assert [bill.handle_return(proof), bill.handle_return(proof)] == ["", ""]
    assert booking_of(bill).state == "confirmed"


def test_a_lost_webhook_is_found_by_the_clock(bill: Bill, play: Any, later: Any, work_off: WorkOff) -> None:
    play(bill, "captured")
    with later(minutes=3):
        jobs.tick()
        work_off()
        assert booking_of(bill).state == "confirmed"


# --- the inbox --------------------------------------------------------------------------------------------------------


def headers(raw: bytes, settings: Any, event_id: str = "evt_1", secret: str | None = None) -> dict[str, str]:
    signature = hmac.new((secret or settings.razorpay_webhook_secrets[0]).encode(), raw, hashlib.sha256).hexdigest()
    return {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": event_id, "Content-Type": "application/json"}


def event_about(order_id: str) -> bytes:
    return (
        b'{"entity":"event","event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_x","order_id":"'
        + order_id.encode()
        + b'"}}}}'
    )


def test_a_webhook_is_written_down_once_and_handled_by_a_job(
    bill: Bill, play: Any, client: FlaskClient, settings: Any, work_off: WorkOff
) -> None:
    play(bill, "captured")
    raw = event_about(bill.announce())
    first, second = (
        client.post("/api/payment/webhook/razorpay", data=raw, headers=headers(raw, settings)) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.get_json()["news"], second.get_json()["news"]) == (True, False)
    assert booking_of(bill).state == "held"  # answered at once, acted on by the worker
    work_off()
    assert booking_of(bill).state == "confirmed"
    assert session.scalar(select(func.count()).select_from(Event)) == 1


@pytest.mark.parametrize(
    "wrong", [{"X-Razorpay-Signature": "0" * 64}, {"X-Razorpay-Signature": ""}, {"X-Razorpay-Signature": "\xe9"}, {}]
)
def test_a_webhook_without_its_signature_is_refused(client: FlaskClient, app: Any, wrong: dict[str, str]) -> None:
    answer = client.post("/api/payment/webhook/razorpay", data=event_about("order_1"), headers=wrong)
    assert answer.status_code == 403
    assert session.scalar(select(Event.id)) is None


def test_a_webhook_with_one_changed_byte_is_refused(client: FlaskClient, app: Any, settings: Any) -> None:
    raw = event_about("order_1")
    assert (
        client.post(
            "/api/payment/webhook/razorpay", data=raw.replace(b"order_1", b"order_2"), headers=headers(raw, settings)
        ).status_code
        == 403
    )


def test_after_a_change_of_secret_yesterdays_events_are_still_believed(app: Any, settings: Any) -> None:
    two = Razorpay(
        key="k", secret="s", webhook_secrets=("new", "old"), url="http://127.0.0.1:1", hosted="/", business="x"
    )
    raw = event_about("order_1")
    assert two.parse_webhook(raw, headers(raw, settings, secret="old")).order_id == "order_1"


def test_an_event_about_nobodys_order_is_parked_and_can_be_handled_again(
    app: Any, settings: Any, work_off: WorkOff
) -> None:
    raw = event_about("order_unknown")
    receive_webhook("razorpay", raw, headers(raw, settings))
    work_off()
    event = session.scalars(select(Event)).one()
    assert (event.state, event.trouble) == ("parked", "No payment request was found for this event.")
    event.handle_again()
    assert (
        session.scalar(
            select(func.count())
            .select_from(Job)
            .where(Job.name == "money.gateway_webhooks.process_event", Job.state == "waiting")
        )
        == 1
    )


def test_signed_rubbish_is_refused_and_an_unknown_gateway_is_not_there(
    client: FlaskClient, app: Any, settings: Any
) -> None:
    for raw in (b"", b"[]", b"{}", b'{"event": 1, "payload": []}', b"\xff\xfe"):
        assert client.post("/api/payment/webhook/razorpay", data=raw, headers=headers(raw, settings)).status_code in (
            200,
            400,
        )
    assert client.post("/api/payment/webhook/nosuch", data=b"{}").status_code == 404


def test_the_usual_gateway_tells_only_what_a_client_may_know(app: Any, settings: Any) -> None:
    assert gateway.default_for("INR").public_details() == {"gateway": "razorpay", "key": settings.razorpay_key}


# --- found in reviews --------------------------------------------------------------------------------------------


def test_the_search_for_a_lost_payment_never_gets_stuck(
    bill: Bill, go_wrong: Any, later: Any, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check for four days, every hour at most, also when the gateway was unreachable for a while."""
    searching = "money.basket.look_for_lost_payments"
    monkeypatch.setattr(jobs, "_clockwork", {searching: jobs._clockwork[searching]})
    bill.announce()
    go_wrong("502", times=5, path="/payments")
    looks = []
    for hours in range(0, 100, 2):
        with later(hours=hours, minutes=5):
            jobs.tick()
            work_off()
            looks.append(Bill.get(bill.id).looked)
    assert looks[-1] > 45
    assert Bill.get(bill.id).look_at is None


def test_a_payment_that_the_gateway_gave_back_by_itself_pays_for_nothing(bill: Bill) -> None:
    back = Charge("pay_A", "refunded", bill.price, "card")
    bill.apply_charges([back, captured(bill, "pay_B")])
    assert booking_of(bill).paid_with == "Razorpay pay_B"
    assert [(each.gateway_id, each.state, each.owed_back) for each in payments_of(bill)] == [
        ("pay_A", "refunded", ""),
        ("pay_B", "captured", ""),
    ]


def test_a_refund_that_was_made_by_hand_at_the_gateway_is_found(
    bill: Bill, play: Any, work_off: WorkOff, settings: Any
) -> None:
    paid = play(bill, "captured")
    bill.check_gateway()
    key = (settings.razorpay_key, settings.razorpay_secret)
    by_hand = requests.post(
        f"{settings.razorpay_url}/v1/payments/{paid['id']}/refund", json={}, auth=key, timeout=PATIENCE
    ).json()
    booking_of(bill).cancel(CallOff("Ill."))
    work_off()
    assert (payments_of(bill)[0].state, payments_of(bill)[0].refunds[-1].gateway_id) == ("refunded", by_hand["id"])


def test_the_first_order_that_was_announced_stays(bill: Bill) -> None:
    for order_id in ("order_FIRST", "order_SECOND"):
        with transaction():
            bill._keep_order_id(order_id)
    assert bill.announce() == "order_FIRST"


def test_an_event_without_an_order_is_parked_and_touches_no_bill(
    bill: Bill, app: Any, settings: Any, work_off: WorkOff
) -> None:
    downtime = b'{"payment.downtime":{"entity":{"id":"down_1"}}}'
    raw = b'{"entity":"event","event":"payment.downtime.started","payload":%s}' % downtime
    receive_webhook("razorpay", raw, headers(raw, settings))
    work_off()
    assert session.scalars(select(Event)).one().state == "parked"


def test_the_gateway_sends_the_payer_back_to_us_whatever_name_the_request_came_with(
    client: FlaskClient, bill: Bill
) -> None:
    page = client.get(f"/pay/{bill.token}", headers={"Host": "evil.example"})
    assert "evil.example" not in page.text


def test_coming_back_from_the_gateway_writes_no_cookie(client: FlaskClient, bill: Bill) -> None:
    answer = client.post(f"/pay/{bill.token}/back", data={"error[description]": "no"})
    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    assert "didn’t go through" in client.get(answer.headers["Location"]).text
