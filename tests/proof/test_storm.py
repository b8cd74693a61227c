"""Load tests: eight clients compete for hundreds of seats, with events lost and repeated; no deadlock, no error."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Busy, Refused
from app.money.bills.bill import Bill
from app.money.reconcile.gateway_webhooks import receive_webhook
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.proof.conftest import LONG
from tests.proof.house import BEGIN, CROWD, House, say

pytestmark = pytest.mark.proof

THREADS, SLOTS = (8, 200) if LONG else (4, 12)


class Storm:
    """One client, who acts repeatedly on a random seat."""

    def __init__(self, house: House, slots: list[int], seed: int) -> None:
        self.house, self.slots, self.seed = house, slots, seed
        self.times: list[float] = []
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.brought = threading.Lock()

    def run(self, n: int) -> None:
        chance = random.Random(self.seed * 100 + n)
        for _ in range(len(self.slots) * 2):
            what = chance.choice(
                [
                    self.book,
                    self.book,
                    self.pay,
                    self.pay,
                    self.bring,
                    self.bring,
                    self.come_back,
                    self.cancel,
                    self.poll,
                    self.work,
                ]
            )
            began = time.monotonic()
            try:
                what(chance)
            except Busy as no:
                self.wrong.append(f"{what.__name__}: {no.words}")
            except Refused:
                self.met["refused"] += 1
            except Exception as error:  # noqa: BLE001  # whatever it is, the storm goes on, and the end of the test says it
                self.wrong.append(f"{what.__name__}: {error!r}"[:300])
            finally:
                session.remove()
            self.times.append(time.monotonic() - began)
            self.met[what.__name__] += 1

    def book(self, chance: random.Random) -> None:
        who, coupon = CROWD[chance.randrange(3)], "few" if chance.random() < 0.1 else ""
        booking = Booking.hold(Slot.get(chance.choice(self.slots)), who, {}, Choices(coupon=coupon))
        bill = booking.bill
        if bill:
            bill.announce()

    def _bill(self, chance: random.Random) -> Bill | None:
        found = session.scalars(
            select(Bill.id).where(Bill.order_id.is_not(None)).order_by(Bill.id.desc()).limit(40)
        ).all()
        return Bill.get(chance.choice(found)) if found else None

    def pay(self, chance: random.Random) -> None:
        bill = self._bill(chance)
        if bill and bill.order_id:
            made = self.house.bank.pay(
                bill.order_id,
                chance.choice(["captured", "captured", "captured", "failed", "authorized"]),
                twice=chance.random() < 0.1,
            )
            if made and made.state != "captured" and chance.random() < 0.5:
                self.house.bank.come_late(made)

    def bring(self, chance: random.Random) -> None:
        with self.brought:
            fresh = [each for each in self.house.bank.news if not each.brought][:20]
            chosen = chance.sample(fresh, min(5, len(fresh)))
            for each in chosen:
                each.brought += 1
        for each in chosen:
            if chance.random() < 0.3:
                continue  # lost
            for _ in range(2 if chance.random() < 0.5 else 1):
                receive_webhook(self.house.bank.name, *each.letter())

    def come_back(self, chance: random.Random) -> None:
        bill = self._bill(chance)
        if bill:
            bill.handle_return({"proof": bill.order_id or ""})

    def cancel(self, chance: random.Random) -> None:
        found = session.scalars(
            select(Booking.id).where(Booking.state.in_(("held", "confirmed"))).order_by(Booking.id.desc()).limit(40)
        ).all()
        if found and chance.random() < 0.4:
            Booking.get(chance.choice(found)).cancel(CallOff("Ill.", chance.choice(["all", "policy", "nothing"])))

    def poll(self, chance: random.Random) -> None:
        bill = self._bill(chance)
        if bill:
            bill.check_again()

    def work(self, chance: random.Random) -> None:
        self.house.work(8)


@pytest.mark.parametrize("seed", [1, 2, 3] if LONG else [1])
def test_a_storm_leaves_the_money_true(build: Callable[[], House], seed: int) -> None:
    house = build()
    with transaction():
        asha, services = house.pick(Practitioner, 0), session.scalars(select(Service)).all()
        made = [
            Slot.starting_at(asha, services[n % len(services)], BEGIN + timedelta(hours=100 + 2 * n))
            for n in range(SLOTS)
        ]
        session.add_all(made)
    storm = Storm(house, [each.id for each in made], seed)
    clock._read = lambda: house.clock
    began = time.monotonic()
    threads = [threading.Thread(target=storm.run, args=(n,)) for n in range(THREADS)]
    session.remove()
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        time.sleep(0.5)
        house.clock += timedelta(minutes=2)  # holds run out, the clock comes by
        with suppress(Refused):
            house.wait(seconds=1)
    took = time.monotonic() - began
    times = sorted(storm.times)
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    speed = f"{len(times)} in {took:.1f} s, {len(times) / took:.0f} a second, p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    say(f"seed {seed}: {speed}, {dict(storm.met)}")
    assert storm.wrong == []
    house.must_hold()
    house.drain()
    house.census()
    assert house.reached["confirmed"]
