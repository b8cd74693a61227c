"""Spent: what was good once. Its hash stays for as long as it would have been good."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Table, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import NOW, Noun, in_own_transaction


class UsedToken(Noun, table="spent"):
    """A cookie that is signed can be brought twice; what stood in it is let through the first time alone."""

    audited = False  # nobody's doing

    digest: Mapped[str] = mapped_column(unique=True)
    good_until: Mapped[datetime]


def first_time(key: str, *, within: timedelta) -> bool:
    """Written down at once: two who bring it together are one who was first."""
    table: Table = UsedToken.__table__
    in_own_transaction(delete(table).where(table.c.good_until < NOW))
    once = insert(table).values(digest=sha256(key.encode()).hexdigest(), good_until=NOW + within)
    return in_own_transaction(once.on_conflict_do_nothing()) == 1
