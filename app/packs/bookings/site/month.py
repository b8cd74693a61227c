"""Calendar month of the public site: days and times at which a service is available, in the visitor's time zone."""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from zoneinfo import ZoneInfo

from flask import current_app, request

from app.kernel import clock
from app.kernel.errors import Unreadable
from app.kernel.translation import say, unsaid
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot


@dataclass(frozen=True)
class Time:
    """An available start: the slot whose turn it is, its free seats, and how many other slots start then."""

    slot: Slot
    left: int
    others: int = 0


@dataclass(frozen=True)
class Month:
    """The weeks of a month, the days with available times, and the times of the chosen day."""

    first: date
    weeks: Sequence[Sequence[date]]
    free: Mapping[date, Sequence[Time]]
    chosen: date | None
    today: date
    last: date

    @classmethod
    def from_request(cls, service: Service, whose: int = 0, besides: int = 0, zone: str = "") -> Month:
        """The month in the URL, or that of the first available time. The slot `besides` is left out."""
        here = ZoneInfo(zone or requested_zone())
        month, day = request.args.get("month", ""), request.args.get("day", "")
        chosen = _date(day) if day else None
        named = chosen or (_date(month, "%Y-%m", unsaid("“%(typed)s” is not a valid month.")) if month else None)

        def page_of(within: date) -> Month:
            weeks = Calendar().monthdatescalendar(within.year, within.month)
            # Days of neighbouring months that complete the first and the last week are on the page, too.
            since, until = (
                datetime.combine(each, midnight(), here).astimezone(UTC)
                for each in (weeks[0][0], weeks[-1][-1] + timedelta(days=1))
            )
            free: dict[date, list[Time]] = {}
            for time in _times(service, since, until, whose, besides):
                free.setdefault(time.slot.starts_at.astimezone(here).date(), []).append(time)
            return cls(within.replace(day=1), weeks, free, chosen, today, last)

        today, last = (each.astimezone(here).date() for each in (clock.now(), clock.ahead(days=service.days_ahead)))
        found = page_of(named or today)
        if named or found.free_days or not (soonest := Booking.first_free_slot(service, whose, besides)):
            return found
        return page_of(soonest.starts_at.astimezone(here).date())

    @property
    def free_days(self) -> Sequence[date]:
        """Days with available times in this month, without those of neighbouring months."""
        return [each for each in self.free if each.month == self.first.month]

    @property
    def times(self) -> Sequence[Time]:
        return self.free.get(self.chosen, ()) if self.chosen else ()

    @property
    def before(self) -> date | None:
        earlier = (self.first - timedelta(days=1)).replace(day=1)
        return earlier if earlier >= self.today.replace(day=1) else None

    @property
    def after(self) -> date | None:
        later = (self.first + timedelta(days=31)).replace(day=1)
        return later if later <= self.last else None


def _times(service: Service, since: datetime, until: datetime, whose: int, besides: int) -> Sequence[Time]:
    """One slot per start, of the practitioner whose turn it is; every slot, if one practitioner was chosen."""
    found = [
        (slot, left)
        for slot, left in Booking.free_slots(service, since, until)
        if slot.id != besides and whose in (0, slot.practitioner_id)
    ]
    if whose:
        return [Time(slot, left) for slot, left in found]
    by_start: dict[datetime, list[tuple[Slot, int]]] = {}
    for slot, left in found:
        by_start.setdefault(slot.starts_at, []).append((slot, left))
    load = Booking.load_by_practitioner(service) if any(len(each) > 1 for each in by_start.values()) else {}
    firsts = (min(each, key=lambda it: (load.get(it[0].practitioner_id, 0), it[0].id)) for each in by_start.values())
    return [Time(slot, left, len(by_start[slot.starts_at]) - 1) for slot, left in firsts]


def requested_zone() -> str:
    """Time zone of the visitor: from the request, the cookie or the practice's settings."""
    asked = request.args.get("tz") or request.form.get("timezone") or request.cookies.get("zone", "")
    return asked if clock.is_zone(asked) else str(current_app.extensions["settings"].timezone)


def _date(text: str, form: str = "%Y-%m-%d", invalid: str = unsaid("“%(typed)s” is not a valid date.")) -> date:
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        raise Unreadable(say(invalid, typed=text[:40])) from None
    if not 2000 <= found.year <= 2200:
        raise Unreadable(say("“%(typed)s” is too far in the past or the future.", typed=text[:40]))
    return found


# A well-known city per region. Visitors from other zones bring theirs along from the browser.
ZONES = (
    "Asia/Kolkata",
    "Asia/Dubai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Nairobi",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "UTC",
)
