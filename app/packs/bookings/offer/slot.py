"""Slot: a time at which somebody can be met, and how many seats it has. Whether one is free, the bookings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun
from app.kernel.errors import Invalid
from app.kernel.jobs import job
from app.kernel.translation import say, unsaid
from app.kernel.workflow import move
from app.packs.bookings.offer.service import Service

if TYPE_CHECKING:  # a practitioner makes slots; for the type checker alone, a slot knows its practitioner
    from app.packs.bookings.offer.practitioner import Practitioner


GONE = unsaid("This time has just been taken. Please choose another one.")
_hear_of_it: list[Callable[[Slot], object]] = []


class Slot(Noun):
    """An offered time."""

    states = "open", "closed", "withdrawn"
    adds_are_heard = False
    __table_args__ = (
        UniqueConstraint(
            "practitioner_id", "partner_id", "service_id", "starts_at", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("seats between 1 and 500", name="seats"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "slot_practitioner_id_partner_id_service_id_starts_at_key": "There is already a slot at this time.",
        "slot_order": "The end of a slot must be after its start.",
        "slot_seats": "Enter 1 to 500 places.",
    }

    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner] = relationship(
        "Practitioner", lazy="joined", innerjoin=True, foreign_keys=practitioner_id
    )
    partner_id: Mapped[int | None] = mapped_column(ForeignKey("practitioner.id"))  # where two give it together
    partner: Mapped[Practitioner | None] = relationship("Practitioner", lazy="joined", foreign_keys=partner_id)
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"), index=True)
    service: Mapped[Service] = relationship(lazy="joined", innerjoin=True)
    starts_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    kept: Mapped[Range[datetime]] = mapped_column(
        TSTZRANGE
    )  # the time it takes of whoever gives it: with the quiet before and after
    seats: Mapped[int] = mapped_column(default=1, info={"label": "Places"})
    made: Mapped[bool] = mapped_column(default=False, info={"label": "Created from opening hours"})

    @classmethod
    def at(
        cls, practitioner: Practitioner, service: Service, start: datetime, partner: Practitioner | None = None
    ) -> Slot:
        made = cls(practitioner=practitioner, partner=partner, service=service, starts_at=start, seats=service.seats)
        made.last()
        return made

    def tidy(self) -> None:
        """Typed by hand: it lasts as long as its service does. What somebody has changed is theirs from then on, and no hours change it back."""
        if not self.id:
            if self.starts_at <= clock.now():
                raise Invalid.fields_said({"starts_at": "This time is in the past. Choose a later one."})
            self.last()
        self.made = False

    def last(self) -> None:
        """As long as its service, which may want some quiet before and after."""
        lasting = self.service.lasting
        self.ends_at = self.starts_at + lasting.takes
        self.kept = Range(self.starts_at - lasting.before, self.ends_at + lasting.after)

    def remake(self) -> None:
        """As its service is now; only while nobody has it."""
        self.seats = self.service.seats
        self.last()

    @property
    def givers(self) -> Sequence[Practitioner]:
        """Whoever has to be there."""
        return [self.practitioner, self.partner] if self.partner else [self.practitioner]

    def lock(self) -> Self:
        """Whoever gives it comes first: what one person's day can hold is decided by one at a time."""
        for each in sorted(self.givers, key=lambda it: it.id):
            each.lock()
        return super().lock()

    def refuses(self) -> str | None:
        """Why nobody can book this now, in words; None when only the seats decide."""
        if (
            self.state != "open"
            or self.service.state != "offered"
            or any(each.state != "active" for each in self.givers)
        ):
            return say("This time is no longer available. Please choose another one.")
        if self.starts_at < clock.ahead(minutes=self.service.notice_minutes):
            return say("This time is too soon. Please choose a later one.")
        if self.starts_at > clock.ahead(days=self.service.days_ahead):
            return say("This time is too far ahead. Please choose an earlier one.")
        return None

    @move("open", to="closed", by="Desk Practitioner", label="Close slot")
    def close(self) -> None:
        """Stops new bookings for this slot. Existing bookings stay."""

    @move("closed", to="open", by="Desk Practitioner", label="Reopen slot")
    def reopen(self) -> None:
        """Makes the slot bookable again."""

    @move("open", to="withdrawn", label="Withdrawn", done="Withdrawn")
    def withdraw(self) -> None:
        """The opening hours no longer include this slot. Existing bookings stay."""

    @move("withdrawn", to="open", label="Restored")
    def offer(self) -> None:
        """The opening hours include this slot again."""

    def __str__(self) -> str:
        return f"{clock.format_moment(self.starts_at, self.practitioner.timezone)} · {self.practitioner.name}"


def hears_of_a_free_seat(told: Callable[[Slot], object]) -> None:
    """Whoever waits for one: called by a job, after the seat has really come free."""
    _hear_of_it.append(told)


@job("Offer freed slot to the waiting list")
def came_free(slot: Slot) -> None:
    for told in _hear_of_it:
        told(slot)
