"""Signing in: who is let in, who has to wait, and what a stranger learns from either."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from limits import parse_many

from app.desk import guesses
from tests.conftest import PASSWORD

DOORS = "/login/", "/api/v1/security/login"


def knock(client: FlaskClient, door: str, name: str, password: str = PASSWORD, **more: str) -> Any:
    given = {"username": name, "password": password, "provider": "db"} | more
    return client.post(door, json=given) if door.startswith("/api") else client.post(door, data=given)


def test_whoever_guessed_often_waits_longer_each_time_and_a_right_one_then_sounds_like_a_wrong_one(client: FlaskClient) -> None:
    for _ in range(5):
        assert knock(client, DOORS[0], "dina", "wrong").status_code == 401
    waits = knock(client, DOORS[1], "dina")
    assert waits.status_code == 429
    assert 0 < int(waits.headers["Retry-After"]) <= 60
    for _ in range(5):
        waits = knock(client, DOORS[1], "Dina ")
    assert int(waits.headers["Retry-After"]) > 600
    page = knock(client, DOORS[0], "dina")
    assert page.status_code == 429
    assert "Please wait 15 minutes" in page.text
    assert 'value="dina"' in page.text


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_nobody_has_is_answered_like_any_other(client: FlaskClient, door: str) -> None:
    known, unknown = ([knock(client, door, name, "wrong") for _ in range(6)] for name in ("omar", "no such person"))
    assert [each.status_code for each in known] == [each.status_code for each in unknown] == [401] * 5 + [429]
    assert known[0].text.replace("omar", "") == unknown[0].text.replace("no such person", "")


def test_an_email_address_is_no_second_chance(client: FlaskClient) -> None:
    for name in ("dina", "dina@example.com", "dina", "dina@example.com", "dina"):
        knock(client, DOORS[0], name, "wrong")
    assert knock(client, DOORS[0], "dina@example.com").status_code == 429


def test_what_was_right_is_forgotten(client: FlaskClient) -> None:
    for _ in range(3):
        assert knock(client, DOORS[1], "dina", "wrong").status_code == 401
        assert knock(client, DOORS[1], "dina").status_code == 200


def test_one_address_does_not_try_a_password_on_everybody(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "FOR_ONE_ADDRESS", parse_many("4 per minute"))
    told = [knock(client, DOORS[1], f"name {n}", "wrong").status_code for n in range(5)]
    assert told == [401] * 4 + [429]
