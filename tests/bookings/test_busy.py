"""Tests of calendar sync: busy times of a practitioner are read, and kept while the calendar can't be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select, text

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.messages import safe_http
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.hours.external_busy import Address, Busy, BusyCalendar, busy_times, subtract_spans
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from config import Settings
from tests.conftest import PATIENCE

Read = Callable[..., BusyCalendar]


@pytest.fixture
def start() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=3)


@pytest.fixture
def put(sandbox: str) -> Callable[..., None]:
    """A calendar elsewhere, with its content at its address."""

    def put(*spans: tuple[datetime, datetime], raw: str = "") -> None:
        events = "".join(
            f"BEGIN:VEVENT\nUID:{n}\nDTSTART:{a:%Y%m%dT%H%M%SZ}\nDTEND:{b:%Y%m%dT%H%M%SZ}\nEND:VEVENT\n"
            for n, (a, b) in enumerate(spans)
        )
        body = raw or f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{events}END:VCALENDAR\n".replace("\n", "\r\n")
        assert requests.put(f"{sandbox}/google/ical/mine.ics", data=body.encode(), timeout=PATIENCE).ok

    return put


@pytest.fixture
def calendar(asha: Practitioner, settings: Settings) -> BusyCalendar:
    with transaction():
        made = BusyCalendar(practitioner=asha, name="Private")
        session.add(made)
        session.flush()
        made.connect(Address(f"{settings.sandbox_calendars}mine.ics"))
    return made


def times(calendar: BusyCalendar) -> list[tuple[datetime, datetime]]:
    return [span for _, span in sorted(busy_times([calendar.practitioner_id], clock.now()))]


def test_busy_times_come_and_go_with_the_calendar(
    calendar: BusyCalendar, put: Any, start: datetime, work_off: Any
) -> None:
    one, two = (start, start + timedelta(hours=1)), (start + timedelta(hours=4), start + timedelta(hours=6))
    put(one, two)
    work_off()
    assert times(calendar) == [one, two]
    put(two)
    BusyCalendar.get(calendar.id).read_now()
    work_off()
    assert times(calendar) == [two]
    BusyCalendar.get(calendar.id).stop()
    assert times(calendar) == []
    assert session.scalar(text("select address from busy_calendar")) is None


def test_what_is_taken_there_takes_the_slots_here_and_gives_them_back(
    calendar: BusyCalendar, put: Any, open_slot: Callable[..., Slot], work_off: Any
) -> None:
    slot, other = open_slot(hours=72), open_slot(hours=80)
    put((slot.starts_at + timedelta(minutes=30), slot.starts_at + timedelta(minutes=40)))
    work_off()
    assert [Slot.get(each.id).state for each in (slot, other)] == ["withdrawn", "open"]
    put()
    BusyCalendar.get(calendar.id).read_now()
    work_off()
    assert Slot.get(slot.id).state == "open"


def test_what_has_not_changed_is_not_read_again_until_more_has_come_into_reach(
    calendar: BusyCalendar, put: Any, start: datetime, work_off: Any, later: Any
) -> None:
    put((start, start + timedelta(hours=1)))
    work_off()
    first = BusyCalendar.get(calendar.id).refreshed_at
    BusyCalendar.get(calendar.id).sync_times()
    assert BusyCalendar.get(calendar.id).refreshed_at == first
    with later(hours=21):
        BusyCalendar.get(calendar.id).sync_times()
        assert BusyCalendar.get(calendar.id).refreshed_at != first


@pytest.mark.parametrize(
    "raw", ["<html>Sign in</html>", "x" * 1_020_000, "https://127.0.0.1/", "http://169.254.169.254/latest/meta-data"]
)
def test_a_calendar_that_cannot_be_read_keeps_its_times_and_staff_see_why(
    calendar: BusyCalendar, put: Any, start: datetime, work_off: Any, raw: str, enter: Any
) -> None:
    put((start, start + timedelta(hours=1)))
    work_off()
    put(raw=raw)
    BusyCalendar.get(calendar.id).sync_times()
    assert len(times(calendar)) == 1
    trouble = BusyCalendar.get(calendar.id).trouble
    assert trouble.endswith(".")
    assert trouble.split(".")[0] in enter("dina").get(f"/desk/busy_calendar/{calendar.id}").text


def test_what_our_own_bookings_put_there_is_no_news(
    calendar: BusyCalendar, put: Any, open_slot: Callable[..., Slot], hold: Callable[..., Booking], work_off: Any
) -> None:
    slot = open_slot(hours=72)
    hold(slot).mark_paid(ByHand("cash", "R-1"))
    put((slot.starts_at - timedelta(hours=1), slot.ends_at))
    work_off()
    assert times(calendar) == [(slot.starts_at - timedelta(hours=1), slot.starts_at)]


def test_a_stretch_with_holes_is_what_is_left_of_it(start: datetime) -> None:
    def at(*hours: int) -> tuple[datetime, datetime]:
        return start + timedelta(hours=hours[0]), start + timedelta(hours=hours[1])

    assert list(subtract_spans(at(0, 8), [at(6, 9), at(-2, 1), at(3, 4), at(3, 5), at(20, 30)])) == [at(1, 3), at(5, 6)]
    assert list(subtract_spans(at(0, 8), [at(-1, 9)])) == []


def test_google_is_asked_for_busy_times_too(
    calendar: BusyCalendar, sandbox: str, settings: Settings, work_off: Any, start: datetime
) -> None:
    with transaction():
        BusyCalendar.get(calendar.id).connect(Address("nobody@practice.example"))
    work_off()
    assert "Share the calendar" in BusyCalendar.get(calendar.id).trouble
    BusyCalendar.get(calendar.id).connect(Address("primary@practice.example"))
    work_off()
    again = BusyCalendar.get(calendar.id)
    assert (again.kind, again.trouble, again.refreshed_at is not None) == ("google", "", True)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "file:///etc/passwd",
        "http://a.example/x.ics",
        "https://",
        "javascript:alert(1)",
        "https://a.example/x y.ics",
    ],
)
def test_an_address_that_is_none_is_refused_in_the_form(calendar: BusyCalendar, address: str) -> None:
    with pytest.raises(Refused) as no:
        calendar.connect(Address(address))
    assert "https://" in no.value.fields["address"]


def test_the_address_is_nowhere_to_be_read(calendar: BusyCalendar, client: Any, token: Any, settings: Settings) -> None:
    for name in ("ada", "dina", "omar"):
        assert "mine.ics" not in client.get(f"/api/v1/busy_calendar/{calendar.id}", headers=token(name)).text
    assert not session.scalars(
        select(text("1")).select_from(text("change")).where(text("change::text like '%mine.ics%'"))
    ).all()
    assert b"mine.ics" not in bytes(session.scalar(text("select address from busy_calendar")))
    assert session.scalars(select(Busy)).all() == []


def test_nobody_is_followed_to_where_only_we_may_go(app: Any) -> None:
    for address in (
        "https://127.0.0.1:5432/",
        "https://localhost/",
        "https://10.0.0.1/x",
        "https://[::1]/",
        "https://169.254.169.254/",
        "ftp://a.example/",
        "https://a b/",
    ):
        told = safe_http.fetch(address, {}, 1000)
        assert (told.content, told.trouble[:17]) == (b"", "Could not connect"), address
