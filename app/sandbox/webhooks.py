"""Webhooks of the simulated gateways: signed, queued, delivered at least once in any order, and retried for a day."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from app.sandbox.state_file import Store

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5  # the timeout of Razorpay
GIVE_UP = 24 * 60 * 60


@dataclass(frozen=True)
class Target:
    """Where the webhooks of one gateway go, and how they are signed."""

    address: str
    secret: str
    sign_headers: Callable[[str, bytes, str], dict[str, str]]  # (event id, body, secret) -> headers


class WebhookSender(threading.Thread):
    def __init__(self, store: Store, address: str, secret: str) -> None:
        super().__init__(daemon=True, name="webhook-sender")
        self.store = store
        self.targets = {"razorpay": Target(address, secret, _razorpay_headers)}  # other gateways add theirs
        self.wake = threading.Event()
        self.periodic: list[Callable[[], None]] = [self.deliver_due]  # called in every round; others add theirs

    def enqueue(
        self,
        event_id: str,
        body: dict[str, Any],
        by: str = "razorpay",
        /,
        *,
        wrong_secret: bool = False,
        tampered: bool = False,
        hold: bool = False,
        twice: bool = False,
        after: float = 0,
    ) -> None:
        """Store an event, to be delivered `after` seconds; with `hold`, only when asked for."""
        secret = "not the secret" if wrong_secret else self.targets[by].secret
        now = time.time()
        with self.store.open() as file:
            due = None if hold else now + after
            keep = "insert into event (id, made, due, secret, body, stranger, tampered) values (?, ?, ?, ?, ?, ?, ?)"
            file.execute(keep, (event_id, now, due, secret, json.dumps(body).encode(), by, tampered))
            if twice:
                file.execute("insert into repeat values (?, ?)", (event_id, now + after + 0.3))
        self.wake.set()

    def run(self) -> None:
        while True:
            self.wake.wait(0.2)
            self.wake.clear()
            for each in self.periodic:
                try:
                    each()
                except Exception:
                    log.exception("webhook delivery failed")

    def deliver_due(self) -> None:
        with self.store.open() as file:
            due = file.execute("select id from event where due <= ? order by due, rowid", (time.time(),)).fetchall()
            again = file.execute(
                "select event as id from repeat where due <= ? order by due, rowid", (time.time(),)
            ).fetchall()
            file.executemany("delete from repeat where event = ?", [(row["id"],) for row in again])
        for row in (*due, *again):
            self.deliver(row["id"])

    def deliver(self, event_id: str) -> str | None:
        """Try once and return the answer, or None for an unknown event.

        Anything but a 2xx within five seconds is retried with growing gaps, for a day."""
        with self.store.open() as file:
            event = file.execute("select * from event where id = ?", (event_id,)).fetchone()
        if event is None:
            return None
        target, raw = self.targets[event["stranger"]], event["body"]
        answer = _post(
            target.address,
            target.sign_headers(event_id, raw, event["secret"]),
            _tamper(raw) if event["tampered"] else raw,
        )
        tries = event["tries"] + 1
        again = (
            None
            if answer.startswith("2") or time.time() - event["made"] > GIVE_UP
            else time.time() + min(2**tries, 3600)
        )
        with self.store.open() as file:
            file.execute(
                "update event set tries = ?, answer = ?, due = ? where id = ?", (tries, answer, again, event_id)
            )
            file.execute("insert into attempt values (?, ?, ?)", (event_id, time.time(), answer))
        return answer

    def deliver_first(self, event_id: str, patience: float) -> str | None:
        """Deliver an event ahead of all others and return the answer, "" if it is late, or None for an unknown event.

        The caller may be the shop's only worker, so the wait ends before the shop's time to answer is over.
        """
        until, before = time.monotonic() + patience, self._list_answers(event_id)
        with self.store.open() as file:
            if not file.execute("update event set due = 0 where id = ?", (event_id,)).rowcount:
                return None
        self.wake.set()
        while time.monotonic() < until:
            if len(answers := self._list_answers(event_id)) > len(before):
                return answers[-1]
            time.sleep(0.01)
        return ""

    def _list_answers(self, event_id: str) -> list[str]:
        with self.store.open() as file:
            return [
                row["answer"]
                for row in file.execute(
                    "select answer from attempt where event = ? order by rowid", (event_id,)
                ).fetchall()
            ]

    def list_events(self, gateway: str = "razorpay") -> list[dict[str, Any]]:
        """List the events of one gateway, newest first, with their delivery attempts."""
        kind = (
            "coalesce(json_extract(cast(body as text), '$.event'), json_extract(cast(body as text), '$.type')) as event"
        )
        query = (
            f"select rowid, id, made, due, tries, answer, {kind} from event "  # noqa: S608  # no outside input
            "where stranger = ? order by made desc, rowid desc limit 200"
        )
        with self.store.open() as file:
            rows = [dict(row) for row in file.execute(query, (gateway,))]
            for row in rows:
                del row["rowid"]
                row["attempts"] = [
                    dict(each)
                    for each in file.execute(
                        "select made, answer from attempt where event = ? order by rowid", (row["id"],)
                    )
                ]
        return rows


def _post(address: str, headers: dict[str, str], raw: bytes) -> str:
    try:
        return str(
            requests.post(
                address, data=raw, headers={"Content-Type": "application/json"} | headers, timeout=ANSWER_SECONDS
            ).status_code
        )
    except requests.RequestException as error:
        return type(error).__name__


def _razorpay_headers(event_id: str, raw: bytes, secret: str) -> dict[str, str]:
    return {"X-Razorpay-Signature": sign(raw, secret), "x-razorpay-event-id": event_id}


def _tamper(raw: bytes) -> bytes:
    return raw.replace(b': "event"', b': "EVENT"')


def sign(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
