"""Dispute (chargeback) of a payment: the amount withheld, the deadline for a response, and the outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, session, spaced, transaction
from app.kernel.errors import Missing
from app.kernel.jobs import every, job, later
from app.kernel.translation import say
from app.kernel.workflow import move
from app.messages.message import tell_staff
from app.money.bills.ledger import post
from app.money.bills.payment import Payment
from app.money.gateways import gateway
from app.money.gateways.gateway import GatewayDispute, gateway_column, gateway_label
from app.money.sums.amount import Money, money_column


class Dispute(Noun):
    """One dispute about one payment. What was paid for stays as it is until staff decide."""

    states = "open", "under_review", "won", "lost", "closed"
    __table_args__ = (UniqueConstraint("gateway", "gateway_id"),)
    whose = "payment.bill.person"

    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    payment: Mapped[Payment] = relationship(back_populates="disputes", lazy="joined", innerjoin=True)
    gateway: Mapped[str] = gateway_column()
    gateway_id: Mapped[str] = mapped_column(info={"label": "Dispute ID"})
    money: Mapped[Money] = money_column("money", info={"label": "Amount"})
    kept_back: Mapped[Money] = money_column("kept_back", info={"label": "Withheld by gateway"})
    # The reason in the gateway's own word.
    reason: Mapped[str] = mapped_column(default="", info={"says": lambda dispute: spaced(dispute.reason)})
    respond_by: Mapped[datetime | None] = mapped_column(index=True, info={"label": "Respond by"})
    look_at: Mapped[datetime | None] = mapped_column(index=True)

    def still_needs(self) -> str:
        """Return why the customer's data can't be deleted yet."""
        return (
            say("Dispute %(number)s for %(amount)s is still open.", number=self.gateway_id, amount=self.money)
            if self.state in ("open", "under_review")
            else ""
        )

    @classmethod
    def check_gateway(cls, name: str, id: str) -> Dispute:
        """Fetch the dispute from the gateway and apply its state. Safe to repeat."""
        report = gateway.by_name(name).fetch_dispute(id)
        with transaction():
            payment = next(iter(Payment.shares_of(name, report.payment_id)), None)
            if payment is None:
                raise Missing("No payment was found for this dispute.")
            payment.lock()
            known = session.scalar(select(cls).where(cls.gateway == name, cls.gateway_id == id))
            dispute = known or cls._open(payment, report)
            dispute.apply_report(report)
        return dispute

    @classmethod
    def _open(cls, payment: Payment, report: GatewayDispute) -> Dispute:
        nothing = Money(0, report.money.currency)
        made = cls(
            payment=payment,
            gateway=payment.gateway,
            gateway_id=report.id,
            money=report.money,
            kept_back=nothing,
            reason=report.reason,
        )
        session.add(made)
        session.flush()
        tell_staff("money/disputed", dispute=made)
        return made

    def lock(self) -> Self:
        self.payment.lock()
        return super().lock()

    def apply_report(self, report: GatewayDispute) -> None:
        """Apply the gateway's report, forward only: a decided dispute stays decided."""
        self.respond_by, self.look_at = report.respond_by, clock.ahead(hours=6)
        if self.state not in ("open", "under_review"):
            return
        if report.state not in ("won", "closed"):
            self._withhold(Money(report.deducted, self.money.currency))
        if report.state == "under_review" and self.state == "open":
            self.review()
        elif report.state == "won":
            self.win()
        elif report.state == "lost":
            self.lose()
        elif report.state == "closed":
            self.end()

    def _withhold(self, so_far: Money) -> None:
        """Post what the gateway has withheld since the last report; `so_far` is the total."""
        if so_far > self.kept_back:
            more = so_far - self.kept_back
            self._post(
                f"keeps back {so_far.amount}", "amount withheld", ("disputed", more), (self.payment.account, -more)
            )
            self.kept_back = so_far

    @move("open", to="under_review", label="Mark as under review")
    def review(self) -> None:
        """Our response was submitted. The bank is reviewing it."""

    @move("open", "under_review", to="won", label="Mark as won")
    def win(self) -> None:
        """The dispute was won. We keep the payment."""
        self._release()

    @move("open", "under_review", to="closed", label="Close")
    def end(self) -> None:
        """The dispute was closed without a decision. We keep the payment."""
        self._release()

    @move("open", "under_review", to="lost", label="Mark as lost")
    def lose(self) -> None:
        """The dispute was lost. The customer’s bank keeps the amount, and it is posted as a loss once."""
        if not self.kept_back:
            self._withhold(self.money)
        self.look_at = None
        self._post("lost", "lost", ("disputes-lost", self.kept_back), ("disputed", -self.kept_back))
        tell_staff("money/dispute_lost", dispute=self)

    def _release(self) -> None:
        self.look_at = None
        self._post(
            "came back", "amount released", (self.payment.account, self.kept_back), ("disputed", -self.kept_back)
        )

    def _post(self, key: str, what: str, *sides: tuple[str, Money]) -> None:
        bill = self.payment.bill
        post(f"dispute {key} {self.id}", f"Dispute {self.gateway_id}: {what}", *sides, about=bill, person=bill.person)

    @property
    def gateway_label(self) -> str:
        return gateway_label(self.gateway)

    def __str__(self) -> str:
        return self.gateway_id


@job("Check dispute at the gateway", was="money.dispute.look")
def check_dispute(dispute: Dispute) -> None:
    Dispute.check_gateway(dispute.gateway, dispute.gateway_id)


@every("Check open disputes", hours=1)
def look_after_disputes() -> None:
    with transaction():
        due = select(Dispute).where(Dispute.look_at <= clock.now(), Dispute.state.in_(("open", "under_review")))
        for dispute in session.scalars(due):
            later(check_dispute, dispute, key=f"dispute:{dispute.id}:{clock.now():%Y%m%d%H}")
