"""Session: where a team member is signed in, until they sign out, are idle or are signed out; refresh tokens."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, ForeignKey, Table, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import audit, clock
from app.kernel.db import NOW, Noun, in_own_transaction, session, transaction
from app.kernel.errors import Missing

IDLE = timedelta(hours=4)
MAX_LENGTH = timedelta(hours=14)  # a long working day
PROGRAM_LIFETIME = timedelta(days=30)
ACTIVITY_INTERVAL = timedelta(minutes=5)


class StaffSession(Noun, table="sitting"):
    """The browser's cookie holds the key, an API client its next refresh token; only a hash of either is stored."""

    known_as = "session"

    audited = False  # every request changes it; begin and end write their own history entries

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(unique=True, info={"secret": True})
    how: Mapped[str] = mapped_column(default="a password")  # the sign-in method
    address: Mapped[str]
    device: Mapped[str]
    is_program: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime] = mapped_column(default=clock.now)
    good_until: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @classmethod
    def begin(cls, user_id: int, *, address: str, device: str, how: str = "a password") -> str:
        """Begin the session of a browser and return the key for its cookie."""
        key, until = secrets.token_urlsafe(32), clock.now() + IDLE
        with transaction():
            begun = cls(
                user_id=user_id,
                digest=hash_key(key),
                how=how,
                address=address,
                device=device[:300],
                good_until=until,
                ends_at=clock.now() + MAX_LENGTH,
            )
            session.add(begun)
            audit.name_change(begun, "added", f"Signed in with {how}")
        return key

    @classmethod
    def begin_for_program(cls, user_id: int, *, address: str, device: str) -> StaffSession:
        """Begin the session of an API client. `rotate_refresh_token` then sets its first refresh token."""
        until = clock.now() + PROGRAM_LIFETIME
        with transaction():
            begun = cls(
                user_id=user_id,
                digest=hash_key(secrets.token_hex()),
                address=address,
                device=device[:300],
                is_program=True,
                good_until=until,
                ends_at=until,
            )
            session.add(begun)
        return begun

    @classmethod
    def valid_conditions(cls) -> tuple[ColumnElement[bool], ...]:
        return cls.ended_at.is_(None), cls.good_until > NOW

    @classmethod
    def list_for(cls, user_id: int) -> list[StaffSession]:
        return [
            *session.scalars(
                select(cls).where(cls.user_id == user_id, *cls.valid_conditions()).order_by(cls.seen_at.desc(), cls.id)
            )
        ]

    @classmethod
    def get_for(cls, user_id: int, id: int) -> StaffSession:
        found = next((each for each in cls.list_for(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        return found

    @classmethod
    def end_all(cls, user_id: int, *, but: str = "") -> None:
        """End all sessions of a user, except the one with the key `but`."""
        with transaction():
            for each in cls.list_for(user_id):
                if each.digest != hash_key(but):
                    each.end()

    def end(self) -> None:
        with transaction():
            audit.name_change(self, "ended")
            audit.record_line(self, "ended")
            self.ended_at = clock.now()

    def rotate_refresh_token(self, old: str, new: str) -> bool:
        """Replace the refresh token. One that is used twice was stolen, so the session ends and False is returned."""
        with transaction():
            self.lock()
            if self.ended_at is not None:
                return False
            if old and self.digest != hash_key(old):
                audit.name_change(self, "used_twice")
                audit.record_line(self, "used_twice")
                self.ended_at = clock.now()
                return False
            self.digest, self.seen_at = hash_key(new), clock.now()
            self.good_until = self.ends_at = clock.now() + PROGRAM_LIFETIME
            return True

    @property
    def label(self) -> str:
        """Describe the device from its user agent: "Firefox on Windows"."""
        if self.is_program:
            return f"API client: {self.device.partition(' ')[0] or 'unnamed'}"
        browser = next((name for mark, name in _BROWSERS.items() if re.search(mark, self.device)), "Unknown browser")
        system = next((name for mark, name in _SYSTEMS.items() if re.search(mark, self.device)), "")
        return f"{browser} on {system}" if system else browser


_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/|FxiOS": "Firefox",
    "Chrome/|CriOS": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "Mac",
    "CrOS": "Chromebook",
    "Linux": "Linux",
}


def hash_key(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def record_activity(id: int) -> None:
    """Extend the session while its user is active, in a transaction of its own."""
    table: Table = StaffSession.__table__
    until = func.least(table.c.ends_at, NOW + IDLE)
    in_own_transaction(
        update(table).where(table.c.id == id, table.c.is_program.is_(False)).values(seen_at=NOW, good_until=until)
    )
