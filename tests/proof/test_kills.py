"""Crash tests with kill -9: a real process with real connections, and a sandbox gateway that survives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kernel import db
from app.kernel.db import session
from app.money.bills.bill import Bill
from app.money.gateways import gateway
from app.packs.bookings.booking.booking import Booking
from config import Settings
from tests.conftest import PATIENCE
from tests.proof.conftest import LONG
from tests.proof.house import House, at_home, say

pytestmark = pytest.mark.proof

POINTS = range(1, 7) if LONG else range(1, 2)


def killed(does: Callable[[], Any], at: str, n: int, line: Any) -> bool:
    """Run in a process that is killed before or after its nth commit or gateway call; return whether it was."""
    session.remove()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    try:
        db.engine().dispose(close=False)
        for adapter in line.client.session.adapters.values():
            adapter.poolmanager.clear()
        _arm(at, n, line)
        does()
    finally:
        os._exit(0)


def _arm(at: str, n: int, line: Any) -> None:
    when, what = at.split()
    left = [n]

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def go(*args: Any, **kwargs: Any) -> Any:
            counts = what == "call" or args[0].info.get("open")
            left[0] -= bool(counts)
            last = counts and left[0] == 0
            if last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = act(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return go

    if what == "call":
        line._call = dying(line._call)
    else:
        Session.commit = dying(Session.commit)  # type: ignore[method-assign]


FLOWS: dict[str, Callable[[House], Any]] = {
    "book": lambda house: (house.hold(0, 0), house.announce(0), house.work()),
    "pay": lambda house: (house.look(0), house.work()),
    "cancel": lambda house: (house.cancel(0, "all"), house.work()),
    "refund": lambda house: (house.give_back(0, "half"), house.work()),
}


@pytest.mark.parametrize("at", ["before commit", "after commit", "before call", "after call"])
@pytest.mark.parametrize("flow", FLOWS)
def test_it_may_be_killed_anywhere(
    app: Flask, kept: list[str], sandbox: str, settings: Settings, flow: str, at: str
) -> None:
    real: Any = gateway.by_name("razorpay")
    key, died = (settings.razorpay_key, settings.razorpay_secret), 0
    with at_home(kept):
        for n in POINTS:
            house = House(kept, bank=real)
            house.open()
            paid: dict[str, Any] = {}
            if flow != "book":
                house.hold(0, 0)
                bill = house.announce(0)
                assert bill
                paid = requests.post(
                    f"{sandbox}/razorpay/orders/{bill.order_id}/pay",
                    json={"outcome": "captured", "deliver": "dropped"},
                    timeout=PATIENCE,
                ).json()
            if flow in ("cancel", "refund"):
                house.look(0)
                house.work()
            died += killed(lambda house=house: FLOWS[flow](house), at, n, real)  # type: ignore[misc]
            house.must_hold()
            _recover(house, flow)
            backs = (
                requests.get(
                    f"{settings.razorpay_url}/v1/payments/{paid['id']}/refunds", auth=key, timeout=PATIENCE
                ).json()["items"]
                if paid
                else []
            )
            assert [each["amount"] for each in backs] == {"cancel": [99900], "refund": [49950]}.get(flow, []), (
                flow,
                at,
                n,
            )
            assert session.scalars(select(Booking.state)).all() == [
                {"book": "expired", "cancel": "cancelled"}.get(flow, "confirmed")
            ]
    say(f"{flow}, {at}: killed {died} times")


def _recover(house: House, flow: str) -> None:
    """Restart: people try again, and what was begun continues."""
    session.expire_all()
    if flow == "book" and not session.scalar(select(Booking.id)):
        house.hold(0, 0)
    if flow == "cancel":
        house.cancel(0, "all")
    if flow == "refund" and not session.scalars(select(Bill)).one().payments[0].refunds:
        house.give_back(0, "half")
    for span in ({"minutes": 3}, {"minutes": 20}, {"hours": 2}):
        house.wait(**span)
        house.work()
        house.must_hold()
