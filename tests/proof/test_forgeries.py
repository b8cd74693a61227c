"""Fuzz tests of gateway webhooks: ten thousand forged ones, and as many correctly signed nonsensical ones."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.kernel.db import session
from app.kernel.jobs import Job
from app.money.reconcile.gateway_webhooks import Event
from config import Settings
from tests.proof.conftest import LONG
from tests.proof.house import say

LETTERS = 10_000 if LONG else 1_500
DOOR = "/api/payment/webhook/razorpay"
NONSENSE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1e308,
    "",
    "\x00",
    "é" * 5,
    "\ud800",
    "'; drop table event; --",
    "order_" + "x" * 3000,
    [],
    {},
    [[]],
    {"id": {}},
    "none",
    {"entity": None},
    {"entity": []},
    {"entity": {"id": 7}},
    {"entity": {"id": ["pay_1"]}},
    {"entity": {"id": "pay_1", "order_id": {"a": 1}}},
    "\u202e",
    "🪔" * 40,
]


def honest(chance: random.Random) -> dict[str, Any]:
    """Return a valid event about an unknown order."""
    id = chance.randrange(10**6)
    payment = {
        "id": f"pay_{id}",
        "order_id": f"order_{id}",
        "amount": chance.randrange(10**9),
        "currency": "INR",
        "status": "captured",
    }
    about = {"payment": {"entity": payment}, "order": {"entity": {"id": f"order_{id}"}}}
    kind = chance.choice(
        [
            "payment.captured",
            "payment.failed",
            "order.paid",
            "refund.processed",
            "payment.dispute.created",
            "payment_link.paid",
            "x" * 300,
        ]
    )
    return {
        "entity": "event",
        "account_id": "acc_1",
        "event": kind,
        "contains": [*about],
        "payload": about,
        "created_at": 1795000000,
    }


def spoiled(chance: random.Random, thing: Any) -> Any:
    """Replace something in the event by a value of another type."""
    if isinstance(thing, dict) and thing and chance.random() < 0.8:
        name = chance.choice([*thing])
        return thing | {name: spoiled(chance, thing[name])}
    return chance.choice(NONSENSE)


def letter(chance: random.Random) -> bytes:
    told = honest(chance)
    match chance.randrange(7):
        case 0:
            return chance.randbytes(chance.randrange(400))
        case 1:
            return json.dumps(told).encode()[: chance.randrange(200)]
        case 2:
            return (b"[" if chance.random() < 0.5 else b'{"payload":') * chance.choice([10, 3000, 60_000])
        case 3:
            return json.dumps(told | {"more": chance.choice("ab") * chance.choice([10, 100_000])}).encode()
        case 4:
            told["payload"]["payment"]["entity"] |= {
                "order_id": chance.randbytes(chance.choice([8, 3000])).hex(),
                "id": chance.randbytes(2000).hex(),
            }
        case _:
            told = spoiled(chance, told)
    return json.dumps(told, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def signed(raw: bytes, settings: Settings) -> str:
    return hmac.new(settings.razorpay_webhook_secrets[0].encode(), raw, hashlib.sha256).hexdigest()


def forged(chance: random.Random, raw: bytes, settings: Settings) -> list[tuple[str, str]]:
    """Return headers signed without the secret."""
    right = signed(raw, settings)
    wrong = [
        "",
        "0" * 64,
        right[:-1],
        right + "0",
        right.upper(),
        right[::-1],
        f" {right[1:]}",
        "\xe9" * 64,
        "x" * 20_000,
        "null",
        signed(raw + b" ", settings),
        hmac.new(b"guess", raw, hashlib.sha256).hexdigest(),
    ]
    headers = [("X-Razorpay-Signature", chance.choice(wrong)) for _ in range(chance.randrange(3))]
    return [*headers, ("X-Razorpay-Event-Id", chance.choice(["", "evt", "\xff", "e" * 5000]))][
        :: chance.choice([1, -1])
    ]


@pytest.fixture
def post(client: FlaskClient) -> Callable[..., int]:
    """Post a webhook, with the rate limit turned off."""
    sent = count()

    def post(raw: bytes, headers: list[tuple[str, str]], content_type: str = "application/json") -> int:
        if next(sent) % 500 == 0:
            client.application.extensions["appbuilder"].sm.limiter.reset()
        return client.post(DOOR, data=raw, headers=headers, content_type=content_type).status_code

    return post


@pytest.fixture
def chance() -> random.Random:
    told = os.environ.get("PROOF_SEED") or (secrets.randbelow(2**32) if LONG else 0)
    say(f"PROOF_SEED={told}")
    return random.Random(int(told))


def test_nothing_unsigned_is_believed(post: Callable[..., int], settings: Settings, chance: random.Random) -> None:
    answers: Counter[int] = Counter()
    for _ in range(LETTERS):
        raw = letter(chance) if chance.random() < 0.7 else json.dumps(honest(chance)).encode()
        answers[post(raw, forged(chance, raw, settings), chance.choice(["application/json", "text/plain", ""]))] += 1
    say(answers)
    assert [each for each in answers if not 400 <= each < 500] == []
    assert session.scalar(select(func.count()).select_from(Event)) == 0


def test_signed_nonsense_ends_on_a_list_and_never_in_an_accident(
    post: Callable[..., int],
    settings: Settings,
    chance: random.Random,
    work_off: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "app.money.reconcile.settlement.import_recent", lambda name: None
    )  # nobody is asked on the wire for ten thousand letters
    answers: Counter[int] = Counter()
    for n in range(LETTERS):
        raw = letter(chance)
        headers = [("X-Razorpay-Signature", signed(raw, settings))]
        if chance.random() < 0.8:
            headers.append(
                (
                    "X-Razorpay-Event-Id",
                    chance.choice([f"evt_{n}", "evt_0", "\xff" * 9, "é", chance.randbytes(4000).hex(), ""]),
                )
            )
        answer = post(raw, headers)
        answers[answer] += 1
        assert answer in (200, 400, 413), (answer, raw[:300], headers)
    done = work_off()
    ends = dict(map(tuple, session.execute(select(Event.state, func.count()).group_by(Event.state))))
    say(f"{answers} {done} jobs, {ends}")
    assert answers[200] > LETTERS // 10
    assert set(ends) <= {"parked", "handled"}, ends
    assert (
        session.scalars(
            select(Job.error).where(Job.name == "money.gateway_webhooks.process_event", Job.error != "")
        ).all()
        == []
    )
