"""Payment: one attempt to pay a bill. It only moves forward, and a captured one pays for something or goes back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, session
from app.kernel.jobs import job, later
from app.kernel.workflow import move
from app.messages.message import tell
from app.money import gateway
from app.money.amount import Money, money_column
from app.money.gateway import Charge

if TYPE_CHECKING:  # a bill knows its payments; for the type checker alone, a payment knows its bill
    from app.money.bill import Bill, Payable


class Payment(Noun):
    """What the gateway calls a payment: `failed` is not the end of it, `captured` is for ever."""

    states = "created", "failed", "authorized", "captured", "refunded"

    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    bill: Mapped[Bill] = relationship("Bill", back_populates="payments", lazy="joined", innerjoin=True)
    gateway: Mapped[str]
    gateway_id: Mapped[str] = mapped_column(unique=True)
    money: Mapped[Money] = money_column("money")
    method: Mapped[str] = mapped_column(default="")
    error: Mapped[str] = mapped_column(default="")
    captured_at: Mapped[datetime | None]
    owed_back: Mapped[str] = mapped_column(default="")
    refund_id: Mapped[str | None]

    @classmethod
    def known(cls, bill: Bill, charge: Charge) -> Payment:
        payment = session.scalar(select(cls).where(cls.gateway_id == charge.id))
        if payment is None:
            payment = cls(bill=bill, gateway=bill.gateway, gateway_id=charge.id, money=charge.money)
            session.add(payment)
            session.flush()
        return payment

    def hear(self, charge: Charge, thing: Payable) -> None:
        """Forward only: what is heard late, twice or in the wrong order changes nothing."""
        if charge.state == "refunded" and self.state in ("created", "failed", "authorized"):
            self.came_and_went(charge)
        elif charge.state == "captured" and self.state in ("created", "failed", "authorized"):
            self.capture(charge, thing)
        elif charge.state == "authorized" and self.state in ("created", "failed"):
            self.authorize(charge)
        elif charge.state == "failed" and self.state == "created":
            self.fail(charge, thing)

    @move("created", "failed", to="authorized")
    def authorize(self, charge: Charge) -> None:
        self.method, self.error = charge.method, ""

    @move("created", to="failed")
    def fail(self, charge: Charge, thing: Payable) -> None:
        self.method, self.error = charge.method, charge.error
        thing.payment_failed(self)

    @move("created", "failed", "authorized", to="captured")
    def capture(self, charge: Charge, thing: Payable) -> None:
        """The money is here: it pays for its bill, or it is owed back."""
        self.method, self.error, self.captured_at, self.money = charge.method, "", clock.now(), charge.money
        if charge.money != self.bill.price:
            self.owe_back(f"{charge.money} was paid where {self.bill.price} was asked for.")
        elif self.bill.state == "paid":
            self.owe_back("This was paid twice.")
        elif no := thing.paid(self):
            self.owe_back(no)
        else:
            self.bill.settle()

    @move("created", "failed", "authorized", to="refunded")
    def came_and_went(self, charge: Charge) -> None:
        """The gateway gave it back before we ever had it: it pays for nothing, and nothing is owed."""
        self.method, self.money = charge.method, charge.money

    def owe_back(self, why: str) -> None:
        self.owed_back = why
        later(give_back, self, key=f"give back:{self.id}")

    def give_back(self) -> None:
        """To the way it came from, once: the key is the same however often this is tried."""
        if self.state == "captured" and self.owed_back:
            refund_id = gateway.named(self.gateway).refund(self.gateway_id, self.money, f"give-back-{self.gateway_id}")
            self.gave_back(refund_id)

    @move("captured", to="refunded")
    def gave_back(self, refund_id: str) -> None:
        self.refund_id = refund_id
        tell(self.bill.person, "money/refunded", payment=self)

    def __str__(self) -> str:
        return self.gateway_id


@job
def give_back(payment: Payment) -> None:
    payment.give_back()
