"""Token: what a program shows at the API instead of a name and a password; it may some of what its owner may, and no more."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, Table, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import audit, clock
from app.kernel.db import NOW, Noun, in_own_transaction, session, transaction
from app.kernel.errors import Invalid, Missing

MARK = "fd_"
LONGEST_NAME, LONGEST = 60, 366  # letters; days
MOST = 20  # of one person


class ApiToken(Noun, table="token"):
    """256 random bits, of which a hash is kept: nobody finds them again by trying, so a plain one is enough, and quick."""

    known_as = "API token"

    audited = False  # each use changes it; that it was made or ended is said

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    begins: Mapped[str] = mapped_column(String(8))  # to tell one from another
    digest: Mapped[str] = mapped_column(unique=True, info={"secret": True})
    scopes: Mapped[list[Any]] = mapped_column(default=list)
    good_until: Mapped[datetime]
    used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @classmethod
    def make(cls, user_id: int, *, name: str, scopes: Iterable[str], days: int) -> tuple[ApiToken, str]:
        """Answers the secret too, this once."""
        name, wanted = " ".join(name.split()), sorted({*scopes})
        wrong: dict[str, str] = {}
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            wrong["name"] = f"Enter a name of at most {LONGEST_NAME} characters."
        if not wanted:
            wrong["scopes"] = "Select at least one permission."
        if not 1 <= days <= LONGEST:
            wrong["days"] = f"Enter 1 to {LONGEST} days."
        if len(cls.of(user_id)) >= MOST:
            wrong["name"] = f"You have {MOST} API tokens. Revoke one before you create another."
        if wrong:
            raise Invalid.fields_said(wrong)
        secret = MARK + secrets.token_urlsafe(32)
        with transaction():
            it = cls(
                user_id=user_id,
                name=name,
                begins=secret[:8],
                digest=digest(secret),
                scopes=wanted,
                good_until=clock.now() + timedelta(days=days),
            )
            session.add(it)
            audit.note(it, "made")
        return it, secret

    @classmethod
    def good(cls) -> tuple[ColumnElement[bool], ...]:
        return cls.ended_at.is_(None), cls.good_until > NOW

    @classmethod
    def of(cls, user_id: int) -> list[ApiToken]:
        return [*session.scalars(select(cls).where(cls.user_id == user_id, *cls.good()).order_by(cls.id))]

    @classmethod
    def shown(cls, secret: str) -> ApiToken | None:
        found = session.scalar(select(cls).where(cls.digest == digest(secret), *cls.good()))
        if found is not None:
            _used(found.id)
        return found

    @classmethod
    def end(cls, user_id: int, id: int) -> None:
        found = next((each for each in cls.of(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        with transaction():
            audit.note(found, "ended")
            audit.line(found, "ended")
            found.ended_at = clock.now()


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _used(id: int) -> None:
    """Once a minute is often enough to know whether anybody still uses it."""
    table: Table = ApiToken.__table__
    stale = func.coalesce(table.c.used_at, table.c.created_at - timedelta(days=1)) < NOW - timedelta(minutes=1)
    in_own_transaction(update(table).where(table.c.id == id, stale).values(used_at=NOW))
