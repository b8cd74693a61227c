"""Slot: a bookable time of a practitioner for a service, and its seats. `booking/seats.py` finds the free ones."""

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

if TYPE_CHECKING:  # for the relation below; at run time a practitioner imports this file
    from app.packs.bookings.offer.practitioner import Practitioner


GONE = unsaid("This time has just been taken. Please choose another one.")
_on_freed: list[Callable[[Slot], object]] = []


class Slot(Noun):
    """A time at which a service can be booked."""

    states = "open", "closed", "withdrawn"
    publishes_added = False
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
    partner_id: Mapped[int | None] = mapped_column(
        ForeignKey("practitioner.id")
    )  # for services that need two practitioners
    partner: Mapped[Practitioner | None] = relationship("Practitioner", lazy="joined", foreign_keys=partner_id)
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"), index=True)
    service: Mapped[Service] = relationship(lazy="joined", innerjoin=True)
    starts_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]
    kept: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)  # the practitioner's time, including the buffers
    seats: Mapped[int] = mapped_column(default=1, info={"label": "Places"})
    made: Mapped[bool] = mapped_column(default=False, info={"label": "Created from opening hours"})

    @classmethod
    def starting_at(
        cls, practitioner: Practitioner, service: Service, start: datetime, partner: Practitioner | None = None
    ) -> Slot:
        made = cls(practitioner=practitioner, partner=partner, service=service, starts_at=start, seats=service.seats)
        made.set_times()
        return made

    def tidy(self) -> None:
        """Complete a slot entered or edited by staff. From then on, opening hours no longer change it."""
        if not self.id:
            if self.starts_at <= clock.now():
                raise Invalid.for_fields({"starts_at": "This time is in the past. Choose a later one."})
            self.set_times()
        self.made = False

    def set_times(self) -> None:
        """Set the end and the buffers from the service."""
        lasting = self.service.lasting
        self.ends_at = self.starts_at + lasting.takes
        self.kept = Range(self.starts_at - lasting.before, self.ends_at + lasting.after)

    def follow_service(self) -> None:
        """Take over changed seats and duration of the service. For slots without bookings only."""
        self.seats = self.service.seats
        self.set_times()

    def format_start(self) -> str:
        """Start in the practitioner's time zone."""
        return clock.format_moment(self.starts_at, self.practitioner.timezone)

    @property
    def givers(self) -> Sequence[Practitioner]:
        """The one or two practitioners of this slot."""
        return [self.practitioner, self.partner] if self.partner else [self.practitioner]

    def lock(self) -> Self:
        """Lock the practitioners first: overlaps and daily limits are checked by one transaction at a time."""
        for each in sorted(self.givers, key=lambda it: it.id):
            each.lock()
        return super().lock()

    def refuses(self) -> str | None:
        """Reason why the slot can’t be booked whatever its free seats, or None."""
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
        return f"{self.format_start()} · {self.practitioner.name}"


def on_freed_slot(call: Callable[[Slot], object]) -> None:
    """Register a function that is called, in a job, after a seat of a slot has become free."""
    _on_freed.append(call)


@job("Offer freed slot to the waiting list", was="packs.bookings.slot.came_free")
def offer_freed_slot(slot: Slot) -> None:
    for call in _on_freed:
        call(slot)
