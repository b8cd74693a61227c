"""Sitting: one browser or program in which somebody is signed in, until they leave, stay away, or are sent out."""

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

IDLE, LONGEST = (
    timedelta(hours=4),
    timedelta(hours=14),
)  # a desk that nobody sits at, and a working day with room to spare
OF_PROGRAMS = timedelta(days=30)
SEEN_ANEW = timedelta(minutes=5)


class StaffSession(Noun, table="sitting"):
    """The cookie has its key, and a program its next refresh token; only a hash of either is kept."""

    known_as = "session"

    audited = False  # each look at it changes it; that it was begun or ended by hand is said

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(unique=True, info={"secret": True})
    how: Mapped[str] = mapped_column(default="a password")  # somebody signed in
    address: Mapped[str]
    device: Mapped[str]
    is_program: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime] = mapped_column(default=clock.now)
    good_until: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @classmethod
    def begin(cls, user_id: int, *, address: str, device: str, how: str = "a password") -> str:
        """Somebody sits down; answers the key that their browser keeps."""
        key, until = secrets.token_urlsafe(32), clock.now() + IDLE
        with transaction():
            it = cls(
                user_id=user_id,
                digest=digest(key),
                how=how,
                address=address,
                device=device[:300],
                good_until=until,
                ends_at=clock.now() + LONGEST,
            )
            session.add(it)
            audit.note(it, "added", f"Signed in with {how}")
        return key

    @classmethod
    def of_program(cls, user_id: int, *, address: str, device: str) -> StaffSession:
        """A program that may renew its token; `turn` gives it the first one."""
        until = clock.now() + OF_PROGRAMS
        with transaction():
            it = cls(
                user_id=user_id,
                digest=digest(secrets.token_hex()),
                address=address,
                device=device[:300],
                is_program=True,
                good_until=until,
                ends_at=until,
            )
            session.add(it)
        return it

    @classmethod
    def good(cls) -> tuple[ColumnElement[bool], ...]:
        return cls.ended_at.is_(None), cls.good_until > NOW

    @classmethod
    def of(cls, user_id: int) -> list[StaffSession]:
        return [
            *session.scalars(
                select(cls).where(cls.user_id == user_id, *cls.good()).order_by(cls.seen_at.desc(), cls.id)
            )
        ]

    @classmethod
    def one(cls, user_id: int, id: int) -> StaffSession:
        found = next((each for each in cls.of(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        return found

    @classmethod
    def end_all(cls, user_id: int, *, but: str = "") -> None:
        """Everywhere else, and everywhere at all when there is no key to be kept."""
        with transaction():
            for each in cls.of(user_id):
                if each.digest != digest(but):
                    each.end()

    def end(self) -> None:
        with transaction():
            audit.note(self, "ended")
            audit.line(self, "ended")
            self.ended_at = clock.now()

    def turn(self, now: str, then: str) -> bool:
        """The next refresh token for this one. One that comes a second time was stolen, from them or by them: nobody sits here any more."""
        with transaction():
            self.lock()
            if self.ended_at is not None:
                return False
            if now and self.digest != digest(now):
                audit.note(self, "used_twice")
                audit.line(self, "used_twice")
                self.ended_at = clock.now()
                return False
            self.digest, self.seen_at = digest(then), clock.now()
            self.good_until = self.ends_at = clock.now() + OF_PROGRAMS
            return True

    @property
    def said(self) -> str:
        """What it looks like from here: "Firefox on Windows"."""
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


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def seen(id: int) -> None:
    """Somebody is still here: written down now and then, apart from whatever they do."""
    table: Table = StaffSession.__table__
    later = func.least(table.c.ends_at, NOW + IDLE)
    in_own_transaction(
        update(table).where(table.c.id == id, table.c.is_program.is_(False)).values(seen_at=NOW, good_until=later)
    )
