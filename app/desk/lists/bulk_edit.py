"""Bulk edit: one column changed in many rows at once, with the previous values for undo."""

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
    """Remembers which rows were changed together, for as long as it can be undone. Each row has its own history."""

    known_as = "bulk edit"

    audited = False

    resource: Mapped[str]
    path: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    rows: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # by id: the previous values, and the version that the change made
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
        """Lock the edit, and refuse if it is undone already or too old."""
        self.lock()
        if self.undone_at:
            raise Refused("This has already been undone.")
        if clock.now() > self.undo_until:
            raise Refused(f"This can only be undone for {MINUTES} minutes. Edit the records instead.")


def current_values(row: Noun) -> dict[str, Any]:
    """Return all values of a row that a person could have changed."""
    return {each.key: getattr(row, each.key) for each in inspect(type(row)).column_attrs if each.key not in _AUTOMATIC}


def previous_values(row: Noun, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values that a change replaced, as JSON; None if one of them is secret or not JSON."""
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
    """Delete edits that can no longer be undone, so that old values are not kept."""
    with transaction():
        session.execute(BulkEdit.__table__.delete().where(BulkEdit.created_at < clock.ahead(hours=-1)))
