"""Timeline: all that happened around a record in one line: what was said, what was changed, what was sent; the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.desk.about import belonging
from app.desk.remark import Remark
from app.kernel.audit import Change
from app.kernel.db import Noun, session
from app.kernel.errors import Unreadable
from app.messages.message import Message

AT_ONCE = 30
KINDS = {"": "All", "remarks": "Remarks", "changes": "Changes", "messages": "Messages"}


Source = tuple[Any, Any]  # what is read, and the moment that puts it in its place


@dataclass(frozen=True)
class Entry:
    kind: str
    at: datetime
    it: Any


@dataclass(frozen=True)
class Timeline:
    only: str
    entries: list[Entry]
    until: str  # from where the older ones go on; empty when there are none


def timeline(row: Noun, only: str = "", until: str = "") -> Timeline:
    if only not in KINDS:
        raise Unreadable(f"“only” is one of: {', '.join(filter(None, KINDS))}.")
    end = _moment(until)
    kinds = {kind: found for kind, found in _sources(row).items() if only in ("", kind)}
    entries = [Entry(kind, at, it) for kind, (statement, moment) in kinds.items() for it, at in _read(statement, moment, end)]
    entries.sort(key=lambda each: (each.at, each.it.id), reverse=True)
    shown = entries[:AT_ONCE]
    return Timeline(only, shown, shown[-1].at.isoformat() if len(entries) > AT_ONCE else "")


def _sources(row: Noun) -> dict[str, Source]:
    sent = func.coalesce(Message.sent_at, Message.due_at)
    found: dict[str, Source] = {
        "remarks": (select(Remark, Remark.created_at).where(*belonging(Remark, row)), Remark.created_at),
        "messages": (select(Message, sent).where(*belonging(Message, row)), sent),
    }
    return found | ({"changes": (select(Change, Change.created_at).where(*Change.of(row)), Change.created_at)} if row.audited else {})


def _read(statement: Any, moment: Any, end: datetime | None) -> list[Any]:
    older = statement.where(moment < end) if end else statement
    return [*session.execute(older.order_by(moment.desc()).limit(AT_ONCE + 1)).unique()]


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        moment = None
    if text and (moment is None or moment.tzinfo is None):
        raise Unreadable("“until” is a moment such as 2026-11-24T09:00:00+00:00.")
    return moment
