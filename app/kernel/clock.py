"""Clock: the current time in UTC, days and dates in the time zone of the business, and moments formatted in English."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones


def _system_time() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _system_time
_business_zone = ZoneInfo("Asia/Kolkata")
_ZONES = frozenset(available_timezones())


def now() -> datetime:
    return _read()


def timestamp() -> int:
    """Unix time in whole seconds, as gateways count."""
    return int(now().timestamp())


def read_from(read: Callable[[], datetime]) -> None:
    """Replace the system clock: the test suite can run on another day."""
    global _read
    _read = read


@contextmanager
def frozen_at(instant: datetime) -> Iterator[None]:
    """Stop the clock at an instant, so that a test can pass through a year in a second."""
    global _read
    before, _read = _read, lambda: instant
    try:
        yield
    finally:
        _read = before


def configure(zone: str) -> None:
    """Set the time zone of the business, in which its days, months and years begin."""
    global _business_zone
    _business_zone = ZoneInfo(zone)


def zone() -> str:
    return _business_zone.key


def today() -> date:
    return now().astimezone(_business_zone).date()


def day_of(instant: datetime) -> date:
    return instant.astimezone(_business_zone).date()


def ahead(**span: float) -> datetime:
    return now() + timedelta(**span)


def is_zone(name: str) -> bool:
    return name in _ZONES


def in_zone(instant: datetime, zone: str) -> datetime:
    """Convert an instant to a time zone, for templates that format its day and hour separately."""
    return instant.astimezone(ZoneInfo(zone))


def format_moment(instant: datetime, zone: str) -> str:
    """Format an instant in English, always with its zone: "Tue 24 Nov 2026, 09:00 IST"."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%a {local.day} %b %Y, %H:%M} {format_zone(local)}"


def format_zone(local: datetime) -> str:
    """IST where the zone has letters, GMT+05:30 where it only has numbers."""
    name = local.tzname() or "UTC"
    return name if name.isalpha() else f"GMT{name[:3]}:{name[3:] or '00'}"
