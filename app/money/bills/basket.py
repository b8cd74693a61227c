"""Basket (cart): several bills paid with one gateway order; each is paid, invoiced and refunded by its own share."""

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
from app.kernel.numbering import next_number
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
    """One gateway order for several bills. Its contents never change: other bills are another basket."""

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
        """Return the basket of exactly these bills, or create it, so that a double click is one order."""
        chosen = sorted(set(bills), key=lambda each: each.id)
        if not 2 <= len(chosen) <= MOST:
            raise Refused(f"You can pay for 2 to {MOST} items at once.")
        if len({each.price.currency for each in chosen}) > 1:
            raise Refused("These items are in different currencies. Please pay for them separately.")
        with transaction():
            chosen[0].lock()  # a second click waits here, and then finds the basket of the first one
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
            number=next_number("BA"),
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
        """Payable only as a whole; when one bill is gone, the others are another basket."""
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

    # --- applying what the gateway reports ---

    def apply_charges(
        self, charges: Iterable[Charge], returned: Mapping[str, Sequence[GatewayRefund]] | None = None
    ) -> None:
        """Apply each bill's share in its own transaction, so that a bill paid too late doesn't affect the others."""
        for charge in sorted(charges, key=lambda each: each.id):
            refunds = (returned or {}).get(charge.id, ())
            for bill, share in self._shares_of(charge):
                with transaction():
                    bill.lock()
                    Payment.for_charge(bill, share, basket=self).lock().apply_charge(share, bill.thing, refunds)
            self._apply_dashboard_refunds(charge, refunds)

    def _shares_of(self, charge: Charge) -> list[tuple[Bill, Charge]]:
        """Split a charge among the bills. A wrong amount pays for nothing, and a failed attempt is recorded once."""
        bills = self.bills
        if charge.money != self.price or charge.state in ("created", "failed"):
            return [(bills[0], charge)]
        gone = charge.returned >= charge.money.amount
        return [(each, replace(charge, money=each.price, returned=each.price.amount if gone else 0)) for each in bills]

    def _apply_dashboard_refunds(self, charge: Charge, refunds: Sequence[GatewayRefund]) -> None:
        """Take refunds made in the gateway dashboard, which name no bill, from one share after the other."""
        refunds = [each for each in refunds if each.state != "failed"]
        if not refunds:
            return
        with transaction():
            shares = [each.lock() for each in Payment.shares_of(self.gateway, charge.id)]
            for each in refunds:
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
        """Return nothing: the bills say what they still need."""
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
    """Find the bill or basket that this gateway order collects."""
    for kind in (Bill, Basket):
        found: Bill | Basket | None = session.scalar(
            select(kind).where(kind.gateway == name, kind.order_id == order_id)
        )
        if found is not None:
            return found
    return None


@every("Check for missed payments", minutes=1)
def look_for_lost_payments() -> None:
    """Queue a check for every order that is due, because webhooks may be lost."""
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
