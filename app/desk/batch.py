"""Batch: one column that somebody changed in many rows at once, and what stood there before."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.desk.column import Column
from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, session
from app.kernel.errors import Missing, Refused
from app.money.amount import Money

MINUTES = 10


class Batch(Noun):
    """Each row keeps its own history; this only remembers what belongs together, for as long as it can be taken back."""

    audited = False

    resource: Mapped[str]
    path: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    rows: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by id: what was there, and the version that the change made
    undone_at: Mapped[datetime | None]

    @classmethod
    def mine(cls, resource: str, id: int) -> Batch:
        found = session.get(cls, id)
        if found is None or found.resource != resource or found.user_id != actor().user_id:
            raise Missing
        return found

    def still_open(self) -> Batch:
        """Or why not."""
        self.lock()
        if self.undone_at:
            raise Refused("This was taken back already.")
        if clock.now() > self.created_at + timedelta(minutes=MINUTES):
            raise Refused(f"This can be taken back for {MINUTES} minutes, which are over. Change the rows again instead.")
        return self


def kept(column: Column, row: Any) -> Any:
    """What stands in this column, as JSON can keep it."""
    match column.value(row):
        case Money() as money:
            return money.as_json()
        case Noun() as other:
            return other.id
        case datetime() | date() | time() as when:
            return when.isoformat()
        case value:
            return value


_AGAIN: dict[str, Any] = {
    "money": lambda kept: Money(kept["amount"], kept["currency"]),
    "moment": datetime.fromisoformat,
    "day": date.fromisoformat,
    "time": time.fromisoformat,
}


def again(column: Column, kept: Any) -> Any:
    """The same as a value; a neighbour that is gone cannot be pointed at again."""
    if kept is None:
        return None
    if column.kind == "relation":
        other = session.get(column.target, kept)
        if other is None:
            raise Refused(f"{column.label}: what was chosen there before is gone, so nothing was taken back.")
        return other
    return _AGAIN.get(column.kind, lambda same: same)(kept)
