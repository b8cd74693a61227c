"""Fixtures of the browser tests: Chromium that loads nothing from elsewhere and reports no errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import PATIENCE

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WHOLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The shell is the same engine without windows, tabs, toolbars and rules for cookies, and takes half the processor.
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="NO CHROMIUM ON THIS MACHINE: the browser tests did not run"))


@pytest.fixture(autouse=True)
def day(on_an_ordinary_day: None) -> None:
    """A story holds its clock: what it shows does not hang on the day on which it is told."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a watched page: visit(width=360, java_script_enabled=False)."""
    opened: list[tuple[BrowserContext, list[str]]] = []

    def visit(*, width: int = 1280, **how: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, timezone_id="Asia/Kolkata", **how)  # type: ignore[arg-type]
        troubles: list[str] = []
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on(
            "console",
            lambda said: (
                troubles.append(said.text)
                if said.type == "error" and not said.text.startswith("Failed to load resource")
                else None
            ),
        )
        page.on(
            "response",
            lambda got: (
                troubles.append(f"{got.status} {got.url}")
                if got.status >= 400 and not got.request.is_navigation_request()
                else None
            ),
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda asked: None if _ours(asked.url) else troubles.append(f"asked {asked.url}"))
        opened.append((context, troubles))
        return page

    yield visit
    for context, troubles in opened:
        context.close()
        assert troubles == []


def _ours(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", None) or url.startswith("data:")
