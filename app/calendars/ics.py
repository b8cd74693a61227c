"""iCalendar (ICS, RFC 5545): writes invitations and feeds, and reads busy times from calendars of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event, vCalAddress, vText

from app.calendars.place import PermanentFailure

KIND = "text/calendar"
RULES = 1000  # recurring events allowed in one calendar
_TOO_OFTEN = ("FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY", "BYSECOND=", "BYMINUTE=", "BYHOUR=")

_organizer = {"name": "The practice", "email": "hello@frontdesk.example", "host": "frontdesk.example"}


def configure(*, name: str, email: str, host: str) -> None:
    """Set the organizer of invitations, and the host name in the UIDs of our events."""
    global _organizer
    _organizer = {"name": name, "email": email, "host": host}


@dataclass(frozen=True)
class Entry:
    """One event of a calendar."""

    id: str  # stays the same when the event is moved
    edition: int
    title: str
    about: str
    starts_at: datetime
    ends_at: datetime
    changed_at: datetime
    status: str  # confirmed, tentative, cancelled
    where: str = ""
    link: str = ""
    guest: tuple[str, str] | None = None  # name and email address


# --- writing ----------------------------------------------------------------------------------------------------------


def invitation(entry: Entry) -> bytes:
    """An email attachment that adds, moves or removes the event in the recipient's calendar."""
    method = "CANCEL" if entry.status == "cancelled" else "REQUEST"
    return bytes(_calendar([entry], method).to_ical())


def feed(name: str, timezone: str, entries: Iterable[Entry]) -> bytes:
    """A feed to which calendars subscribe."""
    calendar = _calendar(entries, "PUBLISH")
    calendar.add("X-WR-CALNAME", name)
    calendar.add("X-WR-TIMEZONE", timezone)
    calendar.add("REFRESH-INTERVAL", timedelta(minutes=15), parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", "PT15M")
    return bytes(calendar.to_ical())


def _calendar(entries: Iterable[Entry], method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("PRODID", "-//Frontdesk//Bookings//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")
    calendar.add("METHOD", method)
    for each in entries:
        calendar.add_component(_event(each))
    return calendar


def _event(entry: Entry) -> Event:
    """Make an event with times in UTC, which every calendar knows and no change of zone rules can move."""
    event = Event()
    event.add("UID", f"{entry.id}@{_organizer['host']}")
    event.add("SEQUENCE", entry.edition)
    event.add("DTSTAMP", entry.changed_at.astimezone(UTC))
    event.add("LAST-MODIFIED", entry.changed_at.astimezone(UTC))
    event.add("DTSTART", entry.starts_at.astimezone(UTC))
    event.add("DTEND", entry.ends_at.astimezone(UTC))
    event.add("SUMMARY", entry.title)
    event.add("STATUS", entry.status.upper())
    event.add("TRANSP", "TRANSPARENT" if entry.status == "cancelled" else "OPAQUE")
    for name, value in (("DESCRIPTION", entry.about), ("LOCATION", entry.where), ("URL", entry.link)):
        if value:
            event.add(name, value)
    if entry.guest:
        _invite(event, *entry.guest)
    return event


def _invite(event: Event, name: str, mailbox: str) -> None:
    """Add organizer and guest; no reply is requested, since the guest has made the booking."""
    event.add("ORGANIZER", _address(_organizer["name"], _organizer["email"]), encode=False)
    guest = _address(name, mailbox)
    for what, value in (("ROLE", "REQ-PARTICIPANT"), ("PARTSTAT", "ACCEPTED"), ("RSVP", "FALSE")):
        guest.params[what] = vText(value)
    event.add("ATTENDEE", guest, encode=False)


def _address(name: str, mailbox: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{mailbox}")
    address.params["CN"] = vText(name.replace('"', "'"))
    return address


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class BusyTime:
    """A busy time in an external calendar."""

    starts_at: datetime
    ends_at: datetime
    uid: str = ""


def busy_times(content: bytes, timezone: str, since: datetime, until: datetime) -> Sequence[BusyTime]:
    """The busy times in a calendar file; days and times without a zone are taken in the given zone."""
    try:
        calendar = Calendar.from_ical(content)
        calendar.subcomponents = [*_busy(calendar)]
        found = recurring_ical_events.of(calendar, skip_bad_series=True).between(since, until)
        spans = {
            BusyTime(*_span(each, ZoneInfo(timezone)), str(each.get("UID", ""))[:300])
            for each in found
            if not _is_cancelled(each)
        }
    except PermanentFailure:
        raise
    except Exception as error:  # noqa: BLE001  # for any malformed calendar, staff are told that it cannot be read
        raise PermanentFailure(f"This calendar can’t be read ({type(error).__name__}).") from None
    return sorted(
        each for each in spans if each.starts_at < each.ends_at and since < each.ends_at and each.starts_at < until
    )


def _busy(calendar: Calendar) -> Iterator[Any]:
    """Events that are busy, with the time zones they use; not our own events."""
    rules = 0
    for each in calendar.subcomponents:
        if each.name == "VTIMEZONE":
            yield each
        elif each.name == "VEVENT" and not _is_free(each):
            rule = each.get("RRULE")
            rules += rule is not None
            if rules > RULES or (rule is not None and _is_too_often(rule)):
                raise PermanentFailure("This calendar has too many recurring events, or events that repeat too often.")
            yield each


def _is_free(event: Any) -> bool:
    if str(event.get("UID", "")).endswith(f"@{_organizer['host']}"):
        return True
    return (
        str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
        or str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper() == "FREE"
    )


def _is_cancelled(event: Any) -> bool:
    """True if cancelled; checked per occurrence, since one occurrence of a recurring event can be cancelled."""
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _is_too_often(rule: Any) -> bool:
    rules = " ".join(each.to_ical().decode() for each in (rule if isinstance(rule, list) else [rule])).upper()
    return any(each in rules for each in _TOO_OFTEN)


def _span(event: Any, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return _instant(event.start, zone), _instant(event.end, zone)


def _instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the zone comes in the next line
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
