"""Numbering: gapless series per kind and year (BK-2026-000123), counted in the transaction that uses the number."""

from __future__ import annotations

from datetime import date

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session

_first_month = 4  # the fiscal year begins in April, as in India


class Series(Noun):
    """The last number of one series."""

    audited = False
    __table_args__ = (UniqueConstraint("kind", "year"),)

    kind: Mapped[str]
    year: Mapped[int]
    last: Mapped[int] = mapped_column(default=0)


def next_number(kind: str) -> str:
    """The next number of a calendar year: BK-2026-000123."""
    year = clock.today().year
    return f"{kind}-{year}-{_next(kind, year):06d}"


def next_fiscal_number(kind: str) -> str:
    """The next number of a fiscal year: INV/26-27/000123; at most 16 characters, as GST law requires."""
    year = fiscal_year(clock.today())
    return f"{kind}/{year % 100:02d}-{(year + 1) % 100:02d}/{_next(f'{kind} fiscal', year):06d}"


def fiscal_year(day: date) -> int:
    """The calendar year in which the fiscal year of this day began."""
    return day.year if day.month >= _first_month else day.year - 1


def configure(month: int) -> None:
    global _first_month
    _first_month = month


def _next(kind: str, year: int) -> int:
    """Count up by one. Call it late in a transaction: the next caller waits until it commits."""
    moment = clock.now()
    first = insert(Series).values(kind=kind, year=year, last=1, created_at=moment, changed_at=moment, version=1)
    counted = first.on_conflict_do_update(index_elements=["kind", "year"], set_={"last": Series.last + 1}).returning(
        Series.last
    )
    return int(session.execute(counted).scalar_one())
