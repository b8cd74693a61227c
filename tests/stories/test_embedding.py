"""Browser tests of the embedded widget: who may frame it, and a booking under a strict policy without cookies."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, FrameLocator, Page, expect
from sqlalchemy import select

from app.kernel.db import session
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from config import Settings, Unsafe
from tests.conftest import PATIENCE
from tests.stories.conftest import QUIET, WHOLE

STRICT = (
    "default-src 'none'; script-src {ours}; frame-src {ours}; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'"
)
MEERA = {"name": "Meera Iyer", "email": "meera@example.com", "once": "x" * 16}


@pytest.fixture
def on_a_list(app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        app.extensions, "settings", replace(settings, embed_on=("https://shop.example", "https://www.shop.example"))
    )


# --- who may show it --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_a_list")
def test_only_who_is_on_the_list_may_show_the_booking_pages(client: FlaskClient, slot: Slot) -> None:
    for path in "/embed/first", f"/embed/first/{slot.id}", "/embed/nosuch":
        headers = client.get(path).headers
        assert "frame-ancestors https://shop.example https://www.shop.example;" in headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in headers


@pytest.mark.usefixtures("on_a_list")
@pytest.mark.parametrize(
    "path",
    ["/", "/services", "/book/first", "/login/", "/embed.js", "/embedded", "/pay/nosuch", "/static/site/site.css"],
)
def test_nothing_else_can_be_shown_in_a_frame(client: FlaskClient, slot: Slot, path: str) -> None:
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


def test_without_a_list_nobody_may(
    client: FlaskClient, app: Flask, settings: Settings, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "settings", replace(settings, embed_on=()))
    headers = client.get("/embed/first").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "shop.example",
        "https://shop.example/",
        "https://*.example",
        "https://a.example 'self'",
        "https://a;script-src",
    ],
)
def test_what_is_not_an_origin_is_refused_when_it_starts(settings: Settings, origin: str) -> None:
    with pytest.raises(Unsafe, match="not an origin"):
        replace(settings, embed_on=(origin,)).validated()


# --- without cookies --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_a_list")
def test_a_frame_hears_no_cookie_and_leaves_none(
    enter: Callable[[str], FlaskClient], app: Flask, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    dina = enter("dina")
    assert dina.post(f"/book/first/{slot.id}", data=MEERA).status_code == 400
    quote = re.search(r'name="quote" value="([^"]+)"', dina.get(f"/embed/first/{slot.id}").text)
    assert quote
    answer = dina.post(f"/embed/first/{slot.id}", data=MEERA | {"quote": quote[1]})
    assert "This time is reserved for you" in answer.text
    assert "Set-Cookie" not in answer.headers
    again = dina.get(f"/embed/first/{slot.id}")
    assert (again.status_code, "Set-Cookie" in again.headers) == (409, False)
    assert "just been taken" in again.text
    assert dina.get("/desk/booking/").status_code == 200
    assert session.scalars(select(Booking)).one().person.name == "Meera Iyer"


# --- in a browser -----------------------------------------------------------------------------------------------------


class Shop(BaseHTTPRequestHandler):
    """A page of another website, whose policy allows only our script and our frame."""

    ours = ""

    def do_GET(self) -> None:
        button = 'data-button="Book a time"' if self.path == "/button" else ""
        script = f'<script src="{self.ours}/embed.js" data-service="first" {button} async></script>'
        page = (
            '<!doctype html><html lang="en"><title>A shop</title><h1>A shop</h1><p><a href="/">Tea</a></p>'
            f'{script}<p><a href="/">Cups</a></p>'
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", STRICT.format(ours=self.ours))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *args: object) -> None:
        """The suite has no use for it."""


@pytest.fixture
def shop(web: str, settings: Settings) -> Iterator[str]:
    address = settings.embed_on[0]
    Shop.ours = web
    with ThreadingHTTPServer(("localhost", int(address.rpartition(":")[2])), Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield address
        server.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser that keeps no cookie for a frame; whatever it reports as an error is one."""
    if WHOLE is None:
        pytest.skip("NO WHOLE CHROMIUM ON THIS MACHINE: the shell keeps the cookies of frames")
    strict = browser.browser_type.launch(executable_path=WHOLE, args=[*QUIET, "--test-third-party-cookie-phaseout"])
    page = strict.new_page(viewport={"width": 390, "height": 800}, timezone_id="Europe/Rome")
    page.set_default_timeout(PATIENCE * 1000)
    troubles: list[str] = []
    page.on(
        "console",
        lambda said: (
            troubles.append(said.text) if said.type == "error" and not said.text.startswith("Failed to load") else None
        ),
    )
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    strict.close()
    assert troubles == []


def choose_a_time(inside: FrameLocator) -> None:
    inside.get_by_role("link", name=re.compile("available time")).first.click()
    inside.get_by_role("link", name=re.compile("with Asha Rao")).first.click()
    inside.get_by_label("Name", exact=True).fill("Meera Iyer")


@pytest.mark.browser
@pytest.mark.usefixtures("working")
def test_a_customer_books_within_a_strangers_page_and_pays_on_ours(
    page: Page, shop: str, web: str, sandbox: str, slot: Slot
) -> None:
    page.goto(shop)
    inside, frame = page.frame_locator("iframe"), page.locator("iframe")
    expect(inside.get_by_role("heading", name="First consultation")).to_be_visible()
    expect(inside.locator("#zone-now")).to_contain_text("CE")
    assert inside.locator("header.top, footer").count() == 0
    assert page.frames[1].evaluate("document.cookie = 'mine=1; SameSite=None; Secure'; document.cookie") == ""
    choose_a_time(inside)
    inside.get_by_label("Email").fill("meera@nowhere")
    inside.get_by_role("button", name="Continue to payment").click()
    expect(inside.get_by_role("alert")).to_contain_text("Enter a valid email address.")
    expect(inside.get_by_label("Name", exact=True)).to_have_value("Meera Iyer")
    tall = page.frames[1].evaluate("document.documentElement.offsetHeight")
    expect(frame).to_have_js_property("offsetHeight", tall)
    assert page.frames[1].evaluate(
        "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
    )
    inside.get_by_label("Email").fill("meera@example.com")
    inside.get_by_role("button", name="Continue to payment").click()
    expect(inside.get_by_role("heading", name="This time is reserved for you")).to_be_visible()
    inside.get_by_role("link", name="Continue and pay ₹999.00").click()
    page.wait_for_url(f"{web}/pay/*")
    page.get_by_role("button", name="Pay ₹999.00").click()
    page.get_by_role("button", name=re.compile("Pay INR")).click()
    expect(page.locator("main")).to_contain_text("Your booking is confirmed")


@pytest.mark.browser
def test_a_button_opens_it_in_a_dialog_that_keeps_the_focus(page: Page, shop: str, web: str, slot: Slot) -> None:
    page.goto(f"{shop}/button")
    button, dialog = page.get_by_role("button", name="Book a time"), page.get_by_role("dialog", name="Book a time")
    button.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="First consultation")).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement.shadowRoot?.activeElement?.closest('dialog') != null"
            " || document.activeElement == document.body"
        )
    inside.get_by_role("link", name=re.compile("available time")).first.focus()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Close").click()
    expect(button).to_be_focused()


@pytest.mark.browser
def test_a_page_that_is_not_on_the_list_shows_nothing_of_it(browser: Browser, web: str, slot: Slot) -> None:
    page = browser.new_page()
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text, timeout=PATIENCE * 1000):
        page.set_content(f'<iframe src="{web}/embed/first"></iframe>')
    page.close()
