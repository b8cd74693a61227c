"""Race tests: each race is first shown to break without its guard, and then to hold with it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.kernel import db, numbering
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Busy, Refused
from app.money.bills.bill import Bill
from app.money.bills.ledger import Account
from app.money.bills.payment import GiveBack, Payment
from app.money.gateways.gateway import Charge
from app.money.sums.coupon import Coupon
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from tests.proof.conftest import LONG
from tests.proof.house import CROWD, House, inr
from tests.proof.invariants import broken

ROUNDS = 200 if LONG else 4

Act = Callable[[], Any]


def at_once(*acts: Act) -> list[BaseException | None]:
    """Run each in its own thread and session, started at the same moment; return what each raised."""
    gate, met = threading.Barrier(len(acts)), [None] * len(acts)

    def run(n: int, act: Act) -> None:
        try:
            gate.wait()
            act()
        except BaseException as error:  # noqa: BLE001  # it is looked at by whoever asked
            met[n] = error  # type: ignore[call-overload]
        finally:
            session.remove()

    threads = [threading.Thread(target=run, args=each, name=str(each[0])) for each in enumerate(acts)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive(), "somebody waits for ever"
    return [*met]


# --- the guards, switched off ---


@contextmanager
def without_locks(meet_at: type[Noun], *, in_turn: bool = False) -> Iterator[None]:
    """Turn off row locks and version checks, and let both reach this noun at the same moment."""
    both, lock = threading.Barrier(2), Noun.lock
    seen = threading.local()

    def read(self: Any) -> Any:
        ours = session().info.get("locked")
        if ours is None or self not in ours:
            if self in session.dirty:
                session.flush()
            session.refresh(self)
            if ours is not None:
                ours.add(self)
        if isinstance(self, meet_at) and not getattr(seen, "met", False):
            seen.met = True
            with suppress(threading.BrokenBarrierError):
                both.wait(20)
            if in_turn and threading.current_thread().name == "1":
                time.sleep(0.2)  # so that the second writes last, over what the first has written
        return self

    def forget_versions(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return re.sub(r"AND \w+\.version = %\(\w+\)s(::INTEGER)?", "", statement), parameters

    Noun.lock = read  # type: ignore[method-assign]
    event.listen(db.engine(), "before_cursor_execute", forget_versions, retval=True)
    try:
        yield
    finally:
        Noun.lock = lock  # type: ignore[method-assign]
        event.remove(db.engine(), "before_cursor_execute", forget_versions)


@contextmanager
def without_index(name: str) -> Iterator[None]:
    with db.engine().begin() as connection:
        made = connection.scalar(text("select indexdef from pg_indexes where indexname = :name"), {"name": name})
        table = connection.scalar(text("select tablename from pg_indexes where indexname = :name"), {"name": name})
        owned = connection.scalar(text("select true from pg_constraint where conname = :name"), {"name": name})
        connection.execute(text(f"alter table {table} drop constraint {name}" if owned else f"drop index {name}"))
    try:
        yield
    finally:
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(f"delete from {table}"))
            connection.execute(
                text(
                    f"alter table {table} add constraint {name} unique ({made.partition('(')[2][:-1]})"
                    if owned
                    else made
                )
            )


@contextmanager
def without_check(table: str, name: str) -> Iterator[None]:
    with db.engine().begin() as connection:
        said = connection.scalar(
            text("select pg_get_constraintdef(oid) from pg_constraint where conname = :name"), {"name": name}
        )
        connection.execute(text(f"alter table {table} drop constraint {name}"))
    try:
        yield
    finally:
        with db.engine().begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(f"delete from {table}"))
            connection.execute(text(f"alter table {table} add constraint {name} {said}"))


@contextmanager
def counting_without_a_lock() -> Iterator[None]:
    both, counted = threading.Barrier(2), numbering._next

    def look_and_write(kind: str, year: int) -> int:
        last = session.scalar(select(numbering.Series.last).where(numbering.Series.kind == kind)) or 0
        if kind == "INV fiscal":
            with suppress(threading.BrokenBarrierError):
                both.wait(20)
        counted(kind, year)
        return last + 1

    numbering._next = look_and_write
    try:
        yield
    finally:
        numbering._next = counted


# --- the races ---


@dataclass(frozen=True)
class Race:
    prepare: Callable[[House], None]
    acts: Callable[[House], list[Act]]
    off: Callable[[], list[Any]]  # the guards that have to be gone for it to break


def _slots() -> list[int]:
    return [each.id for each in session.scalars(select(Slot).order_by(Slot.id.desc()))]


def _id(noun: type[Noun]) -> int:
    found = session.scalar(select(noun.id).order_by(noun.id.desc()))
    assert found
    return int(found)


def _hold(slot: int, who: int, coupon: str = "") -> Act:
    return lambda: Booking.hold(Slot.get(slot), CROWD[who], {}, Choices(coupon=coupon))


def _captured(n: int = 0) -> Act:
    """Let the gateway report the nth latest bill as paid."""
    bills = session.scalars(select(Bill).order_by(Bill.id.desc())).all()
    id, charge = bills[n].id, Charge(f"pay_{bills[n].id}", "captured", bills[n].price)
    return lambda: Bill.get(id).apply_charges([charge])


def _tried(house: House) -> None:
    house.hold(0, 0, coupon=True)
    bill = Bill.get(_id(Bill))
    bill.apply_charges([Charge(f"pay_{bill.id}", "failed", bill.price)])


def _lapse(house: House) -> Act:
    id = _id(Booking)
    return lambda: Booking.get(id).lapse()


def _cancel(house: House) -> Act:
    id = _id(Booking)
    return lambda: Booking.get(id).cancel(CallOff("Ill."))


def _paid(house: House) -> None:
    _tried(house)
    _captured()()


def _give_back(amount: str) -> Act:
    id = _id(Payment)
    return lambda: Payment.get(id).give_back(GiveBack(amount=amount, why="x"))


def _one_use(house: House) -> None:
    with transaction():
        session.scalars(select(Coupon)).one().uses_at_most = 1


def _promise(house: House) -> list[Act]:
    id = house.purse.id
    return [lambda key=key: Account.get(id).hold(inr(300), key) for key in ("one", "two")]


def _two_bills(house: House) -> None:
    for n in (0, 5):
        house.hold(n, n % 3)


RACES: dict[str, Race] = {
    "two want one seat": Race(
        lambda house: None,
        lambda house: [_hold(_slots()[0], 0), _hold(_slots()[0], 1)],
        lambda: [without_locks(Slot), without_index("booking_one_per_seat")],
    ),
    "the money comes as the hold runs out": Race(
        _tried, lambda house: [_captured(), _lapse(house)], lambda: [without_locks(Booking, in_turn=True)]
    ),
    "the money comes as it is called off": Race(
        _tried, lambda house: [_cancel(house), _captured()], lambda: [without_locks(Booking, in_turn=True)]
    ),
    "two give all of it back": Race(
        _paid,
        lambda house: [_give_back(""), _give_back("")],
        lambda: [without_locks(Payment), without_check("payment", "payment_back")],
    ),
    "the webhook and the browser bring one payment": Race(
        _tried,
        lambda house: [_captured(), _captured()],
        lambda: [without_locks(Payment), without_index("invoice_once"), without_index("meeting_one_each")],
    ),
    "two take the last use of a coupon": Race(
        _one_use,
        lambda house: [_hold(_slots()[0], 0, "few"), _hold(_slots()[5], 1, "few")],
        lambda: [without_locks(Coupon), without_check("coupon", "coupon_used_up")],
    ),
    "two promise what is in a purse": Race(
        lambda house: house.fill_purse(500), _promise, lambda: [without_locks(Account)]
    ),
    "two invoices want one number": Race(
        _two_bills,
        lambda house: [_captured(0), _captured(1)],
        lambda: [without_locks(Practitioner), counting_without_a_lock(), without_index("invoice_number_key")],
    ),
}


def wrong() -> list[str]:
    session.rollback()
    with db.engine().connect() as connection:
        return broken(connection)


@pytest.mark.parametrize("race", RACES)
def test_without_its_guards_it_breaks(build: Callable[[], House], race: str) -> None:
    """Try several times, because on a busy machine the two may miss each other."""
    assert any(_breaks(build(), RACES[race]) for _ in range(10)), (
        "the race is not real: nothing broke without the guards"
    )


def _breaks(house: House, it: Race) -> bool:
    it.prepare(house)
    acts = it.acts(house)
    session.remove()
    with ExitStack() as off:
        for guard in it.off():
            off.enter_context(guard)
        at_once(*acts)
        return bool(wrong())


@pytest.mark.parametrize("race", RACES)
def test_with_its_guards_it_holds(build: Callable[[], House], race: str) -> None:
    it = RACES[race]
    for _ in range(ROUNDS):
        house = build()
        it.prepare(house)
        acts = it.acts(house)
        session.remove()
        met = at_once(*acts)
        assert not [each for each in met if each and (isinstance(each, Busy) or not isinstance(each, Refused))], met
        assert not [each for each in met if "while you were editing" in str(each)], (
            "the version had to step in where the lock should have made somebody wait"
        )
        assert wrong() == []
        assert sum(each is None for each in met) >= 1, met


def test_nobody_waits_in_a_ring_for_coupons_and_numbers(build: Callable[[], House]) -> None:
    """One books with a coupon, while another takes the place of an expired hold with that coupon."""
    for _ in range(ROUNDS):
        house = build()
        with transaction():
            session.scalars(select(Coupon)).one().uses_at_most = 9
        house.hold(0, 0, coupon=True)
        house.wait(minutes=20)
        slots = _slots()
        session.remove()
        met = at_once(_hold(slots[0], 1), _hold(slots[5], 2, "few"), _hold(slots[4], 1, "few"))
        assert met == [None, None, None]
        assert wrong() == []
