"""Cache per process: a value read from some rows, read again when any process changes them; a note in Redis says so."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.orm import Session

from app.kernel import db, jobs

CHECK_EVERY = 1  # seconds between two looks at the notes of other processes
MAX_AGE = 60  # seconds until a value is read again in any case: a process may have died before it left its note

Value = TypeVar("Value")

_NOTHING = object()
_caches: list[ProcessCache[Any]] = []
_checked_at = 0.0


class ProcessCache(Generic[Value]):
    """`load` reads the value from the database; `on_change`, if given, is called with each new value."""

    def __init__(
        self, name: str, load: Callable[[Session], Value], on_change: Callable[[Value], None] | None = None
    ) -> None:
        self.name, self._load_value, self._on_change = name, load, on_change
        self._value: Any = _NOTHING
        self._last_given: Any = _NOTHING  # the value that on_change has seen
        self._note: str | None = None
        self._loaded_at = 0.0
        _caches.append(self)

    @property
    def value(self) -> Value:
        if self._value is _NOTHING:
            self._load()
        return cast(Value, self._value)

    def invalidate(self) -> None:
        """Read the rows again after the open transaction commits; other processes follow within seconds."""
        db.after_commit(self._publish)

    def check_note(self, note: str | None) -> None:
        """Drop the value if another process left a new note, if Redis is away, or if the value is too old."""
        if note is None or note != self._note or time.monotonic() - self._loaded_at > MAX_AGE:
            self._note = note
            if self._on_change:
                self._load()
            else:
                self.clear()

    def clear(self) -> None:
        self._value = _NOTHING

    def clear_with_note(self) -> None:
        self.clear()
        self._note = None

    def assume(self, value: Value) -> None:
        """Start from a value that on_change does not have to be told."""
        self.clear()
        self._last_given = value

    def _publish(self) -> None:
        self._note = secrets.token_hex(4)
        self._load()
        jobs.set_note(self.name, self._note)

    def _load(self) -> None:
        # In a session of its own: what the open transaction has changed is not committed yet, and may never be.
        with db.separate_session() as own:
            value = self._load_value(own)
        self._loaded_at = time.monotonic()
        self._value = value
        if self._on_change and value != self._last_given:
            self._last_given = value
            self._on_change(value)


def refresh_all() -> None:
    """Check all caches before a page and before a job: one question to Redis, none to the database without news."""
    global _checked_at
    if time.monotonic() - _checked_at < CHECK_EVERY:
        return
    _checked_at = time.monotonic()
    for cache, note in zip(_caches, jobs.get_notes(*(each.name for each in _caches)), strict=True):
        cache.check_note(note)


def clear_all() -> None:
    """Forget every value and note; for tests, which empty tables without leaving a note."""
    global _checked_at
    _checked_at = 0.0
    for each in _caches:
        each.clear_with_note()
