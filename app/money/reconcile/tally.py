"""Tally: one day at one gateway, counted there and counted here. The difference is nothing, or each row that differs is named."""

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
from app.messages.message import tell_the_house
from app.money.bills.basket import Basket, find_order
from app.money.bills.bill import Bill
from app.money.bills.payment import Payment
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, gateway_column, gateway_label
from app.money.sums.amount import Money, money_column


class Tally(Noun):
    """What was captured on one day in UTC."""

    states = "counted", "agrees", "differs"
    state_labels: ClassVar[dict[str, str]] = {"counted": "Pending", "agrees": "Matched", "differs": "Mismatch"}
    fact_labels: ClassVar[dict[str, str]] = {"there": "At the gateway", "here": "In our books"}
    audited = False  # a count is counted again, and only the last one matters
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
        """Ask the gateway what it took on this day, look at what we have not heard of, and set both beside each other."""
        told = gateway.by_name(name).list_captured(day)
        for order in _orders_to_check(name, told):
            order.check_gateway()
        with transaction():
            ours = _our_payments(name, day)
            currencies = {each.money.currency for each in told} | {each.money.currency for each in ours}
            return [cls._record(name, day, currency, told, ours) for currency in sorted(currencies)]

    @classmethod
    def _record(cls, name: str, day: date, currency: str, told: Sequence[Charge], ours: Sequence[Payment]) -> Self:
        there = [each for each in told if each.money.currency == currency]
        here = [each for each in ours if each.money.currency == currency]
        it = session.scalar(select(cls).where(cls.gateway == name, cls.day == day, cls.there_currency == currency))
        zero = Money(0, currency)
        if it is None:
            it = cls(gateway=name, day=day, there=zero, here=zero, difference=zero)
            session.add(it)
            session.flush()
        it.there = Money.total((each.money for each in there), currency)
        it.here = Money.total((each.money for each in here), currency)
        it.difference, it.rows, it.counted_at = it.there - it.here, list(_differences(there, here)), clock.now()
        if it.rows and it.state != "differs":
            it.differ()
        elif not it.rows and it.state != "agrees":
            it.agree()
        return it

    @move("counted", "differs", to="agrees", label="Mark as matched")
    def agree(self) -> None:
        """The gateway and our books match."""

    @move("counted", "agrees", to="differs", label="Mark as mismatch")
    def differ(self) -> None:
        """The gateway and our books don’t match. Review the differences."""
        tell_the_house("money/differs", key=f"differs:{self.id}:{clock.today()}", tally=self)

    @move("agrees", "differs", by="Desk Accountant", label="Recheck")
    def count_again(self) -> None:
        """Compare with the gateway again. The result appears here shortly."""
        later(recount_day, self)

    def __str__(self) -> str:
        return f"{self.gateway_label} {self.day.day} {self.day:%b %Y}"

    @property
    def gateway_label(self) -> str:
        return gateway_label(self.gateway)


def _orders_to_check(name: str, told: Sequence[Charge]) -> Iterator[Bill | Basket]:
    """What was paid there, and we do not know it, or not all of it."""
    ours = (
        select(Payment)
        .where(Payment.gateway == name, Payment.gateway_id.in_([each.id for each in told]))
        .options(selectinload(Payment.refunds))
    )
    at_first: dict[str, list[Payment]] = defaultdict(list)
    for payment in session.scalars(ours):
        at_first[payment.gateway_id].append(payment)
    for charge in told:
        if _is_up_to_date(charge, at_first[charge.id]):
            continue
        shares = Payment.shares_of(name, charge.id)  # a look at the one before may have told of this one too
        if not _is_up_to_date(charge, shares):
            order = shares[0].order if shares else find_order(name, charge.order_id)
            if order is not None and order.order_id:
                yield order


def _is_up_to_date(charge: Charge, shares: Sequence[Payment]) -> bool:
    here = sum(each.money.amount for each in shares if each.captured_at)
    gone = sum(each.gone.amount for each in shares)
    return (here, gone) == (charge.money.amount, charge.returned)


def _our_payments(name: str, day: date) -> Sequence[Payment]:
    """What we have of that day: by when the gateway took it where it says so, for that is how the gateway counts."""
    since = datetime.combine(day, time(), UTC)
    return session.scalars(
        select(Payment).where(
            Payment.gateway == name, Payment.taken_at >= since, Payment.taken_at < since + timedelta(days=1)
        )
    ).all()


def _differences(there: Sequence[Charge], here: Sequence[Payment]) -> Iterator[dict[str, Any]]:
    known: dict[str, Money] = {}
    for payment in here:  # the shares of one payment are one sum there
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
    """Yesterday, and today so far; a day that differed is counted again until it agrees."""
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
