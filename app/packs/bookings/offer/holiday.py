"""Holiday: the public holidays of a country or of one of its regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import holidays

from app.kernel.errors import Invalid


@cache
def _known() -> Mapping[str, Sequence[str]]:
    """Three hundred modules are read for this list, so nobody reads them who does not ask."""
    return holidays.list_supported_countries(include_aliases=True)


def check_region(region: str) -> str:
    """Nothing, "IT", or "IN-KA"."""
    country, _, part = region.strip().upper().partition("-")
    if country and (
        country not in _known() or (part and part not in _known()[country]) or region.strip().endswith("-")
    ):
        raise Invalid.fields_said(
            {"holidays": "Unknown holiday calendar. Enter a country or region code, such as IN-KA, IT or US-NY."}
        )
    return f"{country}-{part}" if part else country


def holidays_of(region: str, first: date, last: date) -> frozenset[date]:
    country, _, part = region.partition("-")
    if not country:
        return frozenset()
    found = holidays.country_holidays(country, subdiv=part or None, years=range(first.year, last.year + 1))
    return frozenset(day for day in found if first <= day <= last)
