"""Tests of the response frame: security headers and error pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import nodes

from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from tests.conftest import ROOT

PUBLIC = ["/", "/services", "/book/first", "/login/", "/nosuch"]


@pytest.mark.parametrize("path", PUBLIC)
def test_every_page_carries_its_headers(client: FlaskClient, slot: Slot, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_no_template_of_ours_asks_for_anything_from_outside_or_styles_inline() -> None:
    for file in (ROOT / "templates").rglob("*.html"):
        source = file.read_text()
        assert not re.search(r"""(src|href|action)=["']https?://(?!\{)""", source), file
        if file.parent.name != "messages":  # a mail has no other place for its styles
            assert not re.search(r"""\sstyle=["']""", source), file
            assert not re.search(r"\son[a-z]+=[\"']", source), file
        for script in re.findall(r"<script[^>]*>", source):
            assert "src=" in script or "nonce=" in script, file


def test_no_style_or_script_of_ours_asks_for_anything_from_outside() -> None:
    for file in [*(ROOT / "static").rglob("*.css"), *(ROOT / "static").rglob("*.js")]:
        assert not re.search(r"(@import|url\(\s*['\"]?https?:|https?://(?!www\.w3\.org))", file.read_text()), file


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nosuch", 404),
        ("/book/nosuch", 404),
        ("/booking/nosuch", 404),
        ("/pay/nosuch", 404),
        ("/book/first?day=soon", 400),
        ("/book/first?month=2026-13", 400),
        ("/book/first/999999999999", 404),
    ],
)
def test_a_refusal_is_a_kind_page_for_people_and_json_for_programs(
    client: FlaskClient, service: Any, path: str, status: int
) -> None:
    page = client.get(path)
    assert page.status_code == status
    assert page.mimetype == "text/html"
    program = client.get(path, headers={"Accept": "application/json"})
    assert (program.status_code, program.mimetype) == (status, "application/json")
    assert program.get_json()["error"].keys() == {"code", "message", "fields"}


@pytest.mark.parametrize("path", ["/api/nosuch", "/api/v1/nosuch/", "/api/v1/booking/1/nosuch", "/api/bookings/x/y"])
def test_an_unknown_address_of_the_api_is_a_404_in_json(client: FlaskClient, app: Flask, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert answer.get_json()["error"]["message"]


def test_a_bug_is_seen_and_says_nothing_of_itself(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down() -> str:
        raise ZeroDivisionError("an inner detail")

    monkeypatch.setitem(app.view_functions, "booking.home", break_down)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "inner detail" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_the_hidden_details_of_a_booking_are_for_the_holder_of_its_link(
    client: FlaskClient, slot: Slot, hold: Callable[..., Booking]
) -> None:
    booking = hold(slot)
    page = client.get(f"/booking/{booking.token}")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert booking.number in page.text


def test_health_asks_nobody_and_readiness_asks_the_database(
    client: FlaskClient, app: Flask, count_queries: Any
) -> None:
    assert count_queries(lambda: client.get("/health")) == 0
    assert client.get("/health").get_json() == {"status": "ok"}
    assert client.get("/health/ready").get_json() == {"status": "ok", "database": "ok", "redis": "ok"}


def test_too_many_requests_are_told_to_wait(client: FlaskClient, app: Flask) -> None:
    answers = [
        client.post("/api/v1/security/login", json={"username": "ada", "password": "x", "provider": "db"})
        for _ in range(6)
    ]
    last = answers[-1]
    assert {each.status_code for each in answers[:-1]} == {401}
    assert answers[0].get_json()["error"]["code"] == "not_signed_in"
    assert last.status_code == 429
    assert 0 < int(last.headers["Retry-After"]) <= 60
    assert last.get_json()["error"]["code"] == "too_often"


def test_templates_of_the_desk_and_the_site_need_nothing_of_a_pack(built: Flask) -> None:
    """Compare their filters and tests with those that exist without any line of business."""
    environment, needed = built.jinja_env, set()
    packs = {pack.name for pack in built.extensions["packs"]} - {"house", "money"}
    for name in environment.list_templates(extensions=["html"]):
        if name.partition("/")[0] not in packs:
            source = environment.loader.get_source(environment, name)[0]  # type: ignore[union-attr]
            tree = environment.parse(source)
            needed |= {(name, each.name) for each in tree.find_all((nodes.Filter, nodes.Test))}
    known = environment.filters | environment.tests
    assert [(name, each) for name, each in needed if known[each].__module__.startswith("app.packs")] == []
