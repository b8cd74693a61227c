"""Refund of a payment, in full or in part: promised once, sent until the gateway has it, and at most what was paid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import every, job, later
from app.kernel.numbering import next_number
from app.kernel.translation import say
from app.kernel.workflow import asked, move
from app.messages.message import tell, tell_staff
from app.money.bills.ledger import post
from app.money.gateways import gateway
from app.money.gateways.gateway import Declined, GatewayRefund, gateway_column, gateway_label
from app.money.sums.amount import Money, money_column
from app.money.sums.approval_limits import needs_four_eyes

if TYPE_CHECKING:  # for types only: at runtime payments import refunds
    from app.money.bills.payment import Payment

PENDING = "to_approve", "owed", "sent", "failed"  # promised, and not received yet


@dataclass(frozen=True)
class Why:
    """Why not."""

    why: str = asked("Reason", longest=300)


@dataclass(frozen=True)
class HandedOut:
    """How it was given back."""

    reference: str = asked("Reference", help="Number of the signed receipt, or the bank reference", longest=80)


def _cannot_approve(refund: Refund) -> str | None:
    return (
        "You requested this refund yourself. Someone else has to approve it."
        if refund.asked_by and refund.asked_by == actor().user_id
        else None
    )


def _cannot_pay_out(refund: Refund) -> str | None:
    if refund.state == "owed" and not refund.is_by_hand:
        return "This refund is sent automatically to the original payment method."
    return (
        "The cheque hasn’t cleared yet. Wait until it clears, or mark it as bounced."
        if refund.payment.account == "cheques"
        else None
    )


def _cannot_settle_by_dispute(refund: Refund) -> str | None:
    return (
        None
        if any(each.state == "lost" for each in refund.payment.disputes)
        else "No dispute about this payment was lost."
    )


class Refund(Noun):
    """An amount of one payment that is refunded."""

    states = "owed", "to_approve", "sent", "done", "failed", "declined"
    state_labels: ClassVar[dict[str, str]] = {
        "owed": "Pending",
        "to_approve": "Awaiting approval",
        "sent": "Processing",
        "done": "Completed",
    }
    __table_args__ = (
        UniqueConstraint("gateway", "gateway_id", "payment_id"),
        CheckConstraint("money_amount > 0", name="something"),
    )
    refusals: ClassVar[dict[str, str]] = {"refund_something": "A refund must be greater than zero."}
    whose = "payment.bill.person"

    number: Mapped[str] = mapped_column(unique=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    payment: Mapped[Payment] = relationship("Payment", back_populates="refunds", lazy="joined", innerjoin=True)
    money: Mapped[Money] = money_column("money", info={"label": "Amount"})
    why: Mapped[str] = mapped_column(info={"label": "Reason"})
    gateway: Mapped[str] = gateway_column("Method")
    gateway_id: Mapped[str | None] = mapped_column(info={"label": "Gateway refund ID"})
    reference: Mapped[str] = mapped_column(default="")
    tries: Mapped[int] = mapped_column(default=1, info={"label": "Attempts"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Error"})
    asked_by: Mapped[int | None]  # a member of staff; empty if it is owed anyway
    elsewhere: Mapped[bool] = mapped_column(default=False, info={"label": "Made in the gateway dashboard"})
    look_at: Mapped[datetime | None] = mapped_column(index=True)
    looked: Mapped[int] = mapped_column(default=0)
    owed_at: Mapped[datetime | None] = mapped_column(info={"label": "Confirmed"})
    done_at: Mapped[datetime | None] = mapped_column(info={"label": "Completed"})

    @classmethod
    def owe(cls, payment: Payment, money: Money, why: str, *, sure: bool = False) -> Refund:
        """Create a refund. One that is owed anyway (`sure`) starts at once; a large one by staff waits for approval."""
        with transaction():
            payment.lock()
            decided = None if sure or actor().is_system else actor().user_id
            refund = cls._create(payment, money, why, asked_by=decided)
            if decided is not None and needs_four_eyes(money):
                refund.wait_for_approval()
            else:
                refund.start()
        return refund

    @classmethod
    def _create(
        cls, payment: Payment, money: Money, why: str, *, asked_by: int | None = None, elsewhere: bool = False
    ) -> Refund:
        if not Money(0, money.currency) < money <= payment.left:
            raise Refused(f"{money} can’t be refunded. Only {payment.left} of {payment.money} is left to refund.")
        payment.back += money
        refund = cls(
            number=next_number("RF"),
            payment=payment,
            money=money,
            why=why,
            gateway=payment.gateway,
            asked_by=asked_by,
            elsewhere=elsewhere,
        )
        session.add(refund)
        session.flush()
        return refund

    def lock(self) -> Self:
        self.payment.lock()
        return super().lock()

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt until the gateway declines, so that it refunds once."""
        return f"{self.number}-{self.payment.bill.handle[:8]}-{self.tries}"

    @property
    def is_by_hand(self) -> bool:
        return gateway.by_name(self.gateway).by_hand

    @property
    def what_next(self) -> str:
        """What happens next, for the member of staff who requested it."""
        if self.state == "to_approve":
            return f"{self.number}: {self.money} will be refunded once someone else has approved it."
        if self.state == "owed" and self.is_by_hand:
            return (
                f"{self.number}: {self.money} is to be refunded by hand. Pay it out, and mark the refund as paid out."
            )
        return f"{self.number}: the refund of {self.money} to the original payment method is on its way."

    # --- deciding ---

    @move("owed", to="to_approve", label="Request approval")
    def wait_for_approval(self) -> None:
        """A second approval is needed first."""

    @move(
        "to_approve",
        to="owed",
        by="Accountant",
        label="Approve refund",
        when=_cannot_approve,
        confirm=lambda it: (
            f"{it.money} will be refunded to {it.payment.bill.person.name} "
            f"by the original payment method ({it.gateway_label}). Reason: {it.why}"
        ),
    )
    def approve(self) -> None:
        """Give the second approval. The refund is then sent."""
        self.start()

    @move("to_approve", to="declined", by="Accountant", label="Decline refund", asks=Why)
    def decline(self, asked: Why) -> None:
        """The refund is not made."""
        self.trouble = asked.why
        self.payment.back -= self.money

    def start(self) -> None:
        """Post the refund, which is owed from now on, and queue its request to the gateway."""
        self.book_debt(self.money)
        if not self.is_by_hand:
            self.look_at = clock.ahead(minutes=15)
            later(send_refund, self)

    def book_debt(self, money: Money) -> None:
        """Post that it is owed, with the credit note."""
        self.owed_at = clock.now()
        self.payment.bill.book_refund(self, money)

    # --- sending ---

    def send(self) -> None:
        """Request the refund from the gateway; with the same key, a repeated request is the same refund."""
        if self.state != "owed" or self.is_by_hand:
            return
        its_gateway = gateway.by_name(self.gateway)
        if self.payment.is_disputed:
            self.fail("This payment is disputed. A refund would pay the customer twice.")
            return
        try:
            report = its_gateway.send_refund(self.payment.gateway_id, self.money, self.key)
        except Declined as no:
            reports = its_gateway.list_refunds(self.payment.gateway_id)
            with transaction():
                self.lock()
                Refund.apply_reports(self.payment, reports)  # it may have been refunded in the gateway dashboard
                if self.state == "owed":
                    self.fail(no.words)
            return
        with transaction():
            self.lock()
            Refund.apply_report(self.payment, report, mine=self)

    def check_gateway(self) -> None:
        """Check on schedule, in growing intervals, until it is completed."""
        gap = min(timedelta(minutes=15) * 2 ** min(self.looked, 7), timedelta(days=1))
        with transaction():
            self.lock()
            self.looked += 1
            self.look_at = clock.now() + gap if self.state in ("owed", "sent") else None
        if self.state == "owed":
            self.send()
        elif self.state == "sent":
            self.apply_locked(gateway.by_name(self.gateway).list_refunds(self.payment.gateway_id))

    def apply_locked(self, reports: Iterable[GatewayRefund]) -> None:
        with transaction():
            self.lock()
            Refund.apply_reports(self.payment, reports)

    @classmethod
    def apply_reports(cls, payment: Payment, reports: Iterable[GatewayRefund]) -> None:
        """Apply known refunds first, because one that failed makes room for one from the dashboard.

        Of a basket's share only known ones are applied; the basket handles those from the dashboard.
        """
        if payment.basket_id:
            reports = [each for each in reports if cls.find_match(payment, each)]
        for each in sorted(reports, key=lambda it: cls.find_match(payment, it) is None):
            cls.apply_report(payment, each)

    @classmethod
    def apply_report(cls, payment: Payment, report: GatewayRefund, mine: Refund | None = None) -> None:
        """Apply one report: of a refund of ours, by ID or key, or of one from the dashboard. Safe to repeat."""
        refund = mine if mine and mine.gateway_id in (None, report.id) else cls.find_match(payment, report)
        if refund is None:
            if report.state == "failed":
                return
            refund = cls._made_elsewhere(payment, report)
        refund.gateway_id = report.id
        if report.state == "pending" and refund.state == "owed":
            refund.is_on_its_way()
        elif report.state == "done" and refund.state in ("owed", "sent", "failed"):
            refund.finish()
        elif report.state == "failed" and refund.state in ("owed", "sent"):
            refund.fail("The gateway couldn’t deliver the refund to the customer’s account.")

    @classmethod
    def find_match(cls, payment: Payment, report: GatewayRefund) -> Refund | None:
        alike = [each for each in payment.refunds if each.gateway_id == report.id]
        alike += [each for each in payment.refunds if report.key and each.key == report.key and each.gateway_id is None]
        return next(iter(alike), None)

    @classmethod
    def _made_elsewhere(cls, payment: Payment, report: GatewayRefund) -> Refund:
        """Record a refund from the gateway dashboard; it replaces pending ones that no longer fit in the payment."""
        short, covered = report.money - payment.left, Money(0, report.money.currency)
        for own in [each for each in payment.refunds if each.state in ("to_approve", "owed", "failed")]:
            if short.amount > 0:
                bite = min(own.money, short)
                covered += own.reduce_by(bite)
                short -= bite
        refund = cls._create(payment, report.money, "Refunded in the gateway dashboard.", elsewhere=True)
        refund.look_at = clock.ahead(minutes=15)
        refund.book_debt(report.money - covered)
        tell_staff("money/refunded_elsewhere", refund=refund)
        return refund

    def reduce_by(self, to: Money) -> Money:
        """Reduce this refund by an amount refunded otherwise; return how much of it was posted already."""
        self.payment.back -= to
        if to == self.money:
            self.overtake()
        else:
            self.money -= to
            self.tries += 1  # another amount is another request, with another key
        return to if self.owed_at else Money(0, to.currency)

    @move("owed", to="sent", label="Mark as processing")
    def is_on_its_way(self) -> None:
        """The gateway is processing the refund. The customer’s bank may take several days."""
        self.trouble = ""

    @move("owed", "sent", "failed", to="done", label="Mark as completed")
    def finish(self) -> None:
        """The customer has received the refund."""
        self._complete()

    def _complete(self) -> None:
        self.done_at, self.look_at, self.trouble = clock.now(), None, ""
        payment, person = self.payment, self.payment.bill.person
        account = payment.account if self.gateway == payment.gateway else self.gateway
        self._post("refund", "paid out", (account, -self.money))
        done = Money.total((each.money for each in payment.refunds if each.state == "done"), self.money.currency)
        (payment.went_back if done == payment.money else payment.went_back_in_part)()
        if not self.elsewhere:
            tell(person, "money/refunded", refund=self)

    @move("owed", "sent", to="failed", label="Mark as failed")
    def fail(self, words: str) -> None:
        """The refund failed. It is still owed and needs attention."""
        self.trouble, self.look_at = words, None
        tell_staff("money/refund_failed", refund=self)

    @move("failed", to="owed", by="Accountant", label="Retry refund")
    def try_again(self) -> None:
        """Send the refund to the gateway again, as a new request."""
        self.tries, self.gateway_id, self.trouble, self.looked = self.tries + 1, None, "", 0
        self.look_at = clock.ahead(minutes=15)
        later(send_refund, self)

    @move("owed", "failed", to="done", by="Accountant", label="Mark as paid out", asks=HandedOut, when=_cannot_pay_out)
    def hand_out(self, asked: HandedOut) -> None:
        """Record that the refund was paid in cash, by cheque or by bank transfer."""
        self.reference = asked.reference
        if not self.is_by_hand:
            self.gateway, self.gateway_id = "bank", None
        self._complete()

    @move(
        "failed", to="declined", by="Accountant", label="Mark as settled by chargeback", when=_cannot_settle_by_dispute
    )
    def settle_by_dispute(self) -> None:
        """The customer already received the amount through a lost dispute, so no refund is sent.

        It still counts as refunded.
        """
        self._post("settled by dispute", "settled by chargeback", ("disputes-lost", -self.money))

    def _post(self, key: str, what: str, from_where: tuple[str, Money]) -> None:
        """Post that it is no longer owed, and which account it was taken from."""
        bill = self.payment.bill
        post(
            f"{key} {self.id}",
            f"Refund {self.number}: {what}",
            ("to-give-back", self.money),
            from_where,
            about=bill,
            person=bill.person,
        )

    @move("to_approve", "owed", "failed", to="declined", label="Withdraw")
    def overtake(self) -> None:
        """The amount was refunded another way."""
        self.trouble, self.look_at = "The amount was refunded another way.", None

    def news(self) -> dict[str, Any]:
        """Return the data of webhooks about it."""
        return {
            "number": self.number,
            "state": self.state,
            "payment": self.payment_id,
            "gateway": self.gateway,
            "gateway_id": self.gateway_id,
            "money": self.money.as_json(),
            "done_at": self.done_at and self.done_at.isoformat(),
        }

    def still_needs(self) -> str:
        """Return why the customer's data can't be deleted yet."""
        return (
            say("A refund of %(amount)s is still pending (%(number)s).", amount=self.money, number=self.number)
            if self.state in PENDING
            else ""
        )

    def wants(self, message: object) -> bool:
        return self.state != "declined"

    @property
    def gateway_label(self) -> str:
        return gateway_label(self.gateway)


@job("Send refund", was="money.refund.send")
def send_refund(refund: Refund) -> None:
    refund.send()


@job("Check refund at the gateway", was="money.refund.look")
def check_refund(refund: Refund) -> None:
    refund.check_gateway()


@every("Check pending refunds", minutes=1)
def look_after_refunds() -> None:
    """Queue a check for every pending refund that is due."""
    with transaction():
        due = (
            select(Refund)
            .where(Refund.look_at <= clock.now(), Refund.state.in_(("owed", "sent")))
            .order_by(Refund.look_at)
            .limit(200)
        )
        for refund in session.scalars(due):
            later(check_refund, refund, key=f"refund:{refund.id}:{refund.tries}:{refund.looked}")
