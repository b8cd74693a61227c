"""Archive: soft delete. An archived record keeps its references, but is in no list until it is restored."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from app.desk.declare.about_a_record import about_row
from app.kernel import audit
from app.kernel.access import actor
from app.kernel.db import Noun, session


class Archived(Noun, table="put_away"):
    """Marks one record as archived, and says who archived it."""

    known_as = "archived record"

    audited = False  # the history of the record has a line for it
    __table_args__ = (UniqueConstraint("noun", "row_id"),)
    refusals: ClassVar[dict[str, str]] = {"put_away_noun_row_id_key": "This is already archived."}

    noun: Mapped[str]
    row_id: Mapped[int]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"))
    name: Mapped[str]

    @classmethod
    def find_for(cls, row: Noun) -> Archived | None:
        return session.scalar(select(cls).where(*about_row(cls, row)))

    @classmethod
    def archive(cls, row: Noun) -> None:
        row.lock()
        if cls.find_for(row) is None:
            session.add(cls(noun=row.__tablename__, row_id=row.id, user_id=actor().user_id, name=actor().name))
            audit.record_line(row, "put_away")

    @classmethod
    def restore(cls, row: Noun) -> None:
        row.lock()
        if it := cls.find_for(row):
            session.delete(it)
            audit.record_line(row, "fetched_again")


def is_archived(noun: Any) -> ColumnElement[bool]:
    """Return the SQL condition that a row of this noun is archived."""
    there: ColumnElement[bool] = (
        select(Archived.id)
        .where(Archived.noun == noun.__tablename__, Archived.row_id == noun.id)
        .correlate(noun)
        .exists()
    )
    return there
