"""BK-2026-000123: a series per kind and year, without gaps, because it is counted inside the transaction that uses it."""

from __future__ import annotations

from datetime import date

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session

_opens = 4  # April, as in India


class Series(Noun):
    """How far one series has counted."""

    audited = False
    __table_args__ = (UniqueConstraint("kind", "year"),)

    kind: Mapped[str]
    year: Mapped[int]
    last: Mapped[int] = mapped_column(default=0)


def next_number(kind: str) -> str:
    """BK-2026-000123, by the calendar."""
    year = clock.today().year
    return f"{kind}-{year}-{_next(kind, year):06d}"


def next_fiscal_number(kind: str) -> str:
    """INV/26-27/000123, by the year of the books; at most sixteen characters, as tax law has it."""
    year = fiscal_year(clock.today())
    return f"{kind}/{year % 100:02d}-{(year + 1) % 100:02d}/{_next(f'{kind} fiscal', year):06d}"


def fiscal_year(day: date) -> int:
    """The calendar year in which the books of this day were opened."""
    return day.year if day.month >= _opens else day.year - 1


def configure(month: int) -> None:
    global _opens
    _opens = month


def _next(kind: str, year: int) -> int:
    """Ask late in a transaction: whoever comes next waits until it commits."""
    moment = clock.now()
    first = insert(Series).values(kind=kind, year=year, last=1, created_at=moment, changed_at=moment, version=1)
    counted = first.on_conflict_do_update(index_elements=["kind", "year"], set_={"last": Series.last + 1}).returning(
        Series.last
    )
    return int(session.execute(counted).scalar_one())
