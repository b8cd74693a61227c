"""Settlement reports (payouts): imports and posts each line once, with fee and tax, and matches it to our books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.jobs import every
from app.kernel.workflow import move
from app.money.bills.dispute import Dispute
from app.money.bills.ledger import post
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.gateways.gateway import SettlementLine, gateway_column
from app.money.sums.amount import Money, money_column


class Settlement(Noun):
    """One line of a gateway's settlement report."""

    states = "matched", "differs", "explained"
    state_labels: ClassVar[dict[str, str]] = {"differs": "Unmatched"}
    audited = False  # it is a copy of the gateway's report
    publishes_added = False
    __table_args__ = (UniqueConstraint("gateway", "kind", "entity_id"),)
    refusals: ClassVar[dict[str, str]] = {}

    gateway: Mapped[str] = gateway_column()
    kind: Mapped[str] = mapped_column(info={"label": "Type"})
    entity_id: Mapped[str] = mapped_column(index=True, info={"label": "Payment or refund ID"})
    reference: Mapped[str] = mapped_column(default="", index=True, info={"label": "Bank reference (UTR)"})
    dispute_id: Mapped[str] = mapped_column(default="", info={"label": "Dispute ID"})
    day: Mapped[date] = mapped_column(index=True, info={"label": "Date"})
    settled_at: Mapped[datetime | None] = mapped_column(info={"label": "Settled"})
    credit: Mapped[Money] = money_column("credit")
    debit: Mapped[Money] = money_column("debit")
    fee: Mapped[Money] = money_column("fee")
    tax: Mapped[Money] = money_column("tax", info={"label": "Tax on fee"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Mismatch"})

    @property
    def to_bank(self) -> Money:
        return self.credit - self.debit - self.fee - self.tax

    @classmethod
    def record(cls, name: str, day: date, row: SettlementLine) -> None:
        """Store and post a line once, matched or not, because the money has moved. A mismatch waits for staff."""
        moment = clock.now()
        values: dict[str, Any] = {
            "gateway": name,
            "kind": row.kind,
            "entity_id": row.id,
            "reference": row.reference,
            "dispute_id": row.dispute_id,
            "day": day,
        }
        for column in ("credit", "debit", "fee", "tax"):
            money: Money = getattr(row, column)
            values |= {f"{column}_amount": money.amount, f"{column}_currency": money.currency}
        always = {
            "state": "matched",
            "trouble": "",
            "settled_at": row.settled_at,
            "created_at": moment,
            "changed_at": moment,
            "version": 1,
        }
        new = session.scalar(insert(cls).values(values | always).on_conflict_do_nothing().returning(cls.id))
        if new is not None:
            line = cls.get(new)
            line.post_to_ledger()
            if trouble := line.find_mismatch():
                line.differ(trouble)

    def post_to_ledger(self) -> None:
        sides = (
            ("bank", self.to_bank),
            ("fees", self.fee),
            ("input-tax", self.tax),
            (f"gateway {self.gateway}", self.debit - self.credit),
        )
        post(
            f"settled {self.gateway} {self.kind} {self.entity_id}",
            f"Settlement: {self.kind} {self.entity_id}",
            *sides,
            about=self,
        )

    def find_mismatch(self) -> str:
        """Return how this line differs from our books, or an empty text."""
        match self.kind:
            case "payment":
                shares = [each.money for each in Payment.shares_of(self.gateway, self.entity_id) if each.captured_at]
                return self._difference(shares, self.credit, "payment")
            case "refund":
                same = select(Refund).where(Refund.gateway == self.gateway, Refund.gateway_id == self.entity_id)
                return self._difference([each.money for each in session.scalars(same)], self.debit, "refund")
        if self.dispute_id and session.scalar(
            select(Dispute.id).where(Dispute.gateway == self.gateway, Dispute.gateway_id == self.dispute_id)
        ):
            return ""
        return f"This {self.kind} by the gateway needs review."

    @staticmethod
    def _difference(ours: Sequence[Money], theirs: Money, what: str) -> str:
        if not ours:
            return f"No matching {what} was found in our books."
        total = Money.total(ours, ours[0].currency)
        return "" if total == theirs else f"Our books show {total} for this {what}."

    @move("matched", to="differs", label="Mark as unmatched")
    def differ(self, trouble: str) -> None:
        """The line doesn’t match our books."""
        self.trouble = trouble

    @move("differs", to="matched", by="Accountant", label="Recheck", when=lambda it: it.find_mismatch() or None)
    def match_again(self) -> None:
        """Compare the line with our books again."""
        self.trouble = ""

    @move("differs", to="explained", by="Accountant", label="Mark as explained")
    def explain(self) -> None:
        """The mismatch was reviewed and its cause is known."""

    def __str__(self) -> str:
        return f"{self.kind} {self.entity_id}"


def import_day(name: str, day: date) -> None:
    """Import the report of one day. Safe to repeat: every line is posted once."""
    lines = gateway.by_name(name).list_settlements(day)
    with transaction():
        for each in sorted(lines, key=lambda line: (line.kind, line.id)):
            Settlement.record(name, day, each)


def import_recent(name: str, *, days: int = 2) -> None:
    """Import the reports of today and the days before."""
    for ago in range(days):
        import_day(name, clock.now().date() - timedelta(days=ago))


@every("Import settlements", hours=6)
def fetch_settlements() -> None:
    """Import the reports of the last three days from every online gateway."""
    gateway.for_each_online(lambda name: import_recent(name, days=3))
