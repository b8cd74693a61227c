"""Tests of outgoing webhooks: each move is delivered once, signed, retried; never to an address of our own network."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.messages import safe_http
from app.messages.message import Message
from app.messages.safe_http import CallResult, is_public
from app.messages.webhook import Webhook
from app.messages.webhook_delivery import WebhookDelivery
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.changes import CallOff
from config import Settings
from tests.conftest import PATIENCE, ROOT

Listener = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def listener(sandbox: str, app: Flask) -> Iterator[Listener]:
    """What the sandbox's program has heard since the test began, oldest first."""
    before = {each["id"] for each in requests.get(f"{sandbox}/listener/heard.json", timeout=PATIENCE).json()}
    yield lambda: [
        each
        for each in reversed(requests.get(f"{sandbox}/listener/heard.json", timeout=PATIENCE).json())
        if each["id"] not in before
    ]
    requests.delete(f"{sandbox}/razorpay/faults", timeout=PATIENCE)


@pytest.fixture
def plan(sandbox: str, listener: Listener) -> Callable[..., None]:
    """How the listener answers next: plan(status=500, times=2)."""
    return lambda **how: requests.post(f"{sandbox}/listener/plan", json=how, timeout=PATIENCE).raise_for_status()


@pytest.fixture
def hook(app: Flask, settings: Settings) -> Webhook:
    with transaction():
        made = Webhook(name="Their program", address=settings.sandbox_listener, events="booking.*")
        session.add(made)
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A stranger who answers as told, without the wire: answers(500, 200)."""

    def answers(*statuses: int) -> list[str]:
        left, ids = list(statuses), []

        def call(address: str, body: bytes, headers: dict[str, str]) -> CallResult:
            ids.append(headers["Frontdesk-Event"])
            status = left.pop(0) if len(left) > 1 else left[0]
            return CallResult(status, "said", 3, "" if status < 300 else f"The server responded with status {status}.")

        monkeypatch.setattr(safe_http, "post", call)
        return ids

    return answers


def calls(event: str = "") -> list[WebhookDelivery]:
    session.rollback()
    session.expire_all()
    return [
        *session.scalars(
            select(WebhookDelivery)
            .where(WebhookDelivery.event == event if event else WebhookDelivery.id > 0)
            .order_by(WebhookDelivery.id)
        )
    ]


def test_every_move_is_told_once_as_it_ended_and_in_the_same_transaction(
    hook: Webhook, slot: Any, hold: Any, listener: Listener, work_off: Any
) -> None:
    booking = hold(slot)
    with pytest.raises(RuntimeError), transaction():
        booking.lapse()
        raise RuntimeError
    assert [each.event for each in calls()] == ["booking.added"]
    booking.mark_paid(ByHand("cash", "R-1"))
    assert [each.event for each in calls()] == ["booking.added", "booking.mark_paid", "booking.confirm"]
    work_off()
    heard = listener()
    assert {each["told"]["event"] for each in heard} == {"booking.added", "booking.mark_paid", "booking.confirm"}
    told = next(each["told"] for each in heard if each["told"]["event"] == "booking.confirm")
    assert (told["data"]["state"], told["data"]["version"], told["data"]["id"]) == (
        "confirmed",
        booking.version,
        booking.id,
    )
    assert told["data"]["price"] == {"amount": 99900, "currency": "INR"}
    assert told["data"]["starts_at"].endswith("+00:00")
    assert told["data"]["timezone"] == "Asia/Kolkata"
    assert {each.state for each in calls()} == {"delivered"}
    assert all(each.took is not None and each.answer == "OK" for each in calls())


def test_nothing_that_is_the_customers_own_leaves_the_house(hook: Webhook, slot: Any, hold: Any) -> None:
    hook.events = "*"
    session.commit()
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "R-1"))
    booking.cancel(CallOff("Meera Iyer asked for it"))
    bodies = "".join(each.body for each in calls())
    assert {"booking.cancel", "payment.capture", "refund.added"} <= {each.event for each in calls()}
    assert not re.search(r"Meera|meera@|98450|birth", bodies)


def test_the_example_of_the_readme_believes_what_is_ours_and_nothing_else(
    hook: Webhook, slot: Any, hold: Any, listener: Listener, work_off: Any
) -> None:
    (example,) = [
        each
        for each in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        if "def is_genuine" in each
    ]
    known: dict[str, Any] = {}
    exec(example, known)
    known["time"] = SimpleNamespace(time=clock.timestamp)
    secret = hook.show_secret()
    hold(slot)
    work_off()
    (heard,) = listener()
    body, signature = heard["body"].encode(), heard["headers"]["Frontdesk-Signature"]
    assert known["is_genuine"](secret, signature, body)
    assert not known["is_genuine"](secret, signature, body.replace(b"held", b"sold"))
    assert not known["is_genuine"]("whsec_another", signature, body)
    late = clock.timestamp() - 600
    stale = f"t={late},v1=" + hmac.new(secret.encode(), f"{late}.".encode() + body, hashlib.sha256).hexdigest()
    assert not known["is_genuine"](secret, stale, body)


def test_what_is_not_taken_is_brought_again_under_the_same_id_with_growing_gaps(
    hook: Webhook, slot: Any, hold: Any, answers: Any, work_off: Any
) -> None:
    ids = answers(500, 503, 200)
    hold(slot)
    work_off()
    (call,) = calls()
    assert (call.state, call.attempts, call.status, call.trouble) == (
        "waiting",
        1,
        500,
        "The server responded with status 500.",
    )
    assert call.hook.failing_since
    gaps = []
    for _ in range(2):
        gaps.append(call.due_at - clock.now())
        with clock.frozen_at(call.due_at + timedelta(seconds=1)):
            work_off()
        (call,) = calls()
    assert gaps[0] < gaps[1]
    assert (call.state, call.attempts, len(ids), len(set(ids))) == ("delivered", 3, 3, 1)
    assert call.hook.failing_since is None


def test_after_three_days_it_fails_and_staff_hear_of_it_once(
    hook: Webhook, slot: Any, hold: Any, answers: Any, work_off: Any, open_slot: Any
) -> None:
    ids = answers(500)
    for each in (slot, open_slot(hours=60), open_slot(hours=70)):
        hold(each)
    begun = clock.now()
    for hours in (0, 1, 8, 20, 40, 60, 71, 73, 80):
        with clock.frozen_at(begun + timedelta(hours=hours)):
            work_off()
    assert [each.state for each in calls("booking.added")] == ["failed"] * 3
    assert len(ids) < 40
    told = select(func.count()).select_from(Message).where(Message.template == "house/hook_failed")
    assert session.scalar(told) == 1


def test_while_a_hook_fails_what_waits_behind_it_does_not_wait_for_it(
    hook: Webhook, slot: Any, hold: Any, answers: Any, work_off: Any, open_slot: Any
) -> None:
    ids = answers(500)
    for each in (slot, open_slot(hours=60), open_slot(hours=70)):
        hold(each)
    work_off()
    assert len(ids) == 1
    assert {each.state for each in calls()} == {"waiting"}


def test_410_switches_the_hook_off_and_what_waits_is_not_sent(
    hook: Webhook, slot: Any, hold: Any, listener: Listener, plan: Any, work_off: Any, open_slot: Any
) -> None:
    plan(status=410)
    hold(slot)
    hold(open_slot(hours=60))
    work_off()
    assert [each.state for each in calls()] == ["failed", "failed"]
    assert len(listener()) == 1
    assert Webhook.get(hook.id).state == "off"
    hold(open_slot(hours=70))
    assert len(calls()) == 2


def test_staff_send_again_and_admins_alone_write_hooks(
    hook: Webhook,
    slot: Any,
    hold: Any,
    listener: Listener,
    plan: Any,
    work_off: Any,
    token: Any,
    client: Any,
    settings: Settings,
) -> None:
    plan(status=500, answer="x" * 3000)
    hold(slot)
    work_off()
    (call,) = calls()
    assert len(call.answer) == 500
    with transaction():
        call.give_up("For this test.")
    assert client.post(f"/api/v1/call/{call.id}/send_again", headers=token("omar")).status_code == 403
    assert client.post(f"/api/v1/call/{call.id}/send_again", headers=token("dina")).status_code == 200
    session.remove()
    work_off()
    assert calls()[0].state == "delivered"
    assert len({each["told"]["id"] for each in listener()}) == 1
    mine = {"name": "Mine", "address": "https://example.com/hear", "events": "booking.confirm payment.*"}
    assert client.post("/api/v1/hook/", json=mine, headers=token("dina")).status_code == 403
    assert client.post("/api/v1/hook/", json=mine, headers=token("ada")).status_code == 201


def test_a_secret_is_shown_once_to_admins_and_is_in_no_table_and_no_answer(
    hook: Webhook, enter: Any, token: Any, client: Any
) -> None:
    address = f"/desk/hook/secret/{hook.token}"
    assert client.get(address).status_code == 302
    assert enter("dina").get(address).status_code == 403
    ada = enter("ada")
    assert "whsec_" not in ada.get(address).text
    shown = ada.post(address)
    secret = re.search(r"whsec_[\w-]+", shown.text)
    assert secret
    assert ada.post(address).status_code == 409
    assert secret[0] not in client.get(f"/api/v1/hook/{hook.id}", headers=token("ada")).text
    assert client.post(f"/api/v1/hook/{hook.id}/renew_secret", headers=token("ada")).status_code == 200
    assert secret[0] not in ada.post(address).text


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com",
        "https://",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://user:pw@example.com/",
        "https://printer.local/",
        "https://2130706433/",
        "https://[::ffff:10.0.0.1]/",
        "https://exa mple.com/",
        "https://example.com:0/",
        "not an address",
        "",
    ],
)
def test_an_address_inside_or_in_the_clear_is_refused_when_it_is_typed(app: Flask, address: str) -> None:
    with pytest.raises(Invalid):
        Webhook(name="x", address=address)


@pytest.mark.parametrize("events", ["", "booking.nosuch", "invoice.added", "booking.confirm x.*"])
def test_only_what_happens_here_can_be_listened_to(app: Flask, events: str) -> None:
    with pytest.raises(Invalid):
        Webhook(name="x", address="https://example.com", events=events)


def test_what_can_be_heard_is_listed(client: Any) -> None:
    names = {each["name"] for each in client.get("/api/hooks/events").get_json()["events"]}
    assert {"booking.added", "booking.confirm", "payment.capture", "refund.finish"} <= names
    assert not any(each.startswith(("person", "invoice", "hook", "call")) for each in names)


# --- the guard at the line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:1::", False),
        ("255.255.255.255", False),
    ],
)
def test_which_addresses_anybody_may_reach(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_inside_is_not_called_and_is_looked_up_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def rebinding(host: str, *rest: Any, **more: Any) -> list[Any]:
        """Public when it is checked, and our own when it is asked for a second time."""
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) > 1 else "93.184.216.34", 443))]

    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("1.1.1.1", "10.0.0.9")],
    )
    assert "does not lead to a public address" in safe_http.post("https://inside.example.com/", b"{}", {}).trouble
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert safe_http._resolve_public("rebinds.example.com", 443) == "93.184.216.34"
    assert asked == ["rebinds.example.com"]


class _Drip(threading.Thread):
    """Sends one byte after the other and never ends."""

    def __init__(self, first: bytes) -> None:
        super().__init__(daemon=True)
        self.first, self.over = first, False
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.door.getsockname()[1]}/"

    def run(self) -> None:
        line, _ = self.door.accept()
        with self.door, line:
            try:
                line.sendall(self.first)
                until = time.monotonic() + PATIENCE
                while not self.over and time.monotonic() < until:
                    line.sendall(b"a")
                    time.sleep(0.05)
            except OSError:
                pass


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX: ", b""])
def test_a_stranger_who_speaks_for_ever_is_left_when_the_time_is_over(
    app: Flask, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    drip = _Drip(first)
    drip.start()
    monkeypatch.setattr(safe_http, "PATIENCE", 0.4)
    monkeypatch.setattr(safe_http, "_listener", drip.address)
    began = time.monotonic()
    told = safe_http.post(drip.address, b"{}", {})
    drip.over = True
    assert time.monotonic() - began < PATIENCE
    assert told.status is None
    assert told.trouble


def test_nobody_is_followed_anywhere_else(
    app: Flask, plan: Any, hook: Webhook, slot: Any, hold: Any, work_off: Any, listener: Listener
) -> None:
    plan(status=302)
    hold(slot)
    work_off()
    assert calls()[0].status == 302
    assert len(listener()) == 1


def test_no_lock_is_held_while_a_stranger_thinks(hook: Webhook, slot: Any, hold: Any) -> None:
    hold(slot)
    with pytest.raises(RuntimeError, match="while a transaction is open"), transaction():
        calls()[0].deliver()


def test_a_hook_that_is_off_cannot_be_sent_to_again(hook: Webhook, slot: Any, hold: Any) -> None:
    hold(slot)
    with transaction():
        calls()[0].give_up("For this test.")
        Webhook.get(hook.id).switch_off()
    with pytest.raises(Refused, match="is disabled"):
        calls()[0].send_again()
    assert json.loads(calls()[0].body)["event"] == "booking.added"
