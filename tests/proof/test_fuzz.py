"""Whatever is thrown at the webhook's door: nothing unsigned gets in, nothing crashes, and signed nonsense ends where staff see it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.kernel.db import session
from app.kernel.jobs import Job
from app.money.inbox import Event
from app.money.ledger import Posting

TIMES = 10_000 if os.environ.get("PROOF_EXAMPLES") else 800
KINDS = ["payment.captured", "order.paid", "refund.processed", "payment.dispute.created", "payout.reversed", "", "\x00", "é" * 300, "payment.captured" * 50]
JUNK: list[Any] = [None, True, 0, -1, 2**70, 1.5, "", "x", "\x00", "\ud800", "order_1" * 200, [], {}, [[]], {"entity": {}}, {"entity": None}, "१२३", "<b>"]


def sign(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


class Fuzz:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def thing(self, depth: int = 0) -> Any:
        if depth > 3 or self.random.random() < 0.3:
            return self.random.choice(JUNK)
        names = ["event", "payload", "payment", "order", "refund", "dispute", "entity", "id", "order_id", "payment_id", "amount", "currency", "notes", "x"]
        return {self.random.choice(names): self.thing(depth + 1) for _ in range(self.random.randrange(5))}

    def event(self) -> dict[str, Any]:
        ids = {"id": self.random.choice(JUNK), "order_id": self.random.choice(["order_nobody", *JUNK]), "payment_id": self.random.choice(JUNK)}
        payload = {self.random.choice(["payment", "order", "refund", "dispute", "payment_link"]): {"entity": ids | {"amount": self.random.choice(JUNK)}}}
        whole = {"entity": "event", "event": self.random.choice(KINDS), "payload": self.random.choice([payload, self.thing()])}
        return {name: value for name, value in whole.items() if self.random.random() < 0.95}

    def body(self) -> bytes:
        match self.random.randrange(6):
            case 0:
                return self.random.randbytes(self.random.randrange(200))
            case 1:
                return json.dumps(self.event()).encode()[: self.random.randrange(1, 60)]
            case 2:
                return b"[" * self.random.choice([1, 2000, 100_000])
            case 3:
                return json.dumps(self.thing()).encode()
            case 4:
                return b"x" * self.random.choice([0, 1, 300_000])
        return json.dumps(self.event()).encode()

    def header(self) -> str:
        return self.random.choice(["", "0" * 64, "f" * 64, "\xff" * 64, "sha256=", " ", "x" * 9000, f"{self.random.getrandbits(256):064x}", "None"])


def test_nothing_unsigned_gets_in_and_nothing_crashes(client: FlaskClient, app: Any) -> None:
    fuzz = Fuzz(11)
    for n in range(TIMES):
        raw, given = fuzz.body(), {}
        for name in ("X-Razorpay-Signature", "X-Razorpay-Event-Id", "Stripe-Signature", "Content-Type", "Content-Encoding"):
            if fuzz.random.random() < 0.7:
                given[name] = fuzz.header()
        stranger = "stripe" if n % 4 == 0 else "razorpay"
        answer = client.post(f"/api/payment/webhook/{stranger}", data=raw, headers=given)
        assert 400 <= answer.status_code < 500, (n, answer.status_code, raw[:80], given)
    assert session.scalar(select(func.count()).select_from(Event)) == 0


def test_a_copied_signature_fits_one_body_and_one_secret_alone(client: FlaskClient, app: Any, settings: Any) -> None:
    """The signature of one event, on another; of the browser's return; with another secret; over the same words spelt otherwise."""
    raw = b'{"entity": "event", "event": "payment.captured", "payload": {}}'
    mine = sign(raw, settings.razorpay_webhook_secrets[0])
    others = [sign(raw, secret) for secret in ("", "secret", settings.razorpay_secret, settings.secret_key)]
    for body, signature in [*((raw, each) for each in others), (raw + b" ", mine), (raw.replace(b": ", b":"), mine), (raw, mine.upper()), (raw, mine[:-1])]:
        assert client.post("/api/payment/webhook/razorpay", data=body, headers={"X-Razorpay-Signature": signature}).status_code == 403
    assert session.scalar(select(Event.id)) is None


def test_signed_nonsense_is_refused_or_ends_where_staff_see_it(client: FlaskClient, app: Any, settings: Any, sandbox: str, work_off: Any) -> None:
    """Rightly signed, and still wrong in every way: an answer of 200 or 400, never a crash; what was taken is parked or done, and no money moved."""
    fuzz, taken = Fuzz(12), 0
    for n in range(TIMES // 4):
        raw = fuzz.body() if n % 3 else json.dumps(fuzz.event()).encode()
        headers = {"X-Razorpay-Signature": sign(raw, settings.razorpay_webhook_secrets[0]), "X-Razorpay-Event-Id": f"evt_{n}"}
        answer = client.post("/api/payment/webhook/razorpay", data=raw, headers=headers)
        assert answer.status_code in (200, 400), (n, answer.status_code, answer.text[:200], raw[:200])
        taken += answer.status_code == 200
    work_off()
    session.expire_all()
    states = dict(session.execute(select(Event.state, func.count()).group_by(Event.state)).all())
    assert taken > 20
    assert states.keys() <= {"parked", "handled"}, (states, session.scalars(select(Job.error).where(Job.error != "").limit(1)).all())
    assert session.scalar(select(func.count()).select_from(Posting)) == 0
