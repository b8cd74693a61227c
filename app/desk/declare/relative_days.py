"""Relative dates: the first and the last day of periods such as today, last-month or last-30-days."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

QUARTER = 3


def days_named(name: str, today: date) -> tuple[date, date]:
    """Return the first and the last day of a period such as "last-month"."""
    which, _, rest = name.replace("_", "-").partition("-")
    step = {"last": -1, "yesterday": -1, "next": 1, "tomorrow": 1}.get(which, 0)
    if rest.endswith("-days"):
        return today - timedelta(days=int(rest.removesuffix("-days"))), today - timedelta(days=1)
    if name.endswith("week"):
        monday = today + timedelta(days=7 * step - today.weekday())
        return monday, monday + timedelta(days=6)
    if name.endswith("month"):
        return _months(today.year * 12 + today.month - 1 + step, 1)
    if name.endswith("quarter"):
        return _months((today.year * 12 + today.month - 1) // QUARTER * QUARTER + QUARTER * step, QUARTER)
    if name.endswith("year"):
        return date(today.year + step, 1, 1), date(today.year + step, 12, 31)
    return today + timedelta(days=step), today + timedelta(days=step)


def _months(first: int, count: int) -> tuple[date, date]:
    """Return the first and the last day of months counted from year 0, so that December and January are adjacent."""
    last = first + count - 1
    year, month = last // 12, last % 12 + 1
    return date(first // 12, first % 12 + 1, 1), date(year, month, calendar.monthrange(year, month)[1])
