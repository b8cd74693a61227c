"""Proof over HTTP: the real SDK and the sandbox gateway with its failures, and the same invariants."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.kernel.db import session
from app.kernel.errors import Refused
from app.money.bills.bill import Bill
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from config import Settings
from tests.conftest import PATIENCE
from tests.proof.conftest import LONG
from tests.proof.house import House, at_home, say

pytestmark = pytest.mark.proof

STEPS = 600 if LONG else 200


class Wire:
    """The payer, the payer's bank and the dashboard, through the sandbox's API."""

    def __init__(self, house: House, sandbox: str, settings: Settings, chance: random.Random) -> None:
        self.house, self.root, self.chance = house, f"{sandbox}/razorpay", chance
        self.key = settings.razorpay_key, settings.razorpay_secret
        self.paid: list[dict[str, Any]] = []

    def _verb(self, path: str, **given: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.root}/{path}", json={"deliver": "dropped"} | given, timeout=PATIENCE)
        return dict(answer.json()) if answer.ok else {}

    def pay(self) -> None:
        bill = self.house.announce(self.chance.randrange(4))
        if bill:
            made = self._verb(
                f"orders/{bill.order_id}/pay",
                outcome=self.chance.choice(["captured", "captured", "captured", "failed"]),
            )
            self.paid += [made] if made else []

    def come_late(self) -> None:
        if self.paid:
            self._verb(f"payments/{self.chance.choice(self.paid)['id']}/late-authorise")

    def at_the_dashboard(self) -> None:
        if self.paid:
            self._verb(
                f"payments/{self.chance.choice(self.paid)['id']}/refund", amount=self.chance.choice([100, 10000, 49950])
            )

    def bad_day(self) -> None:
        fault = self.chance.choice(["reply_lost", "502", "429", "500", "empty", "list"])
        requests.post(
            f"{self.root}/faults",
            json={"fault": fault, "times": self.chance.randint(1, 2), "path": self.chance.choice(["", "/refund"])},
            timeout=PATIENCE,
        )

    def next_refund(self) -> None:
        requests.post(
            f"{self.root}/faults", json={"refund": self.chance.choice(["pending", "failed"])}, timeout=PATIENCE
        )

    def quarrel(self) -> None:
        if self.paid:
            self._verb(f"payments/{self.chance.choice(self.paid)['id']}/dispute")

    def heal(self) -> None:
        requests.delete(f"{self.root}/faults", timeout=PATIENCE)
        for each in self.get("refunds?count=100"):
            if each["status"] == "pending":
                self._verb(f"refunds/{each['id']}/processed")

    def get(self, path: str) -> list[dict[str, Any]]:
        return list(requests.get(f"{self.root}/v1/{path}", auth=self.key, timeout=PATIENCE).json()["items"])

    def kept(self, order_id: str) -> int:
        captured = [each for each in self.get(f"orders/{order_id}/payments") if each["captured"]]
        backs = [
            back
            for each in captured
            for back in self.get(f"payments/{each['id']}/refunds")
            if back["status"] == "processed"
        ]
        return sum(each["amount"] for each in captured) - sum(each["amount"] for each in backs)


@pytest.mark.parametrize("seed", range(4) if LONG else range(1))
def test_the_same_holds_over_the_wire(app: Flask, kept: list[str], sandbox: str, settings: Settings, seed: int) -> None:
    real = gateway.by_name("razorpay")
    with at_home(kept):
        house = House(kept, bank=real)  # type: ignore[arg-type]
        house.open()
        chance = random.Random(seed)
        wire, n = Wire(house, sandbox, settings, chance), lambda: chance.randrange(4)
        verbs: list[Callable[[], Any]] = [
            lambda: house.hold(chance.randrange(6), n(), coupon=chance.random() < 0.3),
            wire.pay,
            wire.pay,
            lambda: house.look(n()),
            lambda: house.look(n()),
            wire.come_late,
            wire.at_the_dashboard,
            wire.bad_day,
            wire.next_refund,
            wire.quarrel,
            lambda: house.work(5),
            lambda: house.work(5),
            lambda: house.wait(minutes=chance.choice([1, 16, 60])),
            lambda: house.cancel(n(), chance.choice(["all", "policy", "nothing"])),
            lambda: house.give_back(n(), chance.choice(["all", "half", "a coin"])),
            lambda: house.decide_refund(n(), "try again"),
        ]
        for _ in range(STEPS):
            with suppress(Refused):
                chance.choice(verbs)()
            house.must_hold()
            house.census()
        wire.heal()
        for span in ({"minutes": 30}, {"hours": 3}, {"hours": 27}):
            house.wait(**span)
            house.work()
            for refund in session.scalars(select(Refund).where(Refund.state == "failed")).all():
                house.press("try_again", refund)
            house.work()
            house.must_hold()
        session.expire_all()
        for bill in session.scalars(select(Bill).where(Bill.order_id.is_not(None))).all():
            bill.check_gateway()
        house.work()
        house.must_hold()
        session.expire_all()
        for bill in session.scalars(select(Bill).where(Bill.order_id.is_not(None))).all():
            ours = sum(
                each.money.amount
                - sum(
                    refund.money.amount
                    for refund in each.refunds
                    if refund.state == "done" and refund.gateway == "razorpay"
                )
                for each in bill.payments
                if each.captured_at and each.gateway == "razorpay"
            )
            assert ours == wire.kept(bill.order_id or ""), bill.number
        say(f"seed {seed}: {sorted(house.reached)}")
        assert "confirmed" in house.reached
