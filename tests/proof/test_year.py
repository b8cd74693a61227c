"""A simulated year of a busy practice: holds, late payments, closures, waiting list and clock changes."""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as oclock
from itertools import count
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.kernel import clock, jobs
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.messages.message import Message
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff, NewTime
from app.packs.bookings.booking.seats import STANDING
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.hours import WEEKDAYS, Hours
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.proof.conftest import LONG
from tests.proof.house import House, inr, say

pytestmark = pytest.mark.proof

DAYS = int(os.environ.get("PROOF_DAYS") or (365 if LONG else 1))
BUSY = float(os.environ.get("PROOF_BUSY", "1"))  # a calmer practice lives its year sooner: the calendar is the same
WATCH = timedelta(hours=2)  # somebody looks at the practice so often
ZONES = "Asia/Kolkata", "Europe/Rome", "America/New_York"
OPENS = oclock(9)
FIRST = ("Meera", "Kabir", "Rohan", "Priya", "Sofia", "Daniel", "Noor", "Tara", "Emma", "Luca")
LAST = ("Iyer", "Shah", "Menon", "Nair", "Rossi", "Cohen", "Khan", "Das")


@dataclass
class Year:
    """Simulates the days; a diary holds what people will do later."""

    house: House
    chance: Random
    diary: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=count)
    reminded: list[tuple[int, int, str, timedelta]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    # --- the practice ---

    def open(self) -> None:
        with transaction():
            for service in session.scalars(select(Service)):
                service.retire()
            for practitioner in session.scalars(select(Practitioner)):
                practitioner.go_away()
            policy = session.scalars(select(RefundPolicy)).one()
            session.add_all(
                [
                    Service(
                        name="Hour",
                        slug="hour",
                        minutes=60,
                        price=inr(99900),
                        before_minutes=10,
                        after_minutes=5,
                        day_cap=4,
                        change_hours=12,
                        policy=policy,
                    ),
                    Service(
                        name="Half",
                        slug="half",
                        minutes=30,
                        price=inr(49900),
                        reminds_again=True,
                        deposit_percent=40,
                        notice_minutes=60,
                    ),
                    Service(
                        name="Group", slug="group", minutes=90, price=inr(20000), seats=4, tax_rate=1800, week_cap=20
                    ),
                    Service(name="Look first", slug="look", minutes=45, price=inr(150000), by_approval=True),
                ]
            )
            people = [Practitioner(name=f"From {zone}", timezone=zone) for zone in ZONES]
            session.add_all(people)
            session.add_all(
                Hours(practitioner=each, weekday=day, opens=opens, closes=closes)
                for each in people
                for day in WEEKDAYS[:6]
                for opens, closes in ((OPENS, oclock(13)), (oclock(14), oclock(18)))
            )
        self.house.work()

    def send(self, message: Message) -> None:
        """Collect emails instead of sending them, with their time."""
        if message.state != "waiting":
            return
        about: Any = {"booking": Booking, "waiting": Waiting}.get(message.noun)
        thing = about.get(message.row_id) if about else None
        if thing is not None and not message.is_wanted(thing):
            message.drop()
            return
        message.was_sent("")
        if message.template in ("bookings/reminder", "bookings/soon"):
            assert thing.state == "confirmed"
            self.reminded.append((thing.id, thing.edition, message.template, thing.slot.starts_at - clock.now()))

    # --- people ---

    def later(self, hours: float, does: Callable[[], None]) -> None:
        heapq.heappush(self.diary, (clock.now() + timedelta(hours=hours), next(self.turn), does))

    def somebody(self) -> dict[str, str]:
        name = f"{self.chance.choice(FIRST)} {self.chance.choice(LAST)}"
        zone = self.chance.choice((*ZONES, "Australia/Lord_Howe", "UTC"))
        return {"name": name, "email": f"{name.replace(' ', '.').lower()}@example.com", "phone": "", "timezone": zone}

    def visit(self) -> None:
        service = self.chance.choice(Service.all_offered())
        free = Booking.free_slots(service, clock.now(), clock.ahead(days=self.chance.choice((2, 7, 30))))
        if not free:
            self.wait_for(service)
            return
        slot = self.chance.choice(free[:40])[0]
        self.slot_keeps_its_promises(slot)
        with suppress(Refused):
            booking = Booking.hold(slot, self.somebody(), {})
            self.done["held"] += 1
            self.means_to(booking.id)

    def means_to(self, id: int) -> None:
        """Act as a payer: most pay at once; some fail first, leave, are late or cancel later."""
        fate = self.chance.random()
        if fate < 0.72:
            self.pay(id)
        elif fate < 0.78:
            self.pay(id, "failed")
            self.later(0, lambda: self.pay(id))
        elif fate < 0.86:
            self.later(self.chance.choice((1, 3)), lambda: self.pay(id))
        if fate < 0.08:
            self.later(self.chance.randint(2, 90), lambda: self.call_off(id))
        elif fate < 0.22:
            self.later(self.chance.randint(2, 60), lambda: self.move(id))

    def pay(self, id: int, outcome: str = "captured") -> None:
        bill = next((each for each in Booking.get(id).bills if each.wants_money), None)
        if bill is not None:
            with suppress(Refused):
                self.house.bank.pay(bill.announce(), outcome)
                self.house.bring_all()

    def move(self, id: int) -> None:
        booking = Booking.get(id)
        free = Booking.free_slots(booking.slot.service, clock.now(), clock.ahead(days=20))
        with suppress(Refused):
            if free and not booking.refuses_change():
                booking.move_to(self.chance.choice(free)[0])
                self.done["moved"] += 1

    def call_off(self, id: int) -> None:
        with suppress(Refused):
            Booking.get(id).call_off()
            self.done["called off"] += 1

    def wait_for(self, service: Service) -> None:
        with suppress(Refused):
            today = clock.today()
            Waiting.join(service, self.somebody() | {"timezone": "UTC"}, today, today + timedelta(days=20))
            self.done["waited"] += 1

    # --- staff ---

    def look_after(self) -> None:
        now = clock.now()
        for booking in (
            session.scalars(select(Booking).join(Slot).where(Booking.state == "confirmed", Slot.ends_at < now))
            .unique()
            .all()
        ):
            (booking.complete if self.chance.random() < 0.93 else booking.miss)()
            self.done[booking.state] += 1
        for booking in session.scalars(select(Booking).where(Booking.state == "requested")).unique().all():
            with suppress(Refused):
                booking.approve()
                self.done["approved"] += 1
                self.pay(booking.id)
        for waiting in session.scalars(select(Waiting).where(Waiting.state == "offered")).unique().all():
            if waiting.is_kept and waiting.booking and self.chance.random() < 0.6:
                self.take_offer(waiting)

    def take_offer(self, waiting: Waiting) -> None:
        person, kept = waiting.person, waiting.booking
        assert kept is not None
        who = {"name": person.name, "email": person.email, "phone": person.phone, "timezone": "UTC"}
        with transaction():
            waiting.lock()
            booking = Booking.hold(kept.slot, who, {}, replaces=kept)
            waiting.take(booking)
        self.done["taken from the line"] += 1
        self.pay(booking.id)

    def close_some_days(self) -> None:
        """Enter a leave: its slots go, its bookings stay, and staff reschedule or cancel each."""
        whose = self.chance.choice([*session.scalars(select(Practitioner).where(Practitioner.state == "active"))])
        begins = clock.ahead(days=self.chance.randint(2, 12))
        with transaction():
            session.add(
                Closure(practitioner=whose, starts_at=begins, ends_at=begins + timedelta(days=2), reason="Away")
            )
        self.house.work()
        self.done["closed"] += 1
        inside = Slot.starts_at.between(begins, begins + timedelta(days=2))
        stranded = (
            select(Booking).join(Slot).where(Booking.state == "confirmed", Slot.practitioner_id == whose.id, inside)
        )
        for booking in session.scalars(stranded).unique().all():
            times = list(booking.other_times)
            try:
                booking.reschedule(NewTime(int(times[0])))
            except (Refused, IndexError):
                booking.cancel(CallOff("We are away.", "all"))

    # --- promises ---

    def slot_keeps_its_promises(self, slot: Slot) -> None:
        """Check that 09:00 stays 09:00 across clock changes, and that nothing is offered during leave."""
        local = slot.starts_at.astimezone(ZoneInfo(slot.practitioner.timezone))
        assert OPENS <= local.time() < oclock(18), (slot, local)
        assert not (oclock(13) <= local.time() < oclock(14)), (slot, local)
        assert local.weekday() < 6
        for closure in session.scalars(select(Closure).where(Closure.practitioner_id == slot.practitioner_id)):
            assert slot.ends_at <= closure.starts_at or slot.starts_at >= closure.ends_at, (str(slot), str(closure))

    def everybody_was_reminded_once(self) -> None:
        often = Counter((id, edition, template) for id, edition, template, _ in self.reminded)
        assert not [each for each, times in often.items() if times > 1]
        for _, _, template, ahead in self.reminded:
            most = timedelta(hours=24 if template == "bookings/reminder" else 1)
            assert most - 2 * WATCH <= ahead <= most, (template, ahead)
        for booking in session.scalars(select(Booking).where(Booking.state.in_(STANDING))).unique():
            told = select(Message).where(
                Message.row_id == booking.id, Message.noun == "booking", Message.template == "bookings/reminder"
            )
            owed = [
                each
                for each in session.scalars(told)
                if each.edition == booking.edition and each.due_at < clock.now() - WATCH
            ]
            assert [each.state for each in owed] in ([], ["sent"]), (
                booking.number,
                [(each.state, each.due_at) for each in owed],
            )

    def live(self, days: int) -> None:
        end: datetime = clock.now() + timedelta(days=days)
        day: date = clock.today()
        while clock.now() < end:
            self.house.clock += WATCH
            jobs.tick()
            self.house.work()
            while self.diary and self.diary[0][0] <= clock.now():
                heapq.heappop(self.diary)[2]()
            for _ in range(self.chance.choice((0, 1, 1, 2, 3))):
                if self.chance.random() < BUSY:
                    self.visit()
            self.house.work()
            if clock.today() != day:
                day = clock.today()
                self.look_after()
                if self.chance.random() < 1 / 12:
                    self.close_some_days()
                self.house.must_hold()
                if day.day == 1:
                    say(f"{day:%B}, {time.process_time():.0f} s at work: {dict(self.done)}")


def test_every_promise_is_kept_all_year(build: Callable[[], House], monkeypatch: pytest.MonkeyPatch) -> None:
    year = Year(build(), Random(11))
    monkeypatch.setitem(jobs._work, "messages.message.send", year.send)
    monkeypatch.setitem(
        jobs._clockwork, "packs.bookings.slot_generator.arrange_everybody", timedelta(days=1)
    )  # what the passing of time asks for; changes do at once
    began = time.monotonic()
    year.open()
    year.live(DAYS)
    year.everybody_was_reminded_once()
    year.house.drain()
    bookings = session.scalar(select(Booking.id).order_by(Booking.id.desc()))
    spent = f"{time.monotonic() - began:.0f} s, {time.process_time():.0f} s of them CPU time"
    say(f"{DAYS} days, {spent}, {bookings} bookings: {dict(year.done)}")
    assert {"held"} <= year.done.keys()
    assert DAYS < 60 or {"moved", "called off", "approved", "closed", "no_show"} <= year.done.keys()
