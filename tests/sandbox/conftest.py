"""Fixtures of the sandbox tests: a sandbox in a thread, and a shop that records the webhooks it receives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import razorpay
import requests
from aiosmtpd.controller import Controller
from werkzeug.serving import make_server

from app.sandbox import create_sandbox
from app.sandbox.mailbox import MailHandler
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from config import Settings
from tests.conftest import PATIENCE, free_port


class Shop:
    """A shop that receives webhooks: records each one and answers as planned."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        shop = self

        class Ear(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                shop.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(shop.answers.pop(0) if shop.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in list(self.heard)]

    def kinds(self) -> list[str]:
        return [each.get("event") or each["type"] for each in self.events()]

    def hears(self, count: int, within: float = PATIENCE) -> list[str]:
        """Wait for that many events, and a moment longer to notice one too many."""
        until = time.monotonic() + within
        while len(self.heard) < count and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        return self.kinds()


class Standing:
    """A running sandbox; a second one on the same file is a restart."""

    def __init__(self, settings: Settings, hooks: str) -> None:
        self.store = Store(settings.sandbox_data)
        self.sender = WebhookSender(self.store, hooks, settings.razorpay_webhook_secrets[0])
        self.web = make_server("127.0.0.1", 0, create_sandbox(settings, self.store, self.sender), threaded=True)
        self.mail = Controller(MailHandler(self.store), hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
        self.url = f"http://127.0.0.1:{self.web.server_port}/sandbox"
        self.api = f"{self.url}/razorpay"
        self.client = razorpay.Client(auth=(settings.razorpay_key, settings.razorpay_secret), base_url=self.api)
        threading.Thread(target=self.web.serve_forever, args=(0.02,), daemon=True).start()
        self.mail.start()
        self.sender.start()

    def order(self, amount: int = 99900, **more: Any) -> dict[str, Any]:
        return dict(self.client.order.create({"amount": amount, "currency": "INR", **more}))

    def pay(self, order: dict[str, Any], outcome: str = "captured", **how: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self.api}/orders/{order['id']}/pay", json={"outcome": outcome} | how, timeout=PATIENCE
        )
        assert answer.ok, answer.text
        return dict(answer.json())

    def wrong(self, fault: str, **more: Any) -> None:
        assert requests.post(f"{self.api}/faults", json={"fault": fault} | more, timeout=PATIENCE).ok

    def close(self) -> None:
        self.sender.periodic.clear()  # a thread cannot be stopped, only left without work
        self.web.shutdown()
        self.web.server_close()
        self.mail.stop()


@pytest.fixture
def keys(tmp_path: Path) -> Settings:
    """Settings without gateway keys, so that the sandbox is used."""
    return Settings.from_environment(
        {
            "FRONTDESK_ENV": "test",
            "DATABASE_URL": "postgresql://nobody/nothing",
            "REDIS_URL": "redis://nobody",
            "BASE_URL": "http://127.0.0.1:9",
            "SECRET_KEY": "only for these tests, and longer than it has to be",
            "SANDBOX_URL": "http://127.0.0.1:9",
            "SANDBOX_DATA": str(tmp_path / "not there yet" / "sandbox.db"),
        }
    )


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture
def start(keys: Settings, shop: Shop) -> Iterator[Callable[[], Standing]]:
    """Function that starts the sandbox, and starts it again on the same file after close()."""
    started: list[Standing] = []

    def start() -> Standing:
        started.append(Standing(keys, shop.address))
        return started[-1]

    yield start
    if started:
        started[-1].close()


@pytest.fixture
def bank(start: Callable[[], Standing]) -> Standing:
    return start()
