"""Availability of slots: free seats, double-booking checks, daily and weekly limits, and whose turn it is.

A part of the noun in `booking.py`.
"""

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
from app.packs.bookings.offer.slot import GONE, Slot, offer_freed_slot

if TYPE_CHECKING:
    from app.packs.bookings.booking.booking import Booking

STANDING = ("confirmed", "completed", "no_show")
TAKING = ("held", "requested", *STANDING)


class Seated:
    """A booking as something that takes a seat in a slot and the time of its practitioners."""

    if TYPE_CHECKING:  # of the noun
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
        """Free the seat, also for the rest of this transaction, and queue the offer to the waiting list."""
        self.presences = []
        later(offer_freed_slot, self.slot)
        session.flush()

    @classmethod
    def take_seat(cls, slot: Slot, besides: Booking | None = None) -> int:
        """Lock the slot and find a free seat in it. Of concurrent bookings, the second waits here and is refused."""
        try:
            slot.lock()
        except Missing:  # deleted, because the opening hours have changed
            raise Refused(say(GONE)) from None
        if no := slot.refuses():
            raise Refused(no)
        return cls.find_free_seat(slot, besides)

    @classmethod
    def find_free_seat(cls, slot: Slot, besides: Booking | None = None) -> int:
        """Find the lowest free seat. Refuse if there is none, a practitioner is busy, or the daily limit is reached."""
        others: list[Booking] = []
        for booking in session.scalars(cls._overlapping(slot)).unique().all():
            if booking.state == "held" and booking.hold_expires_at <= clock.now():
                booking.lapse()  # its job may not have run yet, and the seat is free already
            elif booking is not besides:
                others.append(booking)
        free = set(range(1, slot.seats + 1)) - {each.seat for each in others}
        if not free or any(each.slot_id != slot.id for each in others):
            raise Refused(say(GONE))
        session.flush()
        if not cls._is_within_limits(slot, besides):
            raise Refused(say("That day is fully booked. Please choose another day."))
        return min(free)

    @classmethod
    def _overlapping(cls, slot: Slot) -> Select[Any]:
        """Select the bookings of this slot, and any other that needs one of its practitioners at the same time."""
        theirs = Presence.practitioner_id.in_([each.id for each in slot.givers])
        return select(cls).where(cls.presences.any(theirs & Presence.during.overlaps(slot.kept)), cls.state.in_(TAKING))

    @classmethod
    def _takes_seat(cls) -> ColumnElement[bool]:
        """Condition that a booking takes its seat; a hold that has ended does not, even before its job has run."""
        return cls.state.in_(TAKING) & ((cls.state != "held") | (cls.hold_expires_at > clock.now()))

    @classmethod
    def _is_within_limits(cls, slot: Slot, besides: Booking | None) -> bool:
        limits = cls._limits(slot.service, besides.id if besides else 0)
        here = select(Slot.id).join(Practitioner, Slot.practitioner_id == Practitioner.id)
        return not limits or session.scalar(here.where(Slot.id == slot.id, *limits)) is not None

    @classmethod
    def _limits(cls, service: Service, besides: int = 0) -> list[ColumnElement[bool]]:
        """Conditions on a Slot and its Practitioner that the daily and weekly limits of the service leave room."""
        return [
            cls._count_in(span, besides) < cap
            for span, cap in (("day", service.day_cap), ("week", service.week_cap))
            if cap
        ]

    @classmethod
    def _count_in(cls, span: str, besides: int) -> ScalarSelect[int]:
        """Count the bookings of the same service and practitioner in the same local day or week."""
        other = aliased(Slot)
        local, there = (
            func.date_trunc(span, func.timezone(Practitioner.timezone, each.starts_at)) for each in (Slot, other)
        )
        same = (
            (other.practitioner_id == Slot.practitioner_id) & (other.service_id == Slot.service_id) & (local == there)
        )
        # Redundant, but lets the database use its index instead of counting all bookings.
        near = other.starts_at.between(Slot.starts_at - timedelta(days=8), Slot.starts_at + timedelta(days=8))
        counted = (
            select(func.count())
            .select_from(cls)
            .join(other, cls.slot_id == other.id)
            .where(same, near, cls._takes_seat(), cls.id != besides)
        )
        return counted.correlate(Slot, Practitioner).scalar_subquery()

    @classmethod
    def free_slots(cls, service: Service, since: datetime, until: datetime) -> Sequence[tuple[Slot, int]]:
        """List the slots in a period that have free seats, and how many, with one query."""
        return [(slot, left) for slot, left in session.execute(cls._free_query(service, since, until))]

    @classmethod
    def first_free_slot(cls, service: Service, whose: int = 0, besides: int = 0) -> Slot | None:
        """Find the next slot with a free seat, of the practitioner `whose` if given, leaving out the slot `besides`."""
        found = cls._free_query(service, clock.now(), clock.ahead(days=service.days_ahead)).where(Slot.id != besides)
        return session.scalars(found.where(Slot.practitioner_id == whose if whose else true()).limit(1)).first()

    @classmethod
    def _free_query(cls, service: Service, since: datetime, until: datetime) -> Select[Slot, int]:
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
        counted = taken.where(theirs, Presence.during.overlaps(Slot.kept), cls._takes_seat()).lateral("counted")
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
                Practitioner.state == "active",
                func.coalesce(partner.state, "active") == "active",
                *cls._limits(service),
            )
            .where(counted.c.elsewhere == 0, counted.c.here < Slot.seats)
            .order_by(Slot.starts_at, Slot.id)
        )

    @classmethod
    def load_by_practitioner(cls, service: Service) -> dict[int, float]:
        """Recent and upcoming bookings of the service per practitioner, divided by their share. The lowest is next."""
        lately = Slot.starts_at.between(clock.ahead(days=-30), clock.ahead(days=60))
        had = (
            select(Slot.practitioner_id, func.count())
            .join(cls, cls.slot_id == Slot.id)
            .where(Slot.service_id == service.id, lately, cls._takes_seat())
        )
        share = dict(
            session.execute(
                select(Assignment.practitioner_id, Assignment.weight).where(Assignment.service_id == service.id)
            ).all()
        )
        return {id: count / share.get(id, 10) for id, count in session.execute(had.group_by(Slot.practitioner_id))}

    @staticmethod
    def practitioners_with_slots(service: Service) -> set[int]:
        """IDs of the practitioners who have upcoming open slots of the service."""
        open_ = (Slot.service_id == service.id) & (Slot.state == "open") & (Slot.starts_at > clock.now())
        return set(session.scalars(select(Slot.practitioner_id).where(open_).distinct()))

    @classmethod
    def slots_at_same_time(cls, slot: Slot) -> Sequence[Slot]:
        """Free slots of other practitioners at the same time, in the order of their turns."""
        load = cls.load_by_practitioner(slot.service)
        found = (
            each
            for each, _ in cls.free_slots(slot.service, slot.starts_at, slot.starts_at + timedelta(seconds=1))
            if each.id != slot.id
        )
        return sorted(found, key=lambda each: (load.get(each.practitioner_id, 0), each.id))
