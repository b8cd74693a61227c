"""Waiting: somebody would like a time that is taken; what comes free is kept for the first of them, for a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.jobs import every
from app.kernel.people import Person
from app.kernel.translation import say, unsaid
from app.kernel.workflow import move
from app.messages.message import Message, tell
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot, hears_of_a_free_seat

FOR_SO_LONG = 2  # hours in which an offer can be taken


class Waiting(Noun, Linked):
    """One person's place in the line for one service, between two days."""

    link_kind = "waiting"
    states = "waiting", "offered", "taken", "passed", "left"
    state_labels: ClassVar[dict[str, str]] = {"taken": "Booked", "passed": "Offer expired", "left": "Removed"}
    __table_args__ = (
        CheckConstraint("last_day >= first_day", name="days"),
        Index(
            "waiting_once",
            "service_id",
            "person_id",
            unique=True,
            postgresql_where=text("state in ('waiting', 'offered')"),
        ),
    )
    refusals: ClassVar[dict[str, str]] = {
        "waiting_days": unsaid("The last day can’t be before the first day."),
        "waiting_once": unsaid("You’re already on this waiting list."),
    }

    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"), index=True)
    service: Mapped[Service] = relationship(lazy="joined", innerjoin=True)
    practitioner_id: Mapped[int | None] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner | None] = relationship(lazy="joined")
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    timezone: Mapped[str]
    first_day: Mapped[date] = mapped_column(info={"label": "From"})
    last_day: Mapped[date] = mapped_column(info={"label": "To"})
    booking_id: Mapped[int | None] = mapped_column(ForeignKey("booking.id"))
    booking: Mapped[Booking | None] = relationship(lazy="joined")  # what is kept for them, or what came of it

    @classmethod
    def by_offer(cls, token: str, slot: Slot) -> Self | None:
        """Find the entry for which this slot is reserved, by the token in the link of its offer."""
        try:
            found = cls.by_token(token)
        except Missing:
            return None
        return found if found.is_kept and found.booking and found.booking.slot_id == slot.id else None

    @classmethod
    def join(cls, service: Service, who: Mapping[str, str], first_day: date, last_day: date, whose: int = 0) -> Self:
        """At the end of the line."""
        today = clock.now().astimezone(ZoneInfo(who["timezone"])).date()
        if last_day < max(first_day, today) or (last_day - today).days > 366:
            raise Invalid.fields_said(
                {
                    "last_day": say(
                        "Choose dates from today up to one year ahead. The last day can’t be before the first day."
                    )
                }
            )
        with transaction():
            here = cls(
                service=service,
                practitioner_id=whose or None,
                person=Person.meet(**who),
                timezone=who["timezone"],
                first_day=first_day,
                last_day=last_day,
            )
            session.add(here)
            session.flush()
            tell(here.person, "bookings/waiting", waiting=here)
        return here

    def still_needs(self) -> str:
        """Why nobody can forget yet who waits."""
        return (
            say("There is still an active waiting list entry for %(service)s.", service=self.service.name)
            if self.state == "offered" or (self.state == "waiting" and self.last_day >= clock.today())
            else ""
        )

    @property
    def before(self) -> int:
        """How many stand before them."""
        line = select(func.count()).where(
            Waiting.service_id == self.service_id, Waiting.state.in_(("waiting", "offered")), Waiting.id < self.id
        )
        return session.scalar(line) or 0

    def suits(self, slot: Slot) -> bool:
        day = slot.starts_at.astimezone(ZoneInfo(self.timezone)).date()
        return self.first_day <= day <= self.last_day and self.practitioner_id in (None, slot.practitioner_id)

    @move("waiting", to="offered", label="Time offered", done="Time offered")
    def offer(self, kept: Booking) -> None:
        """Reserves an available time for this customer and emails them an offer."""
        self.booking = kept
        tell(self.person, "bookings/offer", key=f"offer:{kept.id}", waiting=self)

    @property
    def is_kept(self) -> bool:
        return self.state == "offered" and self.booking is not None and self.booking.is_payable

    @move("offered", to="taken", label="Offer accepted", done="Offer accepted")
    def take(self, booking: Booking) -> None:
        """The customer booked the offered time."""
        self.booking = booking

    @move("offered", to="passed", label="Offer expired", done="Offer expired")
    def pass_by(self) -> None:
        """The customer did not book the offered time. It is offered to the next person."""
        tell(self.person, "bookings/passed", key=f"passed:{self.booking_id}", waiting=self)

    @move("waiting", "offered", to="left", by="Desk", label="Remove from waiting list")
    def leave(self) -> None:
        """Removes the customer from the waiting list. A time reserved for them becomes available to the next person."""
        if self.booking and self.booking.state == "held":
            self.booking.lapse()

    def wants(self, message: Message) -> bool:
        return self.is_kept if message.template == "bookings/offer" else self.state in ("waiting", "passed")

    def __str__(self) -> str:
        return f"{self.person.name}, for {self.service.name}"


def offer_to_the_next(slot: Slot) -> bool:
    """A seat came free: the first in the line whom it suits hears of it. Answers whether there was one."""
    with transaction():
        _pass_by(slot)
        line = (
            select(Waiting)
            .where(Waiting.service_id == slot.service_id, Waiting.state == "waiting")
            .order_by(Waiting.id)
        )
        first = next((each for each in session.scalars(line) if each.suits(slot)), None)
        if first is None:
            return False
        try:
            last = slot.starts_at - timedelta(minutes=slot.service.notice_minutes)  # from then on nobody can book it
            kept = Booking.hold_for_offer(first.person, first.timezone, slot, min(clock.ahead(hours=FOR_SO_LONG), last))
        except Refused:  # somebody was quicker; whatever comes free next is offered again
            return False
        first.offer(kept)
    return True


def _pass_by(slot: Slot) -> None:
    offered = (
        select(Waiting)
        .join(Booking, Waiting.booking_id == Booking.id)
        .where(Waiting.state == "offered", Booking.slot_id == slot.id)
    )
    for each in session.scalars(offered.where(Booking.state != "held")):
        each.pass_by()


hears_of_a_free_seat(offer_to_the_next)


@every("Offer free times to the waiting list", minutes=5)
def offer_what_is_free() -> None:
    """Times that came on the calendar, or came back to it, without a booking that was called off."""
    now: datetime = clock.now()
    waited_for = select(Service).where(Service.id.in_(select(Waiting.service_id).where(Waiting.state == "waiting")))
    for service in session.scalars(waited_for).all():
        for slot, left in Booking.free_slots(service, now, clock.ahead(days=service.days_ahead)):
            for _ in range(left):
                if not offer_to_the_next(slot):
                    break
