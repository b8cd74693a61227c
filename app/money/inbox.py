"""Webhooks: check the signature, write it down once, answer at once; act on it in a job."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.jobs import job, later
from app.kernel.workflow import move
from app.money import gateway
from app.money.bill import Bill


class Event(Noun):
    """What a gateway told us, to the letter. It is a reason to look, never the truth itself."""

    states = "waiting", "handled", "parked"
    audited = False  # an event is its own record, and nobody edits it
    __table_args__ = (UniqueConstraint("gateway", "event_id"),)

    gateway: Mapped[str]
    event_id: Mapped[str]
    kind: Mapped[str]
    order_id: Mapped[str | None] = mapped_column(index=True)
    body: Mapped[str] = mapped_column(info={"long": True})
    trouble: Mapped[str] = mapped_column(default="")

    def handle(self) -> None:
        if self.state == "handled":
            return
        about = select(Bill).where(Bill.gateway == self.gateway, Bill.order_id == self.order_id)
        bill = session.scalar(about) if self.order_id else None
        if bill is None:
            self.park()
        else:
            bill.look()
            self.done()

    @move("waiting", "parked", to="handled")
    def done(self) -> None:
        self.trouble = ""

    @move("waiting", "parked", to="parked")
    def park(self) -> None:
        self.trouble = "No bill of ours belongs to this order."

    @move("parked", to="waiting", by="Desk", label="Handle again")
    def handle_again(self) -> None:
        later(handle, self)

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


def received(name: str, raw: bytes, headers: Mapping[str, str]) -> bool:
    """True for news, False for something heard before. Nothing is looked up here: the gateway waits five seconds at most."""
    told = gateway.named(name).hear(raw, headers)
    moment = clock.now()
    values = {"gateway": name, "event_id": told.event_id, "kind": told.kind, "order_id": told.order_id, "body": raw.decode("utf-8", "replace")}
    always = {"state": "waiting", "trouble": "", "created_at": moment, "changed_at": moment, "version": 1}
    with transaction():
        new = session.scalar(insert(Event).values(values | always).on_conflict_do_nothing().returning(Event.id))
        if new:
            later(handle, Event.get(new), key=f"event:{new}")
    return bool(new)


@job
def handle(event: Event) -> None:
    event.handle()
