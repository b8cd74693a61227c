"""Tests of the Razorpay simulator's protocol, as the real SDK sees it, in success and in failure."""

from __future__ import annotations

import json
import smtplib
import sqlite3
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
import razorpay
import requests

from app.sandbox import create_sandbox
from app.sandbox.proxy import sandbox_proxy
from app.sandbox.webhooks import sign
from config import Settings, Unsafe
from tests.conftest import PATIENCE


@pytest.fixture
def sdk(sandbox: str, settings: Settings) -> razorpay.Client:
    return razorpay.Client(auth=(settings.razorpay_key, settings.razorpay_secret), base_url=settings.razorpay_url)


@pytest.fixture
def order(sdk: razorpay.Client) -> dict[str, Any]:
    return dict(sdk.order.create({"amount": 99900, "currency": "INR", "receipt": "r"}))


@pytest.fixture
def play(sandbox: str) -> Any:
    return lambda order, outcome, **how: requests.post(
        f"{sandbox}/razorpay/orders/{order['id']}/pay", json={"outcome": outcome, "deliver": False} | how, timeout=5
    )


def test_an_order_is_as_razorpay_makes_it(sdk: razorpay.Client, order: dict[str, Any]) -> None:
    assert order["id"].startswith("order_")
    assert len(order["id"]) == 20
    assert (order["status"], order["amount_due"], order["attempts"], order["notes"]) == ("created", 99900, 0, [])
    assert sdk.order.fetch(order["id"]) == order


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"amount": 99, "currency": "INR"}, "Order amount less than minimum amount allowed"),
        ({"amount": "x", "currency": "INR"}, "The amount must be an integer."),
        ({"amount": 100}, "The currency field is required."),
        ({"amount": 100, "currency": "INR", "receipt": "x" * 41}, "The receipt may not be greater than 40 characters."),
    ],
)
def test_a_wrong_order_is_refused_in_razorpays_words(sdk: razorpay.Client, given: dict[str, Any], words: str) -> None:
    with pytest.raises(razorpay.errors.BadRequestError, match=words):
        sdk.order.create(given)


def test_wrong_keys_are_refused(sandbox: str, settings: Settings) -> None:
    with pytest.raises(razorpay.errors.BadRequestError, match="Authentication failed"):
        razorpay.Client(auth=("rzp_test_x", "y"), base_url=settings.razorpay_url).order.all()


def test_an_order_goes_from_created_to_attempted_to_paid_and_is_paid_once(
    sdk: razorpay.Client, order: dict[str, Any], play: Any
) -> None:
    assert play(order, "failed").json()["status"] == "failed"
    assert sdk.order.fetch(order["id"])["status"] == "attempted"
    assert play(order, "captured").json()["status"] == "captured"
    assert sdk.order.fetch(order["id"])["status"] == "paid"
    assert play(order, "captured").status_code == 400
    assert [each["status"] for each in sdk.order.payments(order["id"])["items"]] == ["failed", "captured"]


def test_the_browsers_proof_satisfies_the_sdk(sdk: razorpay.Client, order: dict[str, Any], play: Any) -> None:
    paid = play(order, "captured").json()
    assert sdk.utility.verify_payment_signature(
        {name: paid[name] for name in ("razorpay_order_id", "razorpay_payment_id", "razorpay_signature")}
    )


def test_a_refund_is_made_once_for_one_key_and_never_beyond_what_was_paid(
    sdk: razorpay.Client, order: dict[str, Any], play: Any
) -> None:
    paid = play(order, "captured").json()

    def refund(amount: int, key: str) -> Any:
        return sdk.payment.refund(paid["id"], {"amount": amount}, headers={"X-Refund-Idempotency": key})

    assert refund(40000, "first-key-0")["id"] == refund(40000, "first-key-0")["id"]
    with pytest.raises(razorpay.errors.BadRequestError, match="Different request with the same idempotency key"):
        refund(50000, "first-key-0")
    with pytest.raises(razorpay.errors.BadRequestError, match="greater than the refund payment amount"):
        refund(60000, "other-key-1")
    refund(59900, "other-key-2")
    with pytest.raises(razorpay.errors.BadRequestError, match="fully refunded already"):
        refund(100, "other-key-3")


def test_an_event_is_signed_as_the_sdk_expects(
    sdk: razorpay.Client, order: dict[str, Any], play: Any, environment: dict[str, str], settings: Settings
) -> None:
    play(order, "captured")
    with sqlite3.connect(environment["SANDBOX_DATA"]) as file:
        rows = file.execute(
            "select secret, body from event where cast(body as text) like ?", (f"%{order['id']}%",)
        ).fetchall()
    assert [json.loads(body)["event"] for _, body in rows] == ["payment.authorized", "payment.captured", "order.paid"]
    for secret, body in rows:
        assert sdk.utility.verify_webhook_signature(
            body.decode(), sign(body, secret), settings.razorpay_webhook_secrets[0]
        )


def test_a_card_that_has_expired_is_refused_on_the_checkout_page(
    sandbox: str, order: dict[str, Any], settings: Settings
) -> None:
    form = {
        "key_id": settings.razorpay_key,
        "order_id": order["id"],
        "callback_url": "/back",
        "cancel_url": "/away",
        "name": "The shop",
    }
    page = requests.post(f"{sandbox}/razorpay/v1/checkout/embedded", data=form, timeout=PATIENCE)
    assert "999.00" in page.text
    press = form | {"press": "pay", "card": "4111 1111 1111 1111", "cvv": "123"}
    old = requests.post(
        f"{sandbox}/razorpay/checkout/{order['id']}", data=press | {"expiry": "12/25"}, timeout=PATIENCE
    )
    assert (old.status_code, "Your card has expired" in old.text) == (400, True)
    good = requests.post(
        f"{sandbox}/razorpay/checkout/{order['id']}", data=press | {"expiry": "12/35"}, timeout=PATIENCE
    )
    assert 'name="razorpay_signature"' in good.text


def test_a_letter_arrives_in_the_mailbox(sandbox: str, settings: Settings) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"], letter["Message-ID"] = (
        "a@example.com",
        "noor@example.com",
        "Grüße",
        "<1@example.com>",
    )
    letter.set_content("Hello")
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=PATIENCE) as post:
        post.send_message(letter)
    (found,) = requests.get(f"{sandbox}/mail.json?to=noor", timeout=PATIENCE).json()
    assert (found["subject"], found["text"].strip(), found["message_id"]) == ("Grüße", "Hello", "<1@example.com>")


def test_the_sandbox_never_runs_beside_real_keys(settings: Settings) -> None:
    real = replace(settings, razorpay_key="rzp_test_real")
    for start in (lambda: sandbox_proxy(real), lambda: create_sandbox(real, None, None)):  # type: ignore[arg-type]
        with pytest.raises(Unsafe, match="real gateway keys"):
            start()
