"""Message: something we owe somebody to say, and what became of it."""

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

SILENCE = timedelta(minutes=15)  # after which a carrier that tells what it took has taken nothing
TRIES = 2


@runtime_checkable
class HasAttachments(Protocol):
    """A thing that goes along as a file when it is written about."""

    def attachments_for(self, template: str) -> Sequence[Attachment]: ...


def _before_again(message: Any) -> str:
    """Said before it is pressed."""
    return (
        "We don’t know whether this message arrived. It may be received twice."
        if message.state == "handed"
        else message.trouble
    )


class Message(Noun):
    """One message to one person about one thing on one channel. Its words are made when it is sent, so they are never out of date.

    `handed` stands before a carrier that cannot be asked twice is asked once: whatever happens then, the message is not
    brought again without knowing more.
    """

    states = "waiting", "handed", "sent", "delivered", "read", "failed", "dropped"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Queued", "handed": "Unconfirmed", "dropped": "Not needed"}
    audited = False  # a message is its own record; a line is only written when a person presses "Resend message"
    __table_args__ = (
        Index("message_about", "noun", "row_id"),
        Index("message_by_due_at", "due_at", "id"),
        UniqueConstraint("key", "channel"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    template: Mapped[str] = mapped_column(info={"choices": template_titles})
    channel: Mapped[str] = mapped_column(default="email", info={"choices": CHANNELS})
    kind: Mapped[str] = mapped_column(
        default="", info={"label": "Reminder type"}
    )  # what sort of reminder it is; empty when it is none
    called: Mapped[str] = mapped_column(info={"label": "Variable"})
    noun: Mapped[str] = mapped_column(info={"choices": table_labels})
    row_id: Mapped[int]
    edition: Mapped[int] = mapped_column(
        default=0, info={"label": "Record version"}
    )  # of the thing, when this was owed
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
        """What staff call it: 1-hour reminder."""
        return template_title(self.template)

    @property
    def carrier(self) -> Channel | None:
        try:
            return channel.get_channel(self.channel)
        except Missing:
            return None

    def _send_and_mark(self, carrier: Channel, about: Noun) -> None:
        """The mail goes first, the mark after it: a crash in between sends the same Message-ID again, never nothing."""
        said, wording = self.compose(about)
        attached = about.attachments_for(self.template) if isinstance(about, HasAttachments) else ()
        try:
            provider_id = carrier.send(OutgoingMessage(self.id, carrier.address(self.person), said, attached))
        except Declined as no:
            self.fail(no.words)
        else:
            with transaction():
                self._keep(said, wording)
                self.was_sent(provider_id)

    def _mark_and_send(self, carrier: Channel, about: Noun) -> None:
        """The mark goes first: a crash after it leaves a message that waits for news, never two."""
        said, wording = self.compose(about)
        with transaction():
            self.hand_over(carrier)
            self._keep(said, wording)
        try:
            provider_id = carrier.send(OutgoingMessage(self.id, carrier.address(self.person), said))
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
        """What staff have written, if that can be said; what came with the program otherwise."""
        if self.is_trial:
            assert isinstance(about, Wording)
            return about.render_sample(self.person), about
        given = {self.called: about}
        own = Wording.published_version(self.template, self.person.locale, self.channel)
        if own is not None:
            try:
                return own.render(self.person, given), own
            except Exception as error:  # noqa: BLE001  # nothing that staff can write keeps a message from going out
                log.warning("%s cannot be said: %r", own, error)
                session.rollback()
                with transaction():
                    tell_staff("house/words_broken", key=f"words broken:{own.id}", wording=own)
        return render_message(self.template, self.person, given, self.channel), None

    @property
    def is_trial(self) -> bool:
        """Words that are tried out are a message about themselves."""
        return self.noun == Wording.__tablename__ and self.called == "trial"

    def is_wanted(self, about: Noun) -> bool:
        """The thing itself knows whether this still makes sense: a reminder of a cancelled booking, or of its former time, does not."""
        if self.channel != "email" and not self.is_trial and self.channel not in OptIn.channels_of(self.person):
            return False
        if self.kind and getattr(about, "edition", 0) > self.edition:
            return False
        wants = getattr(about, "wants", None)
        return wants is None or bool(wants(self))

    def _keep(self, said: RenderedMessage, wording: Wording | None) -> None:
        self.subject, self.body, self.wording_id = said.subject, said.text, wording.id if wording else None

    # --- what became of it ---

    def apply_report(self, told: DeliveryReport) -> None:
        """Forward only, in whatever order news comes, and however often."""
        with transaction():
            self.lock()
            if self.provider_id is None and told.state != "failed":
                self.provider_id = told.provider_id
            match told.state:
                case "sent" if self.state in ("waiting", "handed"):
                    self.was_sent(told.provider_id)
                case "delivered" if self.state in ("waiting", "handed", "sent", "failed"):
                    self.arrive()
                case "read" if self.state in ("waiting", "handed", "sent", "failed", "delivered"):
                    self.was_read()
                case "failed" if self._is_of_this_try(told):
                    self.fail(told.trouble)

    def _is_of_this_try(self, told: DeliveryReport) -> bool:
        """A former try that failed says nothing of the one that is under way; while that is handed over, the id we know is the former's."""
        if self.state == "handed":
            return not told.provider_id or told.provider_id != self.provider_id
        return self.state == "sent" and told.provider_id in ("", self.provider_id)

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
        self.trouble, self.tries = "", 0  # of which time it reminds, its due_at says
        later(send, self)

    def look_again(self) -> None:
        """They tell what they took, and told nothing of this: once more, and then somebody has to decide."""
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


# --- owing it ---------------------------------------------------------------------------------------------------------


def tell(
    person: Person, template: str, *, at: datetime | None = None, key: str | None = None, kind: str = "", **about: Noun
) -> None:
    """Owe somebody these words about one thing, by email and wherever else they want it: tell(person, "bookings/confirmed", booking=self)."""
    ((called, thing),) = about.items()
    session.flush()
    for by in ("email", *_opted_into(person, template)):
        if key and session.scalar(select(Message.id).where(Message.key == key, Message.channel == by)):
            continue
        what = {"template": template, "channel": by, "kind": kind, "key": key}
        _owe(person, called, thing, at, what)


def _opted_into(person: Person, template: str) -> list[str]:
    """Where they want it beside their mailbox, as far as there are words for it there."""
    others = [each.name for each in channel.all_channels() if each.name != "email" and each.address(person)]
    given = OptIn.channels_of(person) if others else set()
    return [by for by in others if by in given and has_text(template, person.locale, by)]


def _owe(person: Person, called: str, thing: Noun, at: datetime | None, what: Mapping[str, Any]) -> None:
    about = {"called": called, "noun": thing.__tablename__, "row_id": thing.id, "edition": getattr(thing, "edition", 0)}
    message = Message(person=person, due_at=at or clock.now(), **about, **what)
    session.add(message)
    later(send, message, at=at)


_house = {"name": "The practice", "email": "hello@frontdesk.example", "timezone": "Asia/Kolkata"}


def configure(*, name: str, email: str, timezone: str) -> None:
    global _house
    _house = {"name": name, "email": email, "timezone": timezone}


def tell_staff(template: str, *, key: str | None = None, **about: Noun) -> None:
    """Something that staff should not have to find by themselves: it goes to the house's own mailbox."""
    with speaking(ENGLISH):  # whoever was here when it happened
        here = Person.find_or_create(**_house, phone="")
    tell(here, template, key=key, **about)


def remind(person: Person, template: str, *, at: datetime, kind: str = "reminder", **about: Noun) -> None:
    """Like tell, at a time to come, of the thing as it is now. When that time is over already, a reminder would only confuse."""
    ((_, thing),) = about.items()
    session.flush()
    if at > clock.now():
        key = f"{template}:{thing.id}:{getattr(thing, 'edition', 0)}:{kind}:{at.isoformat()}"
        tell(person, template, at=at, key=key, kind=kind, **about)


def preview_message(person: Person, template: str, **about: Noun) -> RenderedMessage:
    """The letter as it would be written now, for somebody who looks: nothing is owed, and nothing is kept."""
    own = Wording.published_version(template, person.locale, "email")
    return own.render(person, about) if own else render_message(template, person, about)


def send_trial(wording: Wording, person: Person) -> None:
    """Owe somebody of the house a look at words, on their own channel."""
    session.flush()
    _owe(person, "trial", wording, None, {"template": wording.template, "channel": wording.channel})


@job("Send message")
def send(message: Message) -> None:
    message.send()


@job("Check message delivery")
def look_again(message: Message) -> None:
    message.look_again()
