"""The postman: signs an event as it was when it happened, brings it at least once, in no promised order, and tries again."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from typing import Any

import requests

from app.sandbox.store import Store

log = logging.getLogger(__name__)

PATIENCE = 5  # seconds an answer may take, as Razorpay's
GIVE_UP = 24 * 60 * 60


class Postman(threading.Thread):
    def __init__(self, store: Store, address: str, secret: str) -> None:
        super().__init__(daemon=True, name="postman")
        self.store, self.address, self.secret = store, address, secret
        self.news = threading.Event()

    def post(self, event_id: str, body: dict[str, Any], *, after: float = 0, wrong_secret: bool = False, tampered: bool = False, hold: bool = False) -> None:
        """Write the event down as it is now; `hold` leaves it undelivered until somebody asks."""
        raw = json.dumps(body).encode()
        signed = _sign(raw, "not the secret" if wrong_secret else self.secret)
        if tampered:
            raw = raw.replace(b'"captured"', b'"CAPTURED"')
        with self.store.open() as file:
            due = None if hold else time.time() + after
            file.execute("insert into event (id, made, due, secret, body) values (?, ?, ?, ?, ?)", (event_id, time.time(), due, signed, raw))
        self.news.set()

    def run(self) -> None:
        while True:
            self.news.wait(0.2)
            self.news.clear()
            try:
                self.deliver_due()
            except Exception:
                log.exception("the postman stumbled")

    def deliver_due(self) -> None:
        with self.store.open() as file:
            due = file.execute("select id from event where due <= ? order by due, made", (time.time(),)).fetchall()
        for row in due:
            self.deliver(row["id"])

    def deliver(self, event_id: str) -> str:
        """Once, now; anything but a 2xx within five seconds means later, with growing gaps, for a day."""
        with self.store.open() as file:
            event = file.execute("select * from event where id = ?", (event_id,)).fetchone()
        answer = self._bring(event["id"], event["secret"], event["body"])
        tries = event["tries"] + 1
        again = None if answer.startswith("2") or time.time() - event["made"] > GIVE_UP else time.time() + min(2**tries, 3600)
        with self.store.open() as file:
            file.execute("update event set tries = ?, answer = ?, due = ? where id = ?", (tries, answer, again, event_id))
        return answer

    def _bring(self, event_id: str, signature: str, raw: bytes) -> str:
        headers = {"Content-Type": "application/json", "X-Razorpay-Signature": signature, "x-razorpay-event-id": event_id}
        try:
            return str(requests.post(self.address, data=raw, headers=headers, timeout=PATIENCE).status_code)
        except requests.RequestException as error:
            return type(error).__name__


def _sign(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
