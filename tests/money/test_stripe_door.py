"""Tests of the Stripe adapter, with the real SDK against a sandbox that fails on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from stripe import HTTPClient

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, Refused, Unreadable
from app.money.bills.bill import Bill
from app.money.bills.payment import GiveBack
from app.money.gateways.gateway import Charge, Declined, OrderExpired, OrderRequest, Unreachable
from app.money.gateways.stripe import Stripe
from app.money.sums.amount import Money
from config import Settings
from tests.conftest import PATIENCE
from tests.money.conftest import booking_of, payment_of
from tests.sandbox.conftest import Shop, Standing

ASKED = OrderRequest(
    Money(1500, "USD"),
    "BK-1",
    "https://shop.example/back/1?a=b",
    "https://shop.example/away",
    "Booking BK-1",
    {"name": "Noor", "email": "noor@example.com"},
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.from_environment(
        {
            "FRONTDESK_ENV": "test",
            "DATABASE_URL": "postgresql://nobody/nothing",
            "REDIS_URL": "redis://nobody",
            "BASE_URL": "http://127.0.0.1:9",
            "SECRET_KEY": "only for these tests, and longer than it has to be",
            "SANDBOX_URL": "http://127.0.0.1:9",
            "SANDBOX_DATA": str(tmp_path_factory.mktemp("stripe") / "s.db"),
        }
    )


@pytest.fixture(scope="module")
def standing(keys: Settings) -> Iterator[tuple[Standing, Shop]]:
    """One sandbox for this file, because starting one takes longer than most tests."""
    shop = Shop()
    standing = Standing(keys, shop.address)
    yield standing, shop
    standing.close()
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delays of the SDK's retries."""
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(HTTPClient, "MAX_DELAY", 0.02)


@pytest.fixture
def house(built: Flask) -> Iterator[None]:
    """Only a session is needed: the adapter keeps no data, so there is nothing to reset."""
    with built.app_context():
        yield
        session.remove()


@pytest.fixture
def bank(house: None, standing: tuple[Standing, Shop]) -> Standing:
    with standing[0].store.open() as file:
        for each in ("thing", "event", "repeat", "soon", "once", "plan"):
            file.execute(f"delete from {each}")
    return standing[0]


@pytest.fixture
def shop(bank: Standing, standing: tuple[Standing, Shop]) -> Shop:
    time.sleep(0.3)  # what was on its way when the last test ended
    standing[1].heard.clear()
    return standing[1]


@pytest.fixture
def stripe(bank: Standing, keys: Settings) -> Stripe:
    return Stripe(key=keys.stripe_key, webhook_secrets=keys.stripe_webhook_secrets, url=f"{bank.url}/stripe")


@pytest.fixture
def verb(bank: Standing) -> Callable[..., Any]:
    """Act as Stripe, the payer or the bank."""

    def act(path: str, /, **given: Any) -> Any:
        answer = requests.post(f"{bank.url}/stripe/{path}", json=given, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()

    return act


@pytest.fixture
def paid(stripe: Stripe, verb: Callable[..., Any]) -> Charge:
    order_id = stripe.create_order(ASKED)
    verb(f"sessions/{order_id}/pay", outcome="captured", deliver=False)
    [charge] = stripe.list_charges(order_id)
    return charge


def sessions(bank: Standing) -> list[dict[str, Any]]:
    return bank.store.all("stripe checkout.session")


# --- asking for money ---


def test_what_is_asked_stands_in_the_session(stripe: Stripe, bank: Standing) -> None:
    order_id = stripe.create_order(ASKED)
    [made] = sessions(bank)
    assert (made["id"], made["amount_total"], made["currency"], made["mode"]) == (order_id, 1500, "usd", "payment")
    assert (made["client_reference_id"], made["customer_email"], made["_about"]) == (
        "BK-1",
        "noor@example.com",
        "Booking BK-1",
    )
    assert (made["success_url"], made["cancel_url"]) == (ASKED.back, ASKED.away)
    assert made["_intent"] == {"description": "Booking BK-1", "metadata": {"receipt": "BK-1"}}


@pytest.mark.parametrize(("minutes", "ends"), [(15, 31), (45, 45), (60 * 48, 60 * 24 - 1), (-5, 31)])
def test_a_session_waits_as_long_as_we_do_as_far_as_stripe_allows(
    stripe: Stripe, bank: Standing, minutes: int, ends: int
) -> None:
    stripe.create_order(replace(ASKED, until=clock.now() + timedelta(minutes=minutes)))
    assert abs(sessions(bank)[0]["expires_at"] - clock.timestamp() - ends * 60) < 5


def test_asking_twice_for_one_receipt_makes_one_session(stripe: Stripe, bank: Standing) -> None:
    first = stripe.create_order(ASKED)
    assert stripe.create_order(ASKED) == first
    assert (
        stripe.create_order(
            replace(ASKED, about="Booking BK-1, with other words", until=clock.now() + timedelta(hours=2))
        )
        == first
    )
    assert stripe.create_order(replace(ASKED, receipt="BK-2")) != first
    assert len(sessions(bank)) == 2


def test_another_sum_under_a_receipt_that_was_used_is_refused(stripe: Stripe) -> None:
    stripe.create_order(ASKED)
    with pytest.raises(Declined, match="Keys for idempotent requests") as no:
        stripe.create_order(replace(ASKED, money=Money(1600, "USD")))
    assert (no.value.their_code, no.value.their_status) == ("idempotency_error", 400)


def test_the_way_to_pay_is_a_form_that_keeps_its_query(stripe: Stripe, verb: Callable[..., Any]) -> None:
    order_id = stripe.create_order(ASKED)
    way = stripe.checkout_form(order_id, ASKED)
    assert (way.action, way.fields, way.method) == (f"https://shop.example/sandbox/stripe/pay/{order_id}", {}, "get")
    verb(f"sessions/{order_id}/pay", outcome="captured", deliver=False)
    way = stripe.checkout_form(order_id, ASKED)
    assert (way.action, way.fields) == ("https://shop.example/back/1", {"a": "b"})


def test_a_session_that_is_closed_has_lapsed_and_closing_twice_is_fine(stripe: Stripe) -> None:
    order_id = stripe.create_order(ASKED)
    stripe.close_order(order_id)
    stripe.close_order(order_id)
    with pytest.raises(OrderExpired, match="time to pay for this has expired"):
        stripe.checkout_form(order_id, ASKED)
    assert stripe.list_charges(order_id) == []


def test_a_session_that_was_paid_is_not_closed_any_more(stripe: Stripe, paid: Charge) -> None:
    stripe.close_order(paid.order_id)
    assert stripe.list_charges(paid.order_id)[0].state == "captured"


def test_a_session_that_never_was_cannot_be_closed(stripe: Stripe) -> None:
    with pytest.raises(Declined, match="No such checkout.session: 'cs_none'") as no:
        stripe.close_order("cs_none")
    assert (no.value.their_status, no.value.their_code, no.value.field) == (404, "resource_missing", "id")


def test_a_browser_proves_nothing_and_may_always_look(stripe: Stripe) -> None:
    assert stripe.verify_return("cs_x", {"anything": "at all"}) == ""


# --- what became of it ---


def test_a_payment_fails_in_the_banks_words_and_then_succeeds_under_one_id(
    stripe: Stripe, verb: Callable[..., Any]
) -> None:
    order_id = stripe.create_order(ASKED)
    assert stripe.list_charges(order_id) == []
    verb(f"sessions/{order_id}/pay", outcome="failed", card="4000000000009995", deliver=False)
    [failed] = stripe.list_charges(order_id)
    assert (failed.state, failed.error, failed.money) == (
        "failed",
        "Your card has insufficient funds.",
        Money(1500, "USD"),
    )
    verb(f"sessions/{order_id}/pay", outcome="captured", deliver=False)
    [charge] = stripe.list_charges(order_id)
    assert (charge.id, charge.state, charge.error, charge.method, charge.order_id) == (
        failed.id,
        "captured",
        "",
        "card",
        order_id,
    )
    assert charge.at
    assert abs(charge.at.timestamp() - clock.timestamp()) < 10


def test_a_bank_debit_is_created_until_the_bank_has_answered(
    stripe: Stripe, bank: Standing, verb: Callable[..., Any], shop: Shop
) -> None:
    order_id = stripe.create_order(ASKED)
    verb(f"sessions/{order_id}/pay", outcome="async", after=3600)
    [charge] = stripe.list_charges(order_id)
    assert (charge.state, charge.method) == ("created", "us_bank_account")
    with bank.store.open() as file:
        file.execute("update soon set due = 0 where id = ?", (charge.id,))
    assert shop.hears(2) == ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    assert stripe.list_charges(order_id)[0].state == "captured"


def test_a_bank_debit_that_fails_leaves_the_bill_to_be_paid_another_way(
    stripe: Stripe, verb: Callable[..., Any], shop: Shop
) -> None:
    order_id = stripe.create_order(ASKED)
    verb(f"sessions/{order_id}/pay", outcome="async", then="failed", after=0.5)
    assert stripe.checkout_form(order_id, ASKED).action == "https://shop.example/back/1"
    assert shop.hears(2) == ["checkout.session.completed", "checkout.session.async_payment_failed"]
    assert stripe.list_charges(order_id)[0].state == "failed"
    with pytest.raises(OrderExpired):
        stripe.checkout_form(order_id, ASKED)


@pytest.mark.parametrize(
    ("status", "attempt", "state"),
    [
        ("requires_capture", {}, "authorized"),
        ("canceled", {}, "failed"),
        ("canceled", {"refunded": True}, "refunded"),
        ("requires_action", {}, "created"),
        ("something_new", {}, "created"),
    ],
)
def test_every_state_of_stripes_is_one_of_ours(
    stripe: Stripe, bank: Standing, paid: Charge, status: str, attempt: dict[str, Any], state: str
) -> None:
    intent = bank.store.get("stripe payment_intent", paid.id)
    assert intent
    bank.store.put("stripe payment_intent", intent | {"status": status})
    charge = bank.store.get("stripe charge", intent["latest_charge"])
    assert charge
    bank.store.put("stripe charge", charge | attempt)
    assert stripe.list_charges(paid.order_id)[0].state == state


@pytest.mark.parametrize(
    ("money", "coins"),
    [
        (Money(5000, "JPY"), 5000),
        (Money(5120, "KWD"), 5120),
        (Money(99900, "INR"), 99900),
        (Money(120000, "KRW"), 120000),
        (Money.parse("500", "CLP"), 500),
        (Money.parse("7", "XOF"), 7),
    ],
)
def test_each_currency_is_counted_in_stripes_coins_and_back_in_ours(
    stripe: Stripe, bank: Standing, verb: Callable[..., Any], money: Money, coins: int
) -> None:
    order_id = stripe.create_order(replace(ASKED, money=money))
    assert sessions(bank)[0]["amount_total"] == coins
    verb(f"sessions/{order_id}/pay", outcome="captured", deliver=False)
    [charge] = stripe.list_charges(order_id)
    assert charge.money == money
    assert stripe.send_refund(charge.id, money, "RF-1").money == money
    assert stripe.list_charges(order_id)[0].returned == money.amount


def test_what_stripe_cannot_count_is_refused_before_it_is_asked(stripe: Stripe, bank: Standing) -> None:
    with pytest.raises(Declined, match="Stripe can’t charge KWD 5.125 exactly in KWD"):
        stripe.create_order(replace(ASKED, money=Money(5125, "KWD")))
    assert sessions(bank) == []


# --- giving it back ---


def test_one_key_gives_back_once(stripe: Stripe, paid: Charge) -> None:
    first = stripe.send_refund(paid.id, Money(500, "USD"), "RF-1")
    assert (first.state, first.money, first.key, first.payment_id) == ("done", Money(500, "USD"), "RF-1", paid.id)
    assert stripe.send_refund(paid.id, Money(500, "USD"), "RF-1") == first
    second = stripe.send_refund(paid.id, Money(1000, "USD"), "RF-2")
    assert stripe.list_refunds(paid.id) == [second, first]
    assert stripe.list_charges(paid.order_id)[0].returned == 1500


def test_one_key_gives_back_once_even_after_stripe_has_forgotten_it(
    stripe: Stripe, bank: Standing, paid: Charge
) -> None:
    first = stripe.send_refund(paid.id, Money(500, "USD"), "RF-1")
    with bank.store.open() as file:
        file.execute("delete from once")
    assert stripe.send_refund(paid.id, Money(500, "USD"), "RF-1") == first
    assert len(stripe.list_refunds(paid.id)) == 1


def test_a_refund_that_cannot_be_is_refused_in_stripes_words(
    stripe: Stripe, verb: Callable[..., Any], paid: Charge
) -> None:
    with pytest.raises(
        Declined, match=r"Refund amount \(\$15.01\) is greater than unrefunded amount on charge \(\$15.00\)"
    ) as no:
        stripe.send_refund(paid.id, Money(1501, "USD"), "RF-1")
    assert (no.value.their_status, no.value.field) == (400, "amount")
    verb(f"payments/{paid.id}/refund", deliver=False)
    with pytest.raises(Declined, match="has already been refunded") as no:
        stripe.send_refund(paid.id, Money(1500, "USD"), "RF-2")
    assert no.value.their_code == "charge_already_refunded"
    assert [(each.key, each.money) for each in stripe.list_refunds(paid.id)] == [("", Money(1500, "USD"))]


@pytest.mark.parametrize(
    ("told", "state"),
    [("pending", "pending"), ("requires_action", "pending"), ("failed", "failed"), ("canceled", "failed")],
)
def test_a_refund_is_on_its_way_there_or_lost(
    stripe: Stripe, verb: Callable[..., Any], paid: Charge, told: str, state: str
) -> None:
    verb(f"payments/{paid.id}/refund", status=told, deliver=False)
    assert stripe.list_refunds(paid.id)[0].state == state


# --- disputes, and counting ---


def test_a_dispute_says_what_was_taken_and_until_when_to_answer(
    stripe: Stripe, verb: Callable[..., Any], paid: Charge
) -> None:
    id = verb(f"payments/{paid.id}/dispute", reason="product_not_received", deliver=False)["id"]
    told = stripe.fetch_dispute(id)
    assert (told.id, told.payment_id, told.state, told.money, told.deducted) == (
        id,
        paid.id,
        "open",
        Money(1500, "USD"),
        1500,
    )
    assert told.reason == "product_not_received"
    assert told.respond_by
    assert told.respond_by > clock.now()
    with pytest.raises(Declined, match="charged back") as no:
        stripe.send_refund(paid.id, Money(1500, "USD"), "RF-1")
    assert no.value.their_code == "charge_disputed"
    verb(f"disputes/{id}/close", outcome="won", deliver=False)
    assert (stripe.fetch_dispute(id).state, stripe.fetch_dispute(id).deducted) == ("won", 0)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("warning_under_review", "under_review"),
        ("warning_needs_response", "open"),
        ("warning_closed", "closed"),
        ("lost", "lost"),
    ],
)
def test_a_warning_is_a_dispute_too(
    stripe: Stripe, bank: Standing, verb: Callable[..., Any], paid: Charge, told: str, state: str
) -> None:
    dispute = bank.store.get("stripe dispute", verb(f"payments/{paid.id}/dispute", deliver=False)["id"])
    assert dispute
    bank.store.put("stripe dispute", dispute | {"status": told})
    assert stripe.fetch_dispute(dispute["id"]).state == state


def test_a_day_is_counted_with_the_order_of_each_payment(
    stripe: Stripe, verb: Callable[..., Any], paid: Charge
) -> None:
    failed = stripe.create_order(replace(ASKED, receipt="BK-2"))
    verb(f"sessions/{failed}/pay", outcome="failed", deliver=False)
    today = clock.now().date()
    assert stripe.list_captured(today) == [paid]
    assert stripe.list_captured(date(2026, 1, 1)) == []


def test_a_transfer_to_the_bank_is_told_line_by_line(stripe: Stripe, verb: Callable[..., Any], paid: Charge) -> None:
    refund = stripe.send_refund(paid.id, Money(500, "USD"), "RF-1")
    other = stripe.create_order(replace(ASKED, receipt="BK-2"))
    verb(f"sessions/{other}/pay", outcome="captured", deliver=False)
    [disputed] = stripe.list_charges(other)
    id = verb(f"payments/{disputed.id}/dispute", deliver=False)["id"]
    verb(f"disputes/{id}/close", outcome="won", deliver=False)
    verb("settle")
    today = clock.now().date()
    lines = stripe.list_settlements(today)
    usd = lambda amount: Money(amount, "USD")  # noqa: E731
    assert [(each.kind, each.credit, each.debit, each.fee, each.tax) for each in lines[::-1]] == [
        ("payment", usd(1500), usd(0), usd(43), usd(7)),
        ("refund", usd(0), usd(500), usd(0), usd(0)),
        ("payment", usd(1500), usd(0), usd(43), usd(7)),
        ("adjustment", usd(0), usd(1500), usd(1500), usd(270)),
        ("adjustment", usd(1500), usd(0), usd(0), usd(0)),
    ]
    assert [each.id for each in lines[::-1]][:3] == [paid.id, refund.id, disputed.id]
    assert len({each.id for each in lines}) == 5
    assert (len({each.reference for each in lines}), lines[0].settled_at) == (
        1,
        datetime(today.year, today.month, today.day, tzinfo=UTC),
    )
    assert stripe.list_settlements(today - timedelta(days=1)) == []


# --- when the line is bad ---


@pytest.mark.parametrize("fault", ["502", "429", "500", "in_flight", "reply_lost"])
def test_a_bad_line_is_no_answer_and_nothing_is_done_twice(
    stripe: Stripe, bank: Standing, verb: Callable[..., Any], fault: str
) -> None:
    tries = 1 if fault == "429" else 2  # the SDK tries once more, but not when it is asked to slow down
    verb("faults", fault=fault, path="/v1/checkout/sessions", times=tries)
    with pytest.raises(Unreachable, match="isn’t responding"):
        stripe.create_order(ASKED)
    assert [stripe.create_order(ASKED)] == [each["id"] for each in sessions(bank)]


def test_a_lost_reply_after_the_effect_makes_one_session_and_one_refund(
    stripe: Stripe, bank: Standing, verb: Callable[..., Any]
) -> None:
    verb("faults", fault="reply_lost", path="/v1/checkout/sessions", times=1)
    order_id = stripe.create_order(ASKED)
    assert [each["id"] for each in sessions(bank)] == [order_id]
    verb(f"sessions/{order_id}/pay", outcome="captured", deliver=False)
    [charge] = stripe.list_charges(order_id)
    verb("faults", fault="reply_lost", path="POST /v1/refunds", times=2)
    with pytest.raises(Unreachable):
        stripe.send_refund(charge.id, Money(500, "USD"), "RF-1")
    refund = stripe.send_refund(charge.id, Money(500, "USD"), "RF-1")
    assert stripe.list_refunds(charge.id) == [refund]
    assert [each["id"] for each in bank.store.all("stripe refund")] == [refund.id]


def test_a_slow_gateway_is_not_waited_for_for_ever(
    stripe: Stripe, verb: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe.client._requestor._client, "_timeout", (0.2, 0.3))
    verb("faults", fault="slow", path="/v1/refunds", times=2, seconds=30)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        stripe.list_refunds("pi_x")
    assert time.monotonic() - began < 25


def test_nobody_there_and_a_wrong_key_are_said_apart(bank: Standing) -> None:
    with pytest.raises(Unreachable):
        Stripe(key="sk_test_x", webhook_secrets=("s",), url="http://127.0.0.1:9").list_refunds("pi_x")
    with pytest.raises(Declined, match="Invalid API Key provided") as no:
        Stripe(key="sk_test_other", webhook_secrets=("s",), url=f"{bank.url}/stripe").list_refunds("pi_x")
    assert no.value.their_status == 401


@pytest.fixture(scope="module")
def mouth() -> Iterator[tuple[list[Any], str]]:
    """A gateway that responds as told."""
    answer: list[Any] = [200, b""]

    class Mouth(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mouth)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield answer, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mumbling(house: None, mouth: tuple[list[Any], str]) -> Callable[[int, bytes], Stripe]:
    def say(status: int, body: bytes) -> Stripe:
        mouth[0][:] = status, body
        return Stripe(key="sk_test_x", webhook_secrets=("s",), url=mouth[1])

    return say


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"17",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"id": "cs_1"}',
        b'{"object": "list"}',
        b'{"data": [17]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(mumbling: Callable[[int, bytes], Stripe], body: bytes) -> None:
    stripe = mumbling(200, body)
    for ask in (
        lambda: stripe.list_charges("cs_1"),
        lambda: stripe.checkout_form("cs_1", ASKED),
        lambda: stripe.send_refund("pi_1", Money(1, "USD"), "k"),
        lambda: stripe.fetch_dispute("du_1"),
        lambda: stripe.list_captured(date(2026, 1, 1)),
        lambda: stripe.list_settlements(date(2026, 1, 1)),
    ):
        with pytest.raises(Unreachable):
            ask()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"error": null}', b'{"error": "x"}', b'{"error": {}}', b'{"error": {"message": "No."}}', b"<html>"],
)
@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 429, 500, 503])
def test_an_error_that_makes_no_sense_is_still_refused(
    mumbling: Callable[[int, bytes], Stripe], status: int, body: bytes
) -> None:
    with pytest.raises((Unreachable, Declined)) as no:
        mumbling(status, body).list_charges("cs_1")
    assert no.value.words
    assert status < 500 or isinstance(no.value, Unreachable)


def test_a_declined_card_keeps_the_banks_reason(mumbling: Callable[[int, bytes], Stripe]) -> None:
    error = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "param": "",
        "message": "Your card has insufficient funds.",
    }
    with pytest.raises(Declined, match="insufficient funds") as no:
        mumbling(402, json.dumps({"error": error}).encode()).create_order(ASKED)
    assert (no.value.their_status, no.value.their_code, no.value.reason) == (402, "card_declined", "insufficient_funds")


def test_nobody_is_asked_while_a_transaction_is_open(stripe: Stripe) -> None:
    with pytest.raises(RuntimeError, match="transaction is open"), transaction():
        stripe.list_refunds("pi_x")


# --- webhooks ---


def sealed(raw: bytes, secret: str, moment: float | None = None) -> dict[str, str]:
    at = int(clock.timestamp() if moment is None else moment)
    digest = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={digest}"}


def event(**thing: Any) -> bytes:
    return json.dumps({"id": "evt_1", "object": "event", "type": "some.thing", "data": {"object": thing}}).encode()


@pytest.fixture
def ear() -> Stripe:
    return Stripe(key="sk_test_x", webhook_secrets=("whsec_new", "whsec_old"), url="http://127.0.0.1:9")


def test_what_the_sandbox_brings_is_genuine_and_says_what_it_is_about(
    stripe: Stripe, verb: Callable[..., Any], shop: Shop
) -> None:
    order_id = stripe.create_order(ASKED)
    verb(f"sessions/{order_id}/pay", outcome="captured")
    shop.hears(1)
    [charge] = stripe.list_charges(order_id)
    stripe.send_refund(charge.id, Money(500, "USD"), "RF-1")
    shop.hears(3)
    id = verb(f"payments/{charge.id}/dispute")["id"]
    shop.hears(4)
    told = [stripe.parse_webhook(body, headers) for headers, body in shop.heard]
    assert {each.kind: (each.order_id, each.payment_id, each.dispute_id) for each in told} == {
        "checkout.session.completed": (order_id, None, None),
        "refund.created": (None, charge.id, None),
        "charge.refunded": (None, charge.id, None),
        "charge.dispute.created": (None, charge.id, id),
    }
    assert len({each.event_id for each in told}) == 4


@pytest.mark.parametrize(
    ("thing", "about"),
    [
        ({"object": "checkout.session", "id": "cs_1"}, ("cs_1", None, None)),
        ({"object": "payment_intent", "id": "pi_1"}, (None, "pi_1", None)),
        ({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, (None, "pi_1", None)),
        ({"object": "refund", "id": "re_1", "payment_intent": None}, (None, None, None)),
        ({"object": "dispute", "id": "du_1", "payment_intent": "pi_1"}, (None, "pi_1", "du_1")),
        ({"object": "payout", "id": "po_1"}, (None, None, None)),
    ],
)
def test_each_kind_of_event_points_at_what_it_is_about(
    ear: Stripe, thing: dict[str, Any], about: tuple[str | None, ...]
) -> None:
    told = ear.parse_webhook(event(**thing), sealed(event(**thing), "whsec_new"))
    assert (told.event_id, told.kind, (told.order_id, told.payment_id, told.dispute_id)) == (
        "evt_1",
        "some.thing",
        about,
    )


def test_while_a_secret_changes_both_are_good(ear: Stripe) -> None:
    raw = event()
    for secret in ("whsec_new", "whsec_old"):
        assert ear.parse_webhook(raw, sealed(raw, secret)).event_id == "evt_1"
    # Stripe signs with both at once while it rolls a secret, and names of headers come in any case
    both = (
        sealed(raw, "whsec_gone")["Stripe-Signature"]
        + ","
        + sealed(raw, "whsec_new")["Stripe-Signature"].split(",")[1]
        + ",v0=x"
    )
    assert ear.parse_webhook(raw, {"stripe-signature": both}).event_id == "evt_1"
    with pytest.raises(Forbidden):
        ear.parse_webhook(raw, sealed(raw, "whsec_other"))


def test_a_door_without_a_secret_hears_nobody() -> None:
    for secrets in ((), ("",)):
        with pytest.raises(Forbidden):
            Stripe(key="sk_test_x", webhook_secrets=secrets, url="http://127.0.0.1:9").parse_webhook(
                event(), sealed(event(), "")
            )


@pytest.mark.parametrize(("age", "good"), [(0, True), (290, True), (310, False), (-290, True), (-310, False)])
def test_a_signature_is_good_for_five_minutes(ear: Stripe, age: int, good: bool) -> None:
    headers = sealed(event(), "whsec_new", clock.timestamp() - age)
    if good:
        assert ear.parse_webhook(event(), headers).kind == "some.thing"
    else:
        with pytest.raises(Forbidden):
            ear.parse_webhook(event(), headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"id": 1}',
        b'{"data": null}',
        b"\xff",
        b'{"id":"e","type":"t","data":{"object":17}}',
        b"[" * 100_000,
    ],
)
def test_what_is_signed_but_no_event_is_unreadable(ear: Stripe, raw: bytes) -> None:
    with pytest.raises(Unreadable):
        ear.parse_webhook(raw, sealed(raw, "whsec_new"))


def test_none_of_two_thousand_forgeries_is_believed_and_none_breaks_the_door(ear: Stripe) -> None:
    dice = random.Random(20261121)
    raw = event(object="checkout.session", id="cs_1")
    good = sealed(raw, "whsec_new")["Stripe-Signature"]
    odd = [
        "",
        "t=",
        "v1=",
        ",",
        "=",
        "t=v1",
        "t=-1",
        "t=1e9",
        "t=٣",
        "t=" + "9" * 5000,
        "é",
        "v1=é",
        "\udcff",
        "t=0,v1=",
        good.replace("v1", "v0"),
        good.upper(),
    ]

    def bent(text: str) -> str:
        at = dice.randrange(len(text))
        return text[:at] + chr(dice.choice([*range(32, 127), 233, 0x663, 0x1F600])) + text[at + dice.randrange(3) :]

    def forgery() -> tuple[bytes, str]:
        match dice.randrange(4):
            case 0:
                return dice.randbytes(dice.randrange(200)), good
            case 1:
                return raw, dice.choice(odd) + dice.choice(["", ",", f",{dice.choice(odd)}"])
            case 2:
                body = bytearray(raw)
                body[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
                return bytes(body), good
            case _:
                return raw, bent(good.split("v1=")[0]) + "v1=" + bent(good.split("v1=")[1])

    outcomes: dict[str, int] = {}
    for _ in range(2000):
        body, header = forgery()
        try:
            ear.parse_webhook(body, {"Stripe-Signature": header})
        except Refused as no:
            outcomes[type(no).__name__] = outcomes.get(type(no).__name__, 0) + 1
    assert outcomes == {"Forbidden": 2000}


# --- the whole way ---


@pytest.fixture
def billed(bill: Bill) -> Bill:
    """A booking whose bill is paid through Stripe."""
    with transaction():
        bill.lock().gateway = "stripe"
    return bill


def test_a_booking_is_paid_with_stripe_and_given_back(
    billed: Bill, client: FlaskClient, sandbox: str, work_off: Callable[[], int]
) -> None:
    page = client.get(f"/pay/{billed.token}").text
    session.expire_all()
    assert f'<form method="get" action="/sandbox/stripe/pay/{billed.order_id}">' in page
    pressed = requests.post(
        f"{sandbox}/stripe/pay/{billed.order_id}",
        data={"press": "pay", "card": "4242424242424242"},
        timeout=PATIENCE,
        allow_redirects=False,
    )
    assert client.get(pressed.headers["Location"]).status_code == 303
    assert booking_of(billed).state == "confirmed"
    with transaction():
        payment = payment_of(billed)
        payment.lock().give_back(GiveBack(why="The room is flooded."))
    work_off()
    assert [(each.state, each.gateway_id[:3]) for each in payment_of(billed).refunds] == [("done", "re_")]
    assert payment_of(billed).state == "refunded"


def test_a_booking_is_paid_when_stripe_tells_us_whatever_the_browser_does(
    billed: Bill, client: FlaskClient, sandbox: str, settings: Settings, work_off: Callable[[], int]
) -> None:
    order_id = billed.announce()
    requests.post(
        f"{sandbox}/stripe/sessions/{order_id}/pay", json={"outcome": "captured", "deliver": False}, timeout=PATIENCE
    )
    raw = event(object="checkout.session", id=order_id)
    tell = lambda secret: client.post("/api/payment/webhook/stripe", data=raw, headers=sealed(raw, secret))  # noqa: E731
    assert tell("whsec_guessed").status_code == 403
    assert [tell(settings.stripe_webhook_secrets[0]).get_json()["news"] for _ in range(3)] == [True, False, False]
    work_off()
    assert booking_of(billed).state == "confirmed"


def test_a_client_is_told_the_name_and_no_key(ear: Stripe) -> None:
    assert ear.public_details() == {"gateway": "stripe"}
