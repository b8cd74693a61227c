"""Tests of feature switches: a feature that is off is unreachable, loses no data and can be turned on again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.kernel import feature, jobs, process_cache
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.feature import Feature, FeatureSwitch, is_on
from app.money.sums.amount import Money
from app.money.sums.coupon import Coupon
from app.packs import PACKS
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]


@pytest.fixture
def turn(enter: Enter) -> Callable[..., Any]:
    """turn("packages", "off"), on the administrator's page."""
    return lambda name, to, who="ada": enter(who).post("/desk/features/", data={"name": name, "turn": to})


@pytest.fixture
def package(service: Service) -> Package:
    with transaction():
        made = Package(name="Five of them", service=service, uses=5, price=Money(400000, "INR"), valid_days=365)
        session.add(made)
    return made


def test_only_an_administrator_turns_and_the_history_says_who(turn: Any, enter: Enter) -> None:
    for name in ("dina", "asha", "omar"):
        assert turn("packages", "off", name).status_code == 403
    assert turn("packages", "off").status_code == 303
    assert turn("packages", "off").status_code == 303, "and twice is once"
    assert turn("nosuch", "off").status_code == 404
    assert not is_on("packages")
    said = [
        (each.name, each.verb)
        for each in session.scalars(select(Change).where(Change.noun == "switch").order_by(Change.id))
    ]
    assert said[-1] == ("Ada", "turn_off")
    page = enter("ada").get("/desk/features/").text
    assert "Ada turned packages off." in page
    turn("packages", "on")
    assert is_on("packages")


def test_packages_are_gone_from_every_door_and_nothing_is_lost(
    turn: Any, enter: Enter, client: FlaskClient, token: Any, package: Package
) -> None:
    dina = enter("dina")
    assert "Five of them" in client.get("/services").text
    turn("packages", "off")
    for answer in (client.get("/packages"), client.get("/packages/1"), client.post("/packages/1", data={})):
        assert answer.status_code == 404
        assert "This isn’t available at the moment." in answer.text
    for path in ("/services", "/book/first"):
        assert "Five of them" not in client.get(path).text
    menu = dina.get("/desk/").text
    assert 'href="/desk/package/"' not in menu
    assert 'href="/desk/pass/"' not in menu
    assert 'href="/desk/reports/packages/"' not in menu
    assert "Five of them" in dina.get("/desk/package/").text, "staff still see what there is"
    assert "/desk/package/new" not in dina.get("/desk/package/").text
    assert dina.get("/desk/package/new").status_code == 409
    body = {
        "name": "Ten",
        "service": package.service_id,
        "uses": 10,
        "price": {"amount": 100000, "currency": "INR"},
        "valid_days": 30,
    }
    refused = client.post("/api/v1/package/", json=body, headers=token("dina"))
    assert (refused.status_code, "turned off" in refused.get_json()["error"]["message"]) == (409, True)
    sold = client.post(
        "/api/v1/package/1/sell", json={"name": "Meera", "email": "meera@example.com"}, headers=token("dina")
    )
    assert sold.status_code == 409
    turn("packages", "on")
    assert "Five of them" in client.get("/services").text
    assert 'href="/desk/package/"' in dina.get("/desk/").text


def test_with_its_public_side_goes_all_that_is_within_it(turn: Any, client: FlaskClient, slot: Slot, hold: Any) -> None:
    booking = hold(slot)
    turn("bookings", "off")
    for path in (
        "/",
        "/services",
        "/book/first",
        f"/book/first/{slot.id}",
        "/book/first/wait",
        "/packages",
        "/embed/first",
        "/embed.js",
    ):
        assert client.get(path).status_code == 404, path
    for path in ("/api/services", "/api/slots?service=first"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_offered")
    assert client.post("/api/bookings", json={}).status_code == 404
    mine = client.get(f"/booking/{booking.token}")
    assert mine.status_code == 200, "whoever has booked still has their page"
    assert 'href="/services"' not in mine.text
    turn("bookings", "on")
    assert client.get("/services").status_code == 200


def test_the_waiting_list_coupons_baskets_and_accounts_go_one_by_one(
    turn: Any, client: FlaskClient, slot: Slot
) -> None:
    with transaction():
        session.add(Coupon(code="WELCOME", percent=10))
    form = f"/book/first/{slot.id}"
    before = client.get("/book/first").text + client.get(form).text
    for word in ("/book/first/wait", 'name="coupon"', 'name="more"', 'href="/account"'):
        assert word in before
    for name in ("waiting_line", "coupons", "baskets", "account"):
        turn(name, "off")
    after = client.get("/book/first").text + client.get(form).text
    for word in ("/book/first/wait", 'name="more"', 'href="/account"'):
        assert word not in after
    assert 'name="coupon"' in after, "a package has a code too"
    turn("packages", "off")
    assert 'name="coupon"' not in client.get(form).text
    with pytest.raises(Invalid) as no:
        Coupon.by_code("WELCOME")
    assert no.value.fields == {"coupon": "Coupons aren’t accepted here."}
    for path in ("/account/in", "/basket", "/book/first/wait"):
        assert client.get(path).status_code == 404


def test_another_process_hears_of_it_within_seconds(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/account/in").status_code == 200
    with transaction():
        session.execute(
            text(
                "insert into switch (name, state, created_at, changed_at, version) "
                "values ('account', 'off', now(), now(), 1)"
            ),
            execution_options={"unaudited": "Another process."},
        )
    assert client.get("/account/in").status_code == 200
    jobs.set_note("switches", "told elsewhere")
    monkeypatch.setattr(process_cache, "_checked_at", 0.0)
    assert client.get("/account/in").status_code == 404


def test_what_is_not_kept_is_not_told(app: Flask) -> None:
    with pytest.raises(Refused), transaction():
        FeatureSwitch.set_feature("account", on=False)
        raise Refused("Not after all.")
    assert is_on("account")


def test_every_feature_names_doors_that_are_there(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    known = endpoints | {each.partition(".")[0] for each in endpoints}
    for pack in app.extensions["packs"]:
        assert {door for each in pack.features for door in each.doors.split()} <= known
    declared = {each.name for pack in app.extensions["packs"] for each in pack.features}
    parts = {each.part for pack in app.extensions["packs"] for each in [*pack.resources, *pack.reports]} - {""}
    assert parts <= declared
    assert PACKS


def test_a_declaration_that_makes_no_sense_does_not_load(app: Flask) -> None:
    every = [each for pack in app.extensions["packs"] for each in pack.features]
    try:
        for wrong in ([Feature("a", "A", "", within="nosuch")], [Feature("a", "A", ""), Feature("a", "A", "")]):
            with pytest.raises(TypeError):
                feature.register_features(wrong)
    finally:
        feature.register_features(every)
