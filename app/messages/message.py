"""Message: something we owe somebody to say, and whether it was said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, noun_called, session
from app.kernel.jobs import job, later
from app.kernel.people import Person
from app.kernel.workflow import move
from app.messages import email
from app.messages.email import Attachment
from app.messages.template import render


@runtime_checkable
class Attaching(Protocol):
    """A thing that goes along as a file whenever it is written about."""

    def attached(self) -> Sequence[Attachment]: ...


class Message(Noun):
    """One message to one person about one thing. Its words are made when it is sent, so they are never out of date."""

    states = "waiting", "sent", "dropped"
    audited = False  # a message is its own record
    __table_args__ = (Index("message_about", "noun", "row_id"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    template: Mapped[str]
    called: Mapped[str]
    noun: Mapped[str]
    row_id: Mapped[int]
    key: Mapped[str | None] = mapped_column(unique=True)
    due_at: Mapped[datetime] = mapped_column(default=clock.now)
    sent_at: Mapped[datetime | None]
    subject: Mapped[str] = mapped_column(default="")
    body: Mapped[str] = mapped_column(default="", info={"long": True})

    refusals: ClassVar[dict[str, str]] = {"message_key_key": "This was said already."}

    def send(self) -> None:
        """The mail goes first, the mark after it: a crash in between sends the same Message-ID again, never nothing."""
        if self.state != "waiting":
            return
        about = noun_called(self.noun).get(self.row_id)
        if not self.is_wanted(about):
            self.drop()
            return
        said = render(self.template, self.person, {self.called: about})
        attached = about.attached() if isinstance(about, Attaching) else ()
        email.send(to=self.person.email, said=said, stable_id=f"message-{self.id}", attached=attached)
        self.was_sent(said.subject, said.text)

    def is_wanted(self, about: Noun) -> bool:
        """The thing itself knows whether this still makes sense: a reminder of a cancelled booking does not."""
        wants = getattr(about, "wants", None)
        return wants is None or bool(wants(self))

    @move("waiting", to="sent")
    def was_sent(self, subject: str, body: str) -> None:
        self.subject, self.body, self.sent_at = subject, body, clock.now()

    @move("waiting", to="dropped")
    def drop(self) -> None:
        """Not needed any more."""

    def __str__(self) -> str:
        return f"{self.template} to {self.person.email}"


def tell(person: Person, template: str, *, at: datetime | None = None, key: str | None = None, **about: Noun) -> None:
    """Owe somebody these words about one thing: tell(person, "bookings/confirmed", booking=self)."""
    ((called, thing),) = about.items()
    session.flush()
    if key and session.scalar(select(Message.id).where(Message.key == key)):
        return
    message = Message(person=person, template=template, called=called, noun=thing.__tablename__, row_id=thing.id, key=key, due_at=at or clock.now())
    session.add(message)
    later(send, message, at=at)


_house = {"name": "The practice", "email": "hello@frontdesk.example", "timezone": "Asia/Kolkata"}


def write_to_the_house_at(*, name: str, email: str, timezone: str) -> None:
    global _house
    _house = {"name": name, "email": email, "timezone": timezone}


def tell_the_house(template: str, *, key: str | None = None, **about: Noun) -> None:
    """Something that staff should not have to find by themselves: it goes to the house's own mailbox."""
    tell(Person.meet(**_house, phone=""), template, key=key, **about)


def remind(person: Person, template: str, *, at: datetime, **about: Noun) -> None:
    """Like tell, at a time to come. When that time is over already, a reminder would only confuse."""
    ((_, thing),) = about.items()
    if at > clock.now():
        tell(person, template, at=at, key=f"{template}:{thing.id}:{at.isoformat()}", **about)


@job
def send(message: Message) -> None:
    message.send()
