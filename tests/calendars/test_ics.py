"""Tests of iCalendar files: what we write is valid, and files of others are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from icalendar import Calendar

from app.calendars import ics
from app.calendars.ics import BusyTime, Entry, busy_times, feed, invitation
from app.calendars.place import PermanentFailure

SINCE, UNTIL = datetime(2026, 11, 21, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)
ENTRY = Entry(
    id="BK-2026-000123",
    edition=2,
    title='First; "reading", ₹999\nBEGIN:VALARM',
    about="Booking\nhttps://a.example/b",
    starts_at=datetime(2026, 11, 24, 3, 30, tzinfo=UTC),
    ends_at=datetime(2026, 11, 24, 4, 30, tzinfo=UTC),
    changed_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    status="confirmed",
    link="https://a.example/b",
    guest=('Meera "Mee" Iyer;X=1', "meera@example.com"),
)


def calendar(*events: str) -> bytes:
    body = "\n".join(f"BEGIN:VEVENT\n{each.strip()}\nEND:VEVENT" for each in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}\nEND:VCALENDAR\n".replace("\n", "\r\n").encode()


def said(content: bytes, zone: str = "Asia/Kolkata") -> list[tuple[str, str]]:
    return [
        (f"{each.starts_at:%m-%d %H:%M}", f"{each.ends_at:%m-%d %H:%M}")
        for each in busy_times(content, zone, SINCE, UNTIL)
    ]


def test_an_invitation_is_read_back_as_it_was_meant() -> None:
    ics.configure(name="Asha & Dev", email="hello@asha.example", host="asha.example")
    raw = invitation(ENTRY)
    read = Calendar.from_ical(raw)
    (event,) = read.walk("VEVENT")
    assert (read["METHOD"], event["UID"], event["SEQUENCE"], event["STATUS"]) == (
        "REQUEST",
        "BK-2026-000123@asha.example",
        2,
        "CONFIRMED",
    )
    assert (event.start, event.end, event["SUMMARY"]) == (ENTRY.starts_at, ENTRY.ends_at, ENTRY.title)
    assert b"DTSTART:20261124T033000Z" in raw
    assert (event["ATTENDEE"], event["ORGANIZER"]) == ("mailto:meera@example.com", "mailto:hello@asha.example")
    assert not read.walk("VALARM")
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_what_is_called_off_is_taken_out_of_the_calendar_again() -> None:
    read = Calendar.from_ical(invitation(Entry(**(vars(ENTRY) | {"status": "cancelled", "edition": 3}))))
    (event,) = read.walk("VEVENT")
    assert (read["METHOD"], event["STATUS"], event["SEQUENCE"]) == ("CANCEL", "CANCELLED", 3)


def test_a_feed_says_whose_it_is_and_in_which_zone_they_live() -> None:
    read = Calendar.from_ical(feed("Asha Rao", "Asia/Kolkata", [ENTRY, ENTRY]))
    assert (read["X-WR-CALNAME"], read["X-WR-TIMEZONE"], len(read.walk("VEVENT"))) == ("Asha Rao", "Asia/Kolkata", 2)


def test_what_repeats_keeps_its_hour_when_the_clocks_change_and_skips_what_it_skips() -> None:
    weekly = (
        "UID:a\nDTSTART;TZID=Europe/Rome:20270314T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=4\n"
        "EXDATE;TZID=Europe/Rome:20270321T090000"
    )
    off = (
        "UID:a\nRECURRENCE-ID;TZID=Europe/Rome:20270328T090000\nDTSTART;TZID=Europe/Rome:20270328T090000\n"
        "DURATION:PT1H\nSTATUS:CANCELLED"
    )
    assert said(calendar(weekly)) == [("03-14 08:00", "03-14 09:00"), ("03-28 07:00", "03-28 08:00")]
    assert said(calendar(weekly, off)) == [("03-14 08:00", "03-14 09:00")]


@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("UID:b\nDTSTART;VALUE=DATE:20261125", [("11-24 18:30", "11-25 18:30")]),  # all day, where its owner lives
        ("UID:c\nDTSTART:20261125T090000\nDURATION:PT30M", [("11-25 03:30", "11-25 04:00")]),  # no zone: theirs
        (
            "UID:d\nDTSTART;TZID=India Standard Time:20261125T090000\nDURATION:PT30M",
            [("11-25 03:30", "11-25 04:00")],
        ),  # as Outlook says it
        ("UID:e\nDTSTART:20261125T090000Z\nDTEND:20261125T100000Z\nTRANSP:TRANSPARENT", []),
        ("UID:f\nDTSTART:20261125T090000Z\nDTEND:20261125T100000Z\nSTATUS:CANCELLED", []),
        ("UID:g\nDTSTART:20261125T090000Z\nDTEND:20261125T100000Z\nX-MICROSOFT-CDO-BUSYSTATUS:FREE", []),
        ("UID:BK-2026-000123@asha.example\nDTSTART:20261125T090000Z\nDTEND:20261125T100000Z", []),  # our own
        ("UID:h\nDTSTART:20261125T090000Z", []),  # it takes no time
    ],
)
def test_only_what_takes_time_is_busy(event: str, times: list[tuple[str, str]]) -> None:
    ics.configure(name="Asha & Dev", email="hello@asha.example", host="asha.example")
    assert said(calendar(event)) == times


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe\x00",
        b"BEGIN:VCALENDAR\r\n",
        calendar("UID:a\nDTSTART:20261125T090000Z\nRRULE:FREQ=SECONDLY"),
        calendar("UID:a\nDTSTART:20261125T090000Z\nRRULE:FREQ=DAILY;BYMINUTE=1,2,3"),
        calendar(*["UID:a\nDTSTART:20261125T090000Z\nRRULE:FREQ=DAILY"] * 1001),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(PermanentFailure, match=r"calendar .*\."):
        busy_times(content, "Asia/Kolkata", SINCE, UNTIL)


def test_a_taken_time_knows_its_order() -> None:
    early, late = BusyTime(SINCE, UNTIL), BusyTime(UNTIL, UNTIL)
    assert sorted([late, early]) == [early, late]
