"""Tests of simulated Razorpay payment links, as the real SDK and a payer see them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from razorpay.errors import BadRequestError

from app.kernel import clock
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing


def link(bank: Standing, **given: Any) -> dict[str, Any]:
    return dict(bank.client.payment_link.create({"amount": 50000, "currency": "INR", "description": "Fees", **given}))


def verb(bank: Standing, path: str, **said: Any) -> requests.Response:
    return requests.post(f"{bank.api}/{path}", json=said, timeout=PATIENCE)


def page(bank: Standing, made: dict[str, Any]) -> str:
    return f"{bank.api}{urlsplit(made['short_url']).path.removeprefix('/sandbox/razorpay')}"


def test_a_link_is_made_found_and_listed(bank: Standing) -> None:
    made = link(
        bank,
        reference_id="TS1989",
        notes={"policy": "Life"},
        customer={"name": "Gaurav"},
        expire_by=clock.timestamp() + 3600,
    )
    assert made["id"].startswith("plink_")
    assert (made["status"], made["amount_paid"], made["payments"], made["customer"]) == (
        "created",
        0,
        None,
        {"name": "Gaurav"},
    )
    assert not any(name.startswith("_") for name in made)
    assert bank.client.payment_link.fetch(made["id"]) == made
    link(bank)
    assert [each["id"] for each in bank.client.payment_link.all({"reference_id": "TS1989"})["payment_links"]] == [
        made["id"]
    ]
    assert len(bank.client.payment_link.all()["payment_links"]) == 2


def test_the_payer_pays_on_the_links_own_page_and_is_brought_back_with_a_proof(bank: Standing, shop: Shop) -> None:
    made = link(bank, reference_id="TS1", callback_url="https://shop.example/thanks?a=b", callback_method="get")
    assert "INR 500.00" in requests.get(page(bank, made), timeout=PATIENCE).text
    bad = requests.post(
        page(bank, made),
        data={"press": "pay", "card": "4111 1111 1111 1111", "expiry": "01/20", "cvv": "123"},
        timeout=PATIENCE,
    )
    assert (bad.status_code, "card has expired" in bad.text) == (400, True)
    assert "Please try again" in requests.post(page(bank, made), data={"press": "fail"}, timeout=PATIENCE).text
    paid = requests.post(page(bank, made), data={"press": "pay"}, timeout=PATIENCE, allow_redirects=False)
    assert paid.status_code == 303
    told = dict(parse_qsl(urlsplit(paid.headers["Location"]).query))
    assert (told.pop("a"), told["razorpay_payment_link_status"]) == ("b", "paid")
    proof = {name.removeprefix("razorpay_") if "link" in name else name: value for name, value in told.items()}
    assert bank.client.utility.verify_payment_link_signature(proof)
    assert shop.hears(5) == [
        "payment.failed",
        "payment.authorized",
        "payment.captured",
        "order.paid",
        "payment_link.paid",
    ]
    payload = shop.events()[-1]["payload"]
    assert [*payload] == ["payment_link", "order", "payment"]
    assert payload["payment_link"]["entity"]["payments"][0]["payment_id"] == told["razorpay_payment_id"]
    # Razorpay sends the ids without prefixes here
    assert payload["order"]["entity"]["id"] == payload["payment"]["entity"]["order_id"].removeprefix("order_")
    assert "Paid" in requests.get(page(bank, made), timeout=PATIENCE).text


def test_a_link_can_be_paid_in_parts(bank: Standing, shop: Shop) -> None:
    made = link(bank, accept_partial=True, first_min_partial_amount=10000)
    assert (
        verb(bank, f"links/{made['id']}/pay", amount=9999).json()["error"]["description"]
        == "The amount must be at least the first minimum partial amount."
    )
    assert verb(bank, f"links/{made['id']}/pay", amount=20000).ok
    assert shop.hears(3) == ["payment.authorized", "payment.captured", "payment_link.partially_paid"]
    known = bank.client.payment_link.fetch(made["id"])
    assert (known["status"], known["amount_paid"]) == ("partially_paid", 20000)
    assert "INR 300.00" in requests.get(page(bank, made), timeout=PATIENCE).text
    assert verb(bank, f"links/{made['id']}/pay", amount=30001).status_code == 400
    assert requests.post(page(bank, made), data={"press": "pay", "amount": "30000"}, timeout=PATIENCE).ok
    assert shop.hears(7)[3:] == ["payment.authorized", "payment.captured", "order.paid", "payment_link.paid"]
    known = bank.client.payment_link.fetch(made["id"])
    assert (known["status"], known["amount_paid"], len(known["payments"])) == ("paid", 50000, 2)
    whole = link(bank)
    assert (
        verb(bank, f"links/{whole['id']}/pay", amount=100).json()["error"]["description"]
        == "partial payment is not enabled on this link"
    )


def test_a_link_is_cancelled_and_takes_no_money_then(bank: Standing, shop: Shop) -> None:
    made = link(bank)
    assert bank.client.payment_link.cancel(made["id"])["status"] == "cancelled"
    assert shop.hears(1) == ["payment_link.cancelled"]
    assert verb(bank, f"links/{made['id']}/pay").status_code == 400
    assert "was cancelled" in requests.get(page(bank, made), timeout=PATIENCE).text
    assert requests.post(page(bank, made), data={"press": "pay"}, timeout=PATIENCE).status_code == 400
    with pytest.raises(BadRequestError, match="cannot cancel or expire an expired link"):
        bank.client.payment_link.cancel(made["id"])


def test_a_link_runs_out_by_itself_and_when_somebody_says_so(bank: Standing, shop: Shop) -> None:
    with pytest.raises(BadRequestError, match="timestamp must be atleast 15 minutes in future"):
        link(bank, expire_by=clock.timestamp() + 14 * 60)
    made, other = link(bank, expire_by=clock.timestamp() + 3600), link(bank)
    with bank.store.open() as file:
        file.execute("update soon set due = 0")
    assert shop.hears(1) == ["payment_link.expired"]
    assert bank.client.payment_link.fetch(made["id"])["status"] == "expired"
    assert verb(bank, f"links/{other['id']}/expire").json()["status"] == "expired"
    assert "has expired" in requests.get(page(bank, other), timeout=PATIENCE).text
    assert verb(bank, f"links/{other['id']}/expire").status_code == 400


def test_money_may_still_come_after_a_link_has_ended(bank: Standing, shop: Shop) -> None:
    made = link(bank)
    failed = verb(bank, f"links/{made['id']}/pay", outcome="failed").json()
    bank.client.payment_link.cancel(made["id"])
    assert verb(bank, f"payments/{failed['id']}/late-authorise").json()["status"] == "captured"
    assert bank.client.payment_link.fetch(made["id"])["status"] == "paid"


def test_no_such_link_is_a_kind_page(bank: Standing) -> None:
    assert requests.get(f"{bank.api}/l/plink_none", timeout=PATIENCE).status_code == 400
