"""Tests of opening hours and generated slots: local time, clock changes, closures, limits, and existing bookings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import Range

from app.desk.sign_in.security import add_user
from app.kernel import clock
from app.kernel.access import visible_rows
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Refused
from app.packs.bookings.booking import slot_generator as arranging
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.slot_generator import arrange, arrange_everybody
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.external_busy import Busy, BusyCalendar
from app.packs.bookings.hours.hours import WEEKDAYS, Hours
from app.packs.bookings.hours.special_hours import SpecialHours
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.availability import Day, Lasting, Rule, Timetable, start_times
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PATIENCE

ZONES = [
    "Europe/Rome",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Havana",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "America/Sao_Paulo",
    "Europe/Dublin",
    "UTC",
]
HOUR = timedelta(hours=1)
KOLKATA = ZoneInfo("Asia/Kolkata")

# Where the clocks are known to change: days without an hour, with two of it, without midnight, and one that never was.
TURNS = [
    date(2011, 12, 30),
    date(2027, 3, 28),
    date(2027, 10, 31),
    date(2026, 3, 8),
    date(2026, 11, 1),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 2, 15),
]
days = st.one_of(st.dates(date(1995, 1, 1), date(2037, 12, 1)), st.sampled_from(TURNS))
minutes = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))


@st.composite
def rules(draw: Any) -> Rule:
    opens, closes = draw(minutes), draw(minutes)
    opens, closes = (min(opens, closes), max(opens, closes)) if opens != closes else (opens, time(0))
    return Rule(draw(st.integers(0, 6)), opens, closes)


lastings = st.builds(
    lambda takes, before, after: Lasting(*(timedelta(minutes=5 * n) for n in (takes, before, after))),
    st.integers(1, 30),
    st.integers(0, 6),
    st.integers(0, 6),
)


def on_the_wall(rule: Rule, instant: datetime, zone: str) -> bool:
    local = instant.astimezone(ZoneInfo(zone))
    return (
        rule.applies_on(local.date())
        and rule.opens <= local.time()
        and (local.time() < rule.closes or rule.closes == time(0))
    )


def minutes_of(start: datetime, lasting: Lasting) -> list[datetime]:
    return [start + timedelta(minutes=n) for n in range(0, int(lasting.takes.total_seconds()) // 60, 5)]


# --- the pure part: hours and instants --------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=4), lastings, days, st.sampled_from(ZONES))
def test_every_slot_lies_within_the_hours_on_the_wall_and_no_two_overlap(
    week: list[Rule], lasting: Lasting, first: date, zone: str
) -> None:
    found = Timetable(zone, week).start_times(lasting, first, first + timedelta(days=8))
    assert all(
        any(on_the_wall(rule, minute, zone) for rule in week)
        for start in found
        for minute in minutes_of(start, lasting)
    )
    quiet = {
        (one, other): lasting.before + lasting.after
        if any(_holds_both(rule, one, other, zone) for rule in week)
        else timedelta()
        for one, other in pairwise(found)
    }
    assert all(
        one + lasting.takes + between <= other or not _same_day(one, other, zone)
        for (one, other), between in quiet.items()
    )
    assert len(found) == len({*found})


def _holds_both(rule: Rule, one: datetime, other: datetime, zone: str) -> bool:
    """Buffers are not planned between two opening hours: booking one of the two slots takes the other away."""
    return on_the_wall(rule, one, zone) and on_the_wall(rule, other, zone)


def _same_day(one: datetime, other: datetime, zone: str) -> bool:
    return one.astimezone(ZoneInfo(zone)).date() == other.astimezone(ZoneInfo(zone)).date()


@settings(max_examples=25, deadline=None)
@given(rules(), days, st.sampled_from(ZONES))
def test_each_minute_that_the_wall_shows_is_open_once_for_each_time_it_shows_it(
    rule: Rule, first: date, zone: str
) -> None:
    """Counted the slow way: every five minutes of the real time, looked up on the wall."""
    week = [Rule(weekday, rule.opens, rule.closes) for weekday in range(7)]
    open_ = Timetable(zone, week).spans(first, first + timedelta(days=2))
    begin = datetime.combine(first, time(0), UTC) - timedelta(hours=30)
    real = [
        instant
        for n in range(12 * 24 * 5)
        if first
        <= (instant := begin + timedelta(minutes=5 * n)).astimezone(ZoneInfo(zone)).date()
        <= first + timedelta(days=2)
    ]
    assert [each for each in real if any(on_the_wall(it, each, zone) for it in week)] == [
        each for each in real if any(a <= each < b for a, b in open_)
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(rules(), min_size=1, max_size=3),
    lastings,
    days,
    st.sampled_from(ZONES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=4),
)
def test_what_is_away_is_never_covered_and_moves_nothing_else(
    week: list[Rule], lasting: Lasting, first: date, zone: str, away: list[tuple[int, int]]
) -> None:
    begin = datetime.combine(first, time(0), UTC)
    absent = [(begin + since * HOUR, begin + (since + hours) * HOUR) for since, hours in away]
    whole, left = (
        Timetable(zone, week, away=each).start_times(lasting, first, first + timedelta(days=7)) for each in ([], absent)
    )
    touched = [
        start
        for start in whole
        if any(
            start - lasting.before < until and since < start + lasting.takes + lasting.after for since, until in absent
        )
    ]
    assert {*left} == {*whole} - {*touched}


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Rome", "2027-03-28", 23),
        ("Europe/Rome", "2027-10-31", 25),
        ("America/New_York", "2026-03-08", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Casablanca", "2026-02-15", 25),
        ("Africa/Cairo", "2026-04-24", 23),
        ("Asia/Kolkata", "2027-03-28", 24),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_a_day_holds_as_many_half_hours_as_it_really_has(zone: str, day: str, hours: float) -> None:
    here = date.fromisoformat(day)
    found = Timetable(zone, [Rule(here.weekday(), time(0), time(0))]).start_times(
        Lasting(timedelta(minutes=30)), here, here
    )
    assert len(found) == 2 * hours


@pytest.mark.parametrize("zone", ZONES)
def test_nine_stays_nine_all_year(zone: str) -> None:
    found = Timetable(zone, [Rule(day, time(9), time(10)) for day in range(7)]).start_times(
        Lasting(HOUR), date(2026, 1, 1), date(2026, 12, 31)
    )
    assert len(found) == 365
    assert {start.astimezone(ZoneInfo(zone)).time() for start in found} == {time(9)}


def test_hours_that_do_not_exist_are_not_offered_and_doubled_ones_are_offered_twice() -> None:
    half = Lasting(timedelta(minutes=30))

    def at(opens: time, closes: time, day: date) -> list[str]:
        return [
            f"{start:%H:%M}" for start in Timetable("Europe/Rome", [Rule(6, opens, closes)]).start_times(half, day, day)
        ]

    spring, autumn = date(2027, 3, 28), date(2027, 10, 31)
    assert at(time(2), time(3), spring) == []
    assert at(time(1), time(4), spring) == ["00:00", "00:30", "01:00", "01:30"]
    assert at(time(2), time(3), autumn) == ["00:00", "00:30", "01:00", "01:30"]
    assert at(time(2, 30), time(3, 30), autumn) == [
        "00:30",
        "01:30",
        "02:00",
    ]  # half past two comes twice, with two o'clock between


def test_one_day_can_be_closed_or_have_more_and_holidays_give_way_to_what_is_extra() -> None:
    monday, hour = date(2026, 11, 23), Lasting(HOUR)
    usual = [
        Rule(0, time(9), time(11)),
        Rule(0, time(10), time(12)),
        Rule(0, time(14), time(15), last_day=date(2026, 11, 22)),
    ]

    def hours(*special: Day, holidays: frozenset[date] = frozenset()) -> list[int]:
        return [start.hour for start in Timetable("UTC", usual, special, holidays).start_times(hour, monday, monday)]

    assert hours() == [9, 10, 11]  # two that overlap are one, and what is over is over
    assert hours(Day(monday)) == []
    assert hours(Day(monday, time(16), time(17))) == [9, 10, 11, 16]
    assert hours(Day(monday), Day(monday, time(16), time(17))) == [16]
    assert hours(holidays=frozenset({monday})) == []
    assert hours(Day(monday, time(16), time(17)), holidays=frozenset({monday})) == [16]


def test_a_step_and_the_quiet_around_decide_how_close_they_begin() -> None:
    span = [(datetime(2026, 11, 23, 9, tzinfo=UTC), datetime(2026, 11, 23, 12, tzinfo=UTC))]
    ten = timedelta(minutes=10)
    assert [f"{each:%H:%M}" for each in start_times(span, [], Lasting(HOUR, ten, ten))] == ["09:00", "10:20"]
    assert [f"{each:%H:%M}" for each in start_times(span, [], Lasting(HOUR, step=timedelta(minutes=45)))] == [
        "09:00",
        "09:45",
        "10:30",
    ]


# --- slots follow -----------------------------------------------------------------------------------------------------


@pytest.fixture
def weekly(on_each_edge: None, service: Service) -> Callable[..., None]:
    """weekly(asha, 10, 12): every day of the week, arranged; more as Hours takes it."""

    def weekly(whose: Practitioner, opens: int, closes: int, **more: Any) -> None:
        with transaction():
            session.add_all(
                Hours(practitioner=whose, weekday=day, opens=time(opens), closes=time(closes % 24), **more)
                for day in WEEKDAYS
            )
        arrange(whose)

    return weekly


@pytest.fixture
def written(work_off: Callable[[], int]) -> Callable[..., None]:
    """Write it down, and let the worker follow."""

    def written(*rows: Noun) -> None:
        with transaction():
            session.add_all(rows)
        follow(work_off)

    return written


def follow(work_off: Callable[[], int]) -> None:
    """Runs the jobs with an empty session, as a worker does, and ends with one."""
    work_off()


def again(row: Any) -> Any:
    return type(row).get(row.id)


def tomorrow(hour: int) -> datetime:
    return datetime.combine(clock.now().astimezone(KOLKATA).date() + timedelta(days=1), time(hour), KOLKATA)


def at(hour: int, **of: Any) -> Slot | None:
    session.expire_all()
    return session.scalars(select(Slot).filter_by(starts_at=tomorrow(hour), **of)).unique().one_or_none()


def hours_tomorrow(service: Service) -> list[int]:
    session.expire_all()
    free = Booking.free_slots(service, tomorrow(0), tomorrow(0) + timedelta(days=1))
    return [slot.starts_at.astimezone(KOLKATA).hour for slot, _ in free]


def held(slot: Slot | None) -> Booking:
    assert slot is not None
    return Booking.hold(slot, MEERA, {})


def test_hours_make_slots_for_as_long_as_the_service_can_be_booked_and_only_once(
    asha: Practitioner, service: Service, weekly: Any
) -> None:
    weekly(asha, 10, 12)
    assert hours_tomorrow(service) == [10, 11]
    made = session.scalars(select(Slot).order_by(Slot.starts_at)).unique().all()
    assert all(slot.made and slot.practitioner is asha and slot.ends_at - slot.starts_at == HOUR for slot in made)
    assert clock.ahead(days=60) < made[-1].starts_at < clock.ahead(days=61)
    arrange(asha)
    assert session.scalar(select(func.count(Slot.id))) == len(made)


def test_arranging_asks_the_database_as_often_for_a_year_as_for_a_week(
    asha: Practitioner, service: Service, weekly: Any, count_queries: Any
) -> None:
    with transaction():
        service.days_ahead = 7
    few = count_queries(lambda: weekly(asha, 10, 12))
    with transaction():
        service.days_ahead = 300
    assert count_queries(lambda: arrange(asha)) < few
    assert (session.scalar(select(func.count(Slot.id))) or 0) >= 600


def test_any_change_of_the_hours_is_followed_without_being_asked(
    asha: Practitioner, service: Service, weekly: Any, written: Any, work_off: Any
) -> None:
    weekly(asha, 10, 12)
    day = tomorrow(0).date()
    written(SpecialHours(practitioner=asha, day=day, how="extra", opens=time(15), closes=time(17)))
    assert hours_tomorrow(service) == [10, 11, 15, 16]
    closed = SpecialHours(practitioner=asha, day=day, how="closed")
    written(closed)
    assert hours_tomorrow(service) == [15, 16]
    with transaction():
        session.delete(again(closed))
    follow(work_off)
    assert hours_tomorrow(service) == [10, 11, 15, 16]
    written(closure := Closure(starts_at=tomorrow(11), ends_at=tomorrow(16), reason="The house is painted"))
    assert hours_tomorrow(service) == [10, 16]
    with transaction():
        again(closure).ends_at = tomorrow(15)
        again(service).minutes = 30
    follow(work_off)
    assert [
        f"{slot.starts_at.astimezone(KOLKATA):%H:%M}"
        for slot, _ in Booking.free_slots(service, tomorrow(0), tomorrow(20))
    ] == [
        "10:00",
        "10:30",
        "15:00",
        "15:30",
        "16:00",
        "16:30",
    ]


def test_what_is_taken_elsewhere_is_not_offered_here_until_it_is_free_again(
    asha: Practitioner, service: Service, weekly: Any, written: Any, work_off: Any
) -> None:
    weekly(asha, 10, 13)
    written(
        elsewhere := BusyCalendar(
            practitioner=asha, name="Mine", times=[Busy(uid="1", during=Range(tomorrow(11), tomorrow(12)))]
        )
    )
    assert hours_tomorrow(service) == [10, 12]
    with transaction():
        (calendar := again(elsewhere)).times.clear()
        assert calendar.times == []
    follow(work_off)
    assert hours_tomorrow(service) == [10, 11, 12]


def test_on_a_public_holiday_nothing_is_offered_unless_it_is_said(
    asha: Practitioner, service: Service, weekly: Any, written: Any
) -> None:
    with clock.frozen_at(datetime(2026, 12, 24, 6, tzinfo=UTC)):
        with transaction():
            asha.holidays = "in-ka"
        weekly(asha, 10, 12)
        assert hours_tomorrow(service) == []
        written(SpecialHours(practitioner=asha, day=date(2026, 12, 25), how="extra", opens=time(11), closes=time(12)))
        assert hours_tomorrow(service) == [11]
    assert asha.holidays == "IN-KA"
    for nonsense in ("XX", "IN-XX", "IN-", "Karnataka"):
        with pytest.raises(Invalid) as no:
            asha.holidays = nonsense
        assert "such as IN-KA" in no.value.fields["holidays"]


def test_a_service_is_given_by_those_of_whom_it_is_said_and_else_by_everybody(
    asha: Practitioner, dev: Practitioner, service: Service, weekly: Any, written: Any
) -> None:
    weekly(asha, 10, 11)
    weekly(dev, 10, 11)
    assert hours_tomorrow(service) == [10, 10]
    written(Assignment(service=service, practitioner=dev))
    assert at(10).practitioner_id == dev.id  # type: ignore[union-attr]
    with pytest.raises(Refused, match="Enter a share of 1 to 100"), transaction():
        session.add(Assignment(service=service, practitioner=asha, weight=101))


def test_hours_for_one_service_hold_nothing_else(asha: Practitioner, service: Service, weekly: Any) -> None:
    with transaction():
        session.add(Service(name="Follow-up", slug="follow-up", minutes=30, price=service.price))
    weekly(asha, 10, 11, service=service)
    assert {slot.service_id for slot in session.scalars(select(Slot)).unique()} == {service.id}


def test_two_give_it_together_where_both_are_there(
    asha: Practitioner, dev: Practitioner, service: Service, weekly: Any, written: Any
) -> None:
    third = Practitioner(name="Leela Varma")
    with transaction():
        service.together = True
        session.add(third)
    for whose, opens, closes in ((asha, 9, 12), (dev, 10, 14), (third, 10, 11)):
        weekly(whose, opens, closes)
    found = session.execute(
        select(Slot.practitioner_id, Slot.partner_id)
        .where(Slot.starts_at == tomorrow(10))
        .order_by(Slot.practitioner_id, Slot.partner_id)
    )
    assert [tuple(pair) for pair in found] == [(asha.id, dev.id), (asha.id, third.id), (dev.id, third.id)]
    assert (at(11).practitioner_id, at(11).partner_id) == (asha.id, dev.id)  # type: ignore[union-attr]
    assert [at(9), at(12)] == [None, None]
    written(Closure(practitioner=dev, starts_at=tomorrow(10), ends_at=tomorrow(12)))
    assert at(11) is None
    assert at(10, practitioner_id=asha.id, partner_id=third.id)


# --- what is booked stays ---------------------------------------------------------------------------------------------


def test_what_is_booked_keeps_its_time_and_is_offered_again_when_the_hours_come_back(
    asha: Practitioner, service: Service, weekly: Any, written: Any, work_off: Any
) -> None:
    with transaction():
        service.seats = 2
    weekly(asha, 10, 13)
    booking = held(at(10))
    written(leave := Closure(practitioner=asha, starts_at=tomorrow(0), ends_at=tomorrow(23)))
    assert at(10).state == "withdrawn"  # type: ignore[union-attr]
    assert at(11) is None
    assert Booking.get(booking.id).state == "held"
    with pytest.raises(Refused, match="no longer available"):
        Booking.hold(at(10), MEERA | {"name": "Kabir Shah"}, {})  # type: ignore[arg-type]
    with transaction():
        session.delete(again(leave))
    follow(work_off)
    assert hours_tomorrow(service) == [10, 11, 12]
    assert at(10).id == booking.slot_id  # type: ignore[union-attr]


def test_a_new_length_is_for_those_that_nobody_has(
    asha: Practitioner, service: Service, weekly: Any, work_off: Any
) -> None:
    weekly(asha, 10, 13)
    kept = held(at(10)).id
    held(at(11)).cancel(CallOff("Ill"))
    with transaction():
        one = again(service)
        one.after_minutes, one.step_minutes, one.seats = 15, 60, 3
    follow(work_off)
    ends = {
        hour: (slot.kept.upper - slot.ends_at, slot.seats)
        for hour in (10, 11, 12)
        if (slot := at(hour)) and slot.kept.upper
    }
    assert ends == {10: (timedelta(0), 1), 11: (timedelta(minutes=15), 3), 12: (timedelta(minutes=15), 3)}
    assert Booking.get(kept).slot.seats == 1


def test_what_is_by_hand_stays_as_it_is_and_only_gives_way_to_a_closure(
    asha: Practitioner, service: Service, weekly: Any, written: Any, work_off: Any, open_slot: Any, enter: Any
) -> None:
    weekly(asha, 10, 13)
    at(11).close()  # type: ignore[union-attr]
    by_hand = Slot.starting_at(asha, service, tomorrow(18))
    written(by_hand)
    enter("dina").post(f"/desk/slot/{at(12).id}/edit", data={"seats": "4", "version": "1"})  # type: ignore[union-attr]
    with transaction():
        for hours in session.scalars(select(Hours)):
            session.delete(hours)
    follow(work_off)
    assert at(10) is None
    assert (at(11).state, at(12).seats, at(18).state) == ("closed", 4, "open")  # type: ignore[union-attr]
    written(closure := Closure(practitioner=asha, starts_at=tomorrow(17), ends_at=tomorrow(19)))
    assert (at(12).state, at(18).state) == ("open", "withdrawn")  # type: ignore[union-attr]
    with transaction():
        session.delete(again(closure))
    follow(work_off)
    assert at(18).state == "open"  # type: ignore[union-attr]


def test_whoever_goes_away_takes_their_hours_along_and_brings_them_back(
    asha: Practitioner, service: Service, weekly: Any, work_off: Any
) -> None:
    weekly(asha, 10, 12)
    asha.go_away()
    follow(work_off)
    assert session.scalar(select(func.count(Slot.id))) == 0
    again(asha).come_back()
    follow(work_off)
    assert hours_tomorrow(service) == [10, 11]


def test_each_hour_brings_a_new_one_into_reach(
    asha: Practitioner, service: Service, weekly: Any, work_off: Any, later: Any
) -> None:
    weekly(asha, 0, 24)
    last = session.scalar(select(func.max(Slot.starts_at)))
    with later(hours=5):
        arrange_everybody()
        follow(work_off)
    assert session.scalar(select(func.max(Slot.starts_at))) == last + 5 * HOUR


# --- at the same moment -----------------------------------------------------------------------------------------------


def both(app: Flask, *doings: Callable[[], Any]) -> list[str]:
    """What they heard who were refused."""
    told = []

    def one(done: Callable[[], Any]) -> None:
        with app.app_context():
            try:
                done()
            except Refused as no:
                told.append(no.words)
            finally:
                session.remove()

    session.rollback()
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(one, doing) for doing in doings]:
            each.result()
    session.expire_all()
    return told


@pytest.mark.parametrize("locked", [False, True])
def test_what_is_being_booked_is_not_taken_away(
    app: Flask, asha: Practitioner, service: Service, weekly: Any, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """Without the lock, a slot is deleted while it is booked; with it, the generator waits and sees the booking."""
    weekly(asha, 10, 11)
    slot, whose, seated, arranged, take_seat = at(10), asha.id, Event(), Event(), Booking.take_seat
    assert slot
    with transaction():
        session.add(Closure(practitioner=asha, starts_at=tomorrow(9), ends_at=tomorrow(12)))
    if not locked:
        monkeypatch.setattr(Slot, "lock", lambda self: self)

    def slowly(slot: Slot, besides: Booking | None = None) -> int:
        seat = take_seat(slot, besides)
        seated.set()
        arranged.wait(0.5 if locked else PATIENCE)  # with the lock it cannot come; without it, it must
        return seat

    def take_away() -> None:
        seated.wait(PATIENCE)
        arrange(Practitioner.get(whose))
        arranged.set()

    monkeypatch.setattr(Booking, "take_seat", slowly)
    here = slot.id
    told = both(app, take_away, lambda: Booking.hold(Slot.get(here), MEERA, {}))
    booked, left = session.scalar(select(func.count(Booking.id))), at(10)
    assert (booked, left and left.state, len(told)) == ((1, "withdrawn", 0) if locked else (0, None, 1))


def test_what_is_being_taken_away_is_not_booked(
    app: Flask, asha: Practitioner, service: Service, weekly: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    weekly(asha, 10, 11)
    slot, whose, looked, take_away = at(10), asha.id, Event(), arranging._remove_slots
    assert slot
    with transaction():
        session.add(Closure(practitioner=asha, starts_at=tomorrow(9), ends_at=tomorrow(12)))

    def slowly(plan: arranging.Plan) -> set[int]:
        looked.set()
        asked.wait(0.5)
        return take_away(plan)

    def hold() -> None:
        there = Slot.get(here)
        looked.wait(PATIENCE)
        Booking.hold(there, MEERA, {})
        asked.set()

    here, asked = slot.id, Event()
    monkeypatch.setattr(arranging, "_remove_slots", slowly)
    told = both(app, lambda: arrange(Practitioner.get(whose)), hold)
    assert (told, session.scalar(select(func.count(Booking.id))), at(10)) == (
        ["This time has just been taken. Please choose another one."],
        0,
        None,
    )


# --- bookings affected by a change ------------------------------------------------------------------------------------


def test_a_change_that_leaves_bookings_behind_says_so_first(
    asha: Practitioner, service: Service, weekly: Any, enter: Any, client: FlaskClient, token: Any
) -> None:
    weekly(asha, 10, 13)
    booking = held(at(10))
    local = tomorrow(9)
    closure = {
        "practitioner": str(asha.id),
        "starts_at": f"{local:%Y-%m-%dT%H:%M}",
        "ends_at": f"{local + 3 * HOUR:%Y-%m-%dT%H:%M}",
        "reason": "Dentist",
    }
    desk = enter("asha")
    page = desk.post("/desk/closure/new", data=closure)
    assert page.status_code == 409
    assert all(each in page.text for each in (booking.number, "Meera Iyer", 'name="sure"', 'value="Dentist"'))
    told = client.post("/api/v1/closure/", json=closure | {"practitioner": asha.id}, headers=token("dina"))
    assert told.status_code == 409
    assert told.get_json()["error"]["code"] == "strands"
    assert list(told.get_json()["error"]["fields"]) == [booking.number]
    session.rollback()
    assert session.scalar(select(func.count(Closure.id))) == 0
    assert desk.post("/desk/closure/new", data=closure | {"sure": "yes"}).status_code == 302
    session.rollback()
    assert session.scalar(select(func.count(Closure.id))) == 1


def test_taking_hours_away_says_whom_it_leaves_behind(
    asha: Practitioner, service: Service, weekly: Any, enter: Any, client: FlaskClient, token: Any
) -> None:
    weekly(asha, 10, 13)
    booking = held(at(10))
    hours = session.scalars(select(Hours).where(Hours.weekday == WEEKDAYS[tomorrow(0).weekday()])).one()
    day = {"practitioner": asha.id, "day": f"{tomorrow(0).date()}", "how": "closed"}
    harmless = client.put(f"/api/v1/hours/{hours.id}", json={"closes": "12:00"}, headers=token("dina"))
    assert harmless.status_code == 200  # no booking is in that hour
    for refused in (
        client.put(f"/api/v1/hours/{hours.id}", json={"opens": "11:00"}, headers=token("dina")),
        client.delete(f"/api/v1/hours/{hours.id}", headers=token("dina")),
        client.post("/api/v1/other_hours/", json=day, headers=token("dina")),
    ):
        assert (refused.status_code, list(refused.get_json()["error"]["fields"])) == (409, [booking.number])
    page = enter("dina").post(f"/desk/hours/{hours.id}/delete")
    assert (page.status_code, booking.number in page.text) == (409, True)
    assert client.delete(f"/api/v1/hours/{hours.id}?sure=true", headers=token("dina")).status_code == 200


def test_hours_that_end_before_they_begin_are_refused_in_words(
    asha: Practitioner, client: FlaskClient, token: Any
) -> None:
    hours = {"practitioner": asha.id, "weekday": "Monday", "opens": "12:00", "closes": "09:00"}
    told = client.post("/api/v1/hours/", json=hours, headers=token("dina"))
    assert (
        told.status_code,
        "The closing time must be after the opening time." in told.get_json()["error"]["message"],
    ) == (409, True)
    assert client.post("/api/v1/hours/", json=hours | {"closes": "00:00"}, headers=token("asha")).status_code == 201
    theirs = client.post("/api/v1/hours/", json=hours | {"closes": "00:00"}, headers=token("dev"))
    assert theirs.status_code == 422  # Asha is not for Dev to point at
    day = {"practitioner": asha.id, "day": "2026-11-24", "how": "extra"}
    told = client.post("/api/v1/other_hours/", json=day, headers=token("dina"))
    assert (
        told.status_code,
        "Enter an opening and a closing time for extra hours" in told.get_json()["error"]["message"],
    ) == (409, True)


def test_ending_a_closure_leaves_nobody_behind(
    asha: Practitioner, service: Service, weekly: Any, written: Any, client: FlaskClient, token: Any
) -> None:
    weekly(asha, 10, 13)
    written(closure := Closure(practitioner=asha, starts_at=tomorrow(11), ends_at=tomorrow(13)))
    held(at(10))
    longer = {"starts_at": tomorrow(10).isoformat()}
    assert client.put(f"/api/v1/closure/{closure.id}", json=longer, headers=token("dina")).status_code == 409
    assert (
        client.put(f"/api/v1/closure/{closure.id}", json=longer | {"sure": True}, headers=token("dina")).status_code
        == 200
    )
    assert client.delete(f"/api/v1/closure/{closure.id}", headers=token("dina")).status_code == 200


def test_whoever_gives_it_as_the_second_finds_it_among_their_own(
    by: Any, open_slot: Any, hold: Any, dev: Practitioner, app: Flask
) -> None:
    sm = app.extensions["appbuilder"].sm
    user = add_user(
        sm, "devm", name="Dev Mehta", email="dev.mehta@example.com", role="Practitioner", password="a long password"
    )
    with transaction():
        dev.user_id = user.id
    both = open_slot(hours=72, partner=dev)
    booking = hold(both)
    hold(open_slot(hours=80))
    with by("devm"):
        assert [each.id for each in session.scalars(visible_rows(Slot))] == [both.id]
        assert [each.id for each in session.scalars(visible_rows(Booking))] == [booking.id]
