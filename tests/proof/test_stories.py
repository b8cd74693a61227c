"""Outcome tests: each way that a payment can end, reached once on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from app.kernel.db import session
from app.money.bills.payment import Payment
from tests.proof.house import ADA, DINA, ENDS, House

pytestmark = pytest.mark.proof

Story = Callable[[House], None]


def told(*verbs: tuple[str, tuple[object, ...], dict[str, object]]) -> Story:
    def go(house: House) -> None:
        for name, given, how in verbs:
            getattr(house, name)(*given, **how)
            house.must_hold()
            house.census()

    return go


def do(name: str, *given: object, **how: object) -> tuple[str, tuple[object, ...], dict[str, object]]:
    return name, given, how


# Slots, the newest first: 0 plain, 1 taxed with a deposit, 2 plain beside 5, 3 large, 4 taxed, 5 plain.
PAID = do("hold", 0, 0), do("pay", 0, "captured"), do("look", 0)
DEPOSIT = do("hold", 1, 0, extra=True), do("pay", 0, "captured"), do("look", 0)
LARGE = do("hold", 3, 0), do("pay", 0, "captured"), do("look", 0)
CHEQUE = do("hold", 0, 0), do("take_by_hand", 0, "cheque")

STORIES: dict[str, tuple[str, Story]] = {
    "paid, and it happened": ("completed", told(*PAID, do("happen", 0, came=True))),
    "paid, and nobody came": ("not come", told(*PAID, do("happen", 0, came=False))),
    "not paid": ("expired", told(do("hold", 0, 0), do("wait", minutes=20), do("work"))),
    "paid late, and the seat still free": (
        "late, and the seat taken again",
        told(
            do("hold", 0, 0),
            do("pay", 0, "failed"),
            do("wait", minutes=20),
            do("work"),
            do("come_late", 0),
            do("bring", 1),
            do("work"),
        ),
    ),
    "paid late, and the seat gone": (
        "the seat was gone",
        told(
            do("hold", 0, 0),
            do("pay", 0, "failed"),
            do("wait", minutes=20),
            do("hold", 0, 1),
            do("come_late", 0),
            do("look", 1),
            do("work"),
        ),
    ),
    "paid late, and the coupon used up": (
        "the coupon was used up",
        told(
            do("hold", 0, 0, coupon=True),
            do("pay", 0, "failed"),
            do("wait", minutes=20),
            do("work"),
            do("hold", 1, 1, coupon=True),
            do("hold", 4, 2, coupon=True),
            do("come_late", 0),
            do("look", 2),
            do("work"),
        ),
    ),
    "a coupon comes back": (
        "coupon given back",
        told(do("hold", 0, 0, coupon=True), do("wait", minutes=20), do("work")),
    ),
    "paid twice": ("paid twice", told(*PAID, do("pay", 0, "captured", twice=True), do("look", 0), do("work"))),
    "paid at the counter and over the wire": (
        "paid twice",
        told(
            do("hold", 0, 0),
            do("announce", 0),
            do("take_by_hand", 0, "cash"),
            do("pay", 0, "captured", twice=True),
            do("look", 0),
            do("work"),
        ),
    ),
    "a second attempt goes back by itself": (
        "came and went",
        told(do("hold", 0, 0), do("pay", 0, "failed"), do("pay", 0, "captured"), do("come_late", 0), do("look", 0)),
    ),
    "another sum": (
        "another sum or currency",
        told(do("hold", 0, 0), do("pay", 0, "captured", amount=-1), do("look", 0), do("work")),
    ),
    "another currency": (
        "another sum or currency",
        told(do("hold", 0, 0), do("pay", 0, "captured", amount=1, currency="USD"), do("look", 0), do("work")),
    ),
    "cancelled, all of it back": ("cancelled and given back", told(*PAID, do("cancel", 0, "all"), do("work"))),
    "cancelled, by policy": (
        "partly given back",
        told(*DEPOSIT, do("wait", hours=30), do("cancel", 0, "policy"), do("work")),
    ),
    "cancelled, nothing back, and a complaint": (
        "partly given back",
        told(*LARGE, do("cancel", 0, "nothing"), do("give_back", 0, "half"), do("work")),
    ),
    "paid after it was cancelled": (
        "money for what was cancelled",
        told(do("hold", 0, 0), do("pay", 0, "captured"), do("cancel", 0, "all"), do("look", 0), do("work")),
    ),
    "a part goes back, and then another": (
        "partly given back",
        told(
            *DEPOSIT,
            do("give_back", 0, "half"),
            do("work"),
            do("give_back", 0, "a coin"),
            do("work"),
            do("give_back", 0, "all"),
        ),
    ),
    "a refund fails and is tried again": (
        "a refund failed",
        told(
            *PAID,
            do("next_refund", "pending"),
            do("cancel", 0, "all"),
            do("work"),
            do("decide_back", 0, "failed"),
            do("bring", 0),
            do("wait", minutes=20),
            do("work"),
            do("decide_refund", 0, "try again"),
            do("work"),
        ),
    ),
    "a refund fails, and somebody makes it at the dashboard before we hear": (
        "given back elsewhere",
        told(
            *PAID,
            do("next_refund", "pending"),
            do("give_back", 0, "half"),
            do("work"),
            do("decide_back", 0, "failed"),
            do("at_the_dashboard", 0, "all", "done"),
            do("look", 0),
            do("work"),
        ),
    ),
    "a refund is declined by the gateway": (
        "a refund failed",
        told(*PAID, do("next_refund", "declined"), do("cancel", 0, "all"), do("work")),
    ),
    "a large refund is declined by the second pair of eyes": (
        "a refund was declined",
        told(*LARGE, do("give_back", 0, "all", DINA), do("decide_refund", 0, "decline")),
    ),
    "a large refund is approved": (
        "a refund waited for approval",
        told(*LARGE, do("cancel", 0, "all", DINA), do("decide_refund", 0, "approve"), do("work")),
    ),
    "a large refund waits, and the dashboard is quicker": (
        "given back elsewhere",
        told(
            *LARGE,
            do("give_back", 0, "all", DINA),
            do("at_the_dashboard", 0, "half", "done"),
            do("look", 0),
            do("work"),
        ),
    ),
    "given back at the dashboard": (
        "given back elsewhere",
        told(*PAID, do("at_the_dashboard", 0, "half", "done"), do("look", 0)),
    ),
    "given back at the dashboard, and it takes its time": (
        "given back elsewhere",
        told(
            *PAID, do("at_the_dashboard", 0, "half", "pending"), do("look", 0), do("work"), do("decide_back", 0, "done")
        ),
    ),
    "given back at the dashboard, and it does not get there": (
        "given back elsewhere",
        told(
            *PAID,
            do("at_the_dashboard", 0, "half", "pending"),
            do("look", 0),
            do("work"),
            do("decide_back", 0, "failed"),
        ),
    ),
    "given back before we heard of it": (
        "given back before we heard",
        told(do("hold", 0, 0), do("pay", 0, "captured"), do("at_the_dashboard", 0, "all", "done"), do("look", 0)),
    ),
    "given back in part before we heard of it": (
        "given back elsewhere",
        told(do("hold", 0, 0), do("pay", 0, "captured"), do("at_the_dashboard", 0, "half", "done"), do("look", 0)),
    ),
    "another sum, and part of it given back before we heard": (
        "given back elsewhere",
        told(
            do("hold", 0, 0),
            do("pay", 0, "captured", amount=1),
            do("at_the_dashboard", 0, "half", "done"),
            do("look", 0),
            do("work"),
        ),
    ),
    "a dispute is won": (
        "dispute won",
        told(*PAID, do("quarrel", 0, deducted=True), do("bring_all"), do("rule", 0, "won"), do("bring_all")),
    ),
    "a dispute is lost": (
        "dispute lost",
        told(*PAID, do("quarrel", 0, deducted=False), do("bring_all"), do("rule", 0, "lost"), do("bring_all")),
    ),
    "a dispute is lost after half of it went back": (
        "dispute lost",
        told(
            *PAID,
            do("give_back", 0, "half"),
            do("work"),
            do("quarrel", 0, deducted=True),
            do("bring_all"),
            do("rule", 0, "lost"),
            do("bring_all"),
        ),
    ),
    "a dispute is lost while a part is on its way, and then it is called off": (
        "they have it by dispute",
        told(
            *PAID,
            do("give_back", 0, "half"),
            do("quarrel", 0, deducted=True),
            do("bring_all"),
            do("rule", 0, "lost"),
            do("bring_all"),
            do("decide_refund", 0, "by dispute"),
            do("must_cancel", 0),
            do("work"),
            do("decide_refund", 0, "by dispute"),
        ),
    ),
    "a refund failed, somebody made it over there, and nobody told us": (
        "given back elsewhere",
        told(
            *PAID,
            do("next_refund", "declined"),
            do("give_back", 0, "half"),
            do("work"),
            do("at_the_dashboard", 0, "half", "done"),
            do("forget_the_news"),
            do("count"),
        ),
    ),
    "a cheque is cleared": ("a cheque was cleared", told(*CHEQUE, do("look_at_money", 0, "clear"))),
    "a cheque is cleared after all of it was promised back": (
        "a cheque was cleared",
        told(*CHEQUE, do("cancel", 0, "all"), do("look_at_money", 0, "clear"), do("decide_refund", 0, "hand out")),
    ),
    "a cheque is handed back before it is cleared, and after": (
        "handed out",
        told(
            *CHEQUE,
            do("cancel", 0, "all"),
            do("decide_refund", 0, "hand out"),
            do("look_at_money", 0, "clear"),
            do("decide_refund", 0, "hand out"),
        ),
    ),
    "a cheque bounces": ("a cheque bounced", told(*CHEQUE, do("look_at_money", 0, "bounce"))),
    "a cheque bounces after it was promised back": (
        "a cheque bounced",
        told(*CHEQUE, do("cancel", 0, "all"), do("look_at_money", 0, "bounce"), do("decide_refund", 0, "hand out")),
    ),
    "a cheque bounces that was one too many": (
        "a cheque bounced",
        told(
            do("hold", 0, 0),
            do("pay", 0, "captured"),
            do("take_by_hand", 0, "cheque"),
            do("look", 0),
            do("look_at_money", 0, "bounce"),
            do("work"),
        ),
    ),
    "a cheque bounces, and it is paid again": (
        "a cheque bounced",
        told(*CHEQUE, do("look_at_money", 0, "bounce"), do("pay", 0, "captured"), do("look", 0)),
    ),
    "a cheque bounces after the hour, and it is paid again": (
        "a cheque bounced",
        told(
            *CHEQUE,
            do("happen", 0, came=True),
            do("look_at_money", 0, "bounce"),
            do("pay", 0, "captured"),
            do("look", 0),
            do("give_back", 0, "half"),
        ),
    ),
    "a cheque bounces and it is called off": (
        "a cheque bounced",
        told(*CHEQUE, do("look_at_money", 0, "bounce"), do("cancel", 0, "all")),
    ),
    "a large sum is seen by two": (
        "four eyes",
        told(do("hold", 3, 0), do("take_by_hand", 0, "bank"), do("look_at_money", 0, "approve")),
    ),
    "a large sum was not there": (
        "four eyes",
        told(
            do("hold", 3, 0),
            do("take_by_hand", 0, "cash"),
            do("look_at_money", 0, "reject"),
            do("wait", hours=25),
            do("work"),
        ),
    ),
    "cash goes back by hand": (
        "handed out",
        told(
            do("hold", 0, 0), do("take_by_hand", 0, "cash"), do("cancel", 0, "all"), do("decide_refund", 0, "hand out")
        ),
    ),
    "a deposit, the rest, and all of it called off": (
        "deposit and rest paid",
        told(*DEPOSIT, do("pay", 0, "captured"), do("look", 0), do("cancel", 0, "policy", ADA), do("work")),
    ),
    "a deposit, and the rest is paid after the hour": (
        "deposit and rest paid",
        told(*DEPOSIT, do("happen", 0, came=True), do("pay", 0, "captured"), do("look", 0), do("give_back", 0, "half")),
    ),
    "paid out": ("settled", told(*PAID, do("settle"), do("cancel", 0, "all"), do("work"), do("settle"), do("settle"))),
    "a purse": (
        "a hold was taken",
        told(
            do("fill_purse", 500),
            do("hold_purse", 300),
            do("overdraw", 201),
            do("hold_purse", 201),
            do("hold_purse", 100),
            do("end_hold", 0, take=False),
            do("end_hold", 0, take=True),
            do("overdraw", 200),
            do("overdraw", 1),
        ),
    ),
    "a reply is lost at every call": (
        "cancelled and given back",
        told(
            do("hold", 0, 0),
            do("next_calls", "lost", "lost", "lost"),
            do("announce", 0),
            do("announce", 0),
            do("announce", 0),
            do("pay", 0, "captured"),
            do("next_calls", "away", "lost"),
            do("look", 0),
            do("look", 0),
            do("look", 0),
            do("cancel", 0, "all"),
            do("next_calls", "lost", "away"),
            do("work"),
            do("wait", minutes=20),
            do("work"),
        ),
    ),
    "confirmed": ("confirmed", told(*PAID)),
}


@pytest.mark.parametrize("story", STORIES)
def test_every_end_is_reached_and_is_true(house: House, story: str) -> None:
    end, go = STORIES[story]
    go(house)
    house.drain()
    assert end in house.reached, [*house.reached]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("commit", [1, 2, 3, 4, 5, 6])
def test_a_worker_that_dies_on_the_way_back_loses_nothing(house: House, commit: int, after: bool) -> None:
    for name, given, how in (*PAID, do("cancel", 0, "all"), do("work_and_die", commit, after=after)):
        getattr(house, name)(*given, **how)
        house.must_hold()
    house.drain()
    assert [each.state for each in session.query(Payment)] == ["refunded"]


def test_the_purse_never_falls_below_what_is_promised_of_it(house: House) -> None:
    house.fill_purse(500)
    house.hold_purse(300)
    house.overdraw(201)
    assert (house.purse.balance, house.purse.held) == (500, 300)
    house.overdraw(200)
    session.expire_all()
    assert (house.purse.balance, house.purse.held) == (300, 300)


def test_the_machine_and_the_stories_know_the_same_ends(house: House) -> None:
    assert {end for end, _ in STORIES.values()} == ENDS
    assert not Counter(ENDS) - Counter(set(ENDS))
