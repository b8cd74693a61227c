"""Tests of the Razorpay simulator's API through the real SDK: orders, payments, refunds and error messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError, SignatureVerificationError

from app.sandbox import create_sandbox
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from config import Settings, Unsafe
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing


def asked(bank: Standing, keys: Settings, method: str, path: str, **more: Any) -> requests.Response:
    """Call the API without the SDK, which drops all of an error but its message."""
    return requests.request(
        method, f"{bank.api}/v1{path}", auth=(keys.razorpay_key, keys.razorpay_secret), timeout=PATIENCE, **more
    )


def test_it_does_not_start_beside_live_keys(keys: Settings, start: Callable[[], Standing]) -> None:
    bank = start()
    live = replace(keys, razorpay_key="rzp_live_x")
    with pytest.raises(Unsafe):
        create_sandbox(live, bank.store, bank.sender)


def test_an_order_is_made_found_by_its_receipt_and_noted(bank: Standing) -> None:
    order = bank.order(receipt="BK-1", notes={})
    assert re.fullmatch(r"order_[A-Za-z0-9]{14}", order["id"])
    assert (order["status"], order["amount_due"], order["amount_paid"], order["attempts"], order["notes"]) == (
        "created",
        99900,
        0,
        0,
        [],
    )
    assert set(order) == {
        "id",
        "entity",
        "amount",
        "amount_paid",
        "amount_due",
        "currency",
        "receipt",
        "offer_id",
        "status",
        "attempts",
        "notes",
        "created_at",
    }
    bank.order(receipt="BK-2")
    assert [each["id"] for each in bank.client.order.all({"receipt": "BK-1"})["items"]] == [order["id"]]
    assert bank.client.order.all({"receipt": "BK-3"}) == {"entity": "collection", "count": 0, "items": []}
    assert bank.client.order.edit(order["id"], {"notes": {"seat": "4"}})["notes"] == {"seat": "4"}
    assert bank.client.order.fetch(order["id"])["notes"] == {"seat": "4"}


def test_a_list_is_newest_first_and_read_in_pages(bank: Standing, keys: Settings) -> None:
    ids = [bank.order()["id"] for _ in range(12)][::-1]
    assert [each["id"] for each in bank.client.order.all()["items"]] == ids[:10]
    assert [each["id"] for each in bank.client.order.all({"count": 5, "skip": 10})["items"]] == ids[10:]
    assert asked(bank, keys, "GET", "/orders?count=many").status_code == 400


@pytest.mark.parametrize(
    ("given", "words", "field"),
    [
        ({"amount": 99, "currency": "INR"}, "Order amount less than minimum amount allowed", "amount"),
        ({"amount": 100.5, "currency": "INR"}, "The amount must be an integer.", "amount"),
        ({"amount": "100", "currency": "INR"}, "The amount must be an integer.", "amount"),
        ({"currency": "INR"}, "The amount field is required.", "amount"),
        ({"amount": 100}, "The currency field is required.", "currency"),
        (
            {"amount": 100, "currency": "INR", "receipt": "r" * 41},
            "The receipt may not be greater than 40 characters.",
            "receipt",
        ),
        (
            {"amount": 100, "currency": "INR", "notes": {str(n): "" for n in range(16)}},
            "Number of fields in notes should be less than or equal to 15",
            "notes",
        ),
    ],
)
def test_a_bad_order_is_refused_in_razorpays_words_and_shape(
    bank: Standing, keys: Settings, given: dict[str, Any], words: str, field: str
) -> None:
    answer = asked(bank, keys, "POST", "/orders", json=given)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "code": "BAD_REQUEST_ERROR",
            "description": words,
            "source": "business",
            "step": "payment_initiation",
            "reason": "input_validation_failed",
            "metadata": {},
            "field": field,
        }
    }
    assert bank.client.order.all()["count"] == 0


def test_a_stranger_is_told_that_authentication_failed_and_nothing_more(bank: Standing, keys: Settings) -> None:
    for auth in (None, (keys.razorpay_key, "guessed"), ("rzp_test_other", keys.razorpay_secret)):
        answer = requests.get(f"{bank.api}/v1/orders", auth=auth, timeout=PATIENCE)
        assert (answer.status_code, answer.json()) == (
            401,
            {"error": {"code": "BAD_REQUEST_ERROR", "description": "Authentication failed"}},
        )


def test_what_is_not_there_is_said_in_json(bank: Standing, keys: Settings) -> None:
    for path in (
        "/orders/order_none",
        "/payments/pay_none",
        "/refunds/rfnd_none",
        "/orders/order_none/payments",
        "/payments/pay_none/refunds",
    ):
        assert asked(bank, keys, "GET", path).json()["error"]["description"] == "The id provided does not exist"
    assert (
        asked(bank, keys, "GET", "/virtual_accounts").json()["error"]["description"]
        == "The requested URL was not found on the server."
    )


def test_a_payment_is_captured_and_its_order_paid(bank: Standing) -> None:
    order = bank.order()
    paid = bank.pay(order)
    assert re.fullmatch(r"pay_[A-Za-z0-9]{14}", paid["id"])
    assert (paid["status"], paid["captured"], paid["amount"], paid["order_id"]) == (
        "captured",
        True,
        99900,
        order["id"],
    )
    assert bank.client.payment.fetch(paid["id"])["status"] == "captured"
    assert bank.client.payment.all()["items"][0]["id"] == paid["id"]
    assert [each["id"] for each in bank.client.order.payments(order["id"])["items"]] == [paid["id"]]
    known = bank.client.order.fetch(order["id"])
    assert (known["status"], known["amount_paid"], known["amount_due"], known["attempts"]) == ("paid", 99900, 0, 1)


def test_what_the_browser_gets_passes_the_sdks_own_check_and_a_guess_does_not(bank: Standing) -> None:
    paid = bank.pay(bank.order())
    proof = {name: paid[name] for name in ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")}
    assert bank.client.utility.verify_payment_signature(proof)
    with pytest.raises(SignatureVerificationError):
        bank.client.utility.verify_payment_signature(proof | {"razorpay_payment_id": "pay_other"})


def test_a_failure_leaves_the_order_open_for_another_try(bank: Standing) -> None:
    order = bank.order()
    failed = bank.pay(order, "failed")
    assert (failed["status"], failed["error_code"], failed["error_reason"]) == (
        "failed",
        "BAD_REQUEST_ERROR",
        "payment_failed",
    )
    assert "razorpay_signature" not in failed
    assert bank.client.order.fetch(order["id"])["status"] == "attempted"
    assert bank.pay(order)["status"] == "captured"
    assert bank.client.order.fetch(order["id"])["attempts"] == 2


def test_an_order_is_paid_once_whoever_comes_at_the_same_time(bank: Standing) -> None:
    order = bank.order()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(
            crowd.map(
                lambda _: requests.post(
                    f"{bank.api}/orders/{order['id']}/pay", json={"outcome": "captured"}, timeout=PATIENCE
                ),
                range(8),
            )
        )
    assert sorted(each.status_code for each in answers) == [200, *[400] * 7]
    refused = next(each for each in answers if not each.ok).json()["error"]["description"]
    assert (
        refused
        == "Your payment has been declined as the order is already paid. Please initiate the payment with a new order."
    )
    assert bank.client.order.payments(order["id"])["count"] == 1


def test_the_verb_refuses_what_it_cannot_do(bank: Standing) -> None:
    assert (
        requests.post(f"{bank.api}/orders/order_none/pay", json={"outcome": "captured"}, timeout=PATIENCE).status_code
        == 404
    )
    for bad in (
        {},
        {"outcome": "maybe"},
        {"outcome": "captured", "amount": "many"},
        {"outcome": "late", "after": "soon"},
    ):
        assert (
            requests.post(f"{bank.api}/orders/{bank.order()['id']}/pay", json=bad, timeout=PATIENCE).status_code == 400
        )


def test_an_order_that_asks_for_a_hand_stays_authorized_until_it_is_captured(bank: Standing, shop: Shop) -> None:
    order = bank.order(payment={"capture": "manual"})
    payment = bank.pay(order)
    assert (payment["status"], payment["captured"]) == ("authorized", False)
    with pytest.raises(BadRequestError, match="Capture amount must be equal to the amount authorized"):
        bank.client.payment.capture(payment["id"], 100, {})
    assert bank.client.payment.capture(payment["id"], 99900, {})["status"] == "captured"
    with pytest.raises(BadRequestError, match="This payment has already been captured"):
        bank.client.payment.capture(payment["id"], 99900, {})
    assert shop.hears(3) == ["payment.authorized", "payment.captured", "order.paid"]
    failed = bank.pay(bank.order(), "failed")
    with pytest.raises(BadRequestError, match="Only payments which have been authorized"):
        bank.client.payment.capture(failed["id"], 99900, {})


def test_money_that_comes_late_is_failed_first_and_captured_later(bank: Standing, shop: Shop) -> None:
    order = bank.order()
    assert bank.pay(order, "late", after=0.5)["status"] == "failed"
    assert shop.hears(1, within=0.2)[:1] == ["payment.failed"]
    assert shop.hears(4) == ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
    assert bank.client.order.payments(order["id"])["items"][0]["status"] == "captured"


def test_a_second_payment_for_a_paid_order_goes_back_by_itself(bank: Standing, shop: Shop) -> None:
    order = bank.order()
    late = bank.pay(order, "late", after=0.4)
    bank.pay(order)
    assert shop.hears(7)[-3:] == ["payment.authorized", "refund.created", "refund.processed"]
    returned = bank.client.payment.fetch(late["id"])
    assert (returned["status"], returned["captured"], returned["refund_status"]) == ("refunded", False, "full")
    assert shop.events()[-1]["payload"]["payment"]["entity"]["captured"] is False
    assert bank.client.order.fetch(order["id"])["amount_paid"] == 99900


def test_refunds_add_up_to_what_was_captured_and_no_further(bank: Standing) -> None:
    paid = bank.pay(bank.order())
    part = bank.client.payment.refund(paid["id"], {"amount": 40000})
    assert re.fullmatch(r"rfnd_[A-Za-z0-9]{14}", part["id"])
    assert (part["status"], part["payment_id"], part["notes"]) == ("processed", paid["id"], [])
    assert bank.client.payment.fetch(paid["id"])["refund_status"] == "partial"
    with pytest.raises(BadRequestError, match="The total refund amount is greater than the refund payment amount"):
        bank.client.payment.refund(paid["id"], {"amount": 60000})
    with pytest.raises(BadRequestError, match="The amount must be at least INR 1.00"):
        bank.client.payment.refund(paid["id"], {"amount": 99})
    bank.client.payment.refund(paid["id"], {"amount": 59900})
    with pytest.raises(BadRequestError, match="The payment has been fully refunded already"):
        bank.client.payment.refund(paid["id"], {"amount": 100})
    assert sum(each["amount"] for each in bank.client.payment.fetch_multiple_refund(paid["id"])["items"]) == 99900
    known = bank.client.payment.fetch(paid["id"])
    assert (known["status"], known["amount_refunded"], known["refund_status"]) == ("refunded", 99900, "full")
    assert bank.client.order.fetch(paid["order_id"])["status"] == "paid"


def test_the_same_key_gives_money_back_once(bank: Standing, keys: Settings) -> None:
    paid = bank.pay(bank.order())
    path, headers = f"/payments/{paid['id']}/refund", {"X-Refund-Idempotency": "refund-0001"}
    first, second = (asked(bank, keys, "POST", path, json={"amount": 40000}, headers=headers).json() for _ in range(2))
    assert first == second
    assert bank.client.refund.fetch(first["id"]) == first  # no private field is shown
    other = asked(bank, keys, "POST", path, json={"amount": 100}, headers=headers)
    assert other.status_code == 409
    assert other.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "Different request with the same idempotency key has already been processed.",
        "source": "NA",
        "step": "NA",
        "reason": "NA",
        "metadata": {},
    }
    for key, words in (("short", "at least 10 characters"), ("not a good key", "must only contain alphanumeric")):
        refused = asked(bank, keys, "POST", path, json={"amount": 100}, headers={"X-Refund-Idempotency": key})
        assert (refused.status_code, words in refused.json()["error"]["description"]) == (400, True)
    assert bank.client.payment.fetch(paid["id"])["amount_refunded"] == 40000


def test_only_captured_money_can_be_given_back(bank: Standing) -> None:
    failed = bank.pay(bank.order(), "failed")
    with pytest.raises(BadRequestError, match="The payment status should be captured"):
        bank.client.payment.refund(failed["id"], {"amount": 100})


def test_a_lost_reply_comes_after_the_effect(bank: Standing) -> None:
    bank.wrong("reply_lost", path="orders")
    with pytest.raises(requests.ConnectionError):
        bank.order(receipt="BK-1")
    assert bank.client.order.all({"receipt": "BK-1"})["count"] == 1


@pytest.mark.parametrize(("fault", "status"), [("502", 502), ("429", 429), ("500", 500)])
def test_a_fault_happens_as_often_as_planned_and_where_it_was_planned(
    bank: Standing, keys: Settings, fault: str, status: int
) -> None:
    bank.wrong(fault, times=2, path="orders")
    assert asked(bank, keys, "GET", "/payments").status_code == 200
    assert [asked(bank, keys, "GET", "/orders").status_code for _ in range(3)] == [status, status, 200]
    assert requests.post(f"{bank.api}/faults", json={"fault": "earthquake"}, timeout=PATIENCE).status_code == 400


def test_a_restart_forgets_nothing(start: Callable[[], Standing], shop: Shop) -> None:
    before = start()
    order, waiting = before.order(receipt="BK-1"), before.order()
    paid = before.pay(order, deliver=False)
    before.pay(waiting, "late", after=1, deliver=True)
    assert shop.hears(1) == ["payment.failed"]
    before.close()
    after = start()
    assert after.client.order.all({"receipt": "BK-1"})["items"][0]["status"] == "paid"
    assert after.client.payment.fetch(paid["id"])["status"] == "captured"
    assert shop.hears(4) == ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
    assert after.client.order.fetch(waiting["id"])["status"] == "paid"


def test_a_verb_that_breaks_half_way_leaves_nothing_behind(keys: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(keys.sandbox_data)
    sender = WebhookSender(store, "http://127.0.0.1:9", "secret")
    client = create_sandbox(keys, store, sender).test_client()
    order = client.post(
        "/sandbox/razorpay/v1/orders",
        json={"amount": 100, "currency": "INR"},
        auth=(keys.razorpay_key, keys.razorpay_secret),
    ).get_json()
    monkeypatch.setattr(sender, "enqueue", lambda *_, **__: 1 / 0)
    assert client.post(f"/sandbox/razorpay/orders/{order['id']}/pay", json={"outcome": "captured"}).status_code == 500
    assert store.all("payment") == []
    assert store.get("order", order["id"]) == store.get("order", order["id"]) | {"status": "created"}
