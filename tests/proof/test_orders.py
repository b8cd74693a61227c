"""Order tests: webhooks, browser and polls in every order, and repeated, end in one state."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from app.kernel import db
from app.kernel.db import session
from app.money.bills.bill import Bill
from app.money.gateways.gateway import Charge
from tests.proof.conftest import LONG
from tests.proof.house import House, say

pytestmark = pytest.mark.proof

MOST = int(os.environ.get("ORDERS") or 12)
NEWS = ("authorized", "captured", "order.paid", "failed", "return", "poll")
_STATE = text("""
select (select string_agg(state, ',' order by id) from booking), (select string_agg(state, ',' order by id) from bill),
 (select string_agg(state || pays || owed_back, ',' order by id) from payment),
 (select string_agg(state || money_amount, ',' order by id) from refund),
 (select string_agg(key, ',' order by key) from (select regexp_replace(key, '\\d+', '', 'g') as key from posting) keys),
 (select string_agg(kind || total_amount, ',' order by kind, id) from invoice),
 (select string_agg(template, ',' order by template) from message where template not in ('bookings/payment_failed'))""")


def state() -> tuple[Any, ...]:
    with db.engine().connect() as connection:
        return tuple(connection.execute(_STATE).one())


def histories(most: int, seed: int) -> list[list[str]]:
    """Yield orders of the six events, with some repeated at random places."""
    chance = random.Random(seed)
    orders = [list(each) for each in permutations(NEWS)]
    chance.shuffle(orders)
    for order in orders[:most]:
        for again in chance.sample(NEWS, chance.randint(0, 3)):
            order.insert(chance.randrange(len(order) + 1), again)
    return orders[:most]


def heard(house: House, bill: Bill, news: str) -> None:
    """Apply each event with its own snapshot; browser and scheduler see the current state."""
    (attempt,) = house.bank.attempts.values()
    if news == "return":
        house.come_back(0)
    elif news == "poll":
        bill.check_again()
    else:
        bill.apply_charges(
            [Charge(attempt.id, "captured" if news == "order.paid" else news, attempt.money, "card", at=attempt.at)]
        )


def brought(house: House, bill: Bill, news: str) -> None:
    """The same through stored webhooks, processed by a worker that asks the gateway."""
    kind = news if news == "order.paid" else f"payment.{news}"
    told = [n for n, each in enumerate(house.bank.news) if each.kind == kind]
    if news in ("return", "poll"):
        heard(house, bill, news)
    for n in told:
        for each in house.bank.news:
            each.brought = 1
        house.bank.news[n].brought = 0
        house.bring(0, times=2)
    house.work()


@pytest.mark.parametrize("way", [heard, brought], ids=["by snapshots", "through the inbox"])
def test_every_order_ends_the_same(build: Callable[[], House], way: Callable[[House, Bill, str], None]) -> None:
    ends: dict[tuple[Any, ...], list[str]] = {}
    told = histories(720 if LONG else MOST if way is heard else 8, seed=7)
    for history in told:
        house = build()
        house.hold(0, 0, coupon=True)
        bill = house.announce(0)
        assert bill
        house.bank.pay(bill.order_id or "", "failed")
        house.come_late(0)
        for news in history:
            way(house, Bill.get(bill.id), news)
            session.expire_all()
        house.work()
        house.must_hold()
        ends.setdefault(state(), history)
    say(f"{len(told)} orders, {len(ends)} end")
    assert len(ends) == 1, [*ends.items()]
    assert next(iter(ends))[0] == "confirmed"


@pytest.mark.parametrize("lost", ["captured", "order.paid", "authorized", "failed", "everything"])
def test_what_is_lost_is_found_by_the_clock(house: House, lost: str) -> None:
    """By the check of this bill, and not only by the hourly reconciliation."""
    house.wait(seconds=1)
    house.work()
    house.hold(0, 0)
    house.pay(0, "captured")
    for each in house.bank.news:
        if lost in ("everything", each.kind.removeprefix("payment.")):
            each.brought += 1
    house.bring_all()
    house.wait(minutes=3)
    house.work()
    house.must_hold()
    assert state()[0] == "confirmed"


def test_an_event_that_is_told_again_and_again_changes_nothing(house: House) -> None:
    house.hold(0, 0)
    house.pay(0, "captured")
    house.bring_all()
    before = state()
    for _ in range(5):
        for n in range(len(house.bank.news)):
            house.bring(n, times=2)
        house.work()
    house.must_hold()
    assert state() == before
