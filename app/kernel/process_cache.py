"""Board: what a process keeps in mind of some rows, read again when they were changed, by whichever process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.orm import Session

from app.kernel import db, jobs

OFTEN = 1  # seconds between two looks at whether somebody has changed something elsewhere
ANYWAY = 60  # seconds after which it is read again whatever the notices say: somebody may have died before they pinned theirs

Known = TypeVar("Known")

_NOTHING = object()
_boards: list[ProcessCache[Any]] = []
_looked = 0.0


class ProcessCache(Generic[Known]):
    """`read` asks the database; `told`, where there is one, is called with whatever is new to it."""

    def __init__(
        self, name: str, read: Callable[[Session], Known], told: Callable[[Known], None] | None = None
    ) -> None:
        self.name, self._read, self._told = name, read, told
        self._known: Any = _NOTHING
        self._last_told: Any = _NOTHING
        self._notice: str | None = None
        self._read_at = 0.0
        _boards.append(self)

    @property
    def known(self) -> Known:
        if self._known is _NOTHING:
            self._learn()
        return cast(Known, self._known)

    def changed(self) -> None:
        """Called inside the transaction that changes the rows: known here when it has happened, and everywhere else within seconds."""
        db.afterwards(self._spread)

    def hear(self, notice: str | None) -> None:
        if notice is None or notice != self._notice or time.monotonic() - self._read_at > ANYWAY:
            self._notice = notice
            if self._told:
                self._learn()
            else:
                self.forget()

    def forget(self) -> None:
        self._known = _NOTHING

    def forget_notice(self) -> None:
        self.forget()
        self._notice = None

    def begins_with(self, known: Known) -> None:
        """So much whoever is told knows already."""
        self.forget()
        self._last_told = known

    def _spread(self) -> None:
        self._notice = secrets.token_hex(4)
        self._learn()
        jobs.pin(self.name, self._notice)

    def _learn(self) -> None:
        # What is not committed yet may never be: so this is not asked within the transaction that is open here.
        with db.aside() as own:
            known = self._read(own)
        self._read_at = time.monotonic()
        self._known = known
        if self._told and known != self._last_told:
            self._last_told = known
            self._told(known)


def catch_up() -> None:
    """Before a page and before a job: one question to the notice board for all of them, and none to the database unless there is news."""
    global _looked
    if time.monotonic() - _looked < OFTEN:
        return
    _looked = time.monotonic()
    for board, notice in zip(_boards, jobs.pinned(*(each.name for each in _boards)), strict=True):
        board.hear(notice)


def forget_all() -> None:
    """Tests empty the house behind everybody's back: no notice says so, not even the one that is known."""
    global _looked
    _looked = 0.0
    for each in _boards:
        each.forget_notice()
