"""Browser tests of the sandbox: the hosted payment page in a shop's page, and the pages that play the bank."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import razorpay
from playwright.sync_api import Page

from config import Settings

Visit = Callable[..., Page]
pytestmark = pytest.mark.browser

# A shop that writes down what the script tells it.
SHOP = """() => {
  window.told = [];
  const tell = (what) => (said) => window.told.push([what, said || null]);
  const options = %s;
  const checkout = new Razorpay({ ...options, handler: tell("paid"), modal: { ondismiss: tell("gone") } });
  checkout.on("payment.failed", tell("failed"));
  checkout.open();
}"""


@pytest.fixture
def sdk(sandbox: str, settings: Settings) -> razorpay.Client:
    return razorpay.Client(auth=(settings.razorpay_key, settings.razorpay_secret), base_url=settings.razorpay_url)


def told(page: Page, count: int) -> list[list[Any]]:
    page.wait_for_function(f"window.told.length >= {count}")
    return list(page.evaluate("window.told"))


def test_the_script_opens_the_hosted_page_in_a_shops_own_and_says_what_came_of_it(
    visit: Visit, sandbox: str, sdk: razorpay.Client, settings: Settings
) -> None:
    order = sdk.order.create({"amount": 77700, "currency": "INR"})
    page = visit(width=390)
    page.goto(f"{sandbox}/")
    page.add_script_tag(url=f"{sandbox}/razorpay/sim/checkout.js")
    options = {
        "key": settings.razorpay_key,
        "order_id": order["id"],
        "name": "The shop",
        "prefill": {"email": "m@example.com"},
        "notes": {"seat": "4"},
    }
    open_it = SHOP % json.dumps(options)
    page.evaluate(open_it)
    hosted = page.frame_locator("iframe")
    hosted.get_by_role("button", name="Fail payment", exact=True).click()
    [[what, said]] = told(page, 1)
    assert (what, said["error"]["code"], said["error"]["metadata"]["order_id"]) == (
        "failed",
        "BAD_REQUEST_ERROR",
        order["id"],
    )
    hosted.get_by_role("button", name="Cancel payment").click()
    assert told(page, 2)[1] == ["gone", None]
    assert page.locator("iframe").count() == 0
    page.evaluate(open_it)
    page.frame_locator("iframe").get_by_role("button", name="Pay INR 777.00").click()
    [[what, said]] = told(page, 1)
    assert what == "paid"
    assert set(said) == {"razorpay_payment_id", "razorpay_order_id", "razorpay_signature"}
    assert sdk.utility.verify_payment_signature(said)
    paid = sdk.payment.fetch(said["razorpay_payment_id"])
    assert (paid["email"], paid["notes"]) == ("m@example.com", {"seat": "4"})


@pytest.mark.parametrize("width", [1280, 390])
def test_people_play_the_bank_with_buttons(visit: Visit, sandbox: str, sdk: razorpay.Client, width: int) -> None:
    order = sdk.order.create({"amount": 4200, "currency": "INR", "receipt": f"BK-{width}"})
    page = visit(width=width)
    page.goto(f"{sandbox}/razorpay/")
    row = page.locator(".rows > li", has_text=order["id"])
    row.get_by_role("button", name="Fail payment").click()
    row.get_by_role("button", name="Authorize late").click()
    row.get_by_label("Refund amount").fill("200")
    row.get_by_role("button", name="Refund payment").click()
    assert "INR 2.00 refunded" in row.inner_text()
    row.get_by_role("button", name="Dispute payment").click()
    page.get_by_role("link", name="Disputes and settlements").click()
    page.locator(".rows > li", has_text=sdk.order.payments(order["id"])["items"][0]["id"]).first.get_by_role(
        "button", name="Mark as won"
    ).click()
    page.get_by_role("button", name="Settle all payments").click()
    page.get_by_role("link", name="Simulate problems").click()
    page.locator("form", has_text="Webhooks").get_by_role("button", name="Apply").click()
    assert "Webhook delivery: Sent twice" in page.inner_text("main")
    page.get_by_role("button", name="Clear all problems").click()
    assert "Everything responds normally." in page.inner_text("main")
    for each in ("", "books", "out", "webhooks", "trouble"):
        page.goto(f"{sandbox}/razorpay/{each}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), each
