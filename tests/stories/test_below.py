"""Browser tests of related records on the page of a record, on large and small screens, and of the “Add” menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.desk.records.related import FEW
from app.kernel.db import session, transaction
from app.money.sums.amount import Money
from app.packs.bookings.offer.extra import Extra
from tests.conftest import PASSWORD
from tests.stories.test_everybody import faults


@pytest.mark.browser
def test_what_stands_below_a_record_can_be_read_by_everybody(
    visit: Callable[..., Page], web: str, slot: Any, hold: Any
) -> None:
    booking = hold(slot)
    with transaction():
        session.add_all(
            Extra(service=slot.service, name=f"Chart {at}", price=Money(10_000, "INR")) for at in range(FEW + 1)
        )
    page = visit()
    page.goto(f"{web}/desk/person/{booking.person_id}")
    page.get_by_label("Username").fill("dina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.goto(f"{web}/desk/person/{booking.person_id}")
    assert faults(page, "100%") == []
    page.goto(f"{web}/desk/service/{slot.service_id}")
    assert faults(page, "100%") == []
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#adding a").first).to_have_text("New booking")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="View all").click()
    expect(page.locator("main")).to_contain_text("Chart 0")
