"""Webhook delivery: one event sent to one webhook, retried with growing pauses for three days."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import ClassVar, Self

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock, events
from app.kernel.db import Noun, session, table_labels, transaction
from app.kernel.events import NounEvents, event_payload, is_newsworthy
from app.kernel.jobs import job, later
from app.kernel.workflow import move
from app.messages import safe_http
from app.messages.message import tell_staff
from app.messages.safe_http import CallResult
from app.messages.webhook import Webhook, enabled_webhooks

FIRST, LONGEST = timedelta(seconds=10), timedelta(hours=6)
GIVES_UP = timedelta(days=3)
GONE = 410
KEPT = 500  # characters of a response


class WebhookDelivery(Noun, table="call"):
    """One event for one webhook, with its payload and the last response."""

    states = "waiting", "delivered", "failed"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Pending"}
    audited = False  # the row is its own record

    hook_id: Mapped[int] = mapped_column(ForeignKey("hook.id"), index=True)
    hook: Mapped[Webhook] = relationship(lazy="joined", innerjoin=True)
    event: Mapped[str] = mapped_column(index=True)
    event_id: Mapped[str] = mapped_column(unique=True)
    noun: Mapped[str] = mapped_column(info={"choices": table_labels})
    row_id: Mapped[int]
    body: Mapped[str] = mapped_column(info={"long": True, "label": "Payload"})
    since: Mapped[datetime] = mapped_column(default=clock.now, info={"label": "First attempt"})
    due_at: Mapped[datetime] = mapped_column(default=clock.now, info={"label": "Next attempt"})
    attempts: Mapped[int] = mapped_column(default=0)
    status: Mapped[int | None] = mapped_column(info={"label": "HTTP status"})
    answer: Mapped[str] = mapped_column(default="", info={"long": True, "label": "Response"})
    took: Mapped[int | None] = mapped_column(info={"label": "Duration (ms)"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Error"})

    @classmethod
    def for_event(cls, hook: Webhook, event: str, row: Noun, **more: str) -> WebhookDelivery:
        event_id, now = f"evt_{token_hex(16)}", clock.now()
        data = event_payload(row) | {"id": row.id, "version": row.version}
        body = {
            "id": event_id,
            "event": event,
            "at": now.astimezone(UTC).isoformat(timespec="seconds"),
            "about": row.__tablename__,
            "data": data,
        } | more
        return cls(
            hook=hook,
            event=event,
            event_id=event_id,
            noun=row.__tablename__,
            row_id=row.id,
            body=json.dumps(body, ensure_ascii=False),
        )

    def lock(self) -> Self:
        self.hook.lock()
        return super().lock()

    # --- delivery ---

    def deliver(self) -> None:
        """Send the event; safe to repeat, since a receiver knows it by its ID."""
        if self.state != "waiting":
            return
        if self.hook.state == "off":
            self.give_up("The webhook was disabled.")
        elif self.hook.rests_until and self.hook.rests_until > clock.now() and not self._is_over():
            with transaction():
                self._wait(self.hook.rests_until)
        else:
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "Frontdesk",
                "Frontdesk-Event": self.event_id,
                "Frontdesk-Signature": self.hook.signature_header(self.body, clock.now()),
            }
            self._record_result(safe_http.post(self.hook.address, self.body.encode(), headers))

    def _record_result(self, result: CallResult) -> None:
        with transaction():
            self.lock()
            self.attempts += 1
            self.status, self.answer, self.took, self.trouble = (
                result.status,
                result.answer[:KEPT],
                result.took,
                result.trouble,
            )
            if self.state != "waiting":
                return
            if result.is_good:
                self.arrive()
            elif result.status == GONE:
                self._disable_gone()
            else:
                self._wait_or_give_up(result.trouble)

    def _disable_gone(self) -> None:
        self.give_up("The endpoint responded with 410 Gone, so the webhook was disabled.")
        if self.hook.state == "on":
            self.hook.is_gone()
        self.hook.record_failure(self.trouble, clock.now())
        tell_staff("house/hook_failed", key=f"hook gone:{self.hook.id}:{self.hook.version}", hook=self.hook)

    def _is_over(self) -> bool:
        return clock.now() >= self.since + GIVES_UP

    def _wait_or_give_up(self, trouble: str) -> None:
        gap = min(FIRST * 3 ** min(self.attempts - 1, 10), LONGEST)
        self.hook.record_failure(trouble, clock.now() + gap)
        if clock.now() + gap >= self.since + GIVES_UP:
            self.give_up(trouble)
            tell_staff("house/hook_failed", key=f"hook failed:{self.hook.id}:{self.hook.failing_since}", hook=self.hook)
        else:
            self._wait(clock.now() + gap)

    def _wait(self, until: datetime) -> None:
        self.due_at = until
        later(deliver, self, at=until)

    @move("waiting", to="delivered")
    def arrive(self) -> None:
        """Mark the event as delivered."""
        self.hook.record_success()

    @move("waiting", to="failed")
    def give_up(self, trouble: str) -> None:
        """Stop trying: delivery has failed for three days, or the webhook is disabled."""
        self.trouble = trouble

    @move(
        "delivered",
        "failed",
        to="waiting",
        by="Desk",
        label="Resend event",
        when=lambda it: None if it.hook.state == "on" else "The webhook is disabled. Enable it first.",
    )
    def send_again(self) -> None:
        """Send the same event again with the same ID, so that the receiver can recognise duplicates."""
        self.since, self.trouble = clock.now(), ""
        self.hook.record_success()
        self._wait(clock.now())

    def __str__(self) -> str:
        return f"{self.event} {self.row_id}"


@events.subscribe(is_newsworthy)
def _queue_deliveries(happened: NounEvents) -> None:
    hooks = enabled_webhooks()
    named = [(f"{row.__tablename__}.{verb}", row) for row, verb in happened]
    calls = [
        WebhookDelivery.for_event(hook, event, row) for event, row in named for hook in hooks if hook.listens_to(event)
    ]
    session.add_all(calls)
    for each in calls:
        later(deliver, each)


@job("Deliver webhook", was="messages.call.bring")
def deliver(call: WebhookDelivery) -> None:
    call.deliver()
