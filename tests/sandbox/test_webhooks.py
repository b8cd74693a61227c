"""Tests of webhook delivery in the sandbox: signed, with the state of its moment, at least once, and retried."""

from __future__ import annotations

import json
import time

import pytest
import requests
from razorpay.errors import SignatureVerificationError

from app.sandbox import webhooks
from config import Settings
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing


def test_a_payment_is_told_in_three_events_that_the_sdk_believes(bank: Standing, shop: Shop, keys: Settings) -> None:
    order = bank.order(notes={"seat": "4"})
    paid = bank.pay(order)
    assert shop.hears(3) == ["payment.authorized", "payment.captured", "order.paid"]
    for headers, body in shop.heard:
        assert bank.client.utility.verify_webhook_signature(
            body.decode(), headers["x-razorpay-signature"], keys.razorpay_webhook_secrets[0]
        )
        assert headers["content-type"] == "application/json"
    assert len({headers["x-razorpay-event-id"] for headers, _ in shop.heard}) == 3
    authorized, captured, whole = shop.events()
    assert set(whole) == {"entity", "account_id", "event", "contains", "payload", "created_at"}
    assert (whole["entity"], whole["contains"], captured["contains"]) == ("event", ["payment", "order"], ["payment"])
    assert (whole["payload"]["order"]["entity"]["status"], whole["payload"]["order"]["entity"]["notes"]) == (
        "paid",
        {"seat": "4"},
    )
    assert whole["payload"]["payment"]["entity"]["id"] == paid["id"]
    # each has the state of its own moment
    assert [each["payload"]["payment"]["entity"]["status"] for each in (authorized, captured)] == [
        "authorized",
        "captured",
    ]
    assert not any(name.startswith("_") for name in whole["payload"]["order"]["entity"])


def test_a_refund_is_told_twice_with_its_payment(bank: Standing, shop: Shop) -> None:
    paid = bank.pay(bank.order(), deliver=False)
    refund = bank.client.payment.refund(paid["id"], {"amount": 500})
    assert shop.hears(2) == ["refund.created", "refund.processed"]
    payload = shop.events()[-1]["payload"]
    assert (payload["refund"]["entity"], payload["payment"]["entity"]["amount_refunded"]) == (refund, 500)


def test_the_same_event_can_come_twice_under_one_id(bank: Standing, shop: Shop) -> None:
    bank.pay(bank.order(), "failed", deliver="twice")
    assert shop.hears(2) == ["payment.failed"] * 2
    assert len({headers["x-razorpay-event-id"] for headers, _ in shop.heard}) == 1
    assert shop.heard[0][1] == shop.heard[1][1]


def test_events_can_come_in_the_wrong_order(bank: Standing, shop: Shop) -> None:
    bank.pay(bank.order(), deliver="shuffled")
    assert shop.hears(3) == ["order.paid", "payment.captured", "payment.authorized"]


@pytest.mark.parametrize("fault", ["wrong_secret", "tampered"])
def test_an_event_that_is_not_genuine_can_be_sent(bank: Standing, shop: Shop, keys: Settings, fault: str) -> None:
    bank.pay(bank.order(), "failed", **{fault: True})
    shop.hears(1)
    headers, body = shop.heard[0]
    with pytest.raises(SignatureVerificationError):
        bank.client.utility.verify_webhook_signature(
            body.decode(), headers["x-razorpay-signature"], keys.razorpay_webhook_secrets[0]
        )


def test_an_event_that_is_held_back_comes_when_somebody_asks(bank: Standing, shop: Shop) -> None:
    bank.pay(bank.order(), "failed", deliver=False)
    assert shop.hears(1, within=0.5) == []
    [event] = requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]
    assert (event["event"], event["tries"], event["attempts"]) == ("payment.failed", 0, [])
    assert requests.post(f"{bank.api}/events/{event['id']}/deliver", timeout=PATIENCE).json() == {"answer": "200"}
    assert shop.hears(1) == ["payment.failed"]
    assert requests.post(f"{bank.api}/events/nobody/deliver", timeout=PATIENCE).status_code == 404


def test_a_shop_that_does_not_answer_well_is_told_again(bank: Standing, shop: Shop) -> None:
    shop.answers = [500]
    bank.pay(bank.order(), "failed")
    assert shop.hears(2) == ["payment.failed"] * 2
    [event] = requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]
    assert ([each["answer"] for each in event["attempts"]], event["due"]) == (["500", "200"], None)


def test_paying_never_waits_for_the_shop(bank: Standing, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paying uses the web's own workers: waiting for the webhook would be waiting for itself."""
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", PATIENCE)
    shop.server.shutdown()  # callers wait from now on
    began = time.monotonic()
    bank.pay(bank.order())
    assert time.monotonic() - began < PATIENCE / 2


def test_old_events_are_signed_over_exactly_the_bytes_that_are_sent(bank: Standing, shop: Shop) -> None:
    bank.pay(bank.order(receipt="Zwölf ₹"), deliver=True)
    shop.hears(3)
    assert json.loads(shop.heard[-1][1])["payload"]["order"]["entity"]["receipt"] == "Zwölf ₹"
