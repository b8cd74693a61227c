"""Tests of the Razorpay adapter, with the real SDK against a sandbox that fails on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import certifi
import pytest
import requests
from flask import Flask

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, Refused, Unreadable
from app.money.gateways import gateway
from app.money.gateways import razorpay as door_file
from app.money.gateways.gateway import Declined, OrderRequest, Unreachable
from app.money.gateways.razorpay import Razorpay
from app.money.sums.amount import Money
from config import Settings
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing

ASKED = OrderRequest(
    Money(99900, "INR"),
    "BK-1",
    "https://shop.example/back",
    "https://shop.example/away",
    "Booking BK-1",
    {"name": "Meera", "email": "m@example.com"},
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
            "SANDBOX_DATA": str(tmp_path_factory.mktemp("razorpay") / "s.db"),
        }
    )


@pytest.fixture(scope="module")
def standing(keys: Settings) -> Iterator[Standing]:
    """One sandbox for this file, because starting one takes longer than most tests."""
    shop = Shop()
    standing = Standing(keys, shop.address)
    yield standing
    standing.close()
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture
def bank(standing: Standing) -> Iterator[Standing]:
    yield standing
    requests.delete(f"{standing.api}/faults", timeout=PATIENCE)


@pytest.fixture
def house(built: Flask) -> Iterator[None]:
    """Only a session is needed: the adapter keeps no data, so there is nothing to reset."""
    with built.app_context():
        yield
        session.remove()


def open_door(keys: Settings, url: str) -> Razorpay:
    return Razorpay(
        key=keys.razorpay_key,
        secret=keys.razorpay_secret,
        webhook_secrets=("new one", "old one"),
        url=url,
        hosted="/hosted",
        business="Asha & Dev",
    )


@pytest.fixture
def door(bank: Standing, keys: Settings, house: None) -> Razorpay:
    return open_door(keys, bank.api)


def verb(bank: Standing, path: str, **said: Any) -> dict[str, Any]:
    answer = requests.post(f"{bank.api}/{path}", json={"deliver": False} | said, timeout=PATIENCE)
    assert answer.ok, answer.text
    return dict(answer.json())


_numbers = iter(range(1, 1_000_000))


def another(**changes: Any) -> OrderRequest:
    """The same request with a new receipt."""
    return replace(ASKED, receipt=f"BK-{next(_numbers):06}", **changes)


@pytest.fixture
def paid(bank: Standing, door: Razorpay) -> dict[str, Any]:
    return verb(bank, f"orders/{door.create_order(another())}/pay", outcome="captured")


# --- orders -----------------------------------------------------------------------------------------------------------


def test_it_fits_where_a_gateway_goes(door: Razorpay) -> None:
    known = gateway.all_gateways()
    try:
        gateway.configure(door)
        assert gateway.default_for("INR") is gateway.default_for("KWD") is gateway.by_name("razorpay")
    finally:
        gateway.configure(*known)
    assert (door.public_details(), door.by_hand) == ({"gateway": "razorpay", "key": "rzp_test_sandbox"}, False)
    assert door.client.cert_path == certifi.where()
    assert door.client.retry_enabled is False


def test_an_order_says_what_it_is_for_and_is_made_once_for_one_receipt(bank: Standing, door: Razorpay) -> None:
    asked = another()
    order_id = door.create_order(asked)
    assert door.create_order(asked) == order_id
    known = bank.client.order.fetch(order_id)
    assert (known["amount"], known["currency"], known["receipt"], known["notes"]) == (
        99900,
        "INR",
        asked.receipt,
        {"about": "Booking BK-1"},
    )
    assert door.create_order(another(about="")) != order_id


def test_another_sum_is_another_order_even_under_the_same_receipt(door: Razorpay) -> None:
    asked = another()
    first = door.create_order(asked)
    second = door.create_order(replace(asked, money=Money(88800, "INR")))
    assert first != second
    assert (door.create_order(asked), door.create_order(replace(asked, money=Money(88800, "INR")))) == (first, second)


def test_a_lost_reply_never_makes_a_second_order(bank: Standing, door: Razorpay) -> None:
    asked = another()
    bank.wrong("reply_lost", path="POST /v1/orders", times=1)
    with pytest.raises(Unreachable):
        door.create_order(asked)
    order_id = door.create_order(asked)
    assert [each["id"] for each in bank.client.order.all({"receipt": asked.receipt})["items"]] == [order_id]


def test_an_order_cannot_be_closed_and_closing_it_asks_nobody(bank: Standing, door: Razorpay) -> None:
    bank.wrong("500", path="/v1/")
    door.close_order("order_whatever")
    with pytest.raises(Unreachable):
        door.list_charges("order_whatever")


def test_the_way_to_the_payers_page_says_what_for_and_for_how_long(door: Razorpay) -> None:
    with clock.frozen_at(datetime(2026, 11, 21, 9, tzinfo=UTC)):
        there = door.checkout_form("order_1", replace(ASKED, until=clock.ahead(minutes=15)))
        assert there.fields["timeout"] == str(13 * 60)
        for until in (None, clock.ahead(minutes=1), clock.ahead(minutes=2)):
            assert "timeout" not in door.checkout_form("order_1", replace(ASKED, until=until)).fields
    assert (there.action, there.method) == ("/hosted", "post")
    assert dict(there.fields) == {
        "key_id": "rzp_test_sandbox",
        "order_id": "order_1",
        "amount": "99900",
        "currency": "INR",
        "name": "Asha & Dev",
        "description": "Booking BK-1",
        "timeout": "780",
        "prefill[name]": "Meera",
        "prefill[email]": "m@example.com",
        "callback_url": ASKED.back,
        "cancel_url": ASKED.away,
    }


def test_what_the_browser_brings_is_believed_only_for_our_own_order(door: Razorpay, paid: dict[str, Any]) -> None:
    fields = {name: paid[name] for name in ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")}
    order_id = paid["order_id"]
    assert door.verify_return(order_id, fields) == ""
    assert (
        door.verify_return(order_id, fields | {"razorpay_order_id": "order_other"}) == ""
    )  # whatever the browser says of it
    assert door.verify_return("order_other", fields) == "unverified"
    for spoilt in (
        {"razorpay_signature": ""},
        {"razorpay_signature": "é" * 64},
        {"razorpay_payment_id": "pay_other"},
        {"razorpay_signature": "\udc80"},
    ):
        assert door.verify_return(order_id, fields | spoilt) == "unverified"
    assert (
        door.verify_return(order_id, {"error[code]": "BAD_REQUEST_ERROR"})
        == door.verify_return(order_id, {})
        == "failed"
    )


# --- charges ----------------------------------------------------------------------------------------------------------


def test_each_attempt_is_a_charge_in_the_state_that_counts(bank: Standing, door: Razorpay) -> None:
    order_id = door.create_order(another())
    verb(bank, f"orders/{order_id}/pay", outcome="failed")
    late = verb(bank, f"orders/{order_id}/pay", outcome="failed")
    paid = verb(bank, f"orders/{order_id}/pay", outcome="captured")
    verb(bank, f"payments/{late['id']}/late-authorise")
    failed, returned, captured = door.list_charges(order_id)
    assert (failed.state, failed.error) == ("failed", "Payment was unsuccessful because the bank did not respond.")
    assert (returned.state, returned.id) == ("refunded", late["id"])  # it came and went without ever being ours
    assert (captured.id, captured.state, captured.money, captured.method, captured.returned) == (
        paid["id"],
        "captured",
        ASKED.money,
        "card",
        0,
    )
    assert captured.order_id == order_id
    assert captured.at
    assert clock.now() - captured.at < timedelta(minutes=1)
    door.send_refund(paid["id"], Money(900, "INR"), "the-first-key")
    assert door.list_charges(order_id)[2].returned == 900
    door.send_refund(paid["id"], Money(99000, "INR"), "the-second-key")
    again = door.list_charges(order_id)[2]
    assert (again.state, again.returned) == ("captured", 99900)  # Razorpay calls it refunded; ours it was all the same


def test_money_that_waits_for_a_hand_is_only_authorized(bank: Standing, door: Razorpay) -> None:
    order_id = door.create_order(another())
    verb(bank, f"orders/{order_id}/pay", outcome="authorized")
    assert [each.state for each in door.list_charges(order_id)] == ["authorized"]


# --- refunds ----------------------------------------------------------------------------------------------------------


def test_a_refund_is_given_once_for_one_key_even_when_the_reply_is_lost(
    bank: Standing, door: Razorpay, paid: dict[str, Any]
) -> None:
    bank.wrong("reply_lost", path="/refund")
    with pytest.raises(Unreachable):
        door.send_refund(paid["id"], Money(40000, "INR"), "RF-2026-000001")
    told = door.send_refund(paid["id"], Money(40000, "INR"), "RF-2026-000001")
    assert (told.state, told.money, told.key, told.payment_id) == (
        "done",
        Money(40000, "INR"),
        "RF-2026-000001",
        paid["id"],
    )
    assert [each.id for each in door.list_refunds(paid["id"])] == [told.id]


def test_a_refund_that_was_made_is_found_when_razorpay_has_forgotten_its_key(
    bank: Standing, door: Razorpay, paid: dict[str, Any]
) -> None:
    whole = door.send_refund(paid["id"], ASKED.money, "RF-2026-000002")
    with bank.store.open() as file:
        file.execute("delete from once")
    assert door.send_refund(paid["id"], ASKED.money, "RF-2026-000002") == whole
    with pytest.raises(Declined, match="fully refunded already"):
        door.send_refund(paid["id"], ASKED.money, "RF-2026-000003")


def test_a_refund_from_the_dashboard_is_seen_and_is_not_ours(
    bank: Standing, door: Razorpay, paid: dict[str, Any]
) -> None:
    verb(bank, f"payments/{paid['id']}/refund", amount=50000)
    door.send_refund(paid["id"], Money(100, "INR"), "RF-2026-000004")
    assert [(each.money.amount, each.key, each.state) for each in door.list_refunds(paid["id"])] == [
        (100, "RF-2026-000004", "done"),
        (50000, "", "done"),
    ]
    verb(bank, f"payments/{paid['id']}/refund")
    with pytest.raises(Declined, match="fully refunded already"):
        door.send_refund(paid["id"], Money(100, "INR"), "RF-2026-000005")


def test_a_refund_may_wait_and_may_fail(bank: Standing, door: Razorpay, paid: dict[str, Any]) -> None:
    requests.post(f"{bank.api}/faults", json={"refund": "pending", "times": 2}, timeout=PATIENCE)
    waiting, unlucky = (door.send_refund(paid["id"], Money(100, "INR"), f"RF-2026-00001{n}") for n in range(2))
    assert (waiting.state, unlucky.state) == ("pending", "pending")
    verb(bank, f"refunds/{waiting.id}/processed")
    verb(bank, f"refunds/{unlucky.id}/failed")
    assert {each.id: each.state for each in door.list_refunds(paid["id"])} == {waiting.id: "done", unlucky.id: "failed"}
    assert door.list_charges(paid["order_id"])[0].returned == 100


def test_more_refunds_than_one_page_are_all_read(bank: Standing, door: Razorpay, paid: dict[str, Any]) -> None:
    for _ in range(103):
        verb(bank, f"payments/{paid['id']}/refund", amount=100)
    assert len({each.id for each in door.list_refunds(paid["id"])}) == 103


# --- disputes, the day's takings, settlements -------------------------------------------------------------------------


def test_a_dispute_is_read_with_its_day_and_what_was_taken(
    bank: Standing, door: Razorpay, paid: dict[str, Any]
) -> None:
    until = clock.timestamp() + 5 * 24 * 60 * 60
    told = verb(
        bank, f"payments/{paid['id']}/dispute", amount=50000, respond_by=until, reason_code="chargeback_authorization"
    )
    dispute = door.fetch_dispute(told["id"])
    assert (dispute.payment_id, dispute.state, dispute.money, dispute.deducted, dispute.reason) == (
        paid["id"],
        "open",
        Money(50000, "INR"),
        0,
        "chargeback_authorization",
    )
    assert dispute.respond_by == datetime.fromtimestamp(until, UTC)
    verb(bank, f"disputes/{told['id']}/under_review")
    assert door.fetch_dispute(told["id"]).state == "under_review"
    verb(bank, f"disputes/{told['id']}/lost", amount_deducted=50000)
    assert (door.fetch_dispute(told["id"]).state, door.fetch_dispute(told["id"]).deducted) == ("lost", 50000)


def test_the_takings_of_a_day_are_what_was_captured_and_nothing_else(
    bank: Standing, door: Razorpay, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_file, "PAGE", 2)
    failed = verb(bank, f"orders/{door.create_order(another())}/pay", outcome="failed")
    stray = verb(bank, "payments", amount=12300)
    refunded = verb(bank, f"orders/{door.create_order(another())}/pay", outcome="captured")
    verb(bank, f"payments/{refunded['id']}/refund")
    today = clock.now().date()
    taken = {each.id: each for each in door.list_captured(today)}
    assert {paid["id"], stray["id"], refunded["id"]} <= set(taken)
    assert failed["id"] not in taken
    assert (taken[stray["id"]].order_id, taken[refunded["id"]].returned) == ("", 99900)
    assert door.list_captured(today - timedelta(days=1)) == []


def test_a_settlement_report_adds_up_to_what_reaches_the_bank(
    bank: Standing, door: Razorpay, paid: dict[str, Any]
) -> None:
    day = datetime(2026, 3, 1).date()
    verb(bank, "settle", day="2026-02-28")  # what other tests have left
    assert verb(bank, "settle", day="2026-03-01") == {"settlements": []}
    mine = verb(bank, f"orders/{door.create_order(another())}/pay", outcome="captured")
    back = verb(bank, f"payments/{mine['id']}/refund", amount=10000)
    quarrel = verb(bank, f"payments/{paid['id']}/dispute", amount=5000, amount_deducted=5000)
    [settlement] = verb(bank, "settle", day="2026-03-01")["settlements"]
    rows = {each.kind: each for each in door.list_settlements(day)}
    assert set(rows) == {"payment", "refund", "adjustment"}
    payment, refund, taken = rows["payment"], rows["refund"], rows["adjustment"]
    assert (payment.id, payment.credit.amount, payment.fee.amount, payment.tax.amount) == (mine["id"], 99900, 1998, 360)
    assert (refund.id, refund.debit.amount, refund.fee.amount) == (back["id"], 10000, 0)
    assert taken.debit.amount == 5000
    assert settlement["amount"] == sum(
        each.credit.amount - each.debit.amount - each.fee.amount - each.tax.amount for each in rows.values()
    )
    assert {each.reference for each in rows.values()} == {settlement["utr"]}
    assert payment.settled_at
    assert payment.settled_at.date() == day
    verb(bank, f"disputes/{quarrel['id']}/won")
    verb(bank, "settle", day="2026-03-02")
    [returned] = door.list_settlements(day + timedelta(days=1))
    assert (returned.kind, returned.credit.amount) == ("adjustment", 5000)
    assert door.list_settlements(day + timedelta(days=2)) == []


# --- a bad day --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["502", "429", "500", "empty", "no_content", "list", "reply_lost", "in_flight"])
def test_whatever_says_nothing_about_the_money_is_worth_another_try(
    bank: Standing, door: Razorpay, paid: dict[str, Any], fault: str
) -> None:
    tries: list[Callable[[], Any]] = [
        lambda: door.create_order(another()),
        lambda: door.list_charges(paid["order_id"]),
        lambda: door.send_refund(paid["id"], Money(100, "INR"), f"key-of-{fault}"),
        lambda: door.list_refunds(paid["id"]),
        lambda: door.fetch_dispute("disp_1"),
        lambda: door.list_captured(clock.now().date()),
        lambda: door.list_settlements(clock.now().date()),
    ]
    for each in tries:
        bank.wrong(fault, path="/v1/")
        with pytest.raises(Unreachable) as no:
            each()
        assert no.value.words.endswith("Please try again in a minute.")
    door.send_refund(paid["id"], Money(100, "INR"), f"key-of-{fault}")
    assert len(door.list_refunds(paid["id"])) == 1


def test_a_slow_gateway_is_not_waited_for(bank: Standing, door: Razorpay, monkeypatch: pytest.MonkeyPatch) -> None:
    assert door_file.WAIT == (3, 10)
    monkeypatch.setattr(door_file, "WAIT", (1, 0.3))
    bank.wrong("slow", path="/v1/orders", seconds=30)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        door.create_order(another())
    assert time.monotonic() - began < 25


def test_nobody_at_home_is_a_sentence_and_nothing_is_printed(
    keys: Settings, house: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unreachable):
        open_door(keys, "http://127.0.0.1:9").create_order(ASKED)
    assert capsys.readouterr().out == ""  # the SDK prints what goes wrong, if it gets to see it


def test_nobody_is_called_while_a_transaction_is_open(door: Razorpay) -> None:
    with pytest.raises(RuntimeError, match="external service"), transaction():
        door.create_order(another())


# Whatever may stand behind an address: each is (status, body).
NONSENSE = [
    (200, ""),
    (200, "[]"),
    (200, "null"),
    (200, "3"),
    (200, '"items"'),
    (200, "{}"),
    (200, '{"items": 3}'),
    (200, '{"items": [3]}'),
    (200, '{"items": [{}]}'),
    (
        200,
        (
            '{"items": [{"id": "x", "amount": "many", "currency": "INR", "status": "captured", "receipt": "BK-1", '
            '"payment_id": "pay_1"}]}'
        ),
    ),
    (200, "<html>"),
    (200, '{"items": [{"id": "x", "amount": null, "currency": "INR", "status": "captured"}]}'),
    (204, ""),
    (301, ""),
    (302, "{}"),
    (400, ""),
    (400, "<html>"),
    (400, "{}"),
    (400, '{"error": "no"}'),
    (400, '{"error": {}}'),
    (400, '{"error": {"description": null}}'),
    (400, "[]"),
    (403, "<html>Forbidden</html>"),
    (404, "nginx"),
    (408, '{"error": {"description": "Timeout"}}'),
    (429, '{"error": {"code": "BAD_REQUEST_ERROR", "description": "Too many requests"}}'),
    (500, ""),
    (500, "{}"),
    (500, '{"error": {"code": "SERVER_ERROR", "description": "We are facing some trouble"}}'),
    (502, "<html>"),
    (503, "null"),
    (504, "[]"),
    (502, '{"error": {"code": "GATEWAY_ERROR", "description": "The bank is away"}}'),
]


@pytest.fixture
def stranger(keys: Settings, house: None) -> Iterator[Any]:
    """An adapter whose gateway always gives the same response: stranger(200, "[]")."""
    said: list[tuple[int, str]] = []

    class Mouth(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = said[-1]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mouth)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    door = open_door(keys, f"http://127.0.0.1:{server.server_address[1]}")
    yield lambda status, body: (said.append((status, body)), door)[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "body"), NONSENSE)
def test_nonsense_is_never_taken_for_an_answer(stranger: Any, status: int, body: str) -> None:
    door, today = stranger(status, body), clock.now().date()
    tries: list[Callable[[], Any]] = [
        lambda: door.list_charges("order_1"),
        lambda: door.send_refund("pay_1", ASKED.money, "key-000001"),
        lambda: door.fetch_dispute("disp_1"),
        lambda: door.list_refunds("pay_1"),
        lambda: door.list_captured(today),
        lambda: door.list_settlements(today),
        lambda: door.create_order(ASKED),
    ]
    for each in tries:
        with pytest.raises(Unreachable):
            each()


# --- every word of refusal --------------------------------------------------------------------------------------------


def orders(**given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    return lambda door, _: door.client.order.create({"amount": 100, "currency": "INR"} | given)


def links(**given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    return lambda door, _: door.client.payment_link.create({"amount": 1000, "currency": "INR"} | given)


def shares(**given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    one = {"account": "acc_" + "a" * 14, "amount": 100, "currency": "INR"}
    return lambda door, paid: door.client.payment.transfer(paid["id"], {"transfers": [one | given]})


def refunds(key: str | None = None, **given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    headers = {} if key is None else {"X-Refund-Idempotency": key}
    return lambda door, paid: door.client.payment.refund(paid["id"], given, headers=headers)


def accounts(**given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def make(door: Razorpay, _: dict[str, Any]) -> Any:
        contact = door.client.post("/v1/contacts", {"name": "Gaurav", "type": "vendor"})
        return door.client.fund_account.create({"contact_id": contact["id"]} | given)

    return make


def payouts(key: str | None = "key-1", **given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def make(door: Razorpay, _: dict[str, Any]) -> Any:
        account = accounts(account_type="vpa", vpa={"address": "gaurav@bank"})(door, {})
        asked = {
            "account_number": "7878780080316316",
            "fund_account_id": account["id"],
            "amount": 100,
            "currency": "INR",
            "mode": "UPI",
            "purpose": "payout",
        }
        return door.client.post(
            "/v1/payouts", asked | given, headers={} if key is None else {"X-Payout-Idempotency": key}
        )

    return make


def reports(**given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    return lambda door, _: door.client.settlement.report({"year": 2026, "month": 3, "day": 1} | given)


def twice(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def act(door: Razorpay, paid: dict[str, Any]) -> Any:
        first(door, paid)
        return second(door, paid)

    return act


def disputed(
    then: Callable[[Razorpay, str], Any], *verbs: str, **given: Any
) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def act(door: Razorpay, paid: dict[str, Any]) -> Any:
        told = requests.post(
            f"{door.client.base_url}/payments/{paid['id']}/dispute", json={"deliver": False} | given, timeout=PATIENCE
        ).json()
        for each in verbs:
            requests.post(
                f"{door.client.base_url}/disputes/{told['id']}/{each}", json={"deliver": False}, timeout=PATIENCE
            )
        return then(door, told["id"])

    return act


def link_is(then: str, **given: Any) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def act(door: Razorpay, _: dict[str, Any]) -> Any:
        link = door.client.payment_link.create({"amount": 1000, "currency": "INR"} | given)
        requests.post(f"{door.client.base_url}/links/{link['id']}/{then}", json={"deliver": False}, timeout=PATIENCE)
        return door.client.payment_link.cancel(link["id"])

    return act


def partly(door: Razorpay, _: dict[str, Any]) -> Any:
    order = door.client.order.create({"amount": 1000, "currency": "INR", "partial_payment": True})
    paid = requests.post(
        f"{door.client.base_url}/orders/{order['id']}/pay",
        json={"outcome": "captured", "deliver": False},
        timeout=PATIENCE,
    ).json()
    return shares()(door, paid)


def failing(then: Callable[..., Any]) -> Callable[[Razorpay, dict[str, Any]], Any]:
    def act(door: Razorpay, _: dict[str, Any]) -> Any:
        order = door.client.order.create({"amount": 1000, "currency": "INR"})
        return then(
            door,
            requests.post(
                f"{door.client.base_url}/orders/{order['id']}/pay",
                json={"outcome": "failed", "deliver": False},
                timeout=PATIENCE,
            ).json(),
        )

    return act


def overtaken(door: Razorpay, _: dict[str, Any]) -> Any:
    """Two payments of one order await manual capture; one is captured."""
    order = door.client.order.create({"amount": 1000, "currency": "INR", "payment": {"capture": "manual"}})
    one, other = (
        requests.post(
            f"{door.client.base_url}/orders/{order['id']}/pay",
            json={"outcome": "authorized", "deliver": False},
            timeout=PATIENCE,
        ).json()
        for _ in range(2)
    )
    door.client.payment.capture(one["id"], 1000, {})
    return door.client.payment.capture(other["id"], 1000, {})


def waiting(door: Razorpay, _: dict[str, Any]) -> Any:
    order = door.client.order.create({"amount": 1000, "currency": "INR", "payment": {"capture": "manual"}})
    paid = requests.post(
        f"{door.client.base_url}/orders/{order['id']}/pay",
        json={"outcome": "captured", "deliver": False},
        timeout=PATIENCE,
    ).json()
    return door.client.payment.capture(paid["id"], 999, {})


def accept(door: Razorpay, id: str) -> Any:
    return door.client.dispute.accept(id, {})


def contest(**given: Any) -> Callable[[Razorpay, str], Any]:
    return lambda door, which: door.client.dispute.contest(which, {"action": "submit"} | given)


BANK = {"name": "Gaurav", "ifsc": "HDFC0000053", "account_number": "765432123456789"}
REFUSALS: list[tuple[str, str, Callable[[Razorpay, dict[str, Any]], Any]]] = [
    ("The amount field is required.", "amount", orders(amount=None)),
    ("The amount must be an integer.", "amount", orders(amount=99.5)),
    ("Order amount less than minimum amount allowed", "amount", orders(amount=99)),
    ("The currency field is required.", "currency", orders(currency="")),
    ("The receipt may not be greater than 40 characters.", "receipt", orders(receipt="r" * 41)),
    ("The notes must be an array.", "notes", orders(notes="x")),
    (
        "Number of fields in notes should be less than or equal to 15",
        "notes",
        orders(notes={str(n): "" for n in range(16)}),
    ),
    (
        "Transfers cannot be created on an order with partial payment.",
        "partial_payment",
        orders(partial_payment=True, transfers=[{}]),
    ),
    ("The id provided does not exist", "", lambda door, _: door.list_charges("order_none")),
    ("The requested URL was not found on the server.", "", lambda door, _: door.client.get("/v1/virtual_accounts", {})),
    ("The count must be an integer.", "count", lambda door, _: door.client.order.all({"count": "many"})),
    ("The count must be at least 1.", "count", lambda door, _: door.client.order.all({"count": 0})),
    ("The count may not be greater than 100.", "count", lambda door, _: door.client.order.all({"count": 101})),
    ("from must be between 946684800 and 4765046400", "from", lambda door, _: door.client.payment.all({"from": 3})),
    ("The amount must be an integer.", "amount", lambda door, paid: door.client.payment.capture(paid["id"], None, {})),
    (
        "This payment has already been captured",
        "",
        lambda door, paid: door.client.payment.capture(paid["id"], 99900, {}),
    ),
    (
        "Only payments which have been authorized and not yet captured can be captured",
        "",
        failing(lambda door, it: door.client.payment.capture(it["id"], 1000, {})),
    ),
    ("Capture amount must be equal to the amount authorized", "amount", waiting),
    (
        "Your payment has been declined as the order is already paid. Please initiate the payment with a new order.",
        "",
        overtaken,
    ),
    ("The idempotency key must be at least 10 characters long.", "", refunds("short", amount=100)),
    (
        "The idempotency key must only contain alphanumeric characters, underscores, and hyphens",
        "",
        refunds("ten letters", amount=100),
    ),
    ("The amount must be at least INR 1.00", "amount", refunds(amount=99)),
    ("The total refund amount is greater than the refund payment amount", "amount", refunds(amount=99901)),
    ("The payment has been fully refunded already", "", twice(refunds(), refunds(amount=100))),
    ("The payment status should be captured for action to be taken", "", failing(refunds(amount=100))),
    (
        "Different request with the same idempotency key has already been processed.",
        "",
        twice(refunds("one-key-only", amount=100), refunds("one-key-only", amount=200)),
    ),
    ("The amount must be atleast INR 1.00", "amount", links(amount=99)),
    (
        "payment link creation with reference ID (TS-1) already attempted",
        "reference_id",
        twice(links(reference_id="TS-1"), links(reference_id="TS-1")),
    ),
    ("The reference_id may not be greater than 40 characters.", "reference_id", links(reference_id="r" * 41)),
    (
        "The callback_method must be get when a callback_url is sent.",
        "callback_method",
        links(callback_url="https://shop.example/"),
    ),
    ("timestamp must be atleast 15 minutes in future", "expire_by", links(expire_by=clock.timestamp() + 60)),
    ("expire_by: must be an integer.", "expire_by", links(expire_by="soon")),
    ("cannot cancel or expire an already paid/partially paid link", "", link_is("pay")),
    ("cannot cancel or expire an expired link", "", link_is("expire")),
    ("The payment status should be captured for action to be taken", "", failing(shares())),
    ("The transfers field is required.", "transfers", lambda door, paid: door.client.payment.transfer(paid["id"], {})),
    ("Transfers cannot be created on an order with partial payment.", "", partly),
    ("The transfers.0.amount must be at least 100.", "transfers.0.amount", shares(amount=99)),
    ("acc_short is an invalid account_code.", "transfers.0.account", shares(account="acc_short")),
    ("The currency should be INR for transfers", "transfers.0.currency", shares(currency="USD")),
    (
        "Keys sent in linked_account_notes must exist in notes",
        "transfers.0.linked_account_notes",
        shares(linked_account_notes=["branch"]),
    ),
    ("The sum of amount requested for transfer is greater than the captured amount", "", shares(amount=99901)),
    (
        "The amount may not be greater than the remaining amount of the transfer.",
        "amount",
        lambda door, paid: door.client.transfer.reverse(shares()(door, paid)["items"][0]["id"], {"amount": 101}),
    ),
    ("The name field is required.", "name", lambda door, _: door.client.post("/v1/contacts", {})),
    (
        "The name may not be greater than 50 characters.",
        "name",
        lambda door, _: door.client.post("/v1/contacts", {"name": "n" * 51}),
    ),
    ("Invalid type: friend", "type", lambda door, _: door.client.post("/v1/contacts", {"name": "n", "type": "friend"})),
    ("The selected account type is invalid.", "account_type", accounts(account_type="gold")),
    ("The bank account field is required.", "bank_account", accounts(account_type="bank_account")),
    (
        "Invalid IFSC Code in Bank Account",
        "ifsc",
        accounts(account_type="bank_account", bank_account=BANK | {"ifsc": "HDFC"}),
    ),
    (
        "The account number may only contain letters and numbers, and be between 5 and 35 characters.",
        "account_number",
        accounts(account_type="bank_account", bank_account=BANK | {"account_number": "1"}),
    ),
    (
        "Invalid VPA. Please enter a valid Virtual Payment Address",
        "",
        accounts(account_type="vpa", vpa={"address": "gaurav"}),
    ),
    (
        "Idempotency key is missing. Include idempotency header and key in the request.",
        "X-Payout-Idempotency",
        payouts(None),
    ),
    (
        (
            "The idempotency key must be between 4 and 36 characters long, of letters, digits, hyphens, underscores "
            "and spaces."
        ),
        "X-Payout-Idempotency",
        payouts("k"),
    ),
    ("The amount must be atleast INR 1.00", "amount", links(amount=1)),
    ("The amount must be at least INR 1.00", "amount", payouts("key-2", amount=99)),
    ("The selected currency is invalid.", "currency", payouts("key-3", currency="USD")),
    ("Payout mode is invalid", "mode", payouts("key-4", mode="IMPS")),
    (
        "invalid_proof is/are not required and should not be sent",
        "",
        disputed(lambda door, which: door.client.dispute.accept(which, {"invalid_proof": 1})),
    ),
    ("Action not allowed as deadline to respond has elapsed", "", disputed(accept, respond_by=1_000_000_000)),
    ("Action not allowed when dispute is in lost status", "", disputed(accept, "lost")),
    ("Action not allowed when dispute is in won status", "", disputed(contest(), "won")),
    ("Action not allowed when dispute is in closed status", "", disputed(contest(), "closed")),
    ("Action not allowed when dispute is in under_review status", "", disputed(accept, "under_review")),
    ("contest amount cannot be greater than dispute amount", "amount", disputed(contest(amount=99901))),
    ("The selected action is invalid.", "action", disputed(contest(action="shout"))),
    ("The year must be 4 digits.", "year", reports(year=26)),
    ("The month is not a valid month.", "month", reports(month=13)),
    ("The day must be between 1 and 2 digits.", "day", reports(day=111)),
    ("The count may not be greater than 1000.", "count", reports(count=1001)),
]


@pytest.mark.parametrize(
    ("words", "field", "act"), REFUSALS, ids=[f"{at}-{words[:40]}" for at, (words, _, _) in enumerate(REFUSALS)]
)
def test_a_refusal_keeps_its_words_status_code_field_and_reason(
    door: Razorpay, paid: dict[str, Any], words: str, field: str, act: Callable[[Razorpay, dict[str, Any]], Any]
) -> None:
    with pytest.raises(Declined) as no:
        act(door, paid)
    conflict = words.startswith("Different request")
    said = (no.value.words, no.value.field, no.value.their_status, no.value.their_code, no.value.reason)
    assert said == (
        words,
        field,
        409 if conflict else 400,
        "BAD_REQUEST_ERROR",
        "NA" if conflict else "input_validation_failed",
    )


def test_a_wrong_key_is_a_refusal_too(bank: Standing, keys: Settings, house: None) -> None:
    with pytest.raises(Declined) as no:
        open_door(replace(keys, razorpay_secret="guessed"), bank.api).create_order(ASKED)
    assert (no.value.words, no.value.their_status, no.value.field) == ("Authentication failed", 401, "")


# --- hearing ----------------------------------------------------------------------------------------------------------


def signed(raw: bytes, secret: str = "new one", **more: str) -> dict[str, str]:
    return {"X-Razorpay-Signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()} | more


def event(kind: str, **things: Any) -> bytes:
    return json.dumps(
        {"entity": "event", "event": kind, "payload": {name: {"entity": thing} for name, thing in things.items()}}
    ).encode()


@pytest.mark.parametrize(
    ("raw", "about"),
    [
        (event("payment.captured", payment={"id": "pay_1", "order_id": "order_1"}), ("order_1", "pay_1", None)),
        (
            event("order.paid", payment={"id": "pay_1", "order_id": "order_1"}, order={"id": "order_1"}),
            ("order_1", "pay_1", None),
        ),
        (event("order.notification", order={"id": "order_1"}), ("order_1", None, None)),
        (event("refund.processed", refund={"id": "rfnd_1", "payment_id": "pay_1"}), (None, "pay_1", None)),
        (
            event(
                "payment.dispute.created",
                payment={"id": "pay_1", "order_id": None},
                dispute={"id": "disp_1", "payment_id": "pay_1"},
            ),
            (None, "pay_1", "disp_1"),
        ),
        (
            event(
                "payment_link.paid",
                payment_link={"order_id": "order_1"},
                order={"id": "1"},
                payment={"id": "pay_1", "order_id": "order_1"},
            ),
            ("order_1", "pay_1", None),
        ),
        (
            event("payment_link.cancelled", payment_link={"id": "plink_1", "order_id": "order_1"}),
            ("order_1", None, None),
        ),
        (event("settlement.processed", settlement={"id": "setl_1"}), (None, None, None)),
        (event("odd.one", payment=None, order=3, dispute=["x"]), (None, None, None)),
        (event("odd.two", payment={"id": 5, "order_id": {"x": 1}}), (None, None, None)),
    ],
)
def test_an_event_is_read_for_what_it_is_about(door: Razorpay, raw: bytes, about: tuple[str | None, ...]) -> None:
    told = door.parse_webhook(raw, signed(raw, **{"x-razorpay-event-id": "evt_1"}))
    assert (told.order_id, told.payment_id, told.dispute_id) == about
    assert (told.event_id, told.kind) == ("evt_1", json.loads(raw)["event"])


def test_yesterdays_secret_is_still_good_and_an_event_without_a_number_is_its_body(
    door: Razorpay, keys: Settings
) -> None:
    raw = event("payment.captured", payment={"id": "pay_1", "order_id": "order_1"})
    first, second = (door.parse_webhook(raw, signed(raw, "old one")) for _ in range(2))
    assert first == second
    assert first.event_id == hashlib.sha256(raw).hexdigest()
    for wrong in (signed(raw, "another"), signed(raw, ""), {}, {"X-Razorpay-Signature": ""}, signed(raw + b" ")):
        with pytest.raises(Forbidden):
            door.parse_webhook(raw, wrong)
    silent = Razorpay(key="k", secret="s", webhook_secrets=("",), url="http://127.0.0.1:9", hosted="", business="")
    with pytest.raises(Forbidden):
        silent.parse_webhook(raw, signed(raw, ""))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"3",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"event": "x"}',
        b'{"event": 3, "payload": {}}',
        b'{"event": "x", "payload": []}',
    ],
)
def test_what_is_signed_but_no_event_is_unreadable(door: Razorpay, raw: bytes) -> None:
    with pytest.raises(Unreadable):
        door.parse_webhook(raw, signed(raw))


def test_ten_thousand_forgeries_are_refused_and_none_breaks_the_door(door: Razorpay) -> None:
    dice = random.Random(20261121)
    genuine = event("payment.captured", payment={"id": "pay_1", "order_id": "order_1"})
    header = signed(genuine)["X-Razorpay-Signature"]
    letters = [*map(chr, range(0x20, 0x180)), "\udc80", "\u2028", "₹", "\0", "\n"]

    def spoil(raw: bytes) -> bytes:
        found = bytearray(raw)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(found) + 1)
            found[at : at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
        return bytes(found)

    def word() -> str:
        return "".join(dice.choices(letters, k=dice.choice((0, 1, 63, 64, 65, 200))))

    for _ in range(10_000):
        raw = dice.choice((genuine, spoil(genuine), dice.randbytes(dice.randint(0, 300)), b""))
        near = header[:-1] + dice.choice("0123456789abcdef")
        given = dice.choice(
            (word(), near, header.upper(), header[:32], header + "0", hashlib.sha256(raw).hexdigest(), header)
        )
        if given == header and raw == genuine:
            continue
        headers = dice.choice(
            (
                {},
                {"x-razorpay-signature": given},
                {"X-Razorpay-Signature": given, "X-Razorpay-Event-Id": word()},
                {word(): word()},
            )
        )
        with pytest.raises(Refused):
            door.parse_webhook(raw, headers)
