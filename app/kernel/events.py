"""News: what happened to a noun, handed to whoever asked to hear of such nouns, within the same transaction."""

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


def subscribe(of: Callable[[type[Any]], bool]) -> Callable[[Listener], Listener]:
    """Asked at each commit with the rows of these nouns and what became of them, while whatever is written still becomes part of the change.

    `of` is asked often, so it answers from memory.
    """

    def mark(listener: Listener) -> Listener:
        _listeners.append((of, listener))
        return listener

    return mark


def is_newsworthy(noun: type[Any]) -> bool:
    """A noun is worth telling strangers of when it says what it would tell."""
    return hasattr(noun, "news")


def event_payload(row: Noun) -> dict[str, Any]:
    """What a row tells a stranger: what it says itself; of one that says nothing, which one it is and how it stands."""
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
def _tell(session: Session) -> None:
    """Only now, so that everything of one transaction is told as it ended, and not as it was in between."""
    session.flush()
    while happened := [*session.info.pop("news", {})]:
        for of, listener in _listeners:
            if theirs := [(row, verb) for row, verb in happened if of(type(row))]:
                listener(theirs)
        session.flush()  # what they wrote is news as well


def _forget(session: Session) -> None:
    session.info.pop("news", None)


event.listen(Session, "after_commit", _forget)
event.listen(Session, "after_rollback", _forget)
