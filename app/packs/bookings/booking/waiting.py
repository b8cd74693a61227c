"""Waiting list: entries for a service and a range of dates; a time that becomes free is offered to the first match."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
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
from app.packs.bookings.offer.slot import Slot, on_freed_slot

OFFER_HOURS = 2  # for which an offered time is reserved


class Waiting(Noun, Linked):
    """One customer's entry on the waiting list of a service, between two dates."""

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
    booking: Mapped[Booking | None] = relationship(lazy="joined")  # the offered hold, then the booking made from it

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
        """Add a customer to the end of the waiting list."""
        today = clock.now().astimezone(ZoneInfo(who["timezone"])).date()
        if last_day < max(first_day, today) or (last_day - today).days > 366:
            raise Invalid.for_fields(
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
                person=Person.find_or_create(**who),
                timezone=who["timezone"],
                first_day=first_day,
                last_day=last_day,
            )
            session.add(here)
            session.flush()
            tell(here.person, "bookings/waiting", waiting=here)
        return here

    def still_needs(self) -> str:
        """Reason why the customer's personal data cannot be erased yet, or nothing."""
        return (
            say("There is still an active waiting list entry for %(service)s.", service=self.service.name)
            if self.state == "offered" or (self.state == "waiting" and self.last_day >= clock.today())
            else ""
        )

    @property
    def before(self) -> int:
        """Number of active entries before this one."""
        line = select(func.count()).where(
            Waiting.service_id == self.service_id, Waiting.state.in_(("waiting", "offered")), Waiting.id < self.id
        )
        return session.scalar(line) or 0

    def fits_slot(self, slot: Slot) -> bool:
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


def offer_to_next(slot: Slot) -> bool:
    """Reserve a free seat for the first entry that it fits, and email the offer. False if there is none."""
    with transaction():
        _expire_offers(slot)
        line = (
            select(Waiting)
            .where(Waiting.service_id == slot.service_id, Waiting.state == "waiting")
            .order_by(Waiting.id)
        )
        first = next((each for each in session.scalars(line) if each.fits_slot(slot)), None)
        if first is None:
            return False
        try:
            last = slot.starts_at - timedelta(minutes=slot.service.notice_minutes)  # when minimum notice ends
            kept = Booking.hold_for_offer(first.person, first.timezone, slot, min(clock.ahead(hours=OFFER_HOURS), last))
        except Refused:  # someone else has just booked it; the next free time is offered again
            return False
        first.offer(kept)
    return True


def _expire_offers(slot: Slot) -> None:
    offered = (
        select(Waiting)
        .join(Booking, Waiting.booking_id == Booking.id)
        .where(Waiting.state == "offered", Booking.slot_id == slot.id)
    )
    for each in session.scalars(offered.where(Booking.state != "held")):
        each.pass_by()


on_freed_slot(offer_to_next)


@every("Offer free times to the waiting list", minutes=5)
def offer_what_is_free() -> None:
    """Offer times that became free without a cancelled booking, such as new opening hours."""
    waited_for = select(Service).where(Service.id.in_(select(Waiting.service_id).where(Waiting.state == "waiting")))
    for service in session.scalars(waited_for).all():
        for slot, left in Booking.free_slots(service, clock.now(), clock.ahead(days=service.days_ahead)):
            for _ in range(left):
                if not offer_to_next(slot):
                    break
