"""Tests of the simulated hosted checkout with plain forms, as in a browser without JavaScript."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import requests

from app.kernel import clock
from app.sandbox.proxy import sandbox_proxy
from config import Settings, Unsafe
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing

BACK, AWAY = "http://127.0.0.1:9/pay/token/back?a=1&b=2", "http://127.0.0.1:9/pay/token/away"


class Forms(HTMLParser):
    """Parser of the forms on a page: action and fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not any(name == "style" or name.startswith("on") for name in given), "a strict policy would block this"
        if tag == "form":
            self.found.append({"to": given["action"], "fields": {}})
        elif tag == "input":
            self.found[-1]["fields"][given["name"]] = given.get("value", "")
        elif tag == "script":
            assert given.get("src", "").startswith("/static/"), "no inline script"


@pytest.fixture
def order(bank: Standing) -> dict[str, Any]:
    return bank.order(123456)


def arrive(bank: Standing, keys: Settings, order: dict[str, Any], **other: str) -> requests.Response:
    fields = {
        "key_id": keys.razorpay_key,
        "order_id": order["id"],
        "amount": str(order["amount"]),
        "currency": "INR",
        "name": "Asha & Dev",
        "description": "First consultation",
        "prefill[name]": "Meera Iyer",
        "prefill[email]": "meera@example.com",
        "prefill[contact]": "+919845012345",
        "notes[seat]": "4",
        "callback_url": BACK,
        "cancel_url": AWAY,
    }
    return requests.post(f"{bank.api}/v1/checkout/embedded", data=fields | other, timeout=PATIENCE)


def press(bank: Standing, page: requests.Response, button: str, **typed: str) -> requests.Response:
    form = Forms(page.text).found[0]
    address = bank.url.removesuffix("/sandbox") + form["to"]
    return requests.post(
        address, data=form["fields"] | typed | {"press": button}, timeout=PATIENCE, allow_redirects=False
    )


def test_the_page_says_who_asks_for_how_much_and_for_what(
    bank: Standing, keys: Settings, order: dict[str, Any]
) -> None:
    page = arrive(bank, keys, order)
    assert page.ok
    for words in ("INR 1,234.56", "Asha &amp; Dev", "First consultation", order["id"], "4111 1111 1111 1111"):
        assert words in page.text
    assert re.findall(r'value="(pay|fail|abandon|late)"', page.text) == ["pay", "fail", "abandon", "late"]


def test_paying_posts_the_proof_to_the_shop(bank: Standing, keys: Settings, shop: Shop, order: dict[str, Any]) -> None:
    back = press(bank, arrive(bank, keys, order), "pay")
    [form] = Forms(back.text).found
    assert (form["to"], set(form["fields"])) == (
        BACK,
        {"razorpay_payment_id", "razorpay_order_id", "razorpay_signature"},
    )
    assert "Return to website" in back.text
    assert bank.client.utility.verify_payment_signature(form["fields"])
    payment = bank.client.payment.fetch(form["fields"]["razorpay_payment_id"])
    assert (payment["email"], payment["contact"], payment["notes"]) == (
        "meera@example.com",
        "+919845012345",
        {"seat": "4"},
    )
    assert shop.hears(3) == ["payment.authorized", "payment.captured", "order.paid"]


def test_after_a_failure_the_payer_tries_again_or_returns_with_the_error(
    bank: Standing, keys: Settings, shop: Shop, order: dict[str, Any]
) -> None:
    page = press(bank, arrive(bank, keys, order), "fail")
    assert shop.hears(1) == ["payment.failed"]
    _, back = Forms(page.text).found
    assert (back["to"], back["fields"]["error[code]"], back["fields"]["error[reason]"]) == (
        BACK,
        "BAD_REQUEST_ERROR",
        "payment_failed",
    )
    failed = bank.client.order.payments(order["id"])["items"][0]
    assert json.loads(back["fields"]["error[metadata]"]) == {"payment_id": failed["id"], "order_id": order["id"]}
    assert back["fields"]["error[description]"] == failed["error_description"]
    assert "razorpay_payment_id" in Forms(press(bank, page, "pay").text).found[0]["fields"]


def test_leaving_tells_nobody_anything(bank: Standing, keys: Settings, shop: Shop, order: dict[str, Any]) -> None:
    away = press(bank, arrive(bank, keys, order), "abandon")
    assert (away.status_code, away.headers["Location"]) == (303, AWAY)
    assert shop.hears(1, within=0.5) == []
    assert bank.client.order.fetch(order["id"])["status"] == "created"
    assert press(bank, arrive(bank, keys, order, cancel_url=""), "abandon").status_code == 200


def test_paying_late_sends_the_payer_away_as_failed(
    bank: Standing, keys: Settings, shop: Shop, order: dict[str, Any]
) -> None:
    away = press(bank, arrive(bank, keys, order), "late")
    assert (away.status_code, away.headers["Location"]) == (303, AWAY)
    assert shop.hears(1) == ["payment.failed"]
    with bank.store.open() as file:
        file.execute("update soon set due = 0")
    assert shop.hears(4)[1:] == ["payment.authorized", "payment.captured", "order.paid"]


def test_a_card_that_cannot_be_charged_is_refused_and_nothing_was_tried(
    bank: Standing, keys: Settings, order: dict[str, Any]
) -> None:
    page = arrive(bank, keys, order)
    now = clock.now()
    last_month = f"{(now.month - 2) % 12 + 1:02}/{(now.year - (now.month == 1)) % 100:02}"
    refusals = (
        ({"expiry": last_month}, "card has expired"),
        ({"expiry": "01/20"}, "card has expired"),
        ({"expiry": "13/35"}, "valid expiry"),
        ({"expiry": ""}, "valid expiry"),
        ({"expiry": "²/35"}, "valid expiry"),
        ({"card": "4111"}, "valid card number"),
        ({"cvv": "1"}, "valid CVV"),
    )
    for typed, words in refusals:
        answer = press(bank, page, "pay", **typed)
        assert (answer.status_code, words in answer.text) == (400, True), typed
    assert bank.client.order.payments(order["id"])["count"] == 0
    assert press(bank, page, "pay", expiry=f"{now.month:02}/{now.year % 100}").ok


def test_what_cannot_be_paid_is_a_kind_page(bank: Standing, keys: Settings, order: dict[str, Any]) -> None:
    page = arrive(bank, keys, order)
    bank.pay(order)
    again = press(bank, page, "pay")
    assert (again.status_code, again.headers["Location"]) == (303, AWAY)  # paid in another tab
    stuck = press(bank, page, "pay", cancel_url="")
    assert (stuck.status_code, "already paid" in stuck.text) == (400, True)
    for other in ({"key_id": "rzp_live_x"}, {"order_id": "order_none"}, {"callback_url": "javascript:alert(1)"}):
        assert (arrive(bank, keys, order, **other).status_code, "<h1>" in arrive(bank, keys, order, **other).text) == (
            400,
            True,
        )


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("JPY", 2950, "JPY 2,950"), ("KWD", 295990, "KWD 295.990"), ("USD", 100, "USD 1.00")],
)
def test_an_amount_is_shown_with_as_many_places_as_its_currency_has(
    bank: Standing, keys: Settings, currency: str, amount: int, shown: str
) -> None:
    order = bank.client.order.create({"amount": amount, "currency": currency})
    assert f"Pay {shown}<" in arrive(bank, keys, order).text
    assert f"{shown}<" in requests.get(f"{bank.api}/", timeout=PATIENCE).text


def test_people_play_the_bank_from_the_list_of_orders(bank: Standing, order: dict[str, Any]) -> None:
    page = requests.get(f"{bank.api}/", timeout=PATIENCE)
    [form] = [each for each in Forms(page.text).found if order["id"] in each["to"]]
    answer = requests.post(
        bank.url.removesuffix("/sandbox") + form["to"], data={"outcome": "captured"}, timeout=PATIENCE
    )
    assert answer.ok
    assert not [each for each in Forms(answer.text).found if order["id"] in each["to"]]
    assert bank.client.order.fetch(order["id"])["status"] == "paid"


def test_the_pages_look_the_same_at_the_sandboxs_own_address(bank: Standing) -> None:
    page = requests.get(f"{bank.url}/", timeout=PATIENCE).text
    for path in re.findall(r'<link rel="stylesheet" href="([^"]+)"', page):
        assert (
            requests.get(bank.url.removesuffix("/sandbox") + path, timeout=PATIENCE)
            .headers["Content-Type"]
            .startswith("text/css")
        )


def test_there_is_no_door_beside_live_keys(keys: Settings) -> None:
    with pytest.raises(Unsafe):
        sandbox_proxy(
            Settings(
                **{name: getattr(keys, name) for name in keys.__dataclass_fields__} | {"razorpay_key": "rzp_live_x"}
            )
        )
