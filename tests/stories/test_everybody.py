"""Browser tests of accessibility (WCAG 2.2 AA by axe, keyboard, large text), and of what search engines read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

from app.desk.notices.notice import Notice
from app.desk.records.remark import Remark
from app.desk.records.task import Task
from app.kernel import clock
from app.kernel.db import session, transaction
from app.money.bills.basket import Basket
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PASSWORD, PATIENCE, user_id

OpenSlot = Callable[..., Slot]
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WHOLE = {
    "runOnly": {"type": "tag", "values": AA},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
COLOURS: dict[str, Any] = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
LAYOUT: dict[str, Any] = {
    "runOnly": {
        "type": "rule",
        "values": [*COLOURS["runOnly"]["values"], "target-size", "scrollable-region-focusable"],
    },
    "resultTypes": ["violations"],
}

# The whole of it once; the other width and the other shade are asked about what hangs on them.
LOOKS = [(1280, "light", LAYOUT), (390, "dark", WHOLE)]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, timezone_id="Asia/Kolkata", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    yield page
    context.close()


def faults(page: Page, larger: str = "200%") -> list[str]:
    """What axe finds wrong with the open page, and what does not fit on a phone, zoomed, or with larger text."""
    page.evaluate(AXE_SCRIPT)
    found = []
    for width, shade, rules in LOOKS:
        page.set_viewport_size(
            {"width": width, "height": 4000}
        )  # so tall that no menu that scrolls cuts a target in two
        page.emulate_media(color_scheme=shade)  # type: ignore[arg-type]
        wrong = page.evaluate(CHECK, rules)["violations"]
        for each in wrong:
            where = [(node["target"], node["failureSummary"]) for node in each["nodes"]][:3]
            found.append(f"{page.url} {width} {shade} {each['id']}: {where}")
    for width, letters in (320, "100%"), (640, "100%"), (1280, larger):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("size => { document.documentElement.style.fontSize = size }", letters)
        found += [f"{page.url} {width} wide, letters {letters}: {each}" for each in page.evaluate(TOO_WIDE)]
    page.evaluate("document.documentElement.style.fontSize = ''")
    return found


# Once the page was drawn in these colours, and none is on its way to another one: a busy machine draws late.
CHECK = """async (rules) => {
  const drawn = () => new Promise(requestAnimationFrame);
  await drawn(), await drawn();
  await Promise.allSettled(document.getAnimations().map((it) => it.finished));
  return axe.run(document, rules);
}"""


def faults_of_this_view(page: Page) -> list[str]:
    """What axe finds in both color schemes at one width: for overlays, and for pages after an action."""
    page.set_viewport_size({"width": 1280, "height": 4000})  # so tall that no menu that scrolls cuts a target in two
    page.evaluate(AXE_SCRIPT)
    found = []
    for shade, rules in ("light", WHOLE), ("dark", COLOURS):
        page.emulate_media(color_scheme=shade)  # type: ignore[arg-type]
        found += [
            f"{shade} {each['id']}: {[node['target'] for node in each['nodes']][:3]}"
            for each in page.evaluate(CHECK, rules)["violations"]
        ]
    return found


# What makes the page scroll sideways, or is cut off where nothing can scroll.
TOO_WIDE = """() => {
  const page = document.documentElement, wide = page.clientWidth;
  const scrolls = (it) => it && (getComputedStyle(it).overflowX !== 'visible' || scrolls(it.parentElement));
  const isShown = (it) => it.checkVisibility() && !it.closest('.unseen, svg');
  const all = [...document.querySelectorAll('body *')].filter((it) => isShown(it) && !scrolls(it.parentElement));
  const isOver = (it) => it.getBoundingClientRect().right > wide + 0.5;
  const over = page.scrollWidth > wide ? all.filter(isOver) : [];
  const hides = (it) => getComputedStyle(it).overflowX === 'hidden';
  const cut = all.filter((it) => hides(it) && it.clientWidth > 1 && it.scrollWidth > it.clientWidth + 1);
  return [...over.slice(-4), ...cut].map((it) => it.outerHTML.slice(0, 150));
}"""


@pytest.fixture
def busy(service: Service, in_every_state: dict[str, Booking]) -> dict[str, Booking]:
    """And something to choose besides."""
    with transaction():
        session.add(Extra(service=service, name="Recording", price=Money(20000, "INR")))
    return in_every_state


@pytest.mark.proof
@pytest.mark.browser
def test_no_public_page_shuts_anybody_out(
    page: Page, web: str, service: Service, open_slot: OpenSlot, hold: Callable[..., Booking], busy: dict[str, Booking]
) -> None:
    free, stands, today = open_slot(hours=48), busy["confirmed"], clock.today()
    waiting = Waiting.join(service, MEERA, today, today + timedelta(days=20))
    bill, another = busy["held"].bill, hold(open_slot(hours=60)).bill
    assert bill
    assert another
    basket = Basket.for_bills([bill, another])
    day = clock.day_of(free.starts_at)
    found = []
    for path in (
        *(
            "/",
            "/services",
            f"/book/first?day={day}",
            "/book/first?month=2031-01",
            f"/book/first/{free.id}",
            "/book/first/wait",
            "/embed/first",
        ),
        *("/embed/first?lang=hi", f"/embed/first/{free.id}?lang=hi"),
        *(
            f"/pay/{bill.token}",
            *(f"/booking/{each.token}" for each in busy.values()),
            f"/waiting/{waiting.token}",
            "/nosuch",
        ),
        *(
            f"/booking/{stands.token}/move?day={day}",
            f"/booking/{stands.token}/move/{free.id}",
            f"/booking/{stands.token}/call-off",
        ),
        *("/basket", f"/basket/{basket.token}", f"/pay/{basket.token}", "/account/in"),
    ):
        page.goto(f"{web}{path}")
        found += faults(page)
    page.goto(f"{web}/book/first/{free.id}")
    page.get_by_label("Name", exact=True).fill("Meera Iyer")
    page.get_by_label("Email").fill("meera@nowhere")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("alert")).to_be_focused()
    found += faults(page)
    page.get_by_label("Email").fill("meera@example.com")
    page.get_by_role("button", name="Reserve this and add another").click()
    found += faults(page)
    page.get_by_role("link", name="Review and pay").click()
    found += faults(page)
    assert not found, "\n".join(found)


@pytest.fixture
def talked_of(app: Flask, busy: dict[str, Booking]) -> Booking:
    """A booking with a note and a task."""
    it, ada = busy["held"], user_id(app, "ada")
    about = {"noun": "booking", "row_id": it.id}
    with transaction():
        session.add_all(
            [
                Remark(**about, name="Ada", user_id=ada, words=words)
                for words in ("She comes by train.", "A long story. " * 60)
            ]
        )
        session.add_all(
            [
                Task(
                    **about,
                    about=str(it),
                    title="Call her",
                    asked_by="Dina",
                    who_id=ada,
                    due_on=clock.today() - timedelta(days=n),
                )
                for n in range(2)
            ]
        )
        session.add(Notice(**about, user_id=ada, kind="mention", words=f"Dina mentioned you on {it}."))
    return it


@pytest.mark.proof
@pytest.mark.browser
def test_no_page_of_the_desk_shuts_anybody_out(
    page: Page, web: str, busy: dict[str, Booking], talked_of: Booking
) -> None:
    page.goto(f"{web}/desk/")
    found = faults(page, "100%")
    page.get_by_label(re.compile("user", re.IGNORECASE)).fill("ada")
    page.get_by_label(re.compile("^password", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    for path in (
        *(
            "/desk/",
            "/desk/booking/",
            f"/desk/booking/{talked_of.id}?of=order%3D-id",
            "/desk/service/new",
            "/desk/service/1/edit",
        ),
        *(
            f"/desk/booking/{busy['confirmed'].id}/do/cancel",
            "/desk/reports/invoice_register/",
            "/desk/nosuch",
            "/desk/inbox/",
            "/desk/notices/",
        ),
        *("/desk/reports/revenue/send", "/desk/features/"),
    ):
        page.goto(f"{web}{path}")
        found += faults(page, "100%")
    assert not found, "\n".join(found)


# --- by keyboard ------------------------------------------------------------------------------------------------------

# The focus outline is on the element itself, on the link that covers its card (::after), or on its label.
SEEN = """() => {
  const it = document.activeElement, label = it.closest('label'), box = it.getBoundingClientRect();
  const isOutlined = (el, part) => {
    const style = getComputedStyle(el, part);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  };
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const isSeen = isOutlined(it) || isOutlined(it, '::after') || (label && isOutlined(label));
  return it === document.body || inside && isSeen;
}"""


class Keys:
    """A person with a keyboard, who needs to see the focus."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def go_to(self, name: str) -> None:
        """Tab on until something of this name has the focus."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            assert self.page.evaluate(SEEN), self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
            said = self.page.evaluate(
                "(it => it.ariaLabel || it.labels?.[0]?.innerText || it.innerText || '')(document.activeElement)"
            )
            if re.search(name, said):
                return
        raise AssertionError(f"no way to {name}")

    def press(self, name: str, key: str = "Enter") -> None:
        self.go_to(name)
        with self.page.expect_navigation():
            self.page.keyboard.press(key)


@pytest.mark.browser
@pytest.mark.usefixtures("working")
def test_a_whole_booking_by_keyboard_alone(page: Page, web: str, sandbox: str, slot: Slot) -> None:
    page.goto(f"{web}/")
    keys = Keys(page)
    keys.go_to("Skip to content")
    keys.press("Choose a service")
    keys.press("First consultation")
    if "day=" not in page.url:
        keys.press("available time")
    keys.press("with Asha Rao")
    for label, words in ("^Name", "Meera Iyer"), ("^Email", "meera@example.com"):
        keys.go_to(label)
        page.keyboard.type(words)
    keys.press("Continue to payment", "Space")
    keys.press("Pay ₹999.00", "Space")
    for _ in range(20):
        page.keyboard.press("Tab")
        if "Pay INR" in page.evaluate("document.activeElement.innerText"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Your booking is confirmed")


# --- for search engines -----------------------------------------------------------------------------------------------


def described(text: str) -> dict[str, Any]:
    said = re.search(r'<script type="application/ld\+json" nonce="[^"]+">(.*?)</script>', text, re.DOTALL)
    assert said
    return dict(json.loads(said[1]))


def test_a_service_is_told_to_search_engines_in_words_that_they_know(
    client: FlaskClient, service: Service, settings: Any
) -> None:
    with transaction():
        service.description = "A </script><b>reading</b>"
    home, page = client.get("/").text, client.get("/book/first?day=2026-12-01&tz=UTC").text
    practice, said = described(home), described(page)
    assert (practice["name"], practice["@type"]) == ("Asha & Dev", "ProfessionalService")
    assert practice["hasOfferCatalog"]["itemListElement"][0]["itemOffered"]["name"] == "First consultation"
    assert said["description"] == "A </script><b>reading</b>"
    assert said["offers"]["priceSpecification"] == {
        "@type": "UnitPriceSpecification",
        "priceCurrency": "INR",
        "price": "999.00",
    }
    assert said["url"] == f"{settings.base_url}/book/first"
    assert f'<link rel="canonical" href="{settings.base_url}/book/first">' in page


def test_every_public_page_has_a_title_and_a_description_of_its_own(client: FlaskClient, slot: Slot) -> None:
    pages = [client.get(path).text for path in ("/", "/services", "/book/first")]
    for part in r"<title>(.+?)</title>", r'<meta name="description" content="(.+?)">':
        assert len({re.findall(part, each)[0] for each in pages}) == 3


def test_robots_find_what_is_offered_and_nothing_of_anybodys_own(
    client: FlaskClient, open_slot: OpenSlot, hold: Callable[..., Booking], settings: Any
) -> None:
    booking, free = hold(open_slot(hours=30)), open_slot()
    assert re.findall("<loc>(.+?)</loc>", client.get("/sitemap.xml").text) == [
        f"{settings.base_url}{path}" for path in ("/", "/services", "/book/first")
    ]
    told = client.get("/robots.txt").text
    assert f"Sitemap: {settings.base_url}/sitemap.xml" in told
    for path in "/booking/", "/pay/", "/waiting/", "/desk", "/embed/":
        assert f"Disallow: {path}\n" in told
    assert booking.bill
    for path in (
        f"/booking/{booking.token}",
        f"/booking/{booking.token}/move",
        f"/pay/{booking.bill.token}",
        f"/book/first/{free.id}",
        "/embed/first",
        "/nosuch",
    ):
        assert 'name="robots" content="noindex"' in client.get(path).text, path
