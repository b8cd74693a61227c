"""Payment: one attempt to pay a bill. It only moves forward, and a captured one pays for something or goes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.workflow import asked, move
from app.money import gateway
from app.money.amount import Money, money_column
from app.money.gateway import Charge, Returned
from app.money.ledger import post
from app.money.refund import Refund

if TYPE_CHECKING:  # a bill knows its payments; for the type checker alone, a payment knows its bill
    from app.money.basket import Basket
    from app.money.bill import Bill, Payable
    from app.money.dispute import Dispute

HERE = "captured", "partly_refunded"  # what can still go back, in whole or in part


@dataclass(frozen=True, kw_only=True)
class GiveBack:
    """What goes back, and why."""

    amount: str = asked("Amount", help="Empty for all that is left of it", default="", longest=30)
    why: str = asked("Why?", help="The payer reads this.", longest=300)


@dataclass(frozen=True)
class Bounce:
    """What the bank said."""

    why: str = asked("What did the bank say?", longest=200)


def _is_four_eyes(payment: Payment) -> str | None:
    if not gateway.named(payment.gateway).by_hand:
        return "The gateway says when this is paid; nobody decides it here."
    if payment.taken_by is not None and payment.taken_by == actor().user_id:
        return "You took this money yourself. Somebody else has to look at it."
    return None


def _is_cheque(payment: Payment) -> str | None:
    return None if payment.gateway == "cheque" else "Only a cheque does that."


def _not_cleared(payment: Payment) -> str | None:
    return _is_cheque(payment) or ("It was cleared already." if payment.cleared_at else None)


def _something_left(payment: Payment) -> str | None:
    if payment.gateway == "cheque" and not payment.cleared_at:
        return "The cheque is not cleared yet: let it bounce, or wait until the money is there."
    if payment.is_disputed:
        return "The payer's bank has taken this payment up: giving it back as well would be twice."
    return None if payment.left else "All of it went back already, or is about to."


class Payment(Noun):
    """What the gateway calls a payment: `failed` is not the end of it, `captured` is for ever."""

    states = "created", "failed", "authorized", "captured", "partly_refunded", "refunded", "bounced"
    __table_args__ = (
        UniqueConstraint("gateway", "gateway_id", "bill_id"),  # what was paid for several bills at once is a share for each …
        Index("payment_once", "gateway", "gateway_id", unique=True, postgresql_where=text("basket_id is null")),  # … and anything else is one
        CheckConstraint("back_amount between 0 and money_amount", name="back"),
        CheckConstraint("back_currency = money_currency", name="one_currency"),
        CheckConstraint("not pays or owed_back = ''", name="one_end"),
    )
    refusals: ClassVar[dict[str, str]] = {"payment_back": "No more can go back than came."}
    whose = "bill.person"

    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    bill: Mapped[Bill] = relationship("Bill", back_populates="payments", lazy="joined", innerjoin=True)
    basket_id: Mapped[int | None] = mapped_column(ForeignKey("basket.id"), index=True)
    basket: Mapped[Basket | None] = relationship("Basket", back_populates="payments")  # with which it was paid, together with others
    gateway: Mapped[str]
    gateway_id: Mapped[str]
    money: Mapped[Money] = money_column("money")
    back: Mapped[Money] = money_column("back")  # what went back, or was promised to
    method: Mapped[str] = mapped_column(default="")
    error: Mapped[str] = mapped_column(default="")
    taken_at: Mapped[datetime | None] = mapped_column(index=True)  # by the gateway's clock
    captured_at: Mapped[datetime | None] = mapped_column(index=True)  # by ours, when we heard of it
    cleared_at: Mapped[datetime | None]
    pays: Mapped[bool] = mapped_column(default=False)  # a captured one either pays for its bill …
    owed_back: Mapped[str] = mapped_column(default="")  # … or says here why it has to go back
    taken_by: Mapped[int | None]  # whose hands it went through, when it was cash, a cheque or a transfer

    refunds: Mapped[list[Refund]] = relationship(back_populates="payment", order_by="Refund.id")
    disputes: Mapped[list[Dispute]] = relationship("Dispute", back_populates="payment")

    @classmethod
    def known(cls, bill: Bill, charge: Charge, *, through: str = "", basket: Basket | None = None) -> Payment:
        name = through or (basket or bill).gateway
        same = select(cls).where(cls.gateway == name, cls.gateway_id == charge.id)
        payment = session.scalar(same.where(cls.bill_id == bill.id) if basket else same)
        if payment is None:
            payment = cls(bill=bill, basket=basket, gateway=name, gateway_id=charge.id, money=charge.money, back=Money(0, charge.money.currency))
            session.add(payment)
            session.flush()
        return payment

    def lock(self) -> Self:
        self.bill.lock()
        return super().lock()

    @property
    def left(self) -> Money:
        """What of it is still here, and not promised back."""
        return self.money - self.back if self.state in HERE else Money(0, self.money.currency)

    @property
    def gone(self) -> Money:
        """What the gateway has sent back of it, as far as we have heard."""
        return Money.total((each.money for each in self.refunds if each.gateway_id and each.state in ("sent", "done")), self.money.currency)

    @classmethod
    def shares_of(cls, name: str, id: str) -> Sequence[Payment]:
        """What the gateway knows as one payment: one row, or with a basket one for each bill."""
        return session.scalars(select(cls).where(cls.gateway == name, cls.gateway_id == id).order_by(cls.bill_id)).all()

    @property
    def order(self) -> Bill | Basket:
        """What the gateway was asked to collect when this was paid."""
        return self.basket or self.bill

    @property
    def is_disputed(self) -> bool:
        """Has the payer's bank taken it up, or even taken it?"""
        shares = self.shares_of(self.gateway, self.gateway_id) if self.basket_id else [self]
        return any(dispute.state in ("open", "under_review", "lost") for each in shares for dispute in each.disputes)

    @property
    def account(self) -> str:
        """Where in the books it lies."""
        places = {"cash": "cash", "bank": "bank", "cheque": "bank" if self.cleared_at else "cheques"}
        return places.get(self.gateway, f"gateway {self.gateway}")

    @property
    def is_cleared(self) -> bool:
        """A cheque is not money before the bank has paid it; everything else is."""
        return self.gateway != "cheque" or self.cleared_at is not None

    # --- what the gateway says ---

    def hear(self, charge: Charge, thing: Payable, returned: Sequence[Returned] = ()) -> None:
        """Forward only: what is heard late, twice or in the wrong order changes nothing."""
        waits = self.state in ("created", "failed", "authorized")
        if charge.state == "refunded" and waits:
            self.came_and_went(charge)
        elif charge.state == "captured" and waits:
            self.capture(charge, thing)
        elif charge.state == "authorized" and self.state in ("created", "failed"):
            self.authorize(charge, thing)
        elif charge.state == "failed" and self.state == "created":
            self.fail(charge, thing)
        if self.state in (*HERE, "refunded"):
            Refund.all_heard(self, returned)

    @move("created", "failed", to="authorized")
    def authorize(self, charge: Charge, thing: Payable) -> None:
        """The payer's bank has said yes; it is not here yet."""
        self.method, self.error = charge.method, ""
        thing.payment_waits(self)

    @move("created", to="failed")
    def fail(self, charge: Charge, thing: Payable) -> None:
        self.method, self.error = charge.method, charge.error
        thing.payment_failed(self)

    @move("created", "failed", "authorized", to="captured")
    def capture(self, charge: Charge, thing: Payable) -> None:
        """The money is here: it pays for its bill, or it is owed back."""
        self.method, self.error, self.captured_at = charge.method, "", clock.now()
        self.taken_at = charge.at or self.captured_at
        self.money, self.back = charge.money, Money(0, charge.money.currency)
        session.flush()
        post(f"capture {self.id}", f"{self} was paid", (self.account, self.money), ("received", -self.money), about=self.bill, person=self.bill.person)
        if charge.returned >= charge.money.amount:
            self.owed_back = "It was given back at the gateway before we heard of it."
        elif charge.money != self.bill.price:
            self.owe_back(f"{charge.money} was paid where {self.bill.price} was asked for.")
        elif self.bill.state == "paid":
            self.owe_back("This was paid twice.")
        elif no := thing.paid(self):
            self.owe_back(no)
        else:
            self.pays = True
            self.bill.settle(self)

    @move("created", "failed", "authorized", to="refunded")
    def came_and_went(self, charge: Charge) -> None:
        """The gateway gave it back before we ever had it: it pays for nothing, nothing is owed, and it is not in our books."""
        self.method, self.money, self.back = charge.method, charge.money, Money(0, charge.money.currency)

    # --- going back ---

    def owe_back(self, why: str) -> None:
        """It pays for nothing, so all of it goes back."""
        self.owed_back = why
        Refund.owe(self, self.left, why, sure=True)

    @move(*HERE, by="Desk Accountant", label="Give back", asks=GiveBack, when=_something_left, careful=True,
          confirm=lambda it: f"{it.left} of {it.money} can still go back to {it.bill.person.name}, to {it.bill.person.email}, the way it came ({it.gateway}).")  # fmt: skip
    def give_back(self, asked: GiveBack) -> str:
        """All or part of it goes back to the way it came from."""
        return Refund.owe(self, typed(asked.amount, self.left), asked.why).what_next

    @move(*HERE, to="partly_refunded")
    def went_back_in_part(self) -> None:
        """Some of it is with the payer again."""

    @move(*HERE, to="refunded")
    def went_back(self) -> None:
        """All of it is with the payer again."""

    # --- money taken by hand ---

    @move("authorized", by="Accountant", label="Approve", when=_is_four_eyes)
    def approve(self) -> None:
        """A second pair of eyes has seen the money: now it counts."""
        self.capture(Charge(self.gateway_id, "captured", self.money, self.method), self.bill.thing)

    @move("authorized", to="failed", by="Accountant", label="Reject", asks=Bounce, when=_is_four_eyes)
    def reject(self, asked: Bounce) -> None:
        """The money was not there."""
        self.error = asked.why
        self.bill.thing.payment_failed(self)

    @move(*HERE, by="Accountant", label="Cheque is cleared", when=_not_cleared)
    def clear(self) -> None:
        """The bank has paid the cheque."""
        post(f"clear {self.id}", f"{self} was cleared", ("bank", self.money), ("cheques", -self.money), about=self.bill, person=self.bill.person)
        self.cleared_at = clock.now()

    @move("captured", to="bounced", by="Accountant", label="Cheque bounced", asks=Bounce, when=_not_cleared, careful=True)
    def bounce(self, asked: Bounce) -> None:
        """The cheque was worth nothing: the bill is unpaid again, and whoever was promised something hears of it."""
        self.error = asked.why
        self.bill.taken_back(self, asked.why)

    def news(self) -> dict[str, Any]:
        """What a hook hears of it."""
        bill, captured = self.bill, self.captured_at
        return {
            "state": self.state, "bill": bill.number, "about": {"noun": bill.noun, "id": bill.row_id}, "person": bill.person_id, "gateway": self.gateway,
            "gateway_id": self.gateway_id, "money": self.money.as_json(), "back": self.back.as_json(), "captured_at": captured and captured.isoformat(),
        }  # fmt: skip

    @property
    def said(self) -> str:
        """How it came, for a person: "cash, receipt 7", "razorpay pay_Nx12"."""
        return f"{self.gateway}, {self.method}" if gateway.named(self.gateway).by_hand else f"{self.gateway} {self.gateway_id}"

    def __str__(self) -> str:
        return self.gateway_id


def typed(amount: str, most: Money) -> Money:
    """An amount that somebody typed into a small form: above zero, and no more than there is. Empty means all of it."""
    try:
        money = Money.read(amount, most.currency) if amount.strip() else most
    except ValueError as error:
        raise Invalid.fields_said({"amount": str(error)}) from None
    if not Money(0, most.currency) < money <= most:
        raise Invalid.fields_said({"amount": f"At most {most} can go back, and more than nothing."})
    return money
