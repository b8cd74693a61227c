"""Tests of the Razorpay simulator's actions (paying, refunding, delivering) and of planned faults."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError

from app.kernel import clock
from config import Settings
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing


def verb(bank: Standing, path: str, **said: Any) -> dict[str, Any]:
    answer = requests.post(f"{bank.api}/{path}", json=said, timeout=PATIENCE)
    assert answer.ok, answer.text
    return dict(answer.json())


def plan(bank: Standing, **said: Any) -> None:
    assert requests.post(f"{bank.api}/faults", json=said, timeout=PATIENCE).ok


def held(bank: Standing) -> list[str]:
    return [
        each["event"]
        for each in requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]
        if each["due"] is None and not each["tries"]
    ][::-1]


# --- paying -----------------------------------------------------------------------------------------------------------


def test_a_payment_can_be_of_another_sum_and_another_currency(bank: Standing) -> None:
    paid = bank.pay(bank.order(), amount=5000, currency="USD", deliver="dropped")
    assert (paid["amount"], paid["currency"], paid["status"]) == (5000, "USD", "captured")


def test_money_that_is_only_authorized_waits_for_the_api(bank: Standing, shop: Shop) -> None:
    order = bank.order()
    waiting = bank.pay(order, "authorized")
    assert (waiting["status"], bank.client.order.fetch(order["id"])["status"]) == ("authorized", "attempted")
    assert bank.client.payment.capture(waiting["id"], 99900, {})["status"] == "captured"
    assert shop.hears(3) == ["payment.authorized", "payment.captured", "order.paid"]


def test_a_failed_payment_turns_out_to_have_gone_through_when_somebody_says_so(bank: Standing, shop: Shop) -> None:
    failed = bank.pay(bank.order(), "failed")
    assert verb(bank, f"payments/{failed['id']}/late-authorise")["status"] == "captured"
    assert shop.hears(4) == ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
    assert (
        requests.post(f"{bank.api}/payments/{failed['id']}/late-authorise", json={}, timeout=PATIENCE).status_code
        == 400
    )


def test_whoever_is_quicker_than_the_bank_does_not_stop_it(bank: Standing, shop: Shop) -> None:
    quick, slow = (bank.pay(bank.order(), "late", after=0.3, deliver=False) for _ in range(2))
    verb(bank, f"payments/{quick['id']}/late-authorise", deliver=False)
    paid = bank.pay(bank.order(), deliver=False)
    refund = bank.client.payment.refund(paid["id"], {"amount": 2468})
    verb(bank, f"refunds/{refund['id']}/processed", deliver=False)
    time.sleep(1.2)
    assert bank.client.payment.fetch(slow["id"])["status"] == "captured"
    assert bank.client.refund.fetch(refund["id"])["status"] == "processed"
    assert shop.kinds() == ["refund.created"]


def test_somebody_pays_without_an_order(bank: Standing, shop: Shop) -> None:
    stray = verb(bank, "payments", amount=12300)
    assert (stray["order_id"], stray["status"], stray["currency"]) == (None, "captured", "INR")
    assert shop.hears(2) == ["payment.authorized", "payment.captured"]
    assert bank.client.payment.all()["items"][0]["id"] == stray["id"]
    assert verb(bank, "payments", amount=100, currency="USD", outcome="authorized")["status"] == "authorized"
    failed = verb(bank, "payments", amount=100, outcome="failed")
    assert verb(bank, f"payments/{failed['id']}/late-authorise")["status"] == "captured"
    assert requests.post(f"{bank.api}/payments", json={}, timeout=PATIENCE).status_code == 400


def test_an_order_that_may_be_paid_in_parts_is_paid_when_all_of_it_is(bank: Standing) -> None:
    order = bank.order(1000, partial_payment=True)
    bank.pay(order, amount=400)
    known = bank.client.order.fetch(order["id"])
    assert (known["status"], known["amount_paid"], known["amount_due"]) == ("attempted", 400, 600)
    assert bank.pay(order)["amount"] == 600
    assert bank.client.order.fetch(order["id"])["status"] == "paid"


def test_payments_are_listed_by_when_they_were_made(bank: Standing) -> None:
    paid = bank.pay(bank.order())
    now = clock.timestamp()
    assert [each["id"] for each in bank.client.payment.all({"from": now - 60, "to": now + 60})["items"]] == [paid["id"]]
    assert bank.client.payment.all({"from": now - 120, "to": now - 60})["count"] == 0
    with pytest.raises(BadRequestError, match="from must be between 946684800 and 4765046400"):
        bank.client.payment.all({"from": 1})


# --- refunds ----------------------------------------------------------------------------------------------------------


def test_the_dashboard_gives_back_without_a_key_of_ours(bank: Standing, shop: Shop) -> None:
    paid = bank.pay(bank.order(), deliver=False)
    part = verb(bank, f"payments/{paid['id']}/refund", amount=400)
    rest = verb(bank, f"payments/{paid['id']}/refund")
    assert (part["amount"], rest["amount"], part["receipt"]) == (400, 99500, None)
    assert shop.hears(4) == ["refund.created", "refund.processed"] * 2
    assert requests.post(f"{bank.api}/payments/{paid['id']}/refund", json={}, timeout=PATIENCE).status_code == 400


def test_the_unlucky_sum_is_pending_and_then_fails_and_the_money_is_the_shops_again(bank: Standing, shop: Shop) -> None:
    paid = bank.pay(bank.order(), deliver=False)
    refund = bank.client.payment.refund(paid["id"], {"amount": 2468})
    assert (refund["status"], bank.client.payment.fetch(paid["id"])["amount_refunded"]) == ("pending", 2468)
    assert shop.hears(2) == ["refund.created", "refund.failed"]
    known = bank.client.payment.fetch(paid["id"])
    assert (bank.client.refund.fetch(refund["id"])["status"], known["amount_refunded"], known["refund_status"]) == (
        "failed",
        0,
        None,
    )


def test_refunds_can_be_left_pending_until_somebody_decides(bank: Standing, shop: Shop) -> None:
    paid = bank.pay(bank.order(), deliver=False)
    plan(bank, refund="pending", times=2)
    first, second = (bank.client.payment.refund(paid["id"], {"amount": 49950}) for _ in range(2))
    assert (first["status"], bank.client.payment.fetch(paid["id"])["status"]) == ("pending", "refunded")
    verb(bank, f"refunds/{first['id']}/processed")
    verb(bank, f"refunds/{second['id']}/failed")
    assert shop.hears(4) == ["refund.created", "refund.created", "refund.processed", "refund.failed"]
    known = bank.client.payment.fetch(paid["id"])
    assert (known["status"], known["amount_refunded"]) == ("captured", 49950)
    for path in (f"refunds/{first['id']}/failed", f"refunds/{first['id']}/lost"):
        assert requests.post(f"{bank.api}/{path}", json={}, timeout=PATIENCE).status_code in (400, 404)


def test_a_key_is_good_for_one_effect_in_the_whole_account(bank: Standing) -> None:
    one, other = (bank.pay(bank.order(), deliver=False) for _ in range(2))
    headers = {"X-Refund-Idempotency": "the-very-same"}
    bank.client.payment.refund(one["id"], {"amount": 100}, headers=headers)
    with pytest.raises(BadRequestError, match="Different request with the same idempotency key"):
        bank.client.payment.refund(other["id"], {"amount": 100}, headers={"X-Refund-Idempotency": "the-very-same"})
    assert bank.client.payment.fetch(other["id"])["amount_refunded"] == 0


def test_refunds_are_read_in_pages(bank: Standing) -> None:
    paid = bank.pay(bank.order(), deliver=False)
    ids = [verb(bank, f"payments/{paid['id']}/refund", amount=100, deliver=False)["id"] for _ in range(12)][::-1]

    def read(**asked: int) -> list[str]:
        return [each["id"] for each in bank.client.payment.fetch_multiple_refund(paid["id"], asked)["items"]]

    assert read() == ids[:10]
    assert read(count=100) == ids
    assert read(count=5, skip=10) == ids[10:]
    assert bank.client.refund.all({"count": 1})["items"][0]["id"] == ids[0]


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "body"), [("empty", 200, ""), ("no_content", 204, ""), ("list", 200, "[]"), ("500", 500, "{}")]
)
def test_an_answer_can_be_no_answer(bank: Standing, keys: Settings, fault: str, status: int, body: str) -> None:
    plan(bank, fault=fault)
    answer = requests.get(f"{bank.api}/v1/orders", auth=(keys.razorpay_key, keys.razorpay_secret), timeout=PATIENCE)
    assert (answer.status_code, answer.text) == (status, body)


def test_a_fault_may_be_for_one_method_and_slow_for_so_long(bank: Standing) -> None:
    plan(bank, fault="slow", path="POST /v1/orders", seconds=4)
    began = time.monotonic()
    assert bank.client.order.all()["count"] == 0
    assert time.monotonic() - began < 4
    bank.order()
    assert time.monotonic() - began >= 4


def test_a_request_that_is_still_being_worked_on_is_a_conflict(bank: Standing, keys: Settings) -> None:
    plan(bank, fault="in_flight", path="/refund")
    paid = bank.pay(bank.order(), deliver=False)
    answer = requests.post(
        f"{bank.api}/v1/payments/{paid['id']}/refund",
        json={},
        auth=(keys.razorpay_key, keys.razorpay_secret),
        timeout=PATIENCE,
    )
    assert answer.status_code == 409
    assert bank.client.payment.fetch(paid["id"])["amount_refunded"] == 0


def test_plans_are_read_and_forgotten(bank: Standing) -> None:
    plan(bank, fault="502", path="orders", times=3)
    plan(bank, deliver="delayed", seconds=2, times=2)
    plan(bank, refund="failed")
    assert requests.get(f"{bank.api}/faults", timeout=PATIENCE).json() == {
        "planned": [
            {"fault": "502", "path": "orders", "seconds": 12, "times": 3},
            {"deliver": "delayed", "seconds": 2, "times": 2},
            {"refund": "failed", "times": 1},
        ]
    }
    assert requests.delete(f"{bank.api}/faults", timeout=PATIENCE).json() == {"planned": []}
    assert bank.order()["status"] == "created"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"fault": "earthquake"},
        {"fault": "502", "times": 0},
        {"fault": "502", "times": "x"},
        {"deliver": "by pigeon"},
        {"deliver": ["now"]},
        {"refund": "lost"},
        {"payout": "lost"},
        {"fault": "slow", "seconds": "long"},
        {"fault": "slow", "seconds": 61},
        {"deliver": "delayed", "seconds": "x"},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(bank: Standing, bad: dict[str, Any]) -> None:
    assert requests.post(f"{bank.api}/faults", json=bad, timeout=PATIENCE).status_code == 400
    assert requests.get(f"{bank.api}/faults", timeout=PATIENCE).json() == {"planned": []}


def test_a_plan_outlives_a_restart(start: Callable[[], Standing]) -> None:
    before = start()
    plan(before, deliver="dropped", times=1)
    before.close()
    after = start()
    after.pay(after.order(), "failed")
    assert held(after) == ["payment.failed"]


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_the_next_events_can_be_dropped_and_are_brought_when_somebody_asks(bank: Standing, shop: Shop) -> None:
    plan(bank, deliver="dropped", times=2)
    bank.pay(bank.order())
    assert shop.hears(1) == ["order.paid"]
    assert held(bank) == ["payment.authorized", "payment.captured"]
    for each in requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]:
        if each["due"] is None and not each["tries"]:
            assert requests.post(f"{bank.api}/events/{each['id']}/deliver", timeout=PATIENCE).json() == {
                "answer": "200"
            }
    assert sorted(shop.kinds()) == ["order.paid", "payment.authorized", "payment.captured"]


def test_the_next_events_can_come_twice_late_or_in_any_order(bank: Standing, shop: Shop) -> None:
    plan(bank, deliver="duplicate", times=1)
    bank.pay(bank.order(), "failed")
    assert shop.hears(2) == ["payment.failed"] * 2
    plan(bank, deliver="delayed", seconds=1, times=1)
    began = time.monotonic()
    bank.pay(bank.order(), "failed")
    shop.hears(3)
    assert time.monotonic() - began >= 1
    plan(bank, deliver="shuffled", times=3)
    bank.pay(bank.order())
    assert sorted(shop.hears(6)[3:]) == ["order.paid", "payment.authorized", "payment.captured"]


@pytest.mark.parametrize("way", ["wrong_secret", "tampered"])
def test_the_next_events_can_be_forged(bank: Standing, shop: Shop, keys: Settings, way: str) -> None:
    plan(bank, deliver=way)
    for genuine in (False, True):
        bank.pay(bank.order(), "failed")
        shop.hears(1 + genuine)
        headers, body = shop.heard[-1]
        fits = (
            hmac.new(keys.razorpay_webhook_secrets[0].encode(), body, hashlib.sha256).hexdigest()
            == headers["x-razorpay-signature"]
        )
        assert fits is genuine


def test_what_is_said_with_the_verb_comes_before_what_is_planned(bank: Standing, shop: Shop) -> None:
    plan(bank, deliver="dropped", times=5)
    bank.pay(bank.order(), "failed", deliver="now")
    bank.pay(bank.order(), "failed", deliver="delayed", seconds=0.5)
    assert shop.hears(2) == ["payment.failed"] * 2
    assert (
        requests.post(
            f"{bank.api}/orders/{bank.order()['id']}/pay",
            json={"outcome": "failed", "deliver": "by pigeon"},
            timeout=PATIENCE,
        ).status_code
        == 400
    )


def test_a_shop_that_thinks_long_does_not_hold_up_who_asked_for_the_delivery(bank: Standing, shop: Shop) -> None:
    """The caller may be the shop's only worker: if it had to wait for the webhook, it would wait for itself."""
    bank.pay(bank.order(), "failed", deliver="dropped")
    [event] = requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]
    shop.server.shutdown()
    began = time.monotonic()
    assert requests.post(f"{bank.api}/events/{event['id']}/deliver", timeout=PATIENCE).json() == {"answer": ""}
    assert time.monotonic() - began < PATIENCE


# --- the pages --------------------------------------------------------------------------------------------------------


def test_everything_has_a_page_with_buttons_that_lead_back_to_it(bank: Standing) -> None:
    order = bank.order()
    bank.pay(order, "failed", deliver=False)
    paid = bank.pay(order, deliver=False)
    dispute = verb(bank, f"payments/{paid['id']}/dispute", deliver=False)
    link = bank.client.payment_link.create({"amount": 500, "currency": "INR", "description": "A <b>lesson</b>"})
    for path, words in (
        ("", "Refund amount"),
        ("books", dispute["id"]),
        ("out", link["id"]),
        ("webhooks", "On hold"),
        ("trouble", "Reply lost"),
    ):
        page = requests.get(f"{bank.api}/{path}", timeout=PATIENCE)
        assert (page.status_code, words in page.text, "<b>lesson" in page.text) == (200, True, False), path
    press = lambda to, **form: requests.post(f"{bank.api}/{to}", data=form, timeout=PATIENCE, allow_redirects=False)  # noqa: E731
    assert (
        press(f"disputes/{dispute['id']}/won", back="/sandbox/razorpay/books").headers["Location"]
        == "/sandbox/razorpay/books"
    )
    assert press("settle", back="https://evil.example/").headers["Location"] == "/sandbox/razorpay/"
    assert (
        press("faults", back="/sandbox/razorpay/trouble", fault="slow", path="", times="2", seconds="3").status_code
        == 303
    )
    assert requests.get(f"{bank.api}/faults", timeout=PATIENCE).json()["planned"] == [
        {"fault": "slow", "path": "", "seconds": 3, "times": 2}
    ]
    assert press("faults/forget", back="").status_code == 303
    refused = press(f"disputes/{dispute['id']}/lost", back="/sandbox/razorpay/books")
    assert (refused.status_code, "<h1>This action isn’t possible</h1>" in refused.text) == (400, True)
