"""What time it is, in UTC, and how an instant is said to a person in their own zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones


def _by_the_wall() -> datetime:
    return datetime.now(UTC)


_read: Callable[[], datetime] = _by_the_wall
_house = ZoneInfo("Asia/Kolkata")
_ZONES = frozenset(available_timezones())


def now() -> datetime:
    return _read()


def timestamp() -> int:
    """Now in whole seconds, as gateways count."""
    return int(now().timestamp())


def read_from(read: Callable[[], datetime]) -> None:
    """Read the time from here instead of the wall: a suite that lives on another day."""
    global _read
    _read = read


@contextmanager
def frozen_at(instant: datetime) -> Iterator[None]:
    """Hold the clock still, so that a story of a year is told in a second."""
    global _read
    before, _read = _read, lambda: instant
    try:
        yield
    finally:
        _read = before


def configure(zone: str) -> None:
    """The zone of the house: where its days, its months and its years begin."""
    global _house
    _house = ZoneInfo(zone)


def zone() -> str:
    return _house.key


def today() -> date:
    return now().astimezone(_house).date()


def day_of(instant: datetime) -> date:
    return instant.astimezone(_house).date()


def ahead(**span: float) -> datetime:
    return now() + timedelta(**span)


def is_zone(name: str) -> bool:
    return name in _ZONES


def format_moment(instant: datetime, zone: str) -> str:
    """ "Tue 24 Nov 2026, 09:00 IST": an instant never goes out without its zone."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%a {local.day} %b %Y, %H:%M} {format_zone(local)}"


def format_zone(local: datetime) -> str:
    """IST where the zone has letters, GMT+05:30 where it only has numbers."""
    name = local.tzname() or "UTC"
    return name if name.isalpha() else f"GMT{name[:3]}:{name[3:] or '00'}"
