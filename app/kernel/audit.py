"""Audit log (history): who changed what, before and after, why and from where; written by session events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from operator import attrgetter
from typing import Any

from sqlalchemy import Index, event, insert, inspect
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, UOWTransaction, mapped_column

from app.kernel import clock
from app.kernel.access import DOORS, LEVELS, actor, column_level
from app.kernel.db import Noun, changed_in_bulk, label_of_table, noun_of_table, spaced, table_labels, within_a_sentence

# Columns that change automatically, and Flask-AppBuilder's sign-in counters.
_NOISE = {
    "id",
    "version",
    "created_at",
    "changed_at",
    "created_on",
    "changed_on",
    "last_login",
    "login_count",
    "fail_login_count",
}
_HIDDEN = {"password"}
MASK = "•••"

# Labels of history lines; a line about a move has the label of the move.
_EVENTS = {
    "added": "Created",
    "changed": "Edited",
    "removed": "Deleted",
    "put_away": "Archived",
    "fetched_again": "Restored",
    "taken_back": "Change undone",
}
_EVENTS |= {"seen_as": "Viewed as this user", "seen_as_ended": "Stopped viewing as this user"}
# Names of actors without a user; the last two are in older lines.
_SYSTEM = "Command line", "System", "the clock", "the command line", "the worker"


def visible_side(change: Change, side: Mapping[str, Any]) -> dict[str, Any]:
    """Filter one side of a change: columns that the actor may not read in the row are hidden in its history too."""
    found = {}
    for key, value in side.items():
        match _level(change.noun, key):
            case "masked":
                found[key] = MASK
            case "read" | "write":
                found[key] = value
    return found


def _level(table: str, key: str) -> str:
    """The level of a stored column: money is stored as amount and currency, a relation as an ID."""
    try:
        noun = noun_of_table(table)
    except KeyError:
        return "write"
    names = key, key.removesuffix("_amount"), key.removesuffix("_currency"), key.removesuffix("_id")
    return min((column_level(noun, name) for name in names), key=LEVELS.index)


class Change(Noun):
    """One line of history. The database itself refuses to alter or remove it."""

    publishes_added = False
    audited, final = False, True
    __table_args__ = (Index("change_noun_row_id", "noun", "row_id", "id"),)

    noun: Mapped[str] = mapped_column(info={"choices": table_labels})
    row_id: Mapped[int]
    verb: Mapped[str] = mapped_column(info={"label": "Event", "says": attrgetter("event")})
    before: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"seen": visible_side})
    after: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"seen": visible_side})
    why: Mapped[str] = mapped_column(default="", info={"label": "Reason"})
    user_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(info={"label": "User", "says": attrgetter("who")})
    door: Mapped[str] = mapped_column(info={"label": "Source", "choices": DOORS})

    def __str__(self) -> str:
        return f"{self.event}: {label_of_table(self.noun)} {self.row_id}"

    @property
    def event(self) -> str:
        """What happened, as a label: “Checked in” rather than arrive."""
        try:
            move = getattr(getattr(noun_of_table(self.noun), self.verb, None), "move", None)
        except KeyError:  # a table of Flask-AppBuilder, or of a pack that was removed
            move = None
        return (move.done_text(noun_of_table(self.noun)) if move else "") or _EVENTS.get(self.verb) or spaced(self.verb)

    @property
    def who(self) -> str:
        """Who made the change: a name, or “System” for a change made without a user."""
        if self.user_id is not None:
            return self.name
        name = self.name.removeprefix("the ").removeprefix("a ")
        return "System" if self.name in _SYSTEM else name[:1].upper() + name[1:]

    @property
    def source(self) -> str:
        return DOORS.get(self.door) or spaced(self.door)

    @property
    def attribution(self) -> str:
        """“by Dina Rao via the API”: the user, and the source unless it is the desk."""
        via = {"api": " via the API", "import": " via import", "console": " in Operations"}.get(self.door, "")
        return f"by {self.who if self.user_id is not None else f'the {within_a_sentence(self.who)}'}{via}"

    @classmethod
    def about_row(cls, row: Any) -> Any:
        return cls.noun == row.__tablename__, cls.row_id == row.id


def name_change(row: Any, verb: str, why: str = "") -> None:
    """Name the change that follows in the history, and give its reason."""
    state = inspect(row)
    assert state.session is not None
    state.session.info.setdefault("verbs", {})[state] = (verb, why)


def record_line(row: Any, verb: str) -> None:
    """Write a history line for an event that changes no column of the row."""
    state = inspect(row)
    assert state.session is not None
    _remember(state.session, row, verb, {}, {})


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str() | dict() | list():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
    return str(value)


def _storable(row: Any, key: str, value: Any) -> Any:
    secret = key in _HIDDEN or inspect(type(row)).columns[key].info.get("secret")
    return MASK if secret and value is not None else _plain(value)


@event.listens_for(Session, "after_flush")
def _collect(session: Session, context: UOWTransaction) -> None:
    for row in session.new:
        _remember(session, row, "added", {}, {k: v for k, (_, v) in _differences(row).items() if v is not None})
    for row in session.dirty:
        if different := _differences(row):
            before = {key: old for key, (old, _) in different.items()}
            _remember(session, row, "changed", before, {key: new for key, (_, new) in different.items()})
    for row in session.deleted:
        _remember(session, row, "removed", {key: _storable(row, key, getattr(row, key)) for key in _columns(row)}, {})


def _columns(row: Any) -> list[str]:
    return [attr.key for attr in inspect(type(row)).column_attrs if attr.key not in _NOISE]


def _differences(row: Any) -> dict[str, tuple[Any, Any]]:
    found = {}
    for key in _columns(row):
        history = inspect(row).attrs[key].history
        if history.has_changes():
            old = history.deleted[0] if history.deleted else None
            new = history.added[0] if history.added else None
            if old != new:
                found[key] = (_storable(row, key, old), _storable(row, key, new))
    return found | _links(row)


def _links(row: Any) -> dict[str, tuple[Any, Any]]:
    """Changes of many-to-many relations, such as the roles of a user: the names before and after."""
    found: dict[str, tuple[Any, Any]] = {}
    for relation in inspect(type(row)).relationships:
        history = inspect(row).attrs[relation.key].history
        if relation.secondary is not None and history.has_changes():
            before, after = [*history.unchanged, *history.deleted], [*history.unchanged, *history.added]
            found[relation.key] = (sorted(map(str, before)), sorted(map(str, after)))
    return found


def _remember(session: Session, row: Any, verb: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Merge the flushes of one transaction into one line: the first 'before' and the last 'after'."""
    # By state, since some rows of Flask-AppBuilder have no hash.
    named, why = session.info.get("verbs", {}).get(inspect(row), ("", ""))
    pressed = bool(named) and not actor().is_system
    if not hasattr(row, "id") or not (getattr(row, "audited", True) or pressed):
        return  # an unaudited row gets a line only when a person made a move
    line = session.info.setdefault("history", {}).setdefault(
        (row.__tablename__, row.id), {"verb": verb, "why": "", "before": {}, "after": {}}
    )
    line["before"] = before | line["before"]
    line["after"] |= after
    if verb == "removed" or (named and line["verb"] == "changed"):
        line["verb"] = named or verb
    line["why"] = why or line["why"]


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    session.flush()
    lines, who = session.info.pop("history", {}), actor()
    session.info.pop("verbs", None)
    if not lines:
        return
    always = {
        "user_id": who.user_id,
        "name": who.name,
        "door": who.door,
        "created_at": clock.now(),
        "changed_at": clock.now(),
        "version": 1,
    }
    rows = [{"noun": noun, "row_id": row_id} | line | always for (noun, row_id), line in lines.items()]
    session.connection().execute(insert(Change.__table__), rows)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("history", None)
    session.info.pop("verbs", None)


@event.listens_for(Session, "do_orm_execute")
def _no_silent_changes(state: ORMExecuteState) -> None:
    """Refuse a bulk UPDATE or DELETE of an audited noun, unless it gives a reason to write no history."""
    noun = changed_in_bulk(state)
    if noun is not None and noun.audited and not state.execution_options.get("unaudited"):
        raise RuntimeError(
            f"A bulk change of {noun.__name__} would leave no history. "
            "Change the rows one by one, or give execution_options(unaudited=why)."
        )
