"""Message: an email, SMS or WhatsApp message to a person, queued by tell() or remind(), with its delivery status."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, runtime_checkable

from sqlalchemy import ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, noun_of_table, session, table_labels, transaction
from app.kernel.errors import Missing
from app.kernel.jobs import job, later
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, speaking
from app.kernel.workflow import move
from app.messages import channel
from app.messages.channel import Attachment, Channel, Declined, DeliveryReport, NotTaken, OutgoingMessage, Unconfirmed
from app.messages.opt_in import OptIn
from app.messages.template import (
    CHANNELS,
    IN_A_SENTENCE,
    RenderedMessage,
    render_message,
    template_title,
    template_titles,
)
from app.messages.wording import Wording, has_text

log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=15)  # without a report for so long, a provider that confirms has not accepted the message
TRIES = 2


@runtime_checkable
class HasAttachments(Protocol):
    """A noun that adds attachments to emails about it."""

    def attachments_for(self, template: str) -> Sequence[Attachment]: ...


def _before_again(message: Any) -> str:
    """The text of the confirmation."""
    return (
        "We don’t know whether this message arrived. It may be received twice."
        if message.state == "handed"
        else message.trouble
    )


class Message(Noun):
    """A message to one person about one row on one channel. It is rendered when it is sent, so it is up to date.

    The state `handed` is written before the call to a provider that does not detect duplicates: after a crash the
    message is not sent again without a report.
    """

    states = "waiting", "handed", "sent", "delivered", "read", "failed", "dropped"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Queued", "handed": "Unconfirmed", "dropped": "Not needed"}
    audited = False  # the row is its own record; only "Resend message" by a person writes history
    __table_args__ = (
        Index("message_about", "noun", "row_id"),
        Index("message_by_due_at", "due_at", "id"),
        UniqueConstraint("key", "channel"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    template: Mapped[str] = mapped_column(info={"choices": template_titles})
    channel: Mapped[str] = mapped_column(default="email", info={"choices": CHANNELS})
    # The kind of reminder; empty if it is none.
    kind: Mapped[str] = mapped_column(default="", info={"label": "Reminder type"})
    called: Mapped[str] = mapped_column(info={"label": "Variable"})
    noun: Mapped[str] = mapped_column(info={"choices": table_labels})
    row_id: Mapped[int]
    # The edition of the row when the message was queued.
    edition: Mapped[int] = mapped_column(default=0, info={"label": "Record version"})
    key: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(default=clock.now, info={"label": "Scheduled for"})
    sent_at: Mapped[datetime | None] = mapped_column(info={"label": "Sent"})
    delivered_at: Mapped[datetime | None] = mapped_column(info={"label": "Delivered"})
    read_at: Mapped[datetime | None] = mapped_column(info={"label": "Read"})
    subject: Mapped[str] = mapped_column(default="", info={"personal": True})
    body: Mapped[str] = mapped_column(default="", info={"long": True, "personal": True, "label": "Text"})
    wording_id: Mapped[int | None] = mapped_column(ForeignKey("wording.id"))
    wording: Mapped[Wording | None] = relationship()
    provider_id: Mapped[str | None] = mapped_column(index=True, info={"label": "Provider ID"})
    tries: Mapped[int] = mapped_column(default=0, info={"label": "Attempts"})
    trouble: Mapped[str] = mapped_column(default="", info={"personal": True, "label": "Error"})

    refusals: ClassVar[dict[str, str]] = {"message_key_channel_key": "This message already exists."}

    # --- sending ---

    def send(self) -> None:
        if self.state != "waiting":
            return
        if self.person.state == "forgotten":
            self.drop()
            return
        about = noun_of_table(self.noun).get(self.row_id)
        carrier = self.carrier
        if carrier is None or not carrier.address(self.person):
            self.fail(f"{self.person.name} can no longer be reached by {IN_A_SENTENCE[self.channel]}.")
        elif not self.is_wanted(about):
            self.drop()
        elif carrier.deduplicates:
            self._send_and_mark(carrier, about)
        else:
            self._mark_and_send(carrier, about)

    @property
    def title(self) -> str:
        """Its title for staff: 1-hour reminder."""
        return template_title(self.template)

    @property
    def carrier(self) -> Channel | None:
        try:
            return channel.get_channel(self.channel)
        except Missing:
            return None

    def _send_and_mark(self, carrier: Channel, about: Noun) -> None:
        """Send, then mark as sent: after a crash in between, the same Message-ID is sent again."""
        content, wording = self.compose(about)
        attached = about.attachments_for(self.template) if isinstance(about, HasAttachments) else ()
        try:
            provider_id = carrier.send(OutgoingMessage(self.id, carrier.address(self.person), content, attached))
        except Declined as no:
            self.fail(no.words)
        else:
            with transaction():
                self._keep(content, wording)
                self.was_sent(provider_id)

    def _mark_and_send(self, carrier: Channel, about: Noun) -> None:
        """Mark as handed over, then send: after a crash in between, the message waits for a report."""
        content, wording = self.compose(about)
        with transaction():
            self.hand_over(carrier)
            self._keep(content, wording)
        try:
            provider_id = carrier.send(OutgoingMessage(self.id, carrier.address(self.person), content))
        except Declined as no:
            self.apply_report(DeliveryReport("failed", self.id, "", no.words))
        except NotTaken as no:
            self.come_back(no.words)
            raise
        except Unconfirmed as no:
            with transaction():
                self.lock().trouble = no.words if self.state == "handed" else self.trouble
        else:
            self.apply_report(DeliveryReport("sent", self.id, provider_id))

    def compose(self, about: Noun) -> tuple[RenderedMessage, Wording | None]:
        """Render the version that staff published; the default text if there is none, or if it fails."""
        if self.is_trial:
            assert isinstance(about, Wording)
            return about.render_sample(self.person), about
        given = {self.called: about}
        own = Wording.published_version(self.template, self.person.locale, self.channel)
        if own is not None:
            try:
                return own.render(self.person, given), own
            except Exception as error:  # noqa: BLE001  # an error in a staff template must not stop the message
                log.warning("%s cannot be rendered: %r", own, error)
                session.rollback()
                with transaction():
                    tell_staff("house/words_broken", key=f"words broken:{own.id}", wording=own)
        return render_message(self.template, self.person, given, self.channel), None

    @property
    def is_trial(self) -> bool:
        """True for a test message, which is about a template version itself."""
        return self.noun == Wording.__tablename__ and self.called == "trial"

    def is_wanted(self, about: Noun) -> bool:
        """False if it has become pointless, such as a reminder of a cancelled or rescheduled booking."""
        if self.channel != "email" and not self.is_trial and self.channel not in OptIn.channels_of(self.person):
            return False
        if self.kind and getattr(about, "edition", 0) > self.edition:
            return False
        wants = getattr(about, "wants", None)
        return wants is None or bool(wants(self))

    def _keep(self, content: RenderedMessage, wording: Wording | None) -> None:
        self.subject, self.body, self.wording_id = content.subject, content.text, wording.id if wording else None

    # --- delivery status ---

    def apply_report(self, report: DeliveryReport) -> None:
        """Apply a report. Status only moves forward, in whatever order reports come, and however often."""
        with transaction():
            self.lock()
            if self.provider_id is None and report.state != "failed":
                self.provider_id = report.provider_id
            match report.state:
                case "sent" if self.state in ("waiting", "handed"):
                    self.was_sent(report.provider_id)
                case "delivered" if self.state in ("waiting", "handed", "sent", "failed"):
                    self.arrive()
                case "read" if self.state in ("waiting", "handed", "sent", "failed", "delivered"):
                    self.was_read()
                case "failed" if self._is_of_this_try(report):
                    self.fail(report.trouble)

    def _is_of_this_try(self, report: DeliveryReport) -> bool:
        """True unless the report is about an earlier attempt, whose ID we still hold while this one is handed over."""
        if self.state == "handed":
            return not report.provider_id or report.provider_id != self.provider_id
        return self.state == "sent" and report.provider_id in ("", self.provider_id)

    @move("waiting", to="handed")
    def hand_over(self, carrier: Channel) -> None:
        """Hand the message to the provider, which has not confirmed it yet."""
        self.tries += 1
        self.trouble = f"{carrier.label} has not confirmed this message yet. It may have been sent."
        if carrier.confirms:
            later(look_again, self, at=clock.now() + SILENCE)

    @move("handed", to="waiting")
    def come_back(self, why: str) -> None:
        """Queue the message again because the provider did not accept it."""
        self.tries -= 1
        self.trouble = why

    @move("waiting", "handed", to="sent")
    def was_sent(self, provider_id: str) -> None:
        """Mark the message as sent."""
        self.provider_id, self.sent_at, self.trouble = provider_id, clock.now(), ""

    @move("waiting", "handed", "sent", "failed", to="delivered")
    def arrive(self) -> None:
        """Mark the message as delivered."""
        self.sent_at, self.delivered_at, self.trouble = self.sent_at or clock.now(), clock.now(), ""

    @move("waiting", "handed", "sent", "failed", "delivered", to="read")
    def was_read(self) -> None:
        """Mark the message as read."""
        self.sent_at, self.delivered_at = self.sent_at or clock.now(), self.delivered_at or clock.now()
        self.read_at, self.trouble = clock.now(), ""

    @move("waiting", "handed", "sent", to="failed")
    def fail(self, why: str) -> None:
        """Mark the message as failed."""
        self.trouble = why

    @move("waiting", to="dropped")
    def drop(self) -> None:
        """Don’t send this message, because it is no longer needed."""

    @move("handed", "failed", to="waiting", by="Desk", label="Resend message", confirm=_before_again)
    def send_again(self) -> None:
        """Send this message again, using the current template."""
        self.trouble, self.tries = "", 0
        later(send, self)

    def look_again(self) -> None:
        """Without a report from a provider that confirms: send once more, then fail, so that staff decide."""
        if self.state != "handed" or clock.now() - self.changed_at < SILENCE - timedelta(minutes=1):
            return
        with transaction():
            if self.tries < TRIES:
                self.come_back_unheard()
            else:
                self.fail("The message was sent twice, but the provider never confirmed it.")

    @move("handed", to="waiting")
    def come_back_unheard(self) -> None:
        """Queue the message again because the provider never confirmed it."""
        later(send, self)

    def __str__(self) -> str:
        return f"{self.title} to {self.person.email if self.channel == 'email' else self.person.phone}"


# --- queueing ---------------------------------------------------------------------------------------------------------


def tell(
    person: Person, template: str, *, at: datetime | None = None, key: str | None = None, kind: str = "", **about: Noun
) -> None:
    """Queue a message about a row by email and each opted-in channel: tell(person, "bookings/confirmed", booking=b)."""
    ((called, thing),) = about.items()
    session.flush()
    for by in ("email", *_opted_into(person, template)):
        if key and session.scalar(select(Message.id).where(Message.key == key, Message.channel == by)):
            continue
        what = {"template": template, "channel": by, "kind": kind, "key": key}
        _owe(person, called, thing, at, what)


def _opted_into(person: Person, template: str) -> list[str]:
    """The opted-in channels besides email for which this message has a template."""
    others = [each.name for each in channel.all_channels() if each.name != "email" and each.address(person)]
    given = OptIn.channels_of(person) if others else set()
    return [by for by in others if by in given and has_text(template, person.locale, by)]


def _owe(person: Person, called: str, thing: Noun, at: datetime | None, what: Mapping[str, Any]) -> None:
    about = {"called": called, "noun": thing.__tablename__, "row_id": thing.id, "edition": getattr(thing, "edition", 0)}
    message = Message(person=person, due_at=at or clock.now(), **about, **what)
    session.add(message)
    later(send, message, at=at)


_staff = {"name": "The practice", "email": "hello@frontdesk.example", "timezone": "Asia/Kolkata"}


def configure(*, name: str, email: str, timezone: str) -> None:
    global _staff
    _staff = {"name": name, "email": email, "timezone": timezone}


def tell_staff(template: str, *, key: str | None = None, **about: Noun) -> None:
    """Queue a message to the email address of the business."""
    with speaking(ENGLISH):  # whatever the language of the request
        staff = Person.find_or_create(**_staff, phone="")
    tell(staff, template, key=key, **about)


def remind(person: Person, template: str, *, at: datetime, kind: str = "reminder", **about: Noun) -> None:
    """Queue a reminder for a future time; none if that is in the past. It lapses if the row gets a new edition."""
    ((_, thing),) = about.items()
    session.flush()
    if at > clock.now():
        key = f"{template}:{thing.id}:{getattr(thing, 'edition', 0)}:{kind}:{at.isoformat()}"
        tell(person, template, at=at, key=key, kind=kind, **about)


def preview_message(person: Person, template: str, **about: Noun) -> RenderedMessage:
    """Render an email as it would be sent now, without queueing it."""
    own = Wording.published_version(template, person.locale, "email")
    return own.render(person, about) if own else render_message(template, person, about)


def send_trial(wording: Wording, person: Person) -> None:
    """Queue a test message of a template version to a team member."""
    session.flush()
    _owe(person, "trial", wording, None, {"template": wording.template, "channel": wording.channel})


@job("Send message")
def send(message: Message) -> None:
    message.send()


@job("Check message delivery")
def look_again(message: Message) -> None:
    message.look_again()
