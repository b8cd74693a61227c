"""Browser test of custom fields: one is added, and its form asks only for what belongs to its type."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.packs.bookings.offer.slot import Slot
from tests.conftest import PASSWORD
from tests.stories.test_everybody import faults
from tests.stories.test_the_walk import until


@pytest.mark.browser
def test_a_field_leads_to_another_record_from_the_next_click_on(
    visit: Callable[..., Page], web: str, slot: Slot
) -> None:
    page = visit()
    page.goto(f"{web}/desk/field/new")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{web}/desk/field/new")
    options, target = page.get_by_label("Options"), page.get_by_label("Linked record type")
    expect(options).to_be_hidden()
    page.get_by_label("Record type", exact=True).select_option("person")
    page.get_by_label("Label").fill("Sees mostly")
    page.get_by_label("Type", exact=True).select_option(label="Single choice")
    expect(options).to_be_visible()
    options.fill("Whoever is free")
    page.get_by_label("Type", exact=True).select_option(label="Linked record")
    expect(options).to_be_hidden()
    assert faults(page, "100%") == []
    target.select_option("practitioner")
    page.get_by_role("button", name="Add custom field").click()
    expect(page.locator("main")).to_contain_text("Sees mostly")
    page.goto(f"{web}/desk/person/new")
    until(
        page, lambda: page.get_by_label("Sees mostly").is_visible()
    )  # the other process of the web hears of it within a second
    page.get_by_label("Name", exact=True).fill("Meera Iyer")
    page.get_by_label("Email").fill("meera@example.com")
    page.get_by_label("Sees mostly").select_option(label="Asha Rao")
    page.get_by_role("button", name="Add customer").click()
    expect(page.get_by_role("link", name="Asha Rao")).to_be_visible()


@pytest.mark.browser
def test_what_was_typed_is_there_again_for_whoever_was_signed_out_meanwhile(
    visit: Callable[..., Page], web: str, slot: Slot
) -> None:
    page = visit()
    page.goto(f"{web}/desk/person/new")
    for again in (False, True):
        page.get_by_label("Username").fill("dina")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        if not again:
            page.goto(f"{web}/desk/person/new")
            page.get_by_label("Name", exact=True).fill("Meera Iyer")
            page.get_by_label("Email").fill("meera@example.com")
            page.get_by_label("Notes").fill("Walks with a stick")
            page.context.clear_cookies()
            page.get_by_role("button", name="Add customer").click()
    expect(page.get_by_text("You were signed out before this was saved")).to_be_visible()
    expect(page.get_by_label("Notes")).to_have_value("Walks with a stick")
    page.get_by_role("button", name="Add customer").click()
    expect(page.get_by_role("heading", name="Meera Iyer")).to_be_visible()
    page.goto(f"{web}/desk/person/new")
    expect(page.get_by_label("Notes")).to_have_value("")
