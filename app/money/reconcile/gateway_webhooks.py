"""Payment gateway webhooks: verify the signature, store the event once, respond at once, and process it in a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sqlalchemy import ColumnElement, UniqueConstraint, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Missing, Unreadable
from app.kernel.jobs import job, later
from app.kernel.workflow import move
from app.money.bills.basket import Basket, find_order
from app.money.bills.bill import Bill
from app.money.bills.dispute import Dispute
from app.money.bills.payment import Payment
from app.money.gateways import gateway
from app.money.gateways.gateway import Declined, gateway_column
from app.money.reconcile import settlement

LONGEST = 255  # of an ID; a longer one can't be indexed, and isn't genuine


class Event(Noun):
    """One webhook, with its original body. It is a reason to ask the gateway, never the fact itself."""

    states = "waiting", "handled", "parked"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Pending", "handled": "Processed", "parked": "Needs attention"}
    audited = False  # an event is its own record, and is never edited
    publishes_added = False
    __table_args__ = (UniqueConstraint("gateway", "event_id"),)

    gateway: Mapped[str] = gateway_column()
    event_id: Mapped[str] = mapped_column(info={"label": "Event ID"})
    kind: Mapped[str] = mapped_column(info={"label": "Event type"})
    order_id: Mapped[str | None] = mapped_column(index=True, info={"label": "Gateway order ID"})
    payment_id: Mapped[str | None] = mapped_column(info={"label": "Payment ID"})
    dispute_id: Mapped[str | None] = mapped_column(info={"label": "Dispute ID"})
    body: Mapped[str] = mapped_column(info={"label": "Payload", "long": True, "personal": "{}"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Problem"})

    @classmethod
    def of_people(cls, ids: Sequence[int]) -> ColumnElement[bool]:
        """Return the condition for events about orders or payments of these customers, whose data they contain."""
        bills, baskets = (
            select(each.order_id).where(each.person_id.in_(ids), each.order_id.is_not(None)) for each in (Bill, Basket)
        )
        payments = select(Payment.gateway_id).join(Bill, Payment.bill_id == Bill.id).where(Bill.person_id.in_(ids))
        return or_(cls.order_id.in_(bills), cls.order_id.in_(baskets), cls.payment_id.in_(payments))

    def process(self) -> None:
        if self.state == "handled":
            return
        try:
            trouble = self._check_gateway()
        except (Missing, Declined) as no:  # a retry would be declined again
            trouble = no.words
        if trouble:
            self.park(trouble)
        else:
            self.done()

    def _check_gateway(self) -> str:
        """Check what the event is about at the gateway; return what is wrong with it, if anything."""
        if self.kind.startswith(("settlement.", "payout.paid")):
            settlement.import_recent(self.gateway)
            return ""
        order = self._find_order()
        if order is not None:
            order.check_gateway()
        if self.dispute_id:
            Dispute.check_gateway(self.gateway, self.dispute_id)
        if order is None and not self.dispute_id:
            return (
                "No payment request was found for this event."
                if self.order_id or self.payment_id
                else "This type of event isn’t supported."
            )
        return self._mismatch()

    def _find_order(self) -> Bill | Basket | None:
        order = find_order(self.gateway, self.order_id) if self.order_id else None
        return order or next((each.order for each in self._payments()), None)

    def _payments(self) -> Sequence[Payment]:
        return Payment.shares_of(self.gateway, self.payment_id) if self.payment_id else ()

    def _mismatch(self) -> str:
        """Return why a payment of a different amount is refunded, so that staff see it."""
        return next(
            (each.owed_back for each in self._payments() if each.captured_at and each.money != each.bill.price), ""
        )

    @move("waiting", "parked", to="handled", label="Mark as processed")
    def done(self) -> None:
        """The event was processed."""
        self.trouble = ""

    @move("waiting", "parked", to="parked", label="Set aside")
    def park(self, trouble: str) -> None:
        """The event couldn’t be processed and needs attention."""
        self.trouble = trouble

    @move("parked", to="waiting", by="Desk Accountant", label="Process again")
    def handle_again(self) -> None:
        """Process this event once more, for example when the missing record has since arrived."""
        later(process_event, self)

    @move("parked", to="handled", by="Accountant", label="Ignore")
    def set_aside(self) -> None:
        """No action is needed for this event."""

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


def receive_webhook(name: str, raw: bytes, headers: Mapping[str, str]) -> bool:
    """Store a webhook and queue its job; return whether it is new. No more, as gateways wait five seconds only."""
    notice = gateway.by_name(name).parse_webhook(raw, headers)
    ids = (notice.event_id, notice.kind, notice.order_id, notice.payment_id, notice.dispute_id)
    if any(len(each or "") > LONGEST for each in ids):
        raise Unreadable("The signature is valid, but the event contains an ID that is too long.")
    moment = clock.now()
    about = {"order_id": notice.order_id, "payment_id": notice.payment_id, "dispute_id": notice.dispute_id}
    values = {
        "gateway": name,
        "event_id": notice.event_id,
        "kind": notice.kind,
        "body": raw.decode("utf-8", "replace"),
    } | about
    always = {"state": "waiting", "trouble": "", "created_at": moment, "changed_at": moment, "version": 1}
    with transaction():
        new = session.scalar(insert(Event).values(values | always).on_conflict_do_nothing().returning(Event.id))
        if new:
            later(process_event, Event.get(new), key=f"event:{new}")
    return bool(new)


@job("Process gateway event", was="money.inbox.handle")
def process_event(event: Event) -> None:
    event.process()
