"""Two at once: each race is first shown to break with lock, version and constraint switched off, and then shown to hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from app.kernel import clock, db, numbering
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Refused
from app.kernel.numbering import Series, fiscal_number
from app.kernel.people import Person
from app.money.amount import Money
from app.money.bill import Bill
from app.money.coupon import Coupon, CouponUse
from app.money.gateway import Charge
from app.money.invoice import Invoice
from app.money.ledger import Account, Hold, post
from app.money.payment import GiveBack, Payment
from app.money.refund import Refund
from app.packs.bookings.booking import Booking, CallOff, Choices
from app.packs.bookings.slot import Slot
from tests.conftest import MEERA
from tests.proof.invariants import broken

ROUNDS = 200 if os.environ.get("PROOF_EXAMPLES") else 6
TRIES = 12  # a race that is switched on breaks within so many rounds, or the test could not see it

Call = Callable[[], object]


@dataclass
class Race:
    """Who runs against whom, and how it would show that both had won."""

    calls: Sequence[Call]
    wrong: Callable[[], bool]
    at: datetime | None = None


def inr(amount: int) -> Money:
    return Money(amount, "INR")


def together(app: Flask, calls: Sequence[Call]) -> list[str]:
    """All at the same moment, each in its own session; answers what each was told, "" for done."""
    start, told = threading.Barrier(len(calls)), [""] * len(calls)

    def run(at: int) -> None:
        with app.app_context():
            try:
                start.wait(10)
                calls[at]()
            except Refused as no:
                told[at] = no.words
            except RuntimeError as error:
                told[at] = str(error)
            finally:
                session.remove()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    session.rollback()
    session.expire_all()
    return told


@contextmanager
def switched_off(constraints: Sequence[tuple[str, str]]) -> Iterator[None]:
    """No row is locked, no version is looked at, and these constraints are gone. A moment passes where a lock would have waited."""
    keep, mappers = Noun.lock, [each.mapper for each in db.Model.registry.mappers if issubclass(each.class_, Noun)]
    versions = {each: each.version_id_generator for each in mappers}

    def no_lock(self: Any) -> Any:
        time.sleep(0.02)
        return self

    with db.engine().begin() as connection:
        kept = [connection.execute(text(f"select pg_get_constraintdef(oid) from pg_constraint where conname = '{name}'")).scalar() for _, name in constraints]
        indexes = [connection.execute(text(f"select indexdef from pg_indexes where indexname = '{name}'")).scalar() for _, name in constraints]
        for (table, name), constraint in zip(constraints, kept, strict=True):
            connection.execute(text(f"alter table {table} drop constraint {name}" if constraint else f"drop index {name}"))
    Noun.lock = no_lock  # type: ignore[method-assign]
    for each in mappers:
        each.version_id_generator = lambda version: version or 1  # a version that never changes always fits
    try:
        yield
    finally:
        Noun.lock = keep  # type: ignore[method-assign]
        for each, counts in versions.items():
            each.version_id_generator = counts
        session.remove()
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            tables = ", ".join(each.name for each in db.metadata.sorted_tables if not each.name.startswith("ab_"))
            connection.execute(text(f"truncate {tables} restart identity cascade"))
            connection.execute(text("set local session_replication_role = default"))
            for (table, name), constraint, index in zip(constraints, kept, indexes, strict=True):
                connection.execute(text(f"alter table {table} add constraint {name} {constraint}" if constraint else str(index)))


# --- the races --------------------------------------------------------------------------------------------------------


def wrong_somewhere() -> bool:
    with db.engine().connect() as connection:
        return bool(broken(connection))


def pay(bill: int) -> Call:
    return lambda: Bill.get(bill).heard([Charge("pay_1", "captured", inr(99900))])


def pay_or_expire(new: Callable[..., Bill]) -> Race:
    """The money comes in the moment in which the hold is over and somebody else asks for the seat."""
    booking = Booking.get(new().row_id)
    bill, slot = booking.bills[0].id, booking.slot_id
    take = lambda: Booking.hold(Slot.get(slot), MEERA | {"email": "kabir@example.com"}, {})  # noqa: E731
    return Race([pay(bill), take], wrong_somewhere, booking.hold_expires_at + timedelta(seconds=1))


def pay_or_cancel(new: Callable[..., Bill]) -> Race:
    bill = new()
    booking = bill.row_id
    state = select(Booking.state).where(Booking.id == booking)  # whoever is first: what is called off stays called off
    return Race([pay(bill.id), lambda: Booking.get(booking).cancel(CallOff("Ill"))], lambda: session.scalar(state) != "cancelled" or wrong_somewhere())


def refund_and_refund(new: Callable[..., Bill]) -> Race:
    bill = new(paid=True)
    payment = bill.payments[0].id
    give = lambda: Payment.get(payment).give_back(GiveBack(amount="600", why="x"))  # noqa: E731  # two of the same
    return Race([give, give], lambda: (session.scalar(select(func.sum(Refund.__table__.c.money_amount))) or 0) > 99900)


def webhook_and_return(new: Callable[..., Bill]) -> Race:
    bill = new().id
    return Race([pay(bill)] * 3, lambda: (session.scalar(select(func.count()).where(Invoice.kind == "invoice")) or 0) != 1)


def the_coupons_last_use(new: Callable[..., Bill]) -> Race:
    with transaction():
        session.add(Coupon(code="LAST", percent=10, uses_at_most=1))
    slots = [new.slot().id for _ in range(2)]  # type: ignore[attr-defined]

    def book(at: int) -> Call:
        return lambda: Booking.hold(Slot.get(slots[at]), MEERA | {"email": f"m{at}@example.com"}, {}, Choices(coupon="LAST"))

    return Race([book(0), book(1)], lambda: (session.scalar(select(func.count()).where(CouponUse.state == "taken")) or 0) > 1)


def the_wallet(new: Callable[..., Bill]) -> Race:
    with transaction():
        person = Person.meet(**MEERA)
        session.add(person)
        session.flush()
        wallet = Account.wallet(person, "INR")
        post("fill", "Commission", ("cash", inr(1000)), (wallet, inr(-1000)), about=person)
    account = wallet.id
    held = select(func.coalesce(func.sum(Hold.__table__.c.money_amount), 0))

    def draw(key: str) -> Call:
        return lambda: Account.get(account).hold(inr(700), key)

    return Race([draw("a"), draw("b")], lambda: (session.scalar(held) or 0) > 1000)


def two_invoices(new: Callable[..., Bill]) -> Race:
    def count() -> None:
        with transaction():
            made.append(fiscal_number("INV"))

    made: list[str] = []
    with transaction():
        fiscal_number("INV")
    return Race([count, count, count], lambda: len(set(made)) != len(made) or len(made) != 3)


def _naive(kind: str, year: int) -> int:
    """A number as many count it: look, add one, write."""
    series = session.scalars(select(Series).where(Series.kind == kind, Series.year == year)).one_or_none()
    if series is None:
        series = Series(kind=kind, year=year, last=0)
        session.add(series)
    time.sleep(0.02)
    series.last += 1
    session.flush()
    return series.last


RACES: dict[str, tuple[Callable[..., Race], list[tuple[str, str]]]] = {
    "pay or expire": (pay_or_expire, [("booking", "booking_one_per_seat"), ("booking", "booking_one_place_at_a_time")]),
    "pay or cancel": (pay_or_cancel, []),
    "refund and refund": (refund_and_refund, [("payment", "payment_back")]),
    "webhook and return": (webhook_and_return, [("payment", "payment_gateway_gateway_id_key"), ("invoice", "invoice_once")]),
    "the coupon's last use": (the_coupons_last_use, [("coupon", "coupon_used_up")]),
    "the wallet": (the_wallet, [("account", "account_covered")]),
    "two invoices": (two_invoices, []),
}


@pytest.fixture
def new(app: Flask, open_slot: Any, kept: list[str]) -> Any:
    """A held booking's bill, on a slot of its own: new(), new(paid=True), new.slot()."""
    hours = iter(range(48, 10**6, 2))

    def slot() -> Slot:
        found: Slot = open_slot(hours=next(hours))
        return found

    def new(*, paid: bool = False) -> Bill:
        bill = Booking.hold(slot(), MEERA, {}).bill
        assert bill
        if paid:
            bill.heard([Charge("pay_1", "captured", bill.price)])
        return bill

    new.slot = slot  # type: ignore[attr-defined]
    return new


@pytest.fixture
def again(app: Flask, kept: list[str], service: Any, asha: Any) -> Callable[[], None]:
    """Back to the empty practice, quickly."""
    keep = {"service", "practitioner"}

    def again() -> None:
        session.rollback()
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(";".join(f"delete from {each}" for each in kept if each not in keep)))
        session.expire_all()

    return again


@pytest.mark.parametrize("name", RACES)
def test_it_holds(name: str, new: Any, again: Any, app: Flask) -> None:
    make, _ = RACES[name]
    for _ in range(ROUNDS):
        again()
        race = make(new)
        session.rollback()
        with clock.standing_at(race.at or clock.now()):
            told = together(app, race.calls)
            assert not race.wrong(), (name, told)
        assert name == "two invoices" or not wrong_somewhere(), (name, told)  # numbers without papers are gaps
        assert not [each for each in told if "deadlock" in each], told


@pytest.mark.parametrize("name", RACES)
def test_it_would_break_and_this_would_see_it(name: str, new: Any, again: Any, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make, constraints = RACES[name]
    if name == "two invoices":
        monkeypatch.setattr(numbering, "_next", _naive)
    with switched_off(constraints):
        for _ in range(TRIES):
            again()
            race = make(new)
            session.rollback()
            with clock.standing_at(race.at or clock.now()):
                together(app, race.calls)
                if race.wrong():
                    return
        pytest.fail(f"{name}: nothing broke with everything switched off, so nothing would be seen")
