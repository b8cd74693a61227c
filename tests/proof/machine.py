"""Hypothesis state machine: customers, banks, staff, clock and gateway act in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.proof.house import ADA, DINA, House, like_a_process

few = st.integers(0, 3)
yes = st.booleans()
parts = st.sampled_from(["all", "half", "a coin"])
fates = st.sampled_from(["done", "done", "pending", "declined"])
staff = st.sampled_from([None, DINA, ADA])


class Everything(RuleBasedStateMachine):
    """One practice over some days; the invariants hold after every step, and both sides agree at the end."""

    build: ClassVar[Callable[[], House]]
    reached: ClassVar[Counter[str]] = Counter()
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.house = type(self).build()

    @initialize(first=few, outcome=st.sampled_from(["captured", "captured", "failed", ""]), coupon=yes, heard=yes)
    def begins(self, first: int, outcome: str, coupon: bool, heard: bool) -> None:
        self.house.hold(first, 0, coupon=coupon)
        if outcome:
            self.house.pay(0, outcome)
        if heard:
            self.house.look(0)

    # --- customers ---

    @rule(slot=st.integers(0, 5), who=few, coupon=yes, extra=yes)
    def hold(self, **how: Any) -> None:
        self.house.hold(how["slot"], how["who"], coupon=how["coupon"], extra=how["extra"])

    @rule(
        slot=st.integers(0, 5),
        who=few,
        coupon=yes,
        outcome=st.sampled_from(["captured", "captured", "failed", "authorized"]),
        heard=yes,
    )
    def book(self, slot: int, who: int, coupon: bool, outcome: str, heard: bool) -> None:
        if self.house.hold(slot, who, coupon=coupon):
            self.house.pay(0, outcome)
            if heard:
                self.house.look(0)

    @rule(
        n=few,
        outcome=st.sampled_from(["captured", "captured", "failed", "authorized"]),
        twice=st.sampled_from([False, False, True]),
    )
    def pay(self, n: int, outcome: str, twice: bool) -> None:
        self.house.pay(n, outcome, twice=twice)

    @rule(n=few, amount=st.sampled_from([-1, 1, -50000]), currency=st.sampled_from(["INR", "USD"]))
    def pay_another_sum(self, n: int, amount: int, currency: str) -> None:
        self.house.pay(n, "captured", amount=amount, currency=currency)

    @rule(n=few, twice=yes)
    def come_late(self, n: int, twice: bool) -> None:
        self.house.come_late(n, twice=twice)

    @rule(n=few, honest=yes)
    def come_back(self, n: int, honest: bool) -> None:
        self.house.come_back(n, honest=honest)

    @rule(n=few, slot=st.integers(0, 5))
    def move(self, n: int, slot: int) -> None:
        self.house.move(n, slot)

    @rule(n=few)
    def call_off(self, n: int) -> None:
        self.house.call_off(n)

    # --- hearing of it ---

    @rule(n=st.integers(0, 9), times=st.integers(1, 2), handled=yes)
    def bring(self, n: int, times: int, handled: bool) -> None:
        self.house.bring(n, times)
        if handled:
            self.house.work(4)

    @rule(n=few)
    def look(self, n: int) -> None:
        self.house.look(n)

    @rule(n=few)
    def ask_early(self, n: int) -> None:
        self.house.ask_early(n)

    @rule(n=few)
    def act_late(self, n: int) -> None:
        self.house.act_late(n)

    # --- the worker and the clock ---

    @rule(most=st.sampled_from([1, 3, 100]))
    def work(self, most: int) -> None:
        self.house.work(most)

    @rule(minutes=st.sampled_from([1, 3, 16, 60, 600]), worked=yes)
    def wait(self, minutes: int, worked: bool) -> None:
        self.house.wait(minutes=minutes)
        if worked:
            self.house.work()

    @rule(trouble=st.lists(st.sampled_from(["away", "lost", "fine", "fine"]), min_size=1, max_size=3))
    def bad_day(self, trouble: list[str]) -> None:
        self.house.bank.trouble[:] = trouble

    @rule(trouble=st.sampled_from(["killed before", "killed after"]))
    def worker_dies_at_the_gateway(self, trouble: str) -> None:
        self.house.bank.trouble[:] = [trouble]
        with like_a_process():
            self.house.work(4)
        self.house.bank.trouble.clear()

    @rule(commit=st.integers(1, 4), after=yes)
    def worker_dies_at_a_commit(self, commit: int, after: bool) -> None:
        self.house.work_and_die(commit, after=after)

    # --- staff ---

    @rule(n=few, back=st.sampled_from(["all", "policy", "nothing"]), by=staff)
    def cancel(self, n: int, back: str, by: Any) -> None:
        self.house.cancel(n, back, by)

    @rule(n=few, amount=parts, by=staff)
    def give_back(self, n: int, amount: str, by: Any) -> None:
        self.house.give_back(n, amount, by)

    @rule(n=few, how=st.sampled_from(["approve", "decline", "try again", "hand out", "by dispute"]))
    def decide_refund(self, n: int, how: str) -> None:
        self.house.decide_refund(n, how)

    @rule(fate=fates)
    def next_refund_ends(self, fate: str) -> None:
        self.house.bank.fate[:] = [fate]

    @rule(n=few, how=st.sampled_from(["cash", "cheque", "cheque", "bank"]))
    def take_by_hand(self, n: int, how: str) -> None:
        self.house.take_by_hand(n, how)

    @rule(n=few, what=st.sampled_from(["approve", "reject", "clear", "bounce"]))
    def look_at_money(self, n: int, what: str) -> None:
        self.house.look_at_money(n, what)

    @rule(n=few, came=yes)
    def happen(self, n: int, came: bool) -> None:
        self.house.happen(n, came=came)

    # --- the gateway's side ---

    @rule(n=few, amount=parts, fate=st.sampled_from(["done", "pending"]))
    def at_the_dashboard(self, n: int, amount: str, fate: str) -> None:
        self.house.at_the_dashboard(n, amount, fate)

    @rule(n=few, state=st.sampled_from(["done", "failed"]))
    def decide_back(self, n: int, state: str) -> None:
        self.house.decide_back(n, state)

    @rule(n=few, deducted=yes)
    def quarrel(self, n: int, deducted: bool) -> None:
        self.house.quarrel(n, deducted=deducted)

    @rule(n=few, state=st.sampled_from(["under_review", "won", "lost", "closed"]))
    def decide_quarrel(self, n: int, state: str) -> None:
        self.house.rule(n, state)

    @rule()
    def settle(self) -> None:
        self.house.settle()

    @rule()
    def count(self) -> None:
        self.house.count()

    # --- a purse ---

    @rule(amount=st.integers(1, 500), what=st.sampled_from(["fill", "hold", "overdraw", "take", "release"]))
    def purse(self, amount: int, what: str) -> None:
        if what in ("take", "release"):
            self.house.end_hold(amount, take=what == "take")
        else:
            {"fill": self.house.fill_purse, "hold": self.house.hold_purse, "overdraw": self.house.overdraw}[what](
                amount
            )

    # --- is it all true? ---

    @invariant()
    def holds(self) -> None:
        type(self).steps["steps"] += 1
        self.house.must_hold()
        self.house.census()

    def teardown(self) -> None:
        type(self).steps["examples"] += 1
        self.house.drain()
        self.house.census()
        type(self).reached.update(self.house.reached)
