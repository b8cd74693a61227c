"""Crash tests: the process ends at every commit and every gateway call; nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kernel.db import session
from app.messages.message import Message
from app.money.bills.refund import Refund
from app.packs.bookings.booking.booking import Booking
from tests.proof.bank import Killed
from tests.proof.conftest import LONG
from tests.proof.house import House, breaking_off, like_a_process, say

pytestmark = pytest.mark.proof


@dataclass(frozen=True)
class Flow:
    """Preparation, the action that crashes, what people repeat afterwards, and the expected result."""

    before: Callable[[House], Any]
    does: Callable[[House], Any]
    again: Callable[[House], Any]
    ends: Callable[[House], bool]


def _paid(house: House) -> None:
    house.hold(0, 0)
    house.pay(0, "captured")
    house.bring_all()


def _pay(house: House) -> None:
    """Deliver one of the three events of a payment, and then the slower browser."""
    house.bring(1)
    house.work()
    house.come_back(0)


def _kept(house: House) -> int:
    return sum(house.bank.kept(each) for each in house.bank.orders)


def _book(house: House) -> None:
    house.hold(0, 0)
    house.announce(0)
    house.work()


def _cancel(house: House) -> None:
    house.cancel(0, "all")
    house.work()


def _refund(house: House) -> None:
    house.give_back(0, "half")
    house.work()


def _refund_again(house: House) -> None:
    if not session.scalar(select(Refund.id)):
        _refund(house)


def _move(house: House) -> None:
    house.move(0, 5)
    house.work()


def _states() -> list[str]:
    return [each.state for each in session.scalars(select(Booking))]


FLOWS = {
    "book": Flow(
        lambda house: None,
        _book,
        lambda house: None if _states() else _book(house),
        lambda house: _states() == ["expired"],
    ),
    "pay": Flow(
        lambda house: (house.hold(0, 0), house.pay(0, "captured")),
        _pay,
        lambda house: None,
        lambda house: _states() == ["confirmed"] and _kept(house) == 99900,
    ),
    "cancel": Flow(
        _paid,
        _cancel,
        _cancel,
        lambda house: _states() == ["cancelled"] and _kept(house) == 0 and len(house.bank.backs) == 1,
    ),
    "refund": Flow(
        _paid,
        _refund,
        _refund_again,
        lambda house: _states() == ["confirmed"] and _kept(house) == 49950 and len(house.bank.backs) == 1,
    ),
    "move": Flow(
        _paid,
        _move,
        _move,
        lambda house: (
            _states() == ["confirmed"] and _kept(house) == 99900 and session.scalar(select(Booking.edition)) == 1
        ),
    ),
}


ONCE = "bookings/confirmed", "bookings/cancelled", "bookings/rescheduled", "money/refunded"


@contextmanager
def counting_commits() -> Any:
    commit, seen = Session.commit, [0]

    def count(here: Session) -> None:
        seen[0] += bool(here.info.get("open"))
        commit(here)

    Session.commit = count  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Session.commit = commit  # type: ignore[method-assign]


def recovers(house: House, flow: Flow, where: str) -> None:
    """Restart: people try again, jobs run, both sides are reconciled."""
    session.remove()
    house.must_hold()
    house.bank.on_call = None
    house.work()
    flow.again(house)
    house.drain()
    assert flow.ends(house), (where, _states(), house.bank.backs)
    told = [each.template for each in session.scalars(select(Message)) if each.template in ONCE]
    assert len(told) == len(set(told)), (where, told)


@pytest.mark.parametrize("name", FLOWS)
def test_it_may_break_off_anywhere(build: Callable[[], House], name: str) -> None:
    flow = FLOWS[name]
    house = build()
    flow.before(house)
    calls = house.bank.calls
    with counting_commits() as commits:
        flow.does(house)
    calls = house.bank.calls - calls
    say(f"{name}: {commits[0]} commits, {calls} calls to the gateway")
    for after in (False, True) if LONG else (True,):
        for n in range(1, commits[0] + 1):
            house = build()
            flow.before(house)
            with like_a_process(), breaking_off(n, after=after):
                flow.does(house)
            recovers(house, flow, f"{'after' if after else 'before'} commit {n}")
    for trouble in ("killed before", "killed after", "lost") if LONG else ("lost",):
        for n in range(1, calls + 1):
            house = build()
            flow.before(house)
            left = [n]

            def on_call(what: str, left: list[int] = left, trouble: str = trouble) -> str:
                left[0] -= 1
                return trouble if left[0] == 0 else "fine"

            house.bank.on_call = on_call
            with like_a_process():
                flow.does(house)
            recovers(house, flow, f"{trouble} call {n}")


def test_a_killed_process_is_not_caught_by_anybody() -> None:
    assert not issubclass(Killed, Exception)
