"""Batch: one column that somebody changed in many rows at once, and what stood there before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ForeignKey, inspect
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Missing, Refused
from app.kernel.jobs import every

MINUTES = 10
_AUTOMATIC = {"id", "version", "created_at", "changed_at"}


class BulkEdit(Noun, table="batch"):
    """Each row keeps its own history; this only remembers what belongs together, for as long as it can be taken back."""

    known_as = "bulk edit"

    audited = False

    resource: Mapped[str]
    path: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    rows: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # by id: what was there, and the version that the change made
    undone_at: Mapped[datetime | None]

    @classmethod
    def find_own(cls, resource: str, id: int) -> BulkEdit:
        found = session.get(cls, id)
        if found is None or found.resource != resource or found.user_id != actor().user_id:
            raise Missing
        return found

    @property
    def undo_until(self) -> datetime:
        return self.created_at + timedelta(minutes=MINUTES)

    def require_open(self) -> None:
        """Or why not."""
        self.lock()
        if self.undone_at:
            raise Refused("This has already been undone.")
        if clock.now() > self.undo_until:
            raise Refused(f"This can only be undone for {MINUTES} minutes. Edit the records instead.")


def current_values(row: Noun) -> dict[str, Any]:
    """Everything that stands in a row now, and that somebody could have changed."""
    return {each.key: getattr(row, each.key) for each in inspect(type(row)).column_attrs if each.key not in _AUTOMATIC}


def previous_values(row: Noun, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a change has changed, as it was, in JSON; None if something of it is not for keeping beside the row."""
    now, columns = current_values(row), inspect(type(row)).columns
    changed = {key: value for key, value in before.items() if value != now[key]}
    if any(columns[key].info.get("secret") for key in changed) or not all(
        isinstance(each, _JSON_TYPES) for each in changed.values()
    ):
        return None
    return {key: value.isoformat() if isinstance(value, date | time) else value for key, value in changed.items()}


_JSON_TYPES = (type(None), bool, int, str, dict, list, date, time)


def restore_values(row: Noun, kept: Mapping[str, Any]) -> None:
    columns = inspect(type(row)).columns
    for key, value in kept.items():
        kind = columns[key].type.python_type
        setattr(row, key, kind.fromisoformat(value) if value is not None and issubclass(kind, date | time) else value)


@every("Delete old bulk edits", was="desk.batch.forget_what_was", minutes=30)
def delete_old_bulk_edits() -> None:
    """What stood in somebody's rows is kept for nobody when it cannot be put back any more."""
    with transaction():
        session.execute(BulkEdit.__table__.delete().where(BulkEdit.created_at < clock.ahead(hours=-1)))
