"""Browser tests of the desk by keyboard: command palette, shortcut sheet and list rows, checked with axe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PASSWORD
from tests.stories.test_everybody import faults_of_this_view as faults


@pytest.fixture
def desk(browser: Browser, web: str, slot: Slot, hold: Callable[..., Booking]) -> Iterator[Page]:
    """Dina at the list of bookings, of which there is one; nothing may come from elsewhere, and nothing be an error."""
    hold(slot).mark_paid(ByHand("cash", "R-1"))
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="Asia/Kolkata", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(f"{web}/desk/booking/")
    page.get_by_label("Username").fill("dina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{web}/desk/booking/")
    yield page
    context.close()
    assert troubles == []


@pytest.mark.browser
def test_the_desk_is_worked_by_keyboard_alone(desk: Page) -> None:
    desk.keyboard.press("Control+k")
    words = desk.get_by_role("combobox", name="Search or go to")
    expect(words).to_be_focused()
    desk.keyboard.type("meera")
    expect(desk.get_by_role("option", name="Meera Iyer").first).to_have_attribute("aria-selected", "true")
    assert faults(desk) == []
    desk.keyboard.press("ArrowDown")
    expect(words).to_have_attribute("aria-activedescendant", "palette-1")
    desk.keyboard.press("ArrowUp")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/desk/person/1")
    desk.keyboard.press("/")
    expect(desk.get_by_role("option", name="Home").first).to_be_visible()
    desk.keyboard.type("bookings")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/desk/booking/")
    desk.keyboard.press("j")
    expect(desk.get_by_role("link", name="BK-")).to_be_focused()
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/desk/booking/1")
    desk.keyboard.press("Control+k")
    expect(desk.get_by_role("group", name="Recent").get_by_role("option", name="Meera Iyer")).to_be_visible()
    desk.keyboard.press("Escape")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert faults(desk) == []
    desk.get_by_label("Enable single-letter shortcuts").uncheck()
    desk.keyboard.press("Escape")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


@pytest.mark.browser
def test_a_page_is_found_by_whatever_it_is_called(desk: Page) -> None:
    for word, page in (
        ("vacation", "closure"),
        ("2fa", "second"),
        ("client", "person"),
        ("promo code", "coupon"),
        ("import", "person/import"),
    ):
        desk.keyboard.press("Control+k")
        desk.keyboard.type(word)
        expect(desk.get_by_role("group", name="Go to").get_by_role("option").first).to_have_attribute(
            "data-url", re.compile(rf"/desk/{page}/?$")
        )
        desk.keyboard.press("Escape")


@pytest.mark.browser
def test_the_first_page_brings_its_figures_and_shuts_nobody_out(desk: Page, web: str) -> None:
    desk.goto(f"{web}/desk/")
    expect(desk.get_by_role("heading", name="Last 28 days")).to_be_visible()
    assert faults(desk) == []
    desk.goto(f"{web}/desk/reports/lead_time/")
    expect(desk.get_by_role("figure", name="Bookings by service")).to_be_visible()
    assert faults(desk) == []


@pytest.mark.browser
def test_the_frame_stays_as_somebody_set_it_up(desk: Page) -> None:
    desk.get_by_role("button", name="Compact rows").click()
    desk.get_by_role("heading", name="General", exact=True).click()
    people = desk.get_by_role("navigation", name="Desk").get_by_role("link", name="Customers")
    expect(people).to_be_hidden()
    desk.reload()
    expect(desk.get_by_role("button", name="Compact rows")).to_have_attribute("aria-pressed", "true")
    expect(people).to_be_hidden()
    desk.get_by_label("Filter menu").fill("customers")
    expect(people).to_be_visible()
    expect(desk.get_by_role("navigation", name="Desk").get_by_role("link", name="Slots")).to_be_hidden()
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/desk/person/")
