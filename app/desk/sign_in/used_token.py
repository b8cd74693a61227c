"""Used token: replay protection, so that a signed cookie or challenge works only once. Hashes stay until expiry."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Table, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import NOW, Noun, in_own_transaction


class UsedToken(Noun, table="spent"):
    """A signed cookie can be sent twice; its content is accepted the first time only."""

    audited = False  # not an action of a user

    digest: Mapped[str] = mapped_column(unique=True)
    good_until: Mapped[datetime]


def claim_once(key: str, *, within: timedelta) -> bool:
    """Return whether this is the first use. Committed immediately: of two concurrent claims exactly one succeeds."""
    table: Table = UsedToken.__table__
    in_own_transaction(delete(table).where(table.c.good_until < NOW))
    once = insert(table).values(digest=sha256(key.encode()).hexdigest(), good_until=NOW + within)
    return in_own_transaction(once.on_conflict_do_nothing()) == 1
