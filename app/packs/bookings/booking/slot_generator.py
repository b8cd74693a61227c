"""Slot generator: creates and withdraws slots whenever opening hours, closures, services or calendars change.

Booked slots keep their time, and slots entered by staff stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, delete, event, false, inspect, or_, select, true, union
from sqlalchemy.dialects.postgresql import Range, insert
from sqlalchemy.orm import Session, UOWTransaction

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.jobs import every, job, later
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.external_busy import BusyCalendar, busy_times
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.hours.special_hours import SpecialHours
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.availability import Span, Timetable, common_spans, start_times
from app.packs.bookings.offer.holiday import holidays_of
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Key = tuple[int, int | None, int, datetime]  # practitioner, second practitioner, service, start

_UNAUDITED = {"unaudited": "The slot was never booked; the change of the opening hours is the record of its removal."}


@dataclass(frozen=True)
class SlotShape:
    """What a slot takes over from its service: the end, the buffers and the number of seats."""

    ends_at: datetime
    kept: Range[datetime]
    seats: int


@dataclass(frozen=True)
class ExistingSlot:
    """An upcoming slot, with what the generator compares."""

    id: int
    key: Key
    shape: SlotShape
    made: bool
    state: str

    @classmethod
    def load_all(cls, practitioner: Practitioner, since: datetime) -> list[ExistingSlot]:
        own = or_(Slot.practitioner_id == practitioner.id, Slot.partner_id == practitioner.id)
        key = Slot.practitioner_id, Slot.partner_id, Slot.service_id, Slot.starts_at
        found = session.execute(
            select(Slot.id, *key, Slot.ends_at, Slot.kept, Slot.seats, Slot.made, Slot.state).where(
                own, Slot.starts_at > since
            )
        )
        return [
            cls(id, (lead, partner, service, start), SlotShape(*shape), made, state)
            for id, lead, partner, service, start, *shape, made, state in found
        ]

    @property
    def givers(self) -> list[int]:
        return [each for each in self.key[:2] if each is not None]

    def is_blocked(self, away: Mapping[int, Sequence[Span]]) -> bool:
        return any(self.shape.kept.overlaps(Range(*span)) for each in self.givers for span in away[each])


class Schedule:
    """Services, opening hours and absences of some practitioners, loaded with a fixed number of queries."""

    def __init__(self, whose: Collection[int]) -> None:
        self.now = clock.now()
        self.people = {
            each.id: each for each in session.scalars(select(Practitioner).where(Practitioner.id.in_(whose)))
        }
        self.services = practitioners_by_service()
        self.hours: dict[int, list[Hours]] = defaultdict(list)
        self.special: dict[int, list[SpecialHours]] = defaultdict(list)
        self.away: dict[int, list[Span]] = {id: [] for id in whose}
        for hours in session.scalars(select(Hours).where(Hours.practitioner_id.in_(whose))):
            self.hours[hours.practitioner_id].append(hours)
        for special in session.scalars(select(SpecialHours).where(SpecialHours.practitioner_id.in_(whose))):
            self.special[special.practitioner_id].append(special)
        theirs = or_(Closure.practitioner_id.in_(whose), Closure.practitioner_id.is_(None))
        for closure in session.scalars(select(Closure).where(theirs, Closure.ends_at > self.now)):
            for id in [closure.practitioner_id] if closure.practitioner_id else whose:
                self.away[id].append(closure.span)
        for id, span in busy_times(whose, self.now):
            self.away[id].append(span)

    def wanted_slots(self, practitioner: Practitioner) -> dict[Key, SlotShape]:
        """All slots of this practitioner, alone or with another, in the booking window of each service plus one day."""
        return {
            key: shape
            for service, givers in self.services
            for key, shape in self._slots_of(service, givers, practitioner)
        }

    def _slots_of(
        self, service: Service, givers: Collection[int], practitioner: Practitioner
    ) -> Iterator[tuple[Key, SlotShape]]:
        here = {id for id in givers if id in self.people and self.people[id].state == "active"}
        if practitioner.id not in here:
            return
        lasting, until = service.lasting, self.now + timedelta(days=service.days_ahead + 1)
        pairs = [pair for pair in combinations(sorted(here), 2) if practitioner.id in pair]
        for lead, partner in pairs if service.together else [(practitioner.id, None)]:
            open_, away = self._spans(lead, service, until), self.away[lead]
            if partner is not None:
                open_, away = common_spans(open_, self._spans(partner, service, until)), [*away, *self.away[partner]]
            for start in start_times(open_, away, lasting):
                if self.now < start < until:
                    ends_at = start + lasting.takes
                    yield (
                        (lead, partner, service.id, start),
                        SlotShape(ends_at, Range(start - lasting.before, ends_at + lasting.after), service.seats),
                    )

    def _spans(self, id: int, service: Service, until: datetime) -> list[Span]:
        whose, zone = self.people[id], ZoneInfo(self.people[id].timezone)
        first, last = (each.astimezone(zone).date() for each in (self.now, until))
        rules = [each.rule for each in self.hours[id] if each.service_id in (None, service.id)]
        return Timetable(
            whose.timezone, rules, [each.special for each in self.special[id]], holidays_of(whose.holidays, first, last)
        ).spans(first, last)


@dataclass(frozen=True)
class Plan:
    """Existing and wanted slots of a practitioner, and the changes that make them match."""

    existing: list[ExistingSlot]
    wanted: dict[Key, SlotShape]
    away: Mapping[int, Sequence[Span]]

    @classmethod
    def make_for(cls, practitioner: Practitioner, partners: Collection[int]) -> Plan:
        schedule = Schedule(partners)
        upcoming = ExistingSlot.load_all(practitioner, schedule.now)
        existing = [each for each in upcoming if {*each.givers} <= {*partners}]
        return cls(existing, schedule.wanted_slots(practitioner), schedule.away)

    def keeps_slot(self, each: ExistingSlot) -> bool:
        """Keep generated slots that the hours still provide, and slots entered by staff unless someone is away."""
        return each.key in self.wanted if each.made else not each.is_blocked(self.away)

    @property
    def gone(self) -> list[int]:
        return [each.id for each in self.existing if each.state == "open" and not self.keeps_slot(each)]

    @property
    def back(self) -> list[int]:
        return [each.id for each in self.existing if each.state == "withdrawn" and self.keeps_slot(each)]

    @property
    def changed(self) -> list[int]:
        """Slots whose service has changed since they were generated."""
        made = (each for each in self.existing if each.made and each.state != "closed" and each.key in self.wanted)
        return [each.id for each in made if self.wanted[each.key] != each.shape]

    def missing(self, without: Collection[int]) -> Iterator[dict[str, Any]]:
        present = {each.key for each in self.existing if each.id not in without}
        for key in sorted(self.wanted.keys() - present, key=str):
            yield dict(zip(("practitioner_id", "partner_id", "service_id", "starts_at"), key, strict=True)) | vars(
                self.wanted[key]
            )


def practitioners_by_service() -> list[tuple[Service, set[int]]]:
    """Each active service with its assigned practitioners, or with all active ones if none is assigned."""
    assigned: dict[int, set[int]] = defaultdict(set)
    for service_id, practitioner_id in session.execute(select(Assignment.service_id, Assignment.practitioner_id)):
        assigned[service_id].add(practitioner_id)
    everyone = {*session.scalars(select(Practitioner.id).where(Practitioner.state == "active"))}
    return [
        (each, assigned.get(each.id, everyone))
        for each in session.scalars(select(Service).where(Service.state == "offered").order_by(Service.id))
    ]


def partners_of(practitioner: Practitioner) -> set[int]:
    """This practitioner and all who share a service or upcoming slots with them: their hours affect each other."""
    pairs = (
        select(Slot.practitioner_id, Slot.partner_id)
        .where(Slot.partner_id.is_not(None), Slot.starts_at > clock.now())
        .distinct()
    )
    known = session.execute(
        pairs.where(or_(Slot.practitioner_id == practitioner.id, Slot.partner_id == practitioner.id))
    )
    together = (
        givers for service, givers in practitioners_by_service() if service.together and practitioner.id in givers
    )
    return {practitioner.id}.union(*together, *known)


@job("Create slots", was="packs.bookings.arrange.arrange")
def arrange(practitioner: Practitioner) -> None:
    """Create, withdraw and restore slots, under the lock that bookings take, too: neither disturbs the other."""
    with transaction():
        partners = partners_of(practitioner)
        for each in session.scalars(
            select(Practitioner).where(Practitioner.id.in_(partners)).order_by(Practitioner.id)
        ).all():
            each.lock()
        plan = Plan.make_for(practitioner, partners)
        gone = _remove_slots(plan)
        for slot in _slots(plan.back):
            slot.offer()
        always = {"made": True, "state": "open", "version": 1, "created_at": clock.now(), "changed_at": clock.now()}
        if rows := [each | always for each in plan.missing(gone)]:
            session.execute(insert(Slot.__table__).on_conflict_do_nothing(), rows)


def _remove_slots(plan: Plan) -> set[int]:
    """Delete the slots that were never booked and withdraw the others. Answers the IDs of the deleted ones."""
    if not (plan.gone or plan.changed):
        return set()
    here = select(Slot.id, Slot.made).where(Slot.id.in_([*plan.gone, *plan.changed])).order_by(Slot.id)
    locked = session.execute(here.with_for_update()).all()
    # Queried after the lock, in statements of their own, to see what was booked while this waited for it.
    ids = [id for id, _ in locked]
    booked = {*session.scalars(select(Booking.slot_id).where(Booking.slot_id.in_(ids)).distinct())}
    taken = {*session.scalars(select(Presence.slot_id).where(Presence.slot_id.in_(ids)).distinct())}
    free = {id for id, made in locked if made} - booked
    session.execute(delete(Slot).where(Slot.id.in_(free)), execution_options=_UNAUDITED)
    for slot in _slots({*plan.gone} - free):
        slot.withdraw()
    for slot in _slots({*plan.changed} - free - taken):
        slot.lock().follow_service()
    return free


def _slots(ids: Collection[int]) -> Sequence[Slot]:
    return session.scalars(select(Slot).where(Slot.id.in_(ids)).order_by(Slot.id)).all() if ids else []


@every("Create slots for all practitioners", was="packs.bookings.arrange.arrange_everybody", hours=1)
def arrange_everybody() -> None:
    """Extend the slots of everyone as time passes."""
    with transaction():
        for practitioner in _with_hours():
            later(arrange, practitioner)


def _with_hours(*, or_slots: bool = False) -> Sequence[Practitioner]:
    """Practitioners with opening hours or upcoming generated slots; with `or_slots`, with any upcoming slots."""
    ruled = [select(each.practitioner_id) for each in (Hours, SpecialHours)]
    to_come = select(Slot.practitioner_id).where(
        Slot.starts_at > clock.now(), Slot.made | (true() if or_slots else false())
    )
    return session.scalars(
        select(Practitioner).where(Practitioner.id.in_(union(*ruled, to_come))).order_by(Practitioner.id)
    ).all()


# --- when the hours change --------------------------------------------------------------------------------------------


def stranded_bookings(row: Hours | SpecialHours | Closure) -> dict[str, str]:
    """Bookings that an uncommitted change leaves outside the hours: number → time, customer and practitioner."""
    if isinstance(row, Closure):
        slots: ColumnElement[bool] = _slots_inside(row)
    else:
        slots = Slot.id.in_(Plan.make_for(row.practitioner, partners_of(row.practitioner)).gone)
    found = session.scalars(
        select(Booking)
        .join(Slot, Booking.slot_id == Slot.id)
        .where(slots, Booking.presences.any())
        .order_by(Slot.starts_at, Booking.id)
    )
    return {each.number: f"{each.slot.format_start()}, {each.person}, {each.slot.practitioner}" for each in found}


def _slots_inside(closure: Closure) -> ColumnElement[bool]:
    if closure not in session:  # it is being deleted
        return false()
    theirs = (
        or_(Slot.practitioner_id == closure.practitioner_id, Slot.partner_id == closure.practitioner_id)
        if closure.practitioner_id
        else true()
    )
    return and_(theirs, Slot.state == "open", Slot.starts_at > clock.now(), Slot.kept.overlaps(Range(*closure.span)))


@event.listens_for(Session, "after_flush")
def _note_changes(session: Session, context: UOWTransaction) -> None:
    """Note every change that affects slots, wherever in the program it is made."""
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, (Hours, SpecialHours, Closure, Assignment, Service, Practitioner)) and (
            row in session.deleted or session.is_modified(row)
        ):
            session.info.setdefault("hours_changed", set()).add(row)
        if isinstance(row, BusyCalendar) and (row in session.deleted or inspect(row).attrs.times.history.has_changes()):
            session.info.setdefault("hours_changed", set()).add(row)


@event.listens_for(Session, "before_commit")
def _queue_jobs(here: Session) -> None:
    """Queue one job for each affected practitioner, in the transaction of the change."""
    here.flush()
    rows = here.info.pop("hours_changed", set())
    for practitioner in sorted({each for row in rows for each in _affected_by(row)}, key=lambda each: each.id):
        later(arrange, practitioner)


def _affected_by(row: Any) -> Iterable[Practitioner]:
    match row:
        case Hours() | SpecialHours() | BusyCalendar() | Closure(practitioner=Practitioner()):
            return [cast(Practitioner, row.practitioner)]
        case Closure():
            return _with_hours(or_slots=True)
        case Practitioner():
            return [each for each in _with_hours() if each is row]
    return _with_hours()


@event.listens_for(Session, "after_rollback")
def _drop_changes(session: Session) -> None:
    session.info.pop("hours_changed", None)
