"""Browser test of automations: one is created, tested and switched on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PASSWORD
from tests.stories.test_everybody import faults

Visit = Callable[..., Page]


def enter(page: Page, web: str) -> None:
    page.goto(f"{web}/desk/automation/")
    page.get_by_label("Username").fill("dina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{web}/desk/automation/")


@pytest.mark.browser
def test_a_sentence_is_put_together_tried_and_switched_on(
    visit: Visit, web: str, slot: Slot, hold: Callable[..., Booking]
) -> None:
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "R-1"))
    booking.cancel(CallOff("They asked for it"))
    page = visit()
    enter(page, web)
    page.get_by_role("link", name="Add automation").last.click()
    page.get_by_label("Name", exact=True).fill("Call them back")
    page.get_by_label("Record type").select_option("payment")
    page.get_by_label("Record type").select_option("booking")
    expect(page.get_by_label("Trigger")).to_contain_text("is cancelled")
    page.get_by_label("Trigger").select_option("cancel")
    page.get_by_role("button", name="Add condition").click()
    page.get_by_label("Column").select_option("price")
    page.get_by_label("Condition", exact=True).select_option("from")
    page.get_by_label("Value", exact=True).fill("500")
    page.get_by_role("button", name="Create a task").click()
    page.get_by_label("Assign to").select_option("owner")
    page.get_by_label("Task", exact=True).fill("Call {person} about {number}")
    page.get_by_label("Due in (days)").fill("1")
    page.get_by_role("button", name="Send a message").click()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.get_by_label("Message", exact=True).select_option("bookings/cancelled")
    assert faults(page, "100%") == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("main")).to_contain_text(
        "When a booking is cancelled (“Cancel booking”), and price is at least 500: "
        "create the task “Call {person} about {number}” for the record owner, due tomorrow"
    )
    page.get_by_role("link", name="Test automation").click()
    expect(page.locator("main")).to_contain_text(f"Call Meera Iyer about {booking.number}")
    assert faults(page, "100%") == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("link", name="Call them back").click()
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("button", name="Turn off")).to_be_visible()


@pytest.mark.browser
def test_a_button_does_not_move_while_it_is_pressed(visit: Visit, web: str, slot: Slot) -> None:
    page = visit()
    enter(page, web)
    page.get_by_role("link", name="Add automation").last.click()
    page.get_by_label("Record type").select_option("booking")
    expect(page.get_by_label("Trigger")).to_contain_text("is cancelled")
    page.get_by_label("Trigger").select_option("cancel")
    page.get_by_role("button", name="Create a task").click()
    page.get_by_label("Assign to").select_option("owner")
    page.get_by_label("Task", exact=True).fill("Call {person} about {number} " * 12)
    button = page.get_by_role("button", name="Send a message")
    button.hover()
    with page.expect_response(
        lambda answer: answer.request.method == "POST"
    ):  # the sentence, which grows by several lines
        page.mouse.down()
    page.wait_for_timeout(400)
    page.mouse.up()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
