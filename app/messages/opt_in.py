"""Opt-in: a customer's consent to messages on a channel other than email, with its source; STOP withdraws it."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.kernel.workflow import move
from app.messages import template

CHANNELS = {name: words for name, words in template.CHANNELS.items() if name != "email"}  # email needs no consent
STOP = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])


class OptIn(Noun):
    """Consent of one person for one channel; a withdrawn one is kept as evidence."""

    states = "given", "taken_back"
    state_labels: ClassVar[dict[str, str]] = {"taken_back": "Withdrawn"}
    __table_args__ = (UniqueConstraint("person_id", "channel"),)
    refusals: ClassVar[dict[str, str]] = {
        "opt_in_person_id_channel_key": (
            "This customer already has a consent record for this channel. Use that record instead."
        )
    }

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    channel: Mapped[str] = mapped_column(info={"choices": CHANNELS})
    how: Mapped[str] = mapped_column(
        info={
            "personal": True,
            "label": "Source of consent",
            "help": "For example: ticked on the form, given by phone.",
        }
    )
    given_at: Mapped[datetime] = mapped_column(default=clock.now, info={"label": "Given"})
    taken_back_at: Mapped[datetime | None] = mapped_column(info={"label": "Withdrawn"})

    @classmethod
    def give(cls, person: Person, channel: str, how: str) -> Self:
        """Record consent, for the first time or again."""
        known = (
            session.scalar(select(cls).where(cls.person_id == person.id, cls.channel == channel)) if person.id else None
        )
        if known is None:
            known = cls(person=person, channel=channel, how=how)
            known.tidy()
            session.add(known)
        elif known.state == "taken_back":
            known.give_again()
            known.how = how
        return known

    @classmethod
    def channels_of(cls, person: Person) -> set[str]:
        return {*session.scalars(select(cls.channel).where(cls.person_id == person.id, cls.state == "given"))}

    @classmethod
    def stop(cls, phone: str, channel: str) -> int:
        """Withdraw consent for all people with this phone number; return their count."""
        with transaction():
            theirs = (
                select(cls)
                .join(cls.person)
                .where(Person.phone == phone, cls.channel == channel, cls.state == "given")
                .order_by(cls.id)
            )
            found = session.scalars(theirs).all()
            for each in found:
                each.take_back()
        return len(found)

    def tidy(self) -> None:
        if getattr(self.person, "phone", None) == "":  # a row without a person is refused anyway
            raise Invalid.for_fields({"person": "This customer has no phone number. Add one first."})

    @move("given", to="taken_back", by="Desk", label="Withdraw consent")
    def take_back(self) -> None:
        """Stop sending messages to this customer on this channel."""
        self.taken_back_at = clock.now()

    @move("taken_back", to="given", by="Desk", label="Record consent again")
    def give_again(self) -> None:
        """Record that the customer has given consent again."""
        self.given_at, self.taken_back_at = clock.now(), None

    def __str__(self) -> str:
        return f"{self.person.name}, {CHANNELS.get(self.channel, self.channel)}"
