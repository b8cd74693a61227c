"""The seats of a slot: which are free, who takes one, and when somebody has enough of a day. What a booking can do, of which `booking.py` is the noun."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, or_, select, true
from sqlalchemy.orm import Mapped, aliased

from app.kernel import clock
from app.kernel.db import session
from app.kernel.errors import Missing, Refused
from app.kernel.jobs import later
from app.kernel.translation import say
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import GONE, Slot, came_free

if TYPE_CHECKING:
    from app.packs.bookings.booking.booking import Booking

STANDING = ("confirmed", "completed", "no_show")
TAKING = ("held", "requested", *STANDING)


class Seated:
    """Whatever takes a seat of a slot, and somebody's time with it."""

    if TYPE_CHECKING:  # the noun brings these
        id: Mapped[int]
        state: Mapped[str]
        slot: Any
        slot_id: Mapped[int]
        presences: Any
        hold_expires_at: Mapped[datetime]

    @staticmethod
    def _presences_in(slot: Slot) -> list[Presence]:
        return [Presence(practitioner=each, slot=slot, during=slot.kept) for each in slot.givers]

    def _release_seat(self) -> None:
        """At once, so that whoever takes it next in this very transaction finds it free; and whoever waits for one hears of it."""
        self.presences = []
        later(came_free, self.slot)
        session.flush()

    @classmethod
    def take_seat(cls, slot: Slot, besides: Booking | None = None) -> int:
        """Whoever comes at the same moment waits at this lock, and then hears that the time is gone."""
        try:
            slot.lock()
        except Missing:  # the hours of the practice have changed
            raise Refused(say(GONE)) from None
        if no := slot.refuses():
            raise Refused(no)
        return cls.free_seat(slot, besides)

    @classmethod
    def free_seat(cls, slot: Slot, besides: Booking | None = None) -> int:
        """The lowest free seat; refuses when there is none, or when whoever gives it is elsewhere at that time, or has enough for that day."""
        near: list[Booking] = []
        for booking in session.scalars(cls._near(slot)).unique().all():
            if booking.state == "held" and booking.hold_expires_at <= clock.now():
                booking.lapse()  # a hold that is over frees its seat for the next one at once, not when the clock comes by
            elif booking is not besides:
                near.append(booking)
        free = set(range(1, slot.seats + 1)) - {each.seat for each in near}
        if not free or any(each.slot_id != slot.id for each in near):
            raise Refused(say(GONE))
        session.flush()
        if not cls._under_caps(slot, besides):
            raise Refused(say("That day is fully booked. Please choose another day."))
        return min(free)

    @classmethod
    def _near(cls, slot: Slot) -> Select[Any]:
        """Bookings that need whoever gives this during this time, for this slot or for another."""
        theirs = Presence.practitioner_id.in_([each.id for each in slot.givers])
        return select(cls).where(cls.presences.any(theirs & Presence.during.overlaps(slot.kept)), cls.state.in_(TAKING))

    @classmethod
    def _alive(cls) -> ColumnElement[bool]:
        """It takes its time still, whether or not the clock has come by to say that a hold is over."""
        return cls.state.in_(TAKING) & ((cls.state != "held") | (cls.hold_expires_at > clock.now()))

    @classmethod
    def _under_caps(cls, slot: Slot, besides: Booking | None) -> bool:
        caps = cls._caps(slot.service, besides.id if besides else 0)
        here = select(Slot.id).join(Practitioner, Slot.practitioner_id == Practitioner.id)
        return not caps or session.scalar(here.where(Slot.id == slot.id, *caps)) is not None

    @classmethod
    def _caps(cls, service: Service, besides: int = 0) -> list[ColumnElement[bool]]:
        """Of a Slot and its Practitioner: that there is less of this service in their day and in their week than there may be."""
        return [
            cls._count(span, besides) < cap
            for span, cap in (("day", service.day_cap), ("week", service.week_cap))
            if cap
        ]

    @classmethod
    def _count(cls, span: str, besides: int) -> ScalarSelect[int]:
        other = aliased(Slot)
        local, there = (
            func.date_trunc(span, func.timezone(Practitioner.timezone, each.starts_at)) for each in (Slot, other)
        )
        same = (
            (other.practitioner_id == Slot.practitioner_id) & (other.service_id == Slot.service_id) & (local == there)
        )
        near = other.starts_at.between(
            Slot.starts_at - timedelta(days=8), Slot.starts_at + timedelta(days=8)
        )  # what a year holds is not read for a week's count
        counted = (
            select(func.count())
            .select_from(cls)
            .join(other, cls.slot_id == other.id)
            .where(same, near, cls._alive(), cls.id != besides)
        )
        return counted.correlate(Slot, Practitioner).scalar_subquery()

    @classmethod
    def free_slots(cls, service: Service, since: datetime, until: datetime) -> Sequence[tuple[Slot, int]]:
        """The slots of a stretch of time that have a seat left, and how many: one query, however long the stretch."""
        return [(slot, left) for slot, left in session.execute(cls._free(service, since, until))]

    @classmethod
    def first_free(cls, service: Service, whose: int = 0, besides: int = 0) -> Slot | None:
        """The next slot that has a seat left: of one practitioner, where one is named, and not the slot `besides`."""
        found = cls._free(service, clock.now(), clock.ahead(days=service.days_ahead)).where(Slot.id != besides)
        return session.scalars(found.where(Slot.practitioner_id == whose if whose else true()).limit(1)).first()

    @classmethod
    def _free(cls, service: Service, since: datetime, until: datetime) -> Select[Slot, int]:
        here, elsewhere = (
            func.count(cls.id.distinct()).filter(each)
            for each in (Presence.slot_id == Slot.id, Presence.slot_id != Slot.id)
        )
        theirs = or_(Presence.practitioner_id == Slot.practitioner_id, Presence.practitioner_id == Slot.partner_id)
        taken = (
            select(here.label("here"), elsewhere.label("elsewhere"))
            .select_from(cls)
            .join(Presence, Presence.booking_id == cls.id)
        )
        counted = taken.where(theirs, Presence.during.overlaps(Slot.kept), cls._alive()).lateral("counted")
        first, last = (
            max(since, clock.ahead(minutes=service.notice_minutes)),
            min(until, clock.ahead(days=service.days_ahead)),
        )
        partner = aliased(Practitioner)
        return (
            select(Slot, Slot.seats - counted.c.here)
            .join(Practitioner, Slot.practitioner_id == Practitioner.id)
            .outerjoin(partner, Slot.partner_id == partner.id)
            .join(counted, true())
            .where(Slot.service_id == service.id, Slot.state == "open", Slot.starts_at >= first, Slot.starts_at < last)
            .where(
                Practitioner.state == "active", func.coalesce(partner.state, "active") == "active", *cls._caps(service)
            )
            .where(counted.c.elsewhere == 0, counted.c.here < Slot.seats)
            .order_by(Slot.starts_at, Slot.id)
        )

    @classmethod
    def turns(cls, service: Service) -> dict[int, float]:
        """How much of this service each practitioner has had lately and has to come, for their share; whoever has least is next."""
        lately = Slot.starts_at.between(clock.ahead(days=-30), clock.ahead(days=60))
        had = (
            select(Slot.practitioner_id, func.count())
            .join(cls, cls.slot_id == Slot.id)
            .where(Slot.service_id == service.id, lately, cls._alive())
        )
        share = dict(
            session.execute(
                select(Assignment.practitioner_id, Assignment.weight).where(Assignment.service_id == service.id)
            ).all()
        )
        return {id: count / share.get(id, 10) for id, count in session.execute(had.group_by(Slot.practitioner_id))}

    @staticmethod
    def givers_to_come(service: Service) -> set[int]:
        """Whoever has any time for it on the calendar."""
        open_ = (Slot.service_id == service.id) & (Slot.state == "open") & (Slot.starts_at > clock.now())
        return set(session.scalars(select(Slot.practitioner_id).where(open_).distinct()))

    @classmethod
    def slots_at_same_time(cls, slot: Slot) -> Sequence[Slot]:
        """Where the same can be had at the same time, whoever's turn it is first."""
        turn = cls.turns(slot.service)
        found = (
            each
            for each, _ in cls.free_slots(slot.service, slot.starts_at, slot.starts_at + timedelta(seconds=1))
            if each.id != slot.id
        )
        return sorted(found, key=lambda each: (turn.get(each.practitioner_id, 0), each.id))
