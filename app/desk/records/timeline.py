"""Timeline of a record: notes, changes and messages together, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from app.desk.records.remark import Remark
from app.kernel.audit import Change
from app.kernel.db import Noun, session
from app.kernel.errors import Unreadable
from app.messages.message import Message

AT_ONCE = 30
KINDS = {"": "All", "remarks": "Notes", "changes": "Changes", "messages": "Messages"}


Source = tuple[Any, Any]  # a statement, and the time column that sorts its rows


@dataclass(frozen=True)
class Entry:
    kind: str
    at: datetime
    it: Any


@dataclass(frozen=True)
class Timeline:
    only: str
    entries: list[Entry]
    until: str  # where the older entries continue; "" if there are none


def timeline(row: Noun, only: str = "", until: str = "") -> Timeline:
    if only not in KINDS:
        raise Unreadable(f"“only” must be one of: {', '.join(filter(None, KINDS))}.")
    end = _moment(until)
    kinds = {kind: found for kind, found in _sources(row).items() if only in ("", kind)}
    entries = [
        Entry(kind, at, it)
        for kind, (statement, moment) in kinds.items()
        for it, at in _entries_before(row, statement, moment, end)
    ]
    entries.sort(key=lambda each: (each.at, each.it.id), reverse=True)
    shown = entries[:AT_ONCE]
    return Timeline(only, shown, shown[-1].at.isoformat() if len(entries) > AT_ONCE else "")


def _sources(row: Noun) -> dict[str, Source]:
    return {kind: source for kind, source in _SOURCES.items() if row.audited or kind != "changes"}


def _source(noun: Any, moment: Any) -> Source:
    here = noun.noun == bindparam("noun"), noun.row_id == bindparam("row_id")
    return select(noun, moment).where(*here).order_by(moment.desc()).limit(AT_ONCE + 1), moment


# Built once, because every record page runs them.
_SOURCES: dict[str, Source] = {
    "remarks": _source(Remark, Remark.created_at),
    "messages": _source(Message, func.coalesce(Message.sent_at, Message.due_at)),
    "changes": _source(Change, Change.created_at),
}


def _entries_before(row: Noun, statement: Any, moment: Any, end: datetime | None) -> list[Any]:
    older = statement.where(moment < end) if end else statement
    return [*session.execute(older, {"noun": row.__tablename__, "row_id": row.id}).unique()]


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        moment = None
    if text and (moment is None or moment.tzinfo is None):
        raise Unreadable("“until” must be a date and time such as 2026-11-24T09:00:00+00:00.")
    return moment
