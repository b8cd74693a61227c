"""Tests of the desk calendar: which rows stand on which day, free and closed times, and moving a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.desk.declare.calendar import Calendar
from app.desk.pages.calendar import Box, Period, _assign_lanes, _boxes_by_day
from app.kernel import clock
from app.kernel.db import session, transaction
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.offer.practitioner import Practitioner

pytestmark = pytest.mark.usefixtures("on_each_edge")

Enter = Callable[[str], FlaskClient]
NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # of a Friday in Kolkata


def boxes(page: str, kind: str) -> list[str]:
    """What stands in the boxes of this kind, as it is read aloud."""
    found = re.findall(rf'<li class="box is-{kind}.*?</li>', page, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in found]


def at(hour: int, minute: int = 0, day: int = 24) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


# --- where things stand -----------------------------------------------------------------------------------------------


def test_what_overlaps_stands_side_by_side_and_what_follows_is_wide_again() -> None:
    told = [
        Box("row", at(*span[0]), at(*span[1]), "")
        for span in (((9,), (10,)), ((9, 30), (11,)), ((10,), (10, 30)), ((12,), (13,)))
    ]
    assert [(each.lane, each.lanes) for each in _assign_lanes(told)] == [(0, 2), (1, 2), (0, 2), (0, 1)]


def test_a_box_says_its_place_in_classes_and_is_cut_to_the_hours_that_are_drawn() -> None:
    assert Box("row", at(9, 35), at(10, 20), "").css_classes((9, 18)) == "at-9 past-35 for-0 and-45 lane-0 lanes-1"
    assert Box("shut", at(0), at(23, 55), "").css_classes((9, 18)) == "at-9 past-0 for-9 and-0 lane-0 lanes-1"


def test_what_goes_over_midnight_is_on_both_days() -> None:
    night = Box("shut", at(22), at(2, day=25), "Night")
    days = _boxes_by_day(Period("week", date(2026, 11, 24), None, "UTC"), [night])
    assert [len(its) for its in days.values()] == [0, 1, 1, 0, 0, 0, 0]
    first, second = (box for its in days.values() for box in its)
    assert (f"{first.starts_at:%H:%M}", first.end_time, f"{second.starts_at:%H:%M}", second.end_time) == (
        "22:00",
        "24:00",
        "00:00",
        "02:00",
    )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Rome", date(2026, 3, 29), 23),
        ("Europe/Rome", date(2026, 10, 25), 25),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_it_is_where_it_is(zone: str, day: date, hours: int) -> None:
    first, after = Period("day", day, None, zone).instants
    assert after.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=hours)


def test_a_week_begins_on_monday_and_a_month_is_drawn_in_whole_weeks() -> None:
    week = Period("week", date(2026, 11, 22), None, "UTC")
    assert (week.days[0], week.days[-1], week.title) == (date(2026, 11, 16), date(2026, 11, 22), "16 – 22 Nov 2026")
    month = Period("month", date(2026, 11, 30), None, "UTC")
    assert (month.days[0], month.days[-1]) == (date(2026, 10, 26), date(2026, 12, 6))
    assert (month.neighbour(1), month.neighbour(-1)) == (date(2026, 12, 1), date(2026, 10, 1))
    assert len(Period("month", date(2027, 2, 1), None, "UTC").days) == 28


def test_a_calendar_that_makes_no_sense_does_not_load() -> None:
    with pytest.raises(TypeError, match="from a moment to a moment"):
        Calendar(starts="slot.starts_at", ends="number", group="slot.practitioner").bind_to(Booking)


# --- what is on it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def a_day(open_slot: Any, hold: Any, asha: Practitioner, dev: Practitioner) -> dict[str, Booking]:
    """Of 22 November: one with each, and a free hour of each."""
    with clock.frozen_at(NOON):
        open_slot(hours=50)
        open_slot(hours=51, of=dev)
        return {
            "asha": hold(open_slot(hours=48)),
            "dev": hold(open_slot(hours=49, of=dev), name="Kabir Shah", email="kabir@example.com"),
        }


def look(who: FlaskClient, query: str = "view=day&day=2026-11-22") -> str:
    with clock.frozen_at(NOON):
        answer = who.get(f"/desk/booking/calendar/?{query}")
    assert answer.status_code == 200
    return answer.text


def test_everybody_sees_their_own_day_and_the_desk_sees_all(a_day: dict[str, Booking], enter: Enter) -> None:
    page = look(enter("dina"))
    assert boxes(page, "row") == [
        "11:30 –12:30 Meera Iyer First consultation Held",
        "12:30 –13:30 Kabir Shah First consultation Held",
    ]
    assert boxes(page, "free") == [
        "13:30 free until 14:30 , First consultation",
        "14:30 free until 15:30 , First consultation",
    ]
    mine = look(enter("asha"))
    assert [each.split()[2] for each in boxes(mine, "row")] == ["Meera"]
    assert "Kabir" not in mine
    assert len(boxes(mine, "free")) == 1
    assert "Time zone: Asia/Kolkata" in page
    assert enter("nobody").get("/desk/booking/calendar/").status_code == 403


def test_the_week_and_the_month_show_the_same(a_day: dict[str, Booking], enter: Enter) -> None:
    dina = enter("dina")
    assert len(boxes(look(dina, "view=week&day=2026-11-19"), "row")) == 2
    month = look(dina, "view=month&day=2026-11-01")
    assert "Sunday, 22 November: 2 bookings" in month
    assert "2 free" in month
    alone = look(dina, f"view=week&day=2026-11-19&of={a_day['dev'].slot.practitioner_id}")
    assert [each.split()[2] for each in boxes(alone, "row")] == ["Kabir"]


def test_the_zone_of_whoever_is_looked_at_counts(a_day: dict[str, Booking], enter: Enter, dev: Practitioner) -> None:
    with transaction():
        dev.timezone = "Europe/Rome"
    page = look(enter("dina"), f"view=day&day=2026-11-22&of={dev.id}")
    assert "Time zone: Europe/Rome" in page
    assert boxes(page, "row")[0].startswith("08:00 –09:00 Kabir")


def test_a_week_of_many_practitioners_is_one_column_with_each_booking_once(
    a_day: dict[str, Booking], enter: Enter
) -> None:
    with transaction():
        session.add_all(Practitioner(name=f"Colleague {n}") for n in range(3))
    drawn = boxes(look(enter("dina"), "view=week&day=2026-11-22"), "row")
    assert len(drawn) == len(a_day)


def test_a_closure_is_drawn_for_whom_it_shuts(a_day: dict[str, Booking], enter: Enter, asha: Practitioner) -> None:
    with transaction():
        session.add(
            Closure(
                practitioner=asha,
                starts_at=NOON + timedelta(days=2, hours=4),
                ends_at=NOON + timedelta(days=2, hours=5),
                reason="Dentist",
            )
        )
        session.add(
            Closure(
                starts_at=NOON + timedelta(days=2, hours=7),
                ends_at=NOON + timedelta(days=2, hours=8),
                reason="The house is painted",
            )
        )
    assert boxes(look(enter("dina")), "shut") == [
        "16:00–17:00 Dentist",
        "19:00–20:00 The house is painted",
        "19:00–20:00 The house is painted",
    ]
    assert boxes(look(enter("dev")), "shut") == ["19:00–20:00 The house is painted"]


def test_an_empty_day_says_what_to_do_next(enter: Enter, practitioners: Any) -> None:
    page = look(enter("dina"), "view=day&day=2026-12-24")
    assert "No bookings on this day." in page
    assert "Open more time for your" in page


@pytest.mark.parametrize("query", ["view=year", "day=2026-13-01", "day=0001-01-01", "of=x", "of=99999", "of=²"])
def test_a_bad_question_is_a_clear_no(query: str, enter: Enter) -> None:
    assert enter("dina").get(f"/desk/booking/calendar/?{query}").status_code == 400


def test_the_number_of_queries_does_not_grow_with_what_is_on_it(
    a_day: dict[str, Booking], enter: Enter, open_slot: Any, hold: Any, count_queries: Any
) -> None:
    dina = enter("dina")
    few = count_queries(lambda: look(dina))
    with clock.frozen_at(NOON):
        for hours in range(3):
            hold(open_slot(hours=40 + hours), name=f"Guest {hours}")
            open_slot(hours=53 + hours)
    assert count_queries(lambda: look(dina)) <= few


# --- moving one -------------------------------------------------------------------------------------------------------


def test_one_is_dragged_by_the_move_of_its_button_and_hears_the_same_words(
    a_day: dict[str, Booking], enter: Enter, open_slot: Any
) -> None:
    booking, taken = a_day["asha"], a_day["dev"].slot
    page, url = look(enter("dina")), f"/desk/booking/{booking.id}/do/reschedule"
    assert f'data-id="{booking.id}"' in page
    assert 'data-drop="/desk/booking/0/do/reschedule"' in page
    drops = dict(each.split(":") for found in re.findall(r'data-drops="(.*?)"', page) for each in found.split())
    with clock.frozen_at(NOON):
        no = enter("dina").post(url, data={"slot": taken.id, "why": ""}, headers={"Accept": "application/json"})
        assert no.status_code == 409
        said = no.get_json()["error"]["message"]
        assert said in enter("dina").post(url, data={"slot": taken.id}).text.replace("&#39;", "'")
        yes = enter("dina").post(
            url,
            data={"slot": drops[str(booking.slot.service_id)], "why": "", "back": "/desk/booking/calendar/"},
            headers={"Accept": "application/json"},
        )
    assert (yes.status_code, yes.location) == (302, "/desk/booking/calendar/")
    session.expire_all()
    assert session.get(Booking, booking.id).slot_id == int(drops[str(booking.slot.service_id)])  # type: ignore[union-attr]


def test_whoever_may_not_move_it_drags_nothing(a_day: dict[str, Booking], enter: Enter) -> None:
    page = look(enter("omar"))
    assert len(boxes(page, "row")) == 2
    assert "data-drop=" not in page
    assert "data-kin=" not in page
    assert "Block time" not in page


def test_time_is_blocked_from_the_calendar_and_leads_back_to_it(enter: Enter, asha: Practitioner) -> None:
    dina = enter("dina")
    assert '<a class="button is-plain" href="/desk/closure/new?back=' in look(dina)
    typed = {
        "practitioner": asha.id,
        "starts_at": "2026-12-24T10:00+05:30",
        "ends_at": "2026-12-24T12:00+05:30",
        "reason": "Dentist",
    }
    answer = dina.post("/desk/closure/new", data=typed | {"back": "/desk/booking/calendar/?view=day"})
    assert answer.location == "/desk/booking/calendar/?view=day"
    assert session.query(Closure).one().starts_at == datetime(2026, 12, 24, 4, 30, tzinfo=UTC)
    elsewhere = dina.post("/desk/closure/new", data=typed | {"back": "https://elsewhere.example/desk/"})
    assert elsewhere.location.startswith("/desk/closure/")
