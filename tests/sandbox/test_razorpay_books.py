"""Tests of simulated Razorpay disputes, settlements, transfers and payouts through the real SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from razorpay.errors import BadRequestError

from app.kernel import clock
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing

ACCOUNT = "acc_IROu8Nod6PXPtZ"


def verb(bank: Standing, path: str, **said: Any) -> dict[str, Any]:
    answer = requests.post(f"{bank.api}/{path}", json=said, timeout=PATIENCE)
    assert answer.ok, answer.text
    return dict(answer.json())


@pytest.fixture
def paid(bank: Standing) -> dict[str, Any]:
    return bank.pay(bank.order(), deliver=False)


# --- disputes ---------------------------------------------------------------------------------------------------------


def test_a_dispute_is_opened_argued_and_won(bank: Standing, shop: Shop, paid: dict[str, Any]) -> None:
    until = clock.timestamp() + 1000
    dispute = verb(bank, f"payments/{paid['id']}/dispute", amount=5000, amount_deducted=5000, respond_by=until)
    assert bank.client.dispute.fetch(dispute["id"]) == dispute
    assert (dispute["status"], dispute["phase"], dispute["respond_by"], dispute["amount_deducted"]) == (
        "open",
        "chargeback",
        until,
        5000,
    )
    assert bank.client.dispute.all()["items"] == [dispute]
    drafted = bank.client.dispute.contest(dispute["id"], {"summary": "They came", "action": "draft"})
    assert (drafted["status"], drafted["evidence"]["submitted_at"]) == ("open", None)
    sent = bank.client.dispute.contest(dispute["id"], {"amount": 4000, "action": "submit"})
    assert (sent["status"], sent["evidence"]["summary"], sent["evidence"]["amount"]) == (
        "under_review",
        "They came",
        4000,
    )
    won = verb(bank, f"disputes/{dispute['id']}/won")
    assert (won["status"], won["amount_deducted"]) == ("won", 0)
    assert shop.hears(3) == [f"payment.dispute.{each}" for each in ("created", "under_review", "won")]
    assert [*shop.events()[0]["payload"]] == ["payment", "dispute"]
    assert requests.post(f"{bank.api}/disputes/{dispute['id']}/lost", json={}, timeout=PATIENCE).status_code == 400


def test_a_dispute_is_lost_by_accepting_it_or_by_the_bank(bank: Standing, shop: Shop, paid: dict[str, Any]) -> None:
    one, other = (verb(bank, f"payments/{paid['id']}/dispute", amount=1000) for _ in range(2))
    assert bank.client.dispute.accept(one["id"], {})["amount_deducted"] == 1000
    assert verb(bank, f"disputes/{other['id']}/action_required")["status"] == "open"
    assert verb(bank, f"disputes/{other['id']}/lost", amount_deducted=700)["amount_deducted"] == 700
    assert shop.hears(5)[2:] == ["payment.dispute.lost", "payment.dispute.action_required", "payment.dispute.lost"]


def test_a_dispute_needs_money_that_was_taken(bank: Standing, paid: dict[str, Any]) -> None:
    failed = bank.pay(bank.order(), "failed", deliver=False)
    tries = (
        (failed, {}),
        (paid, {"amount": 99901}),
        (paid, {"amount_deducted": 99901}),
        (paid, {"amount_deducted": -1}),
        (paid, {"respond_by": "soon"}),
    )
    for payment, said in tries:
        assert (
            requests.post(f"{bank.api}/payments/{payment['id']}/dispute", json=said, timeout=PATIENCE).status_code
            == 400
        )
    assert requests.post(f"{bank.api}/disputes/disp_none/burnt", json={}, timeout=PATIENCE).status_code == 404


# --- settlements ------------------------------------------------------------------------------------------------------


def report(bank: Standing, **asked: Any) -> list[dict[str, Any]]:
    today = clock.now()
    return list(
        bank.client.settlement.report({"year": today.year, "month": today.month, "day": today.day} | asked)["items"]
    )


def test_everything_so_far_is_settled_once(bank: Standing, shop: Shop, paid: dict[str, Any]) -> None:
    refund = verb(bank, f"payments/{paid['id']}/refund", amount=10000, deliver=False)
    bank.pay(bank.order(), "failed", deliver=False)
    [settlement] = verb(bank, "settle")["settlements"]
    assert shop.hears(1) == ["settlement.processed"]
    assert bank.client.settlement.fetch(settlement["id"]) == settlement
    assert [each["id"] for each in bank.client.settlement.all()["items"]] == [settlement["id"]]
    rows = {each["entity_id"]: each for each in report(bank)}
    assert set(rows) == {paid["id"], refund["id"]}
    # two per cent of 999.00 are 19.98, and 18 % of that are 3.60
    mine = rows[paid["id"]]
    assert (mine["type"], mine["credit"], mine["debit"], mine["fee"], mine["tax"], mine["amount"]) == (
        "payment",
        97542,
        0,
        2358,
        360,
        99900,
    )
    assert (mine["settlement_id"], mine["settlement_utr"], mine["settled"], mine["order_id"]) == (
        settlement["id"],
        settlement["utr"],
        True,
        paid["order_id"],
    )
    assert (rows[refund["id"]]["debit"], rows[refund["id"]]["payment_id"]) == (10000, paid["id"])
    assert settlement["amount"] == 97542 - 10000
    assert bank.client.payment.fetch(paid["id"])["fee"] == 2358
    assert verb(bank, "settle") == {"settlements": []}


def test_what_was_never_the_shops_is_not_settled(bank: Standing) -> None:
    order = bank.order()
    failed = bank.pay(order, "failed", deliver=False)
    bank.pay(order, deliver=False)
    verb(bank, f"payments/{failed['id']}/late-authorise", deliver=False)
    assert bank.client.payment.fetch(failed["id"])["status"] == "refunded"
    verb(bank, "settle", deliver=False)
    assert len(report(bank)) == 1


def test_what_a_dispute_takes_and_what_comes_back_are_adjustments(bank: Standing, paid: dict[str, Any]) -> None:
    dispute = verb(bank, f"payments/{paid['id']}/dispute", amount=5000, amount_deducted=5000, deliver=False)
    verb(bank, "settle", day="2026-01-05", deliver=False)
    verb(bank, f"disputes/{dispute['id']}/won", deliver=False)
    verb(bank, "settle", day="2026-01-06", deliver=False)
    taken = report(bank, year=2026, month=1, day=5)[-1]
    [back] = report(bank, year=2026, month=1, day=6)
    assert (taken["type"], taken["debit"], taken["dispute_id"]) == ("adjustment", 5000, dispute["id"])
    assert (back["type"], back["credit"], back["payment_id"]) == ("adjustment", 5000, paid["id"])
    assert len(report(bank, year=2026, month="01", day="")) == 3
    assert requests.post(f"{bank.api}/settle", json={"day": "tomorrow"}, timeout=PATIENCE).status_code == 400


def test_each_currency_is_settled_by_itself(bank: Standing, paid: dict[str, Any]) -> None:
    verb(bank, "payments", amount=100, currency="USD", deliver=False)
    settlements = verb(bank, "settle", deliver=False)["settlements"]
    assert sorted(each["currency"] for each in settlements) == ["INR", "USD"]


# --- transfers --------------------------------------------------------------------------------------------------------


def test_shares_of_a_payment_go_to_linked_accounts(bank: Standing, shop: Shop, paid: dict[str, Any]) -> None:
    asked = [
        {
            "account": ACCOUNT,
            "amount": each,
            "currency": "INR",
            "notes": {"branch": "x"},
            "linked_account_notes": ["branch"],
        }
        for each in (60000, 39900)
    ]
    first, second = bank.client.payment.transfer(paid["id"], {"transfers": asked})["items"]
    assert (first["status"], first["source"], first["recipient"], second["amount"]) == (
        "pending",
        paid["id"],
        ACCOUNT,
        39900,
    )
    assert shop.hears(2) == ["transfer.processed"] * 2
    assert [each["status"] for each in bank.client.transfer.all({"payment_id": paid["id"]})["items"]] == [
        "processed"
    ] * 2
    with pytest.raises(BadRequestError, match="greater than the captured amount"):
        bank.client.payment.transfer(
            paid["id"], {"transfers": [{"account": ACCOUNT, "amount": 100, "currency": "INR"}]}
        )
    assert bank.client.transfer.reverse(first["id"], {"amount": 100})["amount"] == 100
    assert bank.client.transfer.fetch(first["id"])["status"] == "partially_reversed"
    bank.client.transfer.reverse(first["id"], {})
    assert (
        bank.client.transfer.fetch(first["id"])["status"],
        bank.client.transfer.fetch(first["id"])["amount_reversed"],
    ) == ("reversed", 60000)


def test_a_direct_transfer_is_made_once_for_one_key_and_can_be_held(bank: Standing) -> None:
    asked = {"account": ACCOUNT, "amount": 5000, "currency": "INR"}
    one, two = (
        bank.client.transfer.create(dict(asked), headers={"X-Transfer-Idempotency": "transfer-1"}) for _ in range(2)
    )
    assert one == two
    assert bank.client.transfer.all({})["count"] == 1
    with pytest.raises(BadRequestError, match="Different request"):
        bank.client.transfer.create(asked | {"amount": 6000}, headers={"X-Transfer-Idempotency": "transfer-1"})
    bank.client.transfer.create(asked)
    assert bank.client.transfer.all({})["count"] == 2
    assert bank.client.transfer.edit(one["id"], {"on_hold": True})["on_hold"] is True


# --- payouts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pay_out(bank: Standing) -> Callable[..., dict[str, Any]]:
    contact = bank.client.post("/v1/contacts", {"name": "Gaurav Kumar", "type": "vendor", "reference_id": "V-1"})
    details = {"name": "Gaurav Kumar", "ifsc": "HDFC0000053", "account_number": "765432123456789"}
    account = bank.client.fund_account.create(
        {"contact_id": contact["id"], "account_type": "bank_account", "bank_account": details}
    )
    assert (bank.client.get(f"/v1/contacts/{contact['id']}", {}), bank.client.get("/v1/contacts", {})["count"]) == (
        contact,
        1,
    )
    assert bank.client.fund_account.all({"contact_id": contact["id"]})["items"] == [account]
    usual = {
        "account_number": "7878780080316316",
        "fund_account_id": account["id"],
        "amount": 100000,
        "currency": "INR",
        "mode": "IMPS",
        "purpose": "payout",
    }
    return lambda key="payout-1", **given: dict(
        bank.client.post("/v1/payouts", usual | given, headers={"X-Payout-Idempotency": key})
    )


def test_a_payout_is_made_once_for_one_key_and_arrives(bank: Standing, shop: Shop, pay_out: Any) -> None:
    payout = pay_out()
    assert (payout["status"], payout["utr"]) == ("processing", None)
    assert shop.hears(2) == ["payout.initiated", "payout.processed"]
    known = bank.client.get(f"/v1/payouts/{payout['id']}", {})
    assert (known["status"], bool(known["utr"])) == ("processed", True)
    assert pay_out() == payout  # the first answer is stored for repeats
    assert bank.client.get("/v1/payouts", {"account_number": "7878780080316316"})["count"] == 1
    with pytest.raises(BadRequestError, match="Different request"):
        pay_out(amount=200000)


def test_a_payout_comes_back_or_fails(bank: Standing, shop: Shop, pay_out: Any) -> None:
    assert requests.post(f"{bank.api}/faults", json={"payout": "pending", "times": 2}, timeout=PATIENCE).ok
    one, two = pay_out("key-one"), pay_out("key-two")
    assert verb(bank, f"payouts/{one['id']}/failed")["failure_reason"]
    verb(bank, f"payouts/{two['id']}/processed")
    assert verb(bank, f"payouts/{two['id']}/reversed")["status"] == "reversed"
    assert shop.hears(5)[2:] == ["payout.failed", "payout.processed", "payout.reversed"]
    assert requests.post(f"{bank.api}/payouts/{two['id']}/processed", json={}, timeout=PATIENCE).status_code == 400
    assert requests.post(f"{bank.api}/faults", json={"payout": "reversed"}, timeout=PATIENCE).ok
    pay_out("key-three")
    assert shop.hears(7)[5:] == ["payout.initiated", "payout.reversed"]
