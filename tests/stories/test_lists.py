"""Somebody works in a list with a keyboard: puts a question together over it, and changes a cell where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.packs.bookings.slot import Slot
from tests.conftest import PASSWORD


@pytest.fixture
def page(browser: Browser, web: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, timezone_id="Asia/Kolkata", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(f"{web}/desk/")
    page.get_by_label(re.compile("user", re.IGNORECASE)).fill("dina")
    page.get_by_label(re.compile("^password", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    yield page
    context.close()


@pytest.mark.browser
def test_a_question_opens_over_the_list_and_a_cell_where_it_stands(page: Page, web: str, open_slot: Callable[..., Slot], dev: Any) -> None:
    for n in range(1, 4):
        open_slot(hours=24 * n, seats=n)
    page.goto(f"{web}/desk/slot/?w=seats:from:2")
    page.get_by_role("link", name="Seats is from 2").press("Enter")
    dialog = page.get_by_role("dialog", name="Filter slots")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Or").click()
    dialog.locator("select[name='2.1.column']").select_option("practitioner")
    dialog.locator("select[name='2.1.value']").select_option("Dev Mehta")
    dialog.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Seats is from 2 or Practitioner is Dev Mehta")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    cell = page.locator("[data-cell=seats]").first
    page.locator("tbody th a").first.press("F2")
    form = page.get_by_role("form", name=re.compile("^Seats of"))
    form.get_by_label("Seats").fill("99999999999")
    form.get_by_label("Seats").press("Enter")
    expect(form.get_by_role("alert")).to_contain_text("This number is too large. It is: 2")
    form.get_by_label("Seats").fill("7")
    form.get_by_label("Seats").press("Enter")
    expect(form).to_have_count(0)
    expect(cell).to_have_text("7")
    expect(page.locator("tbody th a").first).to_be_focused()
