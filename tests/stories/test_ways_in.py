"""Browser tests of the pages about sign-in and permissions, at every width, for every role."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.desk.sign_in.api_token import ApiToken
from app.desk.sign_in.passkey import Passkey
from app.desk.sign_in.totp import TwoFactor
from app.kernel.db import session, transaction
from tests.conftest import PASSWORD, user_id
from tests.stories.test_everybody import faults


@pytest.fixture
def page(visit: object) -> Page:
    return visit()  # type: ignore[operator,no-any-return]


@pytest.mark.proof
@pytest.mark.browser
def test_no_page_about_ways_in_and_rights_shuts_anybody_out(page: Page, web: str, app: Flask) -> None:
    ada = user_id(app, "ada")
    with transaction():
        session.add(
            Passkey(
                user_id=ada,
                name="A telephone with a name that is rather long for one",
                credential=b"1",
                public_key=b"2",
                handle=b"3",
            )
        )
    ApiToken.create(ada, name="The till of the shop", scopes=["Slot.can_read", "Booking.can_confirm"], days=9)
    TwoFactor.begin_setup(ada)
    page.goto(f"{web}/login/?next=/desk/second/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    found = faults(page, "100%")
    page.goto(f"{web}/desk/rights/new")
    page.get_by_label("Name").fill("Helping hand")
    page.get_by_label("Record access like").select_option("Desk")
    page.get_by_role("button", name="Create role").click()
    expect(page.get_by_role("heading", name="Helping hand")).to_be_visible()
    found += faults(page, "100%")
    page.goto(f"{web}/desk/groups/new")
    page.get_by_label("Name").fill("Front of house")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("Select at least one role"))
    found += faults(page, "100%")
    for path in "/desk/tokens/", f"/desk/ways-in/{ada}", "/desk/rights/":
        page.goto(f"{web}{path}")
        found += faults(page, "100%")
    page.goto(f"{web}/desk/rights/")
    page.get_by_role("link", name="Helping hand").first.click()
    page.get_by_role("button", name="Delete role").click()
    assert not found, "\n".join(found)


@pytest.mark.browser
def test_somebody_comes_in_by_anothers_word_and_is_turned_away_by_it(page: Page, web: str, app: Flask) -> None:
    page.goto(f"{web}/login/?next=/desk/sittings/")
    page.get_by_role("link", name="Sign in with SSO (demo)").click()
    page.get_by_label("Email address").fill("stranger@example.com")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("There is no account for stranger@example.com"))
    page.get_by_role("link", name="Sign in with SSO (demo)").click()
    page.get_by_label("Email address").fill("dina@example.com")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Signed in with SSO (demo)")).to_be_visible()
