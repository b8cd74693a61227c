"""Webhook: a URL that receives signed events, with its secret, its event filter and its pause after failures."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.kernel import clock
from app.kernel.access import Linked, signatures
from app.kernel.db import Noun, label_of_table, nouns, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.events import ADDED, is_newsworthy
from app.kernel.workflow import move, moves
from app.messages import safe_http

EVERYTHING = "*"


@dataclass(frozen=True)
class WebhookEvent:
    """An event that a webhook can subscribe to."""

    name: str
    label: str
    means: str


def webhook_events() -> Iterator[WebhookEvent]:
    """All events: for each noun with a payload (news), that a row was added, and each of its moves."""
    for noun in sorted((each for each in nouns() if is_newsworthy(each)), key=lambda each: each.__tablename__):
        one = label_of_table(noun.__tablename__)
        yield WebhookEvent(f"{noun.__tablename__}.{ADDED}", f"{one}: added", f"A new {one.lower()} was added.")
        for it in moves(noun).values():
            yield WebhookEvent(f"{noun.__tablename__}.{it.name}", f"{one}: {it.label.lower()}", it.does)


_EVENTS_HELP = (
    "Names separated by spaces, such as booking.confirm. Use booking.* for all events of bookings, or * for all events."
)


def _events_label(events: str) -> str:
    return "All events" if EVERYTHING in events.split() else ", ".join(events.split())


class Webhook(Noun, Linked, table="hook"):
    """A subscription of a URL to events. Its signing secret is derived from the secret key, not stored."""

    link_kind = "hook"
    states = "on", "off"
    state_labels: ClassVar[dict[str, str]] = {"on": "Enabled", "off": "Disabled"}

    name: Mapped[str]
    address: Mapped[str] = mapped_column(info={"label": "Endpoint URL"})
    events: Mapped[str] = mapped_column(
        default=EVERYTHING,
        info={"label": "Events", "help": _EVENTS_HELP, "says": lambda hook: _events_label(hook.events)},
    )
    edition: Mapped[int] = mapped_column(default=1, info={"label": "Secret version"})
    seen_at: Mapped[datetime | None] = mapped_column(info={"label": "Secret shown"})
    failing_since: Mapped[datetime | None]
    rests_until: Mapped[datetime | None] = mapped_column(info={"label": "Paused until"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Last error"})

    @validates("address", "events")
    def _checked(self, key: str, value: str) -> str:
        return _address(value) if key == "address" else _events(value)

    def listens_to(self, event: str) -> bool:
        noun = event.partition(".")[0]
        return not {EVERYTHING, f"{noun}.*", event}.isdisjoint(self.events.split())

    # --- its secret ---

    @property
    def _secrets(self) -> list[str]:
        return [f"whsec_{each}" for each in signatures(f"hook secret:{self.handle}:{self.edition}")]

    def show_secret(self) -> str:
        """Return the secret once; to see it again, a new one has to be generated."""
        with transaction():
            self.lock()
            if self.seen_at:
                raise Refused(
                    "This secret has already been shown. Generate a new secret; the old one will stop working."
                )
            self.seen_at = clock.now()
        return self._secrets[0]

    def signature_header(self, body: str, at: datetime) -> str:
        """The signature header of a payload; during a key rotation it has one signature per key."""
        moment = int(at.timestamp())
        signed = f"{moment}.{body}".encode()
        return f"t={moment}," + ",".join(
            f"v1={hmac.new(each.encode(), signed, hashlib.sha256).hexdigest()}" for each in self._secrets
        )

    # --- health ---

    def record_success(self) -> None:
        if self.failing_since or self.rests_until:
            self._set_health(failing_since=None, rests_until=None, trouble="")

    def record_failure(self, trouble: str, until: datetime) -> None:
        """Pause the webhook, so that its pending events do not keep a worker busy."""
        self._set_health(failing_since=self.failing_since or clock.now(), rests_until=until, trouble=trouble)

    def _set_health(self, **values: object) -> None:
        session.execute(
            update(Webhook).where(Webhook.id == self.id).values(**values),
            execution_options={"unaudited": "each delivery is a record of it"},
        )

    @move(
        "on",
        "off",
        by="Admin",
        label="Generate new secret",
        careful=True,
        confirm="The old secret stops working immediately. Events will be signed with the new one.",
    )
    def renew_secret(self) -> None:
        """Generate a new signing secret. It is shown once."""
        self.edition, self.seen_at = self.edition + 1, None

    @move("on", to="off", by="Admin", label="Disable webhook")
    def switch_off(self) -> None:
        """Stop sending events to this webhook. Pending events are not sent."""

    @move("off", to="on", by="Admin", label="Enable webhook")
    def switch_on(self) -> None:
        """Send new events to this webhook from now on."""
        self.record_success()

    @move("on", to="off")
    def is_gone(self) -> None:
        """Disable the webhook because its endpoint responded with 410 Gone."""


def enabled_webhooks() -> Sequence[Webhook]:
    return session.scalars(select(Webhook).where(Webhook.state == "on").order_by(Webhook.id)).all()


def _address(value: str) -> str:
    text = str(value).strip()
    if safe_http.sandbox_listener() and text == safe_http.sandbox_listener():
        return text
    no = Invalid.for_fields(
        {"address": "Enter a public URL that starts with https://, such as https://example.com/frontdesk."}
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise no from None
    named = (
        parts.scheme == "https"
        and parts.hostname
        and not parts.username
        and len(text) <= 500
        and port != 0
        and text.isascii()
        and " " not in text
    )
    if not named or not _may_be_public(parts.hostname or ""):
        raise no
    return text


def _may_be_public(host: str) -> bool:
    """Refuse what is obviously private; a host name is resolved and checked at each delivery."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith((".local", ".internal", ".localhost"))
    return safe_http.is_public(host)


def _events(value: str) -> str:
    given = dict.fromkeys(str(value).replace(",", " ").split())
    known = {each.name for each in webhook_events()}
    known |= {EVERYTHING} | {f"{each.partition('.')[0]}.*" for each in known}
    if not given or given.keys() - known:
        strange = ", ".join(sorted(given.keys() - known))[:200]
        words = f"Unknown event: {strange}. " if strange else ""
        raise Invalid.for_fields(
            {
                "events": (
                    f"{words}Enter event names such as booking.confirm, booking.* for all events of bookings, "
                    "or * for all events. See /api/hooks/events for the list."
                )
            }
        )
    return " ".join(given)
