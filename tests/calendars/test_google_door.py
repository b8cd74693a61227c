"""Tests of Google Calendar over HTTP: both ways to sign in, meetings, and errors that say what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from app.calendars import google as door
from app.calendars.google import Google, Keys
from app.calendars.place import MeetingRequest, PermanentFailure, RetryLater
from app.kernel import clock
from config import Settings
from tests.conftest import PATIENCE

HOST, ROBOT = "asha@practice.example", "robot@project.iam.gserviceaccount.com"


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(
        client_id=settings.google_client,
        client_secret=settings.google_secret,
        refresh_token=settings.google_refresh_token,
        token_url=settings.google_token_url,
    )


@pytest.fixture
def wanted(app: Flask) -> MeetingRequest:
    start = clock.ahead(days=2)
    return MeetingRequest(
        f"booking {start.timestamp()}",
        "First",
        "About",
        start,
        start + timedelta(hours=1),
        "Asia/Kolkata",
        ["asha@example.com"],
        "",
    )


@pytest.fixture(scope="module")
def robot() -> tuple[str, str]:
    """A service account: what Google gave us, and what it kept."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": ROBOT,
            "private_key": private,
            "token_uri": "https://elsewhere.example",
        }
    ), public


@pytest.fixture
def at(sandbox: str, settings: Settings) -> Any:
    return lambda keys, **more: Google(
        practice="https://a.example", keys=keys, calendar=more.get("calendar", "primary"), url=settings.google_url
    )


def plan(sandbox: str, fault: str, **how: Any) -> None:
    assert requests.post(f"{sandbox}/google/faults", json={"fault": fault, **how}, timeout=PATIENCE).ok


def test_a_service_account_that_may_act_for_somebody_makes_links(
    sandbox: str, at: Any, keys: Keys, robot: tuple[str, str], wanted: MeetingRequest
) -> None:
    requests.post(
        f"{sandbox}/google/service-accounts",
        json={"email": ROBOT, "key": robot[1], "acts_for": [HOST]},
        timeout=PATIENCE,
    )
    assert "/meet/" in at(replace(keys, service_account=robot[0], host=HOST)).make(wanted).join_url
    for host, words in (("", "GOOGLE_HOST"), ("boss@practice.example", "domain-wide delegation")):
        with pytest.raises(PermanentFailure, match=words):
            at(replace(keys, service_account=robot[0], host=host)).try_out("")


def test_keys_that_do_not_count_are_said_to_be_so(at: Any, keys: Keys, wanted: MeetingRequest) -> None:
    with pytest.raises(PermanentFailure, match="Sign in again"):
        at(replace(keys, refresh_token="ended")).make(wanted)


def test_the_same_is_made_once_and_found_again(sandbox: str, at: Any, keys: Keys, wanted: MeetingRequest) -> None:
    google = at(keys)
    made = google.make(wanted)
    later = replace(
        wanted, starts_at=wanted.starts_at + timedelta(hours=2), ends_at=wanted.ends_at + timedelta(hours=2)
    )
    assert google.make(wanted) == made == google.move(made.external_id, later)
    google.cancel(made.external_id)
    google.cancel(made.external_id)
    assert google.make(wanted) == made  # and it stands again


def test_a_link_that_takes_its_time_is_asked_for_again_and_one_that_never_comes_leaves_nothing_behind(
    sandbox: str, at: Any, keys: Keys, wanted: MeetingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PAUSES", (0.01, 0.01))
    plan(sandbox, "pending", path="POST /calendar")
    assert "/meet/" in at(keys).make(wanted).join_url
    plan(sandbox, "failing", path="POST /calendar")
    other = replace(wanted, key="other " + wanted.key)
    with pytest.raises(PermanentFailure, match="no link"):
        at(keys).make(other)
    assert requests.get(f"{sandbox}/google/events.json", timeout=PATIENCE).json()[0]["status"] == "cancelled"


@pytest.mark.parametrize("fault", ["503", "429", "403_rate", "empty", "reply_lost", "slow"])
def test_bad_days_are_asked_again_and_never_a_no(
    sandbox: str, at: Any, keys: Keys, wanted: MeetingRequest, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(door, "WAIT", 0.3)
    plan(sandbox, fault, path="POST /calendar", seconds=0.6)
    with pytest.raises(RetryLater):
        at(keys).make(wanted)


def test_a_calendar_says_when_it_is_busy_or_that_it_is_not_shared(at: Any, keys: Keys, wanted: MeetingRequest) -> None:
    google = at(keys, calendar=f"c{wanted.starts_at.timestamp():.0f}@practice.example")
    made = google.make(wanted)
    span = (wanted.starts_at.replace(microsecond=0), wanted.ends_at.replace(microsecond=0))
    assert google.busy(google.calendar, clock.now(), clock.ahead(days=9)) == [span]
    google.cancel(made.external_id)
    assert google.busy(google.calendar, clock.now(), clock.ahead(days=9)) == []
    with pytest.raises(PermanentFailure, match="Share the calendar"):
        google.busy("nobody@practice.example", clock.now(), clock.ahead(days=9))


def test_without_anybody_there_it_is_asked_again(keys: Keys, wanted: MeetingRequest) -> None:
    nowhere = Google(
        practice="a",
        keys=replace(keys, token_url="http://127.0.0.1:1/token"),
        calendar="primary",
        url="http://127.0.0.1:1",
    )
    with pytest.raises(RetryLater):
        nowhere.make(wanted)
