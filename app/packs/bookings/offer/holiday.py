"""Public holidays of a country or region, from the `holidays` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import holidays

from app.kernel.errors import Invalid


@cache
def _supported_regions() -> Mapping[str, Sequence[str]]:
    """Countries and their regions. Loaded on first use, because this imports three hundred modules."""
    return holidays.list_supported_countries(include_aliases=True)


def check_region(region: str) -> str:
    """Normalize a holiday calendar: empty, a country such as "IT", or a region such as "IN-KA"."""
    country, _, part = region.strip().upper().partition("-")
    if country and (
        country not in _supported_regions()
        or (part and part not in _supported_regions()[country])
        or region.strip().endswith("-")
    ):
        raise Invalid.for_fields(
            {"holidays": "Unknown holiday calendar. Enter a country or region code, such as IN-KA, IT or US-NY."}
        )
    return f"{country}-{part}" if part else country


def holidays_of(region: str, first: date, last: date) -> frozenset[date]:
    country, _, part = region.partition("-")
    if not country:
        return frozenset()
    found = holidays.country_holidays(country, subdiv=part or None, years=range(first.year, last.year + 1))
    return frozenset(day for day in found if first <= day <= last)
