"""Browser test of passkeys with Chromium's virtual authenticator: added, used, renamed, removed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession, Page, expect
from werkzeug.serving import make_server

from app.desk.sign_in.passkey import Passkey
from app.desk.staff import passkeys
from app.kernel.db import session
from tests.conftest import PASSWORD, user_id
from tests.stories.test_everybody import faults_of_this_view as faults

TELEPHONE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}


@pytest.fixture
def home(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The house at an address with a name: browsers make passkeys for no other."""
    web = make_server("localhost", 0, app, threaded=True)
    at = f"http://localhost:{web.server_port}"
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], base_url=at))
    threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
    yield at
    web.shutdown()
    web.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if said.type == "error" and "status of 4" not in said.text else None,
    )
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def telephone(page: Page) -> tuple[CDPSession, str]:
    """A virtual platform authenticator that has verified its user."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    return tools, tools.send("WebAuthn.addVirtualAuthenticator", {"options": TELEPHONE})["authenticatorId"]


@pytest.mark.browser
def test_a_passkey_is_added_lets_in_and_is_removed(
    home: str, page: Page, telephone: tuple[CDPSession, str], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(f"{home}/login/?next=/desk/passkeys/")
    assert faults(page) == []
    page.get_by_label("Username").fill("dina")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name", exact=True).fill("My telephone")
    assert faults(page) == []
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="My telephone")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Again")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("This device already has a passkey for your account.")

    page.goto(f"{home}/logout/")
    page.goto(f"{home}/login/?next=/desk/sittings/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("with the passkey “My telephone”")).to_be_visible()
    (kept,) = Passkey.list_for(user_id(app, "dina"))
    assert (kept.transports, kept.sign_count > 0) == (["internal"], True)

    page.goto(f"{home}/desk/passkeys/")
    page.get_by_label("Name of My telephone").fill("Old telephone")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="Old telephone")).to_be_visible()
    monkeypatch.setattr(passkeys.time, "time", lambda now=time.time: now() + 601)
    page.reload()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Remove Old telephone").click()
    expect(page.get_by_text("Passkey “Old telephone” removed.")).to_be_visible()

    page.goto(f"{home}/logout/")
    page.goto(f"{home}/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("This passkey isn’t registered here"))
    session.expire_all()
    assert Passkey.list_for(user_id(app, "dina")) == []


@pytest.mark.browser
def test_whom_the_telephone_does_not_recognise_it_signs_nothing_for(
    home: str, page: Page, telephone: tuple[CDPSession, str]
) -> None:
    tools, id = telephone
    tools.send("WebAuthn.setUserVerified", {"authenticatorId": id, "isUserVerified": False})
    page.goto(f"{home}/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("The passkey request was cancelled or timed out.")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


@pytest.mark.browser
def test_at_another_address_of_the_same_house_no_passkey_is_offered(home: str, page: Page) -> None:
    page.goto(f"{home.replace('localhost', '127.0.0.1')}/login/")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
