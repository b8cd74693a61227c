"""API token: a program sends it instead of a username and password; it has some of its owner's rights, its scopes."""

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

PREFIX = "fd_"
LONGEST_NAME, MAX_DAYS = 60, 366  # letters; days
MAX_TOKENS = 20  # for each user


class ApiToken(Noun, table="token"):
    """Only a hash is stored. The secret has 256 random bits, so a plain, quick hash is enough against guessing."""

    known_as = "API token"

    audited = False  # every use changes it; creating and revoking it write their own history entries

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    begins: Mapped[str] = mapped_column(String(8))  # shown in the list, to tell tokens apart
    digest: Mapped[str] = mapped_column(unique=True, info={"secret": True})
    scopes: Mapped[list[Any]] = mapped_column(default=list)
    good_until: Mapped[datetime]
    used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @classmethod
    def create(cls, user_id: int, *, name: str, scopes: Iterable[str], days: int) -> tuple[ApiToken, str]:
        """Return the token and its secret, which is not stored and never shown again."""
        name, wanted = " ".join(name.split()), sorted({*scopes})
        wrong: dict[str, str] = {}
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            wrong["name"] = f"Enter a name of at most {LONGEST_NAME} characters."
        if not wanted:
            wrong["scopes"] = "Select at least one permission."
        if not 1 <= days <= MAX_DAYS:
            wrong["days"] = f"Enter 1 to {MAX_DAYS} days."
        if len(cls.list_for(user_id)) >= MAX_TOKENS:
            wrong["name"] = f"You have {MAX_TOKENS} API tokens. Revoke one before you create another."
        if wrong:
            raise Invalid.for_fields(wrong)
        secret = PREFIX + secrets.token_urlsafe(32)
        with transaction():
            token = cls(
                user_id=user_id,
                name=name,
                begins=secret[:8],
                digest=hash_token(secret),
                scopes=wanted,
                good_until=clock.now() + timedelta(days=days),
            )
            session.add(token)
            audit.name_change(token, "made")
        return token, secret

    @classmethod
    def valid_conditions(cls) -> tuple[ColumnElement[bool], ...]:
        return cls.ended_at.is_(None), cls.good_until > NOW

    @classmethod
    def list_for(cls, user_id: int) -> list[ApiToken]:
        return [*session.scalars(select(cls).where(cls.user_id == user_id, *cls.valid_conditions()).order_by(cls.id))]

    @classmethod
    def find_by_secret(cls, secret: str) -> ApiToken | None:
        found = session.scalar(select(cls).where(cls.digest == hash_token(secret), *cls.valid_conditions()))
        if found is not None:
            _record_use(found.id)
        return found

    @classmethod
    def revoke(cls, user_id: int, id: int) -> None:
        found = next((each for each in cls.list_for(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        with transaction():
            audit.name_change(found, "ended")
            audit.record_line(found, "ended")
            found.ended_at = clock.now()


def hash_token(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _record_use(id: int) -> None:
    """Record the use, at most once a minute, in a transaction of its own."""
    table: Table = ApiToken.__table__
    stale = func.coalesce(table.c.used_at, table.c.created_at - timedelta(days=1)) < NOW - timedelta(minutes=1)
    in_own_transaction(update(table).where(table.c.id == id, stale).values(used_at=NOW))
