"""Fixtures of the message tests: a person who opted in to WhatsApp and SMS, and the sandbox of their providers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.messages.opt_in import OptIn
from app.sandbox.phones import Phones, WebhookCall
from app.sandbox.sms import Sms
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from app.sandbox.whatsapp import WhatsApp
from config import Settings
from tests.conftest import MEERA, PATIENCE


class Telephones:
    """What arrived, what shall go wrong, and what somebody does with what arrived."""

    def __init__(self, sandbox: str) -> None:
        self.url = f"{sandbox}/phones"
        self.before = {each["id"] for each in self._all()}

    def _all(self) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.url}/texts.json", timeout=PATIENCE).json())

    def texts(self) -> list[dict[str, Any]]:
        return [each for each in self._all() if each["id"] not in self.before]

    def wrong(self, fault: str, carrier: str = "", times: int = 1) -> None:
        assert requests.post(
            f"{self.url}/faults", json={"fault": fault, "carrier": carrier, "times": times}, timeout=PATIENCE
        ).ok


@pytest.fixture
def phones(app: Flask, sandbox: str) -> Telephones:
    return Telephones(sandbox)


@pytest.fixture
def meera(app: Flask) -> Person:
    """She has said yes to both."""
    with transaction():
        person = Person.find_or_create(**MEERA)
        session.flush()
        for channel in ("whatsapp", "sms"):
            OptIn.give(person, channel, "Ticked on the form")
    return person


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """What carriers do takes a moment: eventually(lambda: …)."""

    def eventually(seen: Callable[[], Any], within: float = PATIENCE) -> Any:
        until = time.monotonic() + within
        while time.monotonic() < until:
            session.rollback()
            session.expire_all()
            if found := seen():
                return found
            time.sleep(0.05)
        return seen()

    return eventually


@pytest.fixture
def report(settings: Settings, client: FlaskClient) -> Callable[..., int]:
    """A carrier tells what became of a text, in its own words and with its own signature; answers what it hears."""
    carriers = {"whatsapp": WhatsApp(settings, None), "sms": Sms(settings, None)}  # type: ignore[arg-type]  # only its hand is needed

    def report(text: dict[str, Any], status: str, **change: Any) -> int:
        return _brought(carriers[text["carrier"]].status_call(text | change, status), client)

    return report


@pytest.fixture
def answer(settings: Settings, client: FlaskClient) -> Callable[..., int]:
    """Somebody writes back: answer("sms", "+91…", "STOP")."""

    def answer(carrier: str, phone: str, words: str) -> int:
        known = Phones(Store(settings.sandbox_data), WebhookSender(Store(settings.sandbox_data), "", ""))
        return _brought({"whatsapp": WhatsApp, "sms": Sms}[carrier](settings, known).reply_call(phone, words), client)

    return answer


def _brought(it: WebhookCall, client: FlaskClient) -> int:
    path = urlsplit(it.address)
    return client.post(
        f"{path.path}?{path.query}" if path.query else path.path, data=it.body, headers=dict(it.headers)
    ).status_code
