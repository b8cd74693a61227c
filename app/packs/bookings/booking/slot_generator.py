"""Arrange: slots follow the hours. What is booked keeps its time whatever happens, and what somebody made by hand stays as it is."""

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
from app.packs.bookings.offer.availability import Span, Timetable, shared, starts
from app.packs.bookings.offer.holiday import holidays_of
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Key = tuple[int, int | None, int, datetime]  # whose, with whom, of what, when

_BY_THE_HOURS = {
    "unaudited": "The slot was never booked; the change of the opening hours is the record of its removal."
}


@dataclass(frozen=True)
class Shape:
    """What a slot has from its service, on the day on which it is made."""

    ends_at: datetime
    kept: Range[datetime]
    seats: int


@dataclass(frozen=True)
class There:
    """A slot to come, as the arranging needs to know it."""

    id: int
    key: Key
    shape: Shape
    made: bool
    state: str

    @classmethod
    def of(cls, practitioner: Practitioner, since: datetime) -> list[There]:
        own = or_(Slot.practitioner_id == practitioner.id, Slot.partner_id == practitioner.id)
        key = Slot.practitioner_id, Slot.partner_id, Slot.service_id, Slot.starts_at
        found = session.execute(
            select(Slot.id, *key, Slot.ends_at, Slot.kept, Slot.seats, Slot.made, Slot.state).where(
                own, Slot.starts_at > since
            )
        )
        return [
            cls(id, (lead, partner, service, start), Shape(*shape), made, state)
            for id, lead, partner, service, start, *shape, made, state in found
        ]

    @property
    def givers(self) -> list[int]:
        return [each for each in self.key[:2] if each is not None]

    def is_within(self, away: Mapping[int, Sequence[Span]]) -> bool:
        return any(self.shape.kept.overlaps(Range(*span)) for each in self.givers for span in away[each])


class Practice:
    """Who gives what, when, and when not: all that the hours of some practitioners hang on, read in as many statements for one as for many."""

    def __init__(self, whose: Collection[int]) -> None:
        self.now = clock.now()
        self.people = {
            each.id: each for each in session.scalars(select(Practitioner).where(Practitioner.id.in_(whose)))
        }
        self.services = offered_by()
        self.hours: dict[int, list[Hours]] = defaultdict(list)
        self.other: dict[int, list[SpecialHours]] = defaultdict(list)
        self.away: dict[int, list[Span]] = {id: [] for id in whose}
        for hours in session.scalars(select(Hours).where(Hours.practitioner_id.in_(whose))):
            self.hours[hours.practitioner_id].append(hours)
        for other in session.scalars(select(SpecialHours).where(SpecialHours.practitioner_id.in_(whose))):
            self.other[other.practitioner_id].append(other)
        theirs = or_(Closure.practitioner_id.in_(whose), Closure.practitioner_id.is_(None))
        for closure in session.scalars(select(Closure).where(theirs, Closure.ends_at > self.now)):
            for id in [closure.practitioner_id] if closure.practitioner_id else whose:
                self.away[id].append(closure.span)
        for id, span in busy_times(whose, self.now):
            self.away[id].append(span)

    def wanted(self, practitioner: Practitioner) -> dict[Key, Shape]:
        """Every slot that the hours ask for, of this practitioner alone and with others, for as long as each service can be booked, and a day more."""
        return {
            key: shape for service, givers in self.services for key, shape in self._of(service, givers, practitioner)
        }

    def _of(self, service: Service, givers: Collection[int], practitioner: Practitioner) -> Iterator[tuple[Key, Shape]]:
        here = {id for id in givers if id in self.people and self.people[id].state == "active"}
        if practitioner.id not in here:
            return
        lasting, until = service.lasting, self.now + timedelta(days=service.days_ahead + 1)
        pairs = [pair for pair in combinations(sorted(here), 2) if practitioner.id in pair]
        for lead, partner in pairs if service.together else [(practitioner.id, None)]:
            open_, away = self._spans(lead, service, until), self.away[lead]
            if partner is not None:
                open_, away = shared(open_, self._spans(partner, service, until)), [*away, *self.away[partner]]
            for start in starts(open_, away, lasting):
                if self.now < start < until:
                    ends_at = start + lasting.takes
                    yield (
                        (lead, partner, service.id, start),
                        Shape(ends_at, Range(start - lasting.before, ends_at + lasting.after), service.seats),
                    )

    def _spans(self, id: int, service: Service, until: datetime) -> list[Span]:
        whose, zone = self.people[id], ZoneInfo(self.people[id].timezone)
        first, last = (each.astimezone(zone).date() for each in (self.now, until))
        rules = [each.rule for each in self.hours[id] if each.service_id in (None, service.id)]
        return Timetable(
            whose.timezone, rules, [each.special for each in self.other[id]], holidays_of(whose.holidays, first, last)
        ).spans(first, last)


@dataclass(frozen=True)
class Plan:
    """What is there, what is wanted, and what has to change before they are the same."""

    there: list[There]
    wanted: dict[Key, Shape]
    away: Mapping[int, Sequence[Span]]

    @classmethod
    def of(cls, practitioner: Practitioner, company: Collection[int]) -> Plan:
        practice = Practice(company)
        there = [each for each in There.of(practitioner, practice.now) if {*each.givers} <= {*company}]
        return cls(there, practice.wanted(practitioner), practice.away)

    def holds(self, each: There) -> bool:
        """By the hours, for what they made; what is by hand only gives way where its giver is away."""
        return each.key in self.wanted if each.made else not each.is_within(self.away)

    @property
    def gone(self) -> list[int]:
        return [each.id for each in self.there if each.state == "open" and not self.holds(each)]

    @property
    def back(self) -> list[int]:
        return [each.id for each in self.there if each.state == "withdrawn" and self.holds(each)]

    @property
    def changed(self) -> list[int]:
        """Their service is not what it was when they were made."""
        made = (each for each in self.there if each.made and each.state != "closed" and each.key in self.wanted)
        return [each.id for each in made if self.wanted[each.key] != each.shape]

    def missing(self, without: Collection[int]) -> Iterator[dict[str, Any]]:
        left = {each.key for each in self.there if each.id not in without}
        for key in sorted(self.wanted.keys() - left, key=str):
            yield dict(zip(("practitioner_id", "partner_id", "service_id", "starts_at"), key, strict=True)) | vars(
                self.wanted[key]
            )


def offered_by() -> list[tuple[Service, set[int]]]:
    """Each service with whoever gives it: those of whom it is said, or everybody."""
    said: dict[int, set[int]] = defaultdict(set)
    for service_id, practitioner_id in session.execute(select(Assignment.service_id, Assignment.practitioner_id)):
        said[service_id].add(practitioner_id)
    everybody = {*session.scalars(select(Practitioner.id).where(Practitioner.state == "active"))}
    return [
        (each, said.get(each.id, everybody))
        for each in session.scalars(select(Service).where(Service.state == "offered").order_by(Service.id))
    ]


def company_of(practitioner: Practitioner) -> set[int]:
    """Whoever gives something together with them, or did: their days hang together."""
    pairs = (
        select(Slot.practitioner_id, Slot.partner_id)
        .where(Slot.partner_id.is_not(None), Slot.starts_at > clock.now())
        .distinct()
    )
    known = session.execute(
        pairs.where(or_(Slot.practitioner_id == practitioner.id, Slot.partner_id == practitioner.id))
    )
    together = (givers for service, givers in offered_by() if service.together and practitioner.id in givers)
    return {practitioner.id}.union(*together, *known)


@job("Create slots", was="packs.bookings.arrange.arrange")
def arrange(practitioner: Practitioner) -> None:
    """Whoever takes a seat holds the same lock: nobody books what is being taken away, and nothing is taken away that is being booked."""
    with transaction():
        company = company_of(practitioner)
        for each in session.scalars(
            select(Practitioner).where(Practitioner.id.in_(company)).order_by(Practitioner.id)
        ).all():
            each.lock()
        plan = Plan.of(practitioner, company)
        gone = _take_away(plan)
        for slot in _slots(plan.back):
            slot.offer()
        always = {"made": True, "state": "open", "version": 1, "created_at": clock.now(), "changed_at": clock.now()}
        if rows := [each | always for each in plan.missing(gone)]:
            session.execute(insert(Slot.__table__).on_conflict_do_nothing(), rows)


def _take_away(plan: Plan) -> set[int]:
    """What nobody ever booked goes, and is made anew if it is wanted; what somebody has is only not offered any more."""
    if not (plan.gone or plan.changed):
        return set()
    here = select(Slot.id, Slot.made).where(Slot.id.in_([*plan.gone, *plan.changed])).order_by(Slot.id)
    locked = session.execute(here.with_for_update()).all()
    # Only now, and in statements of their own: they see what was booked while this waited for the lock.
    ids = [id for id, _ in locked]
    booked = {*session.scalars(select(Booking.slot_id).where(Booking.slot_id.in_(ids)).distinct())}
    taken = {*session.scalars(select(Presence.slot_id).where(Presence.slot_id.in_(ids)).distinct())}
    free = {id for id, made in locked if made} - booked
    session.execute(delete(Slot).where(Slot.id.in_(free)), execution_options=_BY_THE_HOURS)
    for slot in _slots({*plan.gone} - free):
        slot.withdraw()
    for slot in _slots({*plan.changed} - free - taken):
        slot.lock().remake()
    return free


def _slots(ids: Collection[int]) -> Sequence[Slot]:
    return session.scalars(select(Slot).where(Slot.id.in_(ids)).order_by(Slot.id)).all() if ids else []


@every("Create slots for all practitioners", was="packs.bookings.arrange.arrange_everybody", hours=1)
def arrange_everybody() -> None:
    """A new hour comes into reach."""
    with transaction():
        for practitioner in _with_hours():
            later(arrange, practitioner)


def _with_hours(*, or_slots: bool = False) -> Sequence[Practitioner]:
    """Those whose slots follow some hours, or did until now; or who have any slots at all."""
    ruled = [select(each.practitioner_id) for each in (Hours, SpecialHours)]
    to_come = select(Slot.practitioner_id).where(
        Slot.starts_at > clock.now(), Slot.made | (true() if or_slots else false())
    )
    return session.scalars(
        select(Practitioner).where(Practitioner.id.in_(union(*ruled, to_come))).order_by(Practitioner.id)
    ).all()


# --- whatever changes the hours ---------------------------------------------------------------------------------------


def stranded(row: Hours | SpecialHours | Closure) -> dict[str, str]:
    """Who would be left outside the hours by what has just been changed: by number, when and who. Asked before it is kept."""
    if isinstance(row, Closure):
        slots: ColumnElement[bool] = _inside(row)
    else:
        slots = Slot.id.in_(Plan.of(row.practitioner, company_of(row.practitioner)).gone)
    found = session.scalars(
        select(Booking)
        .join(Slot, Booking.slot_id == Slot.id)
        .where(slots, Booking.presences.any())
        .order_by(Slot.starts_at, Booking.id)
    )
    return {
        each.number: f"{clock.format_moment(each.slot.starts_at, each.slot.practitioner.timezone)}, {each.person}, {each.slot.practitioner}"
        for each in found
    }


def _inside(closure: Closure) -> ColumnElement[bool]:
    if closure not in session:  # it is being taken away
        return false()
    theirs = (
        or_(Slot.practitioner_id == closure.practitioner_id, Slot.partner_id == closure.practitioner_id)
        if closure.practitioner_id
        else true()
    )
    return and_(theirs, Slot.state == "open", Slot.starts_at > clock.now(), Slot.kept.overlaps(Range(*closure.span)))


@event.listens_for(Session, "after_flush")
def _note(session: Session, context: UOWTransaction) -> None:
    """At the one gate that every door goes through, so that no change of the hours can forget the slots."""
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, (Hours, SpecialHours, Closure, Assignment, Service, Practitioner)) and (
            row in session.deleted or session.is_modified(row)
        ):
            session.info.setdefault("hours_changed", set()).add(row)
        if isinstance(row, BusyCalendar) and (row in session.deleted or inspect(row).attrs.times.history.has_changes()):
            session.info.setdefault("hours_changed", set()).add(row)


@event.listens_for(Session, "before_commit")
def _owe(here: Session) -> None:
    """One job for each practitioner whose slots may have to follow, written with the change."""
    here.flush()
    rows = here.info.pop("hours_changed", set())
    for practitioner in sorted({each for row in rows for each in _whose(row)}, key=lambda each: each.id):
        later(arrange, practitioner)


def _whose(row: Any) -> Iterable[Practitioner]:
    match row:
        case Hours() | SpecialHours() | BusyCalendar() | Closure(practitioner=Practitioner()):
            return [cast(Practitioner, row.practitioner)]
        case Closure():
            return _with_hours(or_slots=True)
        case Practitioner():
            return [each for each in _with_hours() if each is row]
    return _with_hours()


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("hours_changed", None)
