"""Events: what happened to a row (added, or moved by a @move), given to subscribers before the commit.

Webhooks and automations subscribe; what they write becomes part of the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, UOWTransaction

from app.kernel import db
from app.kernel.db import Noun

ADDED = "added"

NounEvents = Sequence[tuple[Noun, str]]
Listener = Callable[[NounEvents], None]
_listeners: list[tuple[Callable[[type[Any]], bool], Listener]] = []


def subscribe(wants: Callable[[type[Any]], bool]) -> Callable[[Listener], Listener]:
    """Register a listener that gets, before each commit, the events of the nouns it wants.

    `wants` is called often, so it must answer from memory.
    """

    def mark(listener: Listener) -> Listener:
        _listeners.append((wants, listener))
        return listener

    return mark


def is_newsworthy(noun: type[Any]) -> bool:
    """True for a noun that declares the payload of its webhooks in news()."""
    return hasattr(noun, "news")


def event_payload(row: Noun) -> dict[str, Any]:
    """The payload of a webhook about this row: its news(), or its number and state."""
    if is_newsworthy(type(row)):
        return dict(row.news())
    return {name: getattr(row, name) for name in ("number", "state") if hasattr(row, name)}


def record_event(row: Noun, verb: str) -> None:
    db.session().info.setdefault("news", {})[row, verb] = None


@event.listens_for(Session, "after_flush")
def _added(session: Session, context: UOWTransaction) -> None:
    for row in session.new:
        if isinstance(row, Noun):
            session.info.setdefault("news", {}).setdefault((row, ADDED))


@event.listens_for(Session, "before_commit")
def _publish(session: Session) -> None:
    """Publish before the commit, so that listeners see each row as the transaction leaves it."""
    session.flush()
    while happened := [*session.info.pop("news", {})]:
        for wants, listener in _listeners:
            if theirs := [(row, verb) for row, verb in happened if wants(type(row))]:
                listener(theirs)
        session.flush()  # what listeners wrote makes events as well


def _forget(session: Session) -> None:
    session.info.pop("news", None)


event.listen(Session, "after_commit", _forget)
event.listen(Session, "after_rollback", _forget)
