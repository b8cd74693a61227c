"""BK-2026-000123: a series per kind and year, without gaps, because it is counted inside the transaction that uses it."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import Noun, session


class Series(Noun):
    """How far one series has counted."""

    audited = False
    __table_args__ = (UniqueConstraint("kind", "year"),)

    kind: Mapped[str]
    year: Mapped[int]
    last: Mapped[int] = mapped_column(default=0)


def number(kind: str) -> str:
    """The next number. Ask late in a transaction: whoever comes next waits until it commits."""
    year, moment = clock.now().year, clock.now()
    first = insert(Series).values(kind=kind, year=year, last=1, created_at=moment, changed_at=moment, version=1)
    counted = first.on_conflict_do_update(index_elements=["kind", "year"], set_={"last": Series.last + 1}).returning(Series.last)
    return f"{kind}-{year}-{session.execute(counted).scalar_one():06d}"
