"""Tally: the daily reconciliation of one gateway, which compares its captured payments with our books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Self

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, selectinload

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.jobs import every, job, later
from app.kernel.workflow import move
from app.messages.message import tell_staff
from app.money.bills.basket import Basket, find_order
from app.money.bills.bill import Bill
from app.money.bills.payment import Payment
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, gateway_column, gateway_label
from app.money.sums.amount import Money, money_column


class Tally(Noun):
    """The captured payments of one day (UTC): the totals on both sides, and each row that differs."""

    states = "counted", "agrees", "differs"
    state_labels: ClassVar[dict[str, str]] = {"counted": "Pending", "agrees": "Matched", "differs": "Mismatch"}
    fact_labels: ClassVar[dict[str, str]] = {"there": "At the gateway", "here": "In our books"}
    audited = False  # only the latest count matters
    __table_args__ = (UniqueConstraint("gateway", "day", "there_currency"),)

    gateway: Mapped[str] = gateway_column()
    day: Mapped[date] = mapped_column(index=True, info={"label": "Date (UTC)"})
    there: Mapped[Money] = money_column("there", info={"label": "At the gateway"})
    here: Mapped[Money] = money_column("here", info={"label": "In our books"})
    difference: Mapped[Money] = money_column("difference")
    rows: Mapped[list[Any]] = mapped_column(default=list, info={"label": "Differences"})
    counted_at: Mapped[datetime] = mapped_column(default=clock.now, info={"label": "Last checked"})

    @classmethod
    def count_day(cls, name: str, day: date) -> list[Self]:
        """Fetch the gateway's payments of this day, check those unknown to us, and compare both sides by currency."""
        charges = gateway.by_name(name).list_captured(day)
        for order in _orders_to_check(name, charges):
            order.check_gateway()
        with transaction():
            ours = _our_payments(name, day)
            currencies = {each.money.currency for each in charges} | {each.money.currency for each in ours}
            return [cls._record(name, day, currency, charges, ours) for currency in sorted(currencies)]

    @classmethod
    def _record(cls, name: str, day: date, currency: str, charges: Sequence[Charge], ours: Sequence[Payment]) -> Self:
        there = [each for each in charges if each.money.currency == currency]
        here = [each for each in ours if each.money.currency == currency]
        tally = session.scalar(select(cls).where(cls.gateway == name, cls.day == day, cls.there_currency == currency))
        zero = Money(0, currency)
        if tally is None:
            tally = cls(gateway=name, day=day, there=zero, here=zero, difference=zero)
            session.add(tally)
            session.flush()
        tally.there = Money.total((each.money for each in there), currency)
        tally.here = Money.total((each.money for each in here), currency)
        tally.difference, tally.rows, tally.counted_at = (
            tally.there - tally.here,
            list(_differences(there, here)),
            clock.now(),
        )
        if tally.rows and tally.state != "differs":
            tally.differ()
        elif not tally.rows and tally.state != "agrees":
            tally.agree()
        return tally

    @move("counted", "differs", to="agrees", label="Mark as matched")
    def agree(self) -> None:
        """The gateway and our books match."""

    @move("counted", "agrees", to="differs", label="Mark as mismatch")
    def differ(self) -> None:
        """The gateway and our books don’t match. Review the differences."""
        tell_staff("money/differs", key=f"differs:{self.id}:{clock.today()}", tally=self)

    @move("agrees", "differs", by="Desk Accountant", label="Recheck")
    def count_again(self) -> None:
        """Compare with the gateway again. The result appears here shortly."""
        later(recount_day, self)

    def __str__(self) -> str:
        return f"{self.gateway_label} {self.day.day} {self.day:%b %Y}"

    @property
    def gateway_label(self) -> str:
        return gateway_label(self.gateway)


def _orders_to_check(name: str, charges: Sequence[Charge]) -> Iterator[Bill | Basket]:
    """Yield the orders of charges that we don't know, or whose refunds we don't know."""
    ours = (
        select(Payment)
        .where(Payment.gateway == name, Payment.gateway_id.in_([each.id for each in charges]))
        .options(selectinload(Payment.refunds))
    )
    at_first: dict[str, list[Payment]] = defaultdict(list)
    for payment in session.scalars(ours):
        at_first[payment.gateway_id].append(payment)
    for charge in charges:
        if _is_up_to_date(charge, at_first[charge.id]):
            continue
        shares = Payment.shares_of(name, charge.id)  # a look at the one before may have applied this one too
        if not _is_up_to_date(charge, shares):
            order = shares[0].order if shares else find_order(name, charge.order_id)
            if order is not None and order.order_id:
                yield order


def _is_up_to_date(charge: Charge, shares: Sequence[Payment]) -> bool:
    here = sum(each.money.amount for each in shares if each.captured_at)
    gone = sum(each.gone.amount for each in shares)
    return (here, gone) == (charge.money.amount, charge.returned)


def _our_payments(name: str, day: date) -> Sequence[Payment]:
    """Return our payments of that day by the gateway's clock, as the gateway counts."""
    since = datetime.combine(day, time(), UTC)
    return session.scalars(
        select(Payment).where(
            Payment.gateway == name, Payment.taken_at >= since, Payment.taken_at < since + timedelta(days=1)
        )
    ).all()


def _differences(there: Sequence[Charge], here: Sequence[Payment]) -> Iterator[dict[str, Any]]:
    known: dict[str, Money] = {}
    for payment in here:  # the shares of a basket are one payment there
        known[payment.gateway_id] = Money.total(
            [payment.money, known.get(payment.gateway_id, payment.money - payment.money)], payment.money.currency
        )
    for charge in there:
        money = known.pop(charge.id, None)
        if money != charge.money:
            yield {"payment": charge.id, "there": str(charge.money), "here": str(money or "nothing")}
    for id, money in known.items():
        yield {"payment": id, "there": "nothing", "here": str(money)}


@job("Reconcile one day", was="money.tally.count")
def recount_day(tally: Tally) -> None:
    Tally.count_day(tally.gateway, tally.day)


@every("Reconcile recent days", hours=1)
def count_the_days() -> None:
    """Count today and yesterday, and recount earlier days with a mismatch for 30 days."""
    today = clock.now().date()
    differing = (
        select(Tally.gateway, Tally.day)
        .where(Tally.state == "differs", Tally.day > today - timedelta(days=30))
        .distinct()
    )
    days: dict[str, set[date]] = {}
    for name, day in session.execute(differing):
        days.setdefault(name, set()).add(day)
    recent = {today, today - timedelta(days=1)}
    gateway.for_each_online(lambda name: [Tally.count_day(name, day) for day in sorted(recent | days.get(name, set()))])
