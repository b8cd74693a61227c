"""News: what happened to a noun that is worth telling, handed to whoever asked to hear, within the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, UOWTransaction

from app.kernel import db
from app.kernel.db import Noun

ADDED = "added"

Happened = Sequence[tuple[Noun, str]]
Listener = Callable[[Happened], None]
_listeners: list[Listener] = []


def hear(listener: Listener) -> Listener:
    """Asked at each commit with the rows and what became of them, while whatever is written still becomes part of the change."""
    _listeners.append(listener)
    return listener


def is_newsworthy(noun: type[Any]) -> bool:
    """A noun is worth telling of when it says what it would tell."""
    return hasattr(noun, "news")


def happened(row: Noun, verb: str) -> None:
    if is_newsworthy(type(row)):
        db.session().info.setdefault("news", {})[row, verb] = None


@event.listens_for(Session, "after_flush")
def _added(session: Session, context: UOWTransaction) -> None:
    for row in session.new:
        if is_newsworthy(type(row)):
            session.info.setdefault("news", {}).setdefault((row, ADDED))


@event.listens_for(Session, "before_commit")
def _tell(session: Session) -> None:
    """Only now, so that everything of one transaction is told as it ended, and not as it was in between."""
    if session.info.get("news"):
        session.flush()
    if happened := [*session.info.pop("news", {})]:
        for each in _listeners:
            each(happened)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("news", None)
