"""Bill: what one thing costs, asked for once, however many attempts it takes to pay it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, cast

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, noun_called, session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import every, job, later
from app.kernel.numbering import number
from app.kernel.people import Person
from app.kernel.workflow import move
from app.money import gateway
from app.money.amount import Money, money_column
from app.money.gateway import Charge, Checkout
from app.money.payment import Payment


class Payable(Protocol):
    """Anything with a price and a paid() can be paid for."""

    id: Mapped[int]
    __tablename__: str

    def hold_still(self) -> None:
        """Lock whatever paying could change, in the one order that everybody keeps."""

    def paid(self, payment: Payment) -> str | None:
        """The money is here. Take it, or say why it has to go back; say so before changing anything."""

    def payment_failed(self, payment: Payment) -> None: ...


class Bill(Noun, Linked):
    """One request for money, and the gateway's order that collects it."""

    link_kind = "bill"
    states = "open", "paid", "void"
    __table_args__ = (UniqueConstraint("noun", "row_id"), UniqueConstraint("gateway", "order_id"))
    refusals: ClassVar[dict[str, str]] = {"bill_noun_row_id_key": "There is a bill for this already."}

    number: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    noun: Mapped[str]
    row_id: Mapped[int]
    price: Mapped[Money] = money_column("price")
    gateway: Mapped[str]
    order_id: Mapped[str | None]
    look_at: Mapped[datetime | None] = mapped_column(index=True)
    looked: Mapped[int] = mapped_column(default=0)

    payments: Mapped[list[Payment]] = relationship(back_populates="bill", order_by="Payment.id")

    @classmethod
    def ask(cls, thing: Noun, person: Person, price: Money) -> Bill:
        """Written in the transaction of the thing it is for; the gateway hears of it afterwards."""
        session.flush()
        bill = cls(number=number("B"), person=person, noun=thing.__tablename__, row_id=thing.id, price=price, gateway=gateway.usual().name)
        bill.look_at = clock.ahead(minutes=2)
        session.add(bill)
        return bill

    @classmethod
    def of(cls, thing: Noun) -> Bill | None:
        return session.scalar(select(cls).where(cls.noun == thing.__tablename__, cls.row_id == thing.id))

    @property
    def receipt(self) -> str:
        """What the gateway files it under: with a random part, because a number may come again after a restored backup."""
        return f"{self.number}-{self.handle[:8]}"

    @property
    def thing(self) -> Payable:
        return cast(Payable, noun_called(self.noun).get(self.row_id))

    def announce(self) -> str:
        """Tell the gateway to expect this money, once. No transaction is open while it thinks."""
        if self.state != "open":
            raise Refused("There is nothing to pay here any more.")
        if self.order_id is None:
            order_id = gateway.named(self.gateway).order(self.price, self.receipt)
            with transaction():
                self._keep(order_id)
        assert self.order_id is not None
        return self.order_id

    def _keep(self, order_id: str) -> None:
        """The first one stays: another click may have been quicker, and its order is the one that a payer holds."""
        self.lock()
        if self.order_id is None:
            self.order_id = order_id

    def checkout(self, back: str, away: str) -> Checkout:
        payer = {"name": self.person.name, "email": self.person.email, "contact": self.person.phone}
        return gateway.named(self.gateway).checkout(self.announce(), self.price, payer, back, away)

    def returned(self, payment_id: str, signature: str) -> None:
        """The payer's browser says that it is paid: believe only the gateway, and ask it."""
        order_id = self.order_id or ""
        if not gateway.named(self.gateway).is_genuine(order_id, payment_id, signature):
            raise Refused("This payment could not be verified. If money left your account, it will be found and matched or returned.")
        self.look()

    def look(self) -> None:
        """Ask the gateway what happened, and take it to heart. Webhook, browser and clock all end here; safe to do twice."""
        if self.order_id:
            self.heard(gateway.named(self.gateway).charges(self.order_id))

    def heard(self, charges: Iterable[Charge]) -> None:
        with transaction():
            thing = self.thing
            thing.hold_still()
            self.lock()
            for charge in sorted(charges, key=lambda each: each.id):
                Payment.known(self, charge).hear(charge, thing)

    @move("open", "void", to="paid")
    def settle(self) -> None:
        self.look_at = None

    @move("open", to="void")
    def cancel(self) -> None:
        """Nobody waits for this money any more. It may still come: the gateway cannot take an order back."""

    def look_again(self) -> None:
        """Growing gaps: minutes at first, hours for the days in which a bank may still change its mind.

        The next look is written down before this one begins: however this one ends, the bill is not forgotten.
        """
        gap = min(timedelta(minutes=2) * 2 ** min(self.looked, 6), timedelta(hours=1))
        over = clock.now() > self.created_at + timedelta(days=4)
        with transaction():
            self.lock()
            self.looked += 1
            self.look_at = None if over or self.state == "paid" else clock.now() + gap
        self.look()


@job
def look_again(bill: Bill) -> None:
    bill.look_again()


@every(minutes=1)
def look_for_lost_payments() -> None:
    """A webhook may be lost; the money is not."""
    with transaction():
        due = select(Bill).where(Bill.look_at <= clock.now(), Bill.order_id.is_not(None)).order_by(Bill.look_at).limit(200)
        for bill in session.scalars(due):
            later(look_again, bill, key=f"look:{bill.id}:{bill.looked}")
