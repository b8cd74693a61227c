"""The postman: signs an event as it was when it happened, brings it at least once, in no promised order, and tries again."""

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

PATIENCE = 5  # seconds an answer may take, as Razorpay's
GIVE_UP = 24 * 60 * 60


@dataclass(frozen=True)
class Hand:
    """How one stranger signs, and where its events are brought."""

    address: str
    secret: str
    seal: Callable[[str, bytes, str], dict[str, str]]  # an event's id, its bytes and the secret make the headers


class Postman(threading.Thread):
    def __init__(self, store: Store, address: str, secret: str) -> None:
        super().__init__(daemon=True, name="postman")
        self.store = store
        self.hands = {"razorpay": Hand(address, secret, _as_razorpay)}  # who else speaks adds theirs
        self.news = threading.Event()
        self.rounds: list[Callable[[], None]] = [
            self.deliver_due
        ]  # what is looked after on each round; others add theirs

    def post(
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
        """Write the event down as it is now, to be brought `after` seconds; `hold` leaves it undelivered until somebody asks."""
        secret = "not the secret" if wrong_secret else self.hands[by].secret
        now = time.time()
        with self.store.open() as file:
            due = None if hold else now + after
            keep = "insert into event (id, made, due, secret, body, stranger, tampered) values (?, ?, ?, ?, ?, ?, ?)"
            file.execute(keep, (event_id, now, due, secret, json.dumps(body).encode(), by, tampered))
            if twice:
                file.execute("insert into repeat values (?, ?)", (event_id, now + after + 0.3))
        self.news.set()

    def run(self) -> None:
        while True:
            self.news.wait(0.2)
            self.news.clear()
            for each in self.rounds:
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
        """Once, now; anything but a 2xx within five seconds means later, with growing gaps, for a day. None for an event that never was."""
        with self.store.open() as file:
            event = file.execute("select * from event where id = ?", (event_id,)).fetchone()
        if event is None:
            return None
        hand, raw = self.hands[event["stranger"]], event["body"]
        answer = _bring(
            hand.address, hand.seal(event_id, raw, event["secret"]), _tampered(raw) if event["tampered"] else raw
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

    def hurry(self, event_id: str, patience: float) -> str | None:
        """Bring it before all others, and say what came: "" when the shop still thinks about it. None for an event that never was.

        Who asks may be the shop itself, from its only hand; so the asker is let go before the shop's time to answer is over.
        """
        until, before = time.monotonic() + patience, self._answers(event_id)
        with self.store.open() as file:
            if not file.execute("update event set due = 0 where id = ?", (event_id,)).rowcount:
                return None
        self.news.set()
        while time.monotonic() < until:
            if len(heard := self._answers(event_id)) > len(before):
                return heard[-1]
            time.sleep(0.01)
        return ""

    def _answers(self, event_id: str) -> list[str]:
        with self.store.open() as file:
            return [
                row["answer"]
                for row in file.execute(
                    "select answer from attempt where event = ? order by rowid", (event_id,)
                ).fetchall()
            ]

    def events(self, of: str = "razorpay") -> list[dict[str, Any]]:
        """One stranger's, the newest first, each with how often it was brought and what was answered."""
        kind = (
            "coalesce(json_extract(cast(body as text), '$.event'), json_extract(cast(body as text), '$.type')) as event"
        )
        what = f"select rowid, id, made, due, tries, answer, {kind} from event where stranger = ? order by made desc, rowid desc limit 200"  # noqa: S608  # no word of it is a stranger's
        with self.store.open() as file:
            rows = [dict(row) for row in file.execute(what, (of,))]
            for row in rows:
                del row["rowid"]
                row["attempts"] = [
                    dict(each)
                    for each in file.execute(
                        "select made, answer from attempt where event = ? order by rowid", (row["id"],)
                    )
                ]
        return rows


def _bring(address: str, headers: dict[str, str], raw: bytes) -> str:
    try:
        return str(
            requests.post(
                address, data=raw, headers={"Content-Type": "application/json"} | headers, timeout=PATIENCE
            ).status_code
        )
    except requests.RequestException as error:
        return type(error).__name__


def _as_razorpay(event_id: str, raw: bytes, secret: str) -> dict[str, str]:
    return {"X-Razorpay-Signature": sign(raw, secret), "x-razorpay-event-id": event_id}


def _tampered(raw: bytes) -> bytes:
    return raw.replace(b': "event"', b': "EVENT"')


def sign(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
