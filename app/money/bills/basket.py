"""Basket: several bills paid in one go. Each of them keeps its own money: its share is paid, invoiced and given back by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import every, later
from app.kernel.numbering import number
from app.kernel.people import Person
from app.money.bills.bill import Bill
from app.money.bills.order import GatewayOrder, check_order
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, GatewayRefund, OrderRequest
from app.money.sums.amount import Money, money_column

MOST = 10


class Basket(Noun, Linked, GatewayOrder):
    """One order at the gateway for several bills. What is in it is never changed: other bills are another basket."""

    link_kind = "basket"
    __table_args__ = (UniqueConstraint("gateway", "order_id"),)

    number: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    price: Mapped[Money] = money_column("price", info={"label": "Total"})

    payments: Mapped[list[Payment]] = relationship(back_populates="basket", order_by="Payment.id")
    contents: Mapped[list[InBasket]] = relationship(
        back_populates="basket", order_by="InBasket.bill_id", cascade="all, delete-orphan"
    )

    # --- filling it ---

    @classmethod
    def for_bills(cls, bills: Iterable[Bill]) -> Self:
        """The same bills are the same basket, so that a double click is one order."""
        chosen = sorted(set(bills), key=lambda each: each.id)
        if not 2 <= len(chosen) <= MOST:
            raise Refused(f"You can pay for 2 to {MOST} items at once.")
        if len({each.price.currency for each in chosen}) > 1:
            raise Refused("These items are in different currencies. Please pay for them separately.")
        with transaction():
            chosen[0].lock()  # whoever clicks twice waits here, and finds the basket of the first click
            for each in chosen:
                if no := cls._refusal_for(each):
                    raise Refused(no)
            return cls._existing(chosen) or cls._create(chosen)

    @staticmethod
    def _refusal_for(bill: Bill) -> str:
        if bill.is_promised:
            return f"{bill.number} is already paid and awaiting our confirmation."
        return "" if bill.can_be_paid else f"{bill.number} ({bill.thing.said_on_paper}) can no longer be paid."

    @classmethod
    def _existing(cls, bills: Sequence[Bill]) -> Self | None:
        in_first = select(cls).join(InBasket).where(InBasket.bill_id == bills[0].id).order_by(cls.id.desc())
        return next((each for each in session.scalars(in_first).unique() if each.bills == list(bills)), None)

    @classmethod
    def _create(cls, bills: Sequence[Bill]) -> Self:
        total = Money.total((each.price for each in bills), bills[0].price.currency)
        made = cls(
            number=number("BA"),
            person=bills[0].person,
            price=total,
            gateway=gateway.default_for(total.currency).name,
            look_at=clock.ahead(minutes=2),
            contents=[InBasket(bill=each) for each in bills],
        )
        session.add(made)
        session.flush()
        return made

    @property
    def bills(self) -> list[Bill]:
        return [each.bill for each in self.contents]

    # --- asking for the money ---

    @property
    def wants_money(self) -> bool:
        return any(each.wants_money for each in self.bills)

    @property
    def is_awaited(self) -> bool:
        return any(each.wants_money and each.is_awaited for each in self.bills)

    @property
    def can_be_paid(self) -> bool:
        """Only as a whole: when one of them is gone, the others are another basket."""
        return all(each.can_be_paid for each in self.bills)

    @property
    def is_settled(self) -> bool:
        return all(each.is_settled for each in self.bills)

    @property
    def order_request(self) -> OrderRequest:
        payer = {"name": self.person.name, "email": self.person.email, "contact": self.person.phone}
        back, away = (gateway.public_url(f"/pay/{self.token}/{way}") for way in ("back", "away"))
        until = min((each.order_request.until for each in self.bills if each.order_request.until), default=None)
        about = f"{self.number}: " + ", ".join(each.thing.said_on_paper for each in self.bills)
        return OrderRequest(self.price, self.receipt, back, away, about[:250], payer, until)

    # --- hearing of the money ---

    def apply_charges(
        self, charges: Iterable[Charge], returned: Mapping[str, Sequence[GatewayRefund]] | None = None
    ) -> None:
        """Each bill hears of its share by itself, in a transaction of its own: one that comes too late is no trouble to the others."""
        for charge in sorted(charges, key=lambda each: each.id):
            told = (returned or {}).get(charge.id, ())
            for bill, share in self._shares_of(charge):
                with transaction():
                    bill.lock()
                    Payment.for_charge(bill, share, basket=self).lock().apply_charge(share, bill.thing, told)
            self._apply_dashboard_refunds(charge, told)

    def _shares_of(self, charge: Charge) -> list[tuple[Bill, Charge]]:
        """To each what it asked for. Any other sum than that pays for nothing, and an attempt that failed is told once."""
        bills = self.bills
        if charge.money != self.price or charge.state in ("created", "failed"):
            return [(bills[0], charge)]
        gone = charge.returned >= charge.money.amount
        return [(each, replace(charge, money=each.price, returned=each.price.amount if gone else 0)) for each in bills]

    def _apply_dashboard_refunds(self, charge: Charge, told: Sequence[GatewayRefund]) -> None:
        """Given back at the gateway's own pages: nobody said of which, so each gives what it has, one after the other."""
        strangers = [each for each in told if each.state != "failed"]
        if not strangers:
            return
        with transaction():
            shares = [each.lock() for each in Payment.shares_of(self.gateway, charge.id)]
            for each in strangers:
                left = (
                    each.money
                    if not any(Refund.find_match(share, each) for share in shares)
                    else each.money - each.money
                )
                for share in shares:
                    bite = min(left, share.money - share.gone)
                    if bite:
                        Refund.apply_report(share, replace(each, money=bite))
                        left -= bite

    def still_needs(self) -> str:
        """Its bills say it."""
        return ""

    def __str__(self) -> str:
        return self.number


class InBasket(Noun):
    """One bill in a basket."""

    known_as = "cart item"
    __table_args__ = (UniqueConstraint("basket_id", "bill_id"),)
    whose = "basket.person"

    basket_id: Mapped[int] = mapped_column(ForeignKey("basket.id"), index=True)
    basket: Mapped[Basket] = relationship(back_populates="contents")
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    bill: Mapped[Bill] = relationship(back_populates="in_baskets", lazy="joined", innerjoin=True)


def find_order(name: str, order_id: str) -> Bill | Basket | None:
    """Whatever this order of a gateway collects."""
    for kind in (Bill, Basket):
        found: Bill | Basket | None = session.scalar(
            select(kind).where(kind.gateway == name, kind.order_id == order_id)
        )
        if found is not None:
            return found
    return None


@every("Check for missed payments", minutes=1)
def look_for_lost_payments() -> None:
    """A webhook may be lost; the money is not."""
    with transaction():
        for kind in (Bill, Basket):
            due = (
                select(kind)
                .where(kind.look_at <= clock.now(), kind.order_id.is_not(None))
                .order_by(kind.look_at)
                .limit(200)
            )
            for order in session.scalars(due):
                later(check_order, order, key=f"look:{order.number}:{order.looked}")
