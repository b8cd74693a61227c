"""Payment: one attempt to pay a bill. It only moves forward, and a captured one settles the bill or is refunded."""

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
from app.money.bills.ledger import post
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, GatewayRefund, gateway_column, gateway_label
from app.money.sums.amount import Money, money_column

if TYPE_CHECKING:  # for types only: at runtime bills import payments
    from app.money.bills.basket import Basket
    from app.money.bills.bill import Bill, Payable
    from app.money.bills.dispute import Dispute

REFUNDABLE = "captured", "partly_refunded"


@dataclass(frozen=True, kw_only=True)
class GiveBack:
    """How much is refunded, and why."""

    amount: str = asked(
        "Amount",
        help="Enter less to refund only part of the payment.",
        default="",
        longest=30,
        begins=lambda payment: payment.left.plain,
    )
    why: str = asked("Refund reason", help="Shown to the customer.", longest=300)


@dataclass(frozen=True)
class Bounce:
    """What the bank said."""

    why: str = asked("Reason given by the bank", longest=200)


def _cannot_approve(payment: Payment) -> str | None:
    if not gateway.by_name(payment.gateway).by_hand:
        return "This payment is confirmed by the gateway and can’t be approved here."
    if payment.taken_by is not None and payment.taken_by == actor().user_id:
        return "You recorded this payment yourself. Someone else has to approve it."
    return None


def _cannot_bounce(payment: Payment) -> str | None:
    return None if payment.gateway == "cheque" else "This applies to cheques only."


def _cannot_clear(payment: Payment) -> str | None:
    return _cannot_bounce(payment) or ("This cheque has already cleared." if payment.cleared_at else None)


def _cannot_refund(payment: Payment) -> str | None:
    if payment.gateway == "cheque" and not payment.cleared_at:
        return "This cheque hasn’t cleared yet. Wait until it clears, or mark it as bounced."
    if payment.is_disputed:
        return "This payment is disputed. A refund would pay the customer twice."
    return None if payment.left else "This payment has already been refunded, or a refund is pending."


class Payment(Noun):
    """One attempt at the gateway, or recorded by staff. `failed` may still be captured; `captured` is final."""

    states = "created", "failed", "authorized", "captured", "partly_refunded", "refunded", "bounced"
    __table_args__ = (
        # A gateway payment is one row, or with a basket one row for each bill.
        UniqueConstraint("gateway", "gateway_id", "bill_id"),
        Index("payment_once", "gateway", "gateway_id", unique=True, postgresql_where=text("basket_id is null")),
        CheckConstraint("back_amount between 0 and money_amount", name="back"),
        CheckConstraint("back_currency = money_currency", name="one_currency"),
        CheckConstraint("not pays or owed_back = ''", name="one_end"),
    )
    refusals: ClassVar[dict[str, str]] = {"payment_back": "A refund can’t be higher than the payment."}
    whose = "bill.person"

    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    bill: Mapped[Bill] = relationship("Bill", back_populates="payments", lazy="joined", innerjoin=True)
    basket_id: Mapped[int | None] = mapped_column(ForeignKey("basket.id"), index=True)
    basket: Mapped[Basket | None] = relationship("Basket", back_populates="payments")
    gateway: Mapped[str] = gateway_column("Method")
    gateway_id: Mapped[str] = mapped_column(info={"label": "Payment ID"})
    money: Mapped[Money] = money_column("money", info={"label": "Amount"})
    back: Mapped[Money] = money_column("back", info={"label": "Refunded or pending"})
    method: Mapped[str] = mapped_column(default="", info={"label": "Reference"})
    error: Mapped[str] = mapped_column(default="")
    taken_at: Mapped[datetime | None] = mapped_column(index=True, info={"label": "Paid"})  # by the gateway's clock
    captured_at: Mapped[datetime | None] = mapped_column(index=True, info={"label": "Received"})  # by our clock
    cleared_at: Mapped[datetime | None] = mapped_column(info={"label": "Cheque cleared"})
    # A captured payment either settles its bill, or says in owed_back why it is refunded.
    pays: Mapped[bool] = mapped_column(default=False, info={"label": "Settles the payment request"})
    owed_back: Mapped[str] = mapped_column(default="", info={"label": "Refund reason"})
    taken_by: Mapped[int | None]  # the user who recorded a payment in cash, by cheque or by bank transfer

    refunds: Mapped[list[Refund]] = relationship(back_populates="payment", order_by="Refund.id")
    disputes: Mapped[list[Dispute]] = relationship("Dispute", back_populates="payment")

    @classmethod
    def for_charge(cls, bill: Bill, charge: Charge, *, through: str = "", basket: Basket | None = None) -> Payment:
        """Return the payment of this bill that the charge is about, or create it."""
        name = through or (basket or bill).gateway
        same = select(cls).where(cls.gateway == name, cls.gateway_id == charge.id)
        payment = session.scalar(same.where(cls.bill_id == bill.id) if basket else same)
        if payment is None:
            payment = cls(
                bill=bill,
                basket=basket,
                gateway=name,
                gateway_id=charge.id,
                money=charge.money,
                back=Money(0, charge.money.currency),
            )
            session.add(payment)
            session.flush()
        return payment

    def lock(self) -> Self:
        self.bill.lock()
        return super().lock()

    @property
    def left(self) -> Money:
        """The amount that is neither refunded nor to be refunded."""
        return self.money - self.back if self.state in REFUNDABLE else Money(0, self.money.currency)

    @property
    def gone(self) -> Money:
        """The amount refunded at the gateway, as far as reported."""
        return Money.total(
            (each.money for each in self.refunds if each.gateway_id and each.state in ("sent", "done")),
            self.money.currency,
        )

    @classmethod
    def shares_of(cls, name: str, id: str) -> Sequence[Payment]:
        """Return the rows of one gateway payment: one, or with a basket one for each bill."""
        return session.scalars(select(cls).where(cls.gateway == name, cls.gateway_id == id).order_by(cls.bill_id)).all()

    @property
    def order(self) -> Bill | Basket:
        """The bill or basket whose gateway order was paid."""
        return self.basket or self.bill

    @property
    def is_disputed(self) -> bool:
        """Tell whether a dispute about it is open or lost."""
        shares = self.shares_of(self.gateway, self.gateway_id) if self.basket_id else [self]
        return any(dispute.state in ("open", "under_review", "lost") for each in shares for dispute in each.disputes)

    @property
    def account(self) -> str:
        """The ledger account that holds the money."""
        places = {"cash": "cash", "bank": "bank", "cheque": "bank" if self.cleared_at else "cheques"}
        return places.get(self.gateway, f"gateway {self.gateway}")

    @property
    def is_cleared(self) -> bool:
        """A cheque is cleared once the bank has paid it; everything else always is."""
        return self.gateway != "cheque" or self.cleared_at is not None

    # --- applying what the gateway reports ---

    def apply_charge(self, charge: Charge, thing: Payable, returned: Sequence[GatewayRefund] = ()) -> None:
        """Apply a report, forward only: one that is late, repeated or out of order changes nothing."""
        waits = self.state in ("created", "failed", "authorized")
        if charge.state == "refunded" and waits:
            self.came_and_went(charge)
        elif charge.state == "captured" and waits:
            self.capture(charge, thing)
        elif charge.state == "authorized" and self.state in ("created", "failed"):
            self.authorize(charge, thing)
        elif charge.state == "failed" and self.state == "created":
            self.fail(charge, thing)
        if self.state in (*REFUNDABLE, "refunded"):
            Refund.apply_reports(self, returned)

    @move("created", "failed", to="authorized")
    def authorize(self, charge: Charge, thing: Payable) -> None:
        """The payment was authorised and hasn’t been captured yet."""
        self.method, self.error = charge.method, ""
        thing.payment_waits(self)

    @move("created", to="failed")
    def fail(self, charge: Charge, thing: Payable) -> None:
        """The payment attempt failed."""
        self.method, self.error = charge.method, charge.error
        thing.payment_failed(self)

    @move("created", "failed", "authorized", to="captured")
    def capture(self, charge: Charge, thing: Payable) -> None:
        """The payment was received. It settles its payment request, or it is refunded."""
        self.method, self.error, self.captured_at = charge.method, "", clock.now()
        self.taken_at = charge.at or self.captured_at
        self.money, self.back = charge.money, Money(0, charge.money.currency)
        session.flush()
        post(
            f"capture {self.id}",
            f"Payment {self} received",
            (self.account, self.money),
            ("received", -self.money),
            about=self.bill,
            person=self.bill.person,
        )
        if charge.returned >= charge.money.amount:
            self.owed_back = "Refunded at the gateway before the payment was recorded here."
        elif charge.money != self.bill.price:
            self.owe_back(f"{charge.money} was paid instead of {self.bill.price}.")
        elif self.bill.state == "paid":
            self.owe_back("This was paid twice.")
        elif no := thing.accept_payment(self):
            self.owe_back(no)
        else:
            self.pays = True
            self.bill.settle(self)

    @move("created", "failed", "authorized", to="refunded", label="Mark as refunded at the gateway")
    def came_and_went(self, charge: Charge) -> None:
        """The gateway refunded the payment before it was recorded here.

        Nothing is owed, and nothing is posted to the ledger.
        """
        self.method, self.money, self.back = charge.method, charge.money, Money(0, charge.money.currency)

    # --- refunds ---

    def owe_back(self, why: str) -> None:
        """Refund all of it, because it settles nothing."""
        self.owed_back = why
        Refund.owe(self, self.left, why, sure=True)

    @move(
        *REFUNDABLE,
        by="Desk Accountant",
        label="Refund",
        asks=GiveBack,
        when=_cannot_refund,
        careful=True,
        confirm=lambda it: (
            f"You can refund up to {it.left} of {it.money} to {it.bill.person.name} ({it.bill.person.email}) "
            f"by the original payment method ({it.gateway_label})."
        ),
    )
    def give_back(self, asked: GiveBack) -> str:
        """Refund all or part of this payment to the original payment method."""
        return Refund.owe(self, parse_amount(asked.amount, self.left), asked.why).what_next

    @move(*REFUNDABLE, to="partly_refunded", label="Mark as partly refunded")
    def went_back_in_part(self) -> None:
        """Part of the payment has been refunded."""

    @move(*REFUNDABLE, to="refunded", label="Mark as refunded")
    def went_back(self) -> None:
        """The payment has been refunded in full."""

    # --- payments recorded by staff ---

    @move("authorized", by="Accountant", label="Approve payment", when=_cannot_approve)
    def approve(self) -> None:
        """Give the second approval. The payment then counts as received."""
        self.capture(Charge(self.gateway_id, "captured", self.money, self.method), self.bill.thing)

    @move("authorized", to="failed", by="Accountant", label="Reject payment", asks=Bounce, when=_cannot_approve)
    def reject(self, asked: Bounce) -> None:
        """The payment was not received."""
        self.error = asked.why
        self.bill.thing.payment_failed(self)

    @move(*REFUNDABLE, by="Accountant", label="Mark cheque as cleared", when=_cannot_clear)
    def clear(self) -> None:
        """The bank has cleared the cheque."""
        post(
            f"clear {self.id}",
            f"Cheque {self} cleared",
            ("bank", self.money),
            ("cheques", -self.money),
            about=self.bill,
            person=self.bill.person,
        )
        self.cleared_at = clock.now()

    @move(
        "captured",
        to="bounced",
        by="Accountant",
        label="Mark cheque as bounced",
        asks=Bounce,
        when=_cannot_clear,
        careful=True,
    )
    def bounce(self, asked: Bounce) -> None:
        """The bank returned the cheque. The amount is due again, and the customer is notified."""
        self.error = asked.why
        self.bill.handle_bounce(self, asked.why)

    def news(self) -> dict[str, Any]:
        """Return the data of webhooks about it."""
        bill, captured = self.bill, self.captured_at
        return {
            "state": self.state,
            "bill": bill.number,
            "about": {"noun": bill.noun, "id": bill.row_id},
            "person": bill.person_id,
            "gateway": self.gateway,
            "gateway_id": self.gateway_id,
            "money": self.money.as_json(),
            "back": self.back.as_json(),
            "captured_at": captured and captured.isoformat(),
        }

    @property
    def method_label(self) -> str:
        """The method with its reference: "Cash, receipt 7", "Razorpay pay_Nx12"."""
        return (
            f"{self.gateway_label}, {self.method}"
            if gateway.by_name(self.gateway).by_hand
            else f"{self.gateway_label} {self.gateway_id}"
        )

    @property
    def gateway_label(self) -> str:
        return gateway_label(self.gateway)

    def __str__(self) -> str:
        return self.gateway_id


def parse_amount(amount: str, most: Money) -> Money:
    """Parse an amount typed by staff: above zero and at most `most`; empty means all of it."""
    try:
        money = Money.parse(amount, most.currency) if amount.strip() else most
    except ValueError as error:
        raise Invalid.for_fields({"amount": str(error)}) from None
    if not Money(0, most.currency) < money <= most:
        raise Invalid.for_fields({"amount": f"Enter an amount greater than 0 and up to {most}."})
    return money
