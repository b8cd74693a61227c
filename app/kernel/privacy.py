"""What is held of one person, noun by noun: to be handed out to them, and to be forgotten.

A column says that it is personal (`info={"personal": True}`, or the text that stands in its place afterwards); what stands in a
field that an administrator added is personal in any case. A noun says whose its rows are: by a relation called `person`, by a
path to one (`whose = "payment.bill.person"`), or by a condition of its own (`of_people`). What is only about somebody's row
(`noun`, `row_id`) is theirs as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, false, func, inspect, or_, select, text, update

from app.kernel.access import actor
from app.kernel.audit import Change
from app.kernel.db import Noun, label_of_table, noun_of_table, nouns, session, spaced, stable_name
from app.kernel.translation import say
from app.kernel.workflow import moves

Held = list[tuple[type[Noun], list[Any]]]

_PERSON = "person"
_ADDED = "more"
_LABELS = {
    "noun": "Record type",
    "row_id": "Record number",
    "timezone": "Time zone",
    "words": "Text",
    _ADDED: "Custom fields",
}  # where a column says nothing of itself
_OURS = {
    "id",
    "version",
    "handle",
    "changed_at",
    "request_key",
    "request_hash",
    "key",
    "lease",
    "leased_until",
    "look_at",
    "looked",
}


def personal_columns(noun: type[Noun]) -> dict[str, Any]:
    """The columns that are somebody's own, and what stands there when they are forgotten."""
    return {
        attr.key: _blank(attr.columns[0]) for attr in inspect(noun).column_attrs if attr.columns[0].info.get("personal")
    }


def _blank(column: Any) -> Any:
    said = column.info["personal"]
    if isinstance(said, str):
        return func.replace(said, "{id}", cast(column.table.c.id, String))
    if column.nullable:
        return None
    return "" if isinstance(column.type, String) else {}


def rows_of_people(ids: Sequence[int]) -> Held:
    """Every row that belongs to these people, and every row that is about one of those, whomever it was written to."""
    theirs = {noun: condition for noun in nouns() if (condition := _theirs(noun, ids)) is not None}
    found = {noun: _rows(noun, condition) for noun, condition in theirs.items()}
    about = {
        noun: or_(theirs.get(noun, false()), _about(noun, [*found.items()])) for noun in nouns() if _is_about(noun)
    }
    found |= {noun: _rows(noun, condition) for noun, condition in about.items()}
    return [(noun, rows) for noun, rows in found.items() if rows]


def _rows(noun: type[Noun], condition: ColumnElement[bool]) -> list[Any]:
    return [*session.scalars(select(noun).where(condition).order_by(noun.id)).unique()]


def _theirs(noun: type[Noun], ids: Sequence[int]) -> ColumnElement[bool] | None:
    if noun.__tablename__ == _PERSON:
        return noun.id.in_(ids)
    if hasattr(noun, "of_people"):
        condition: ColumnElement[bool] = noun.of_people(ids)
        return condition
    relation = inspect(noun).relationships.get(_PERSON)
    path = getattr(
        noun, "whose", _PERSON if relation is not None and relation.mapper.class_ is noun_of_table(_PERSON) else ""
    )
    return _along(noun, path.split("."), ids) if path else None


def _along(noun: type[Any], steps: Sequence[str], ids: Sequence[int]) -> ColumnElement[bool]:
    relation = getattr(noun, steps[0])
    if len(steps) > 1:
        onward: ColumnElement[bool] = relation.has(_along(relation.property.mapper.class_, steps[1:], ids))
        return onward
    (column,) = relation.property.local_columns
    last: ColumnElement[bool] = column.in_(ids)
    return last


def _is_about(noun: type[Noun]) -> bool:
    return bool(personal_columns(noun)) and {"noun", "row_id"} <= {each.key for each in inspect(noun).column_attrs}


def _about(noun: Any, found: Held) -> ColumnElement[bool]:
    return or_(
        false(),
        *(
            and_(noun.noun == kind.__tablename__, noun.row_id.in_([each.id for each in rows]))
            for kind, rows in found
            if rows
        ),
    )


# --- handing out ------------------------------------------------------------------------------------------------------


def export_people(ids: Sequence[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Everything that is held of these people, under names that they can read."""
    everything = rows_of_people(ids)
    for noun, rows in everything:
        yield label_of_table(noun.__tablename__), [_told(row) for row in rows]
    lines = _rows(Change, _about(Change, everything)) if everything else []
    yield "History", [_line(each) for each in lines]


def _line(change: Change) -> dict[str, Any]:
    noun = noun_of_table(change.noun)
    before, after = (
        {column_label(noun, key): value for key, value in side.items() if key not in _OURS}
        for side in (change.before, change.after)
    )
    move = moves(noun).get(change.verb)
    what = f"{label_of_table(change.noun)} {change.row_id}: {move.label if move else spaced(change.verb)}"
    return {"What": what, "When": change.created_at.isoformat(), "Before": before, "After": after}


def column_label(noun: type[Noun], key: str) -> str:
    """What a person calls a column, in this file."""
    attr = inspect(noun).column_attrs.get(key)
    return str((attr.columns[0].info.get("label") if attr is not None else "") or _LABELS.get(key) or spaced(key))


def _told(row: Noun) -> dict[str, Any]:
    """A noun adds what stands in no column of its own, such as answers that are sealed."""
    mapper = inspect(type(row))
    ours = {column.key for column in mapper.columns if column.foreign_keys or column.info.get("secret")} | _OURS
    plain = {
        column_label(type(row), key): _plain(row, key, getattr(row, key))
        for key in (attr.key for attr in mapper.column_attrs)
        if key not in ours
    }
    extras = getattr(row, "export_extras", dict)
    return plain | extras()


def _plain(row: Noun, key: str, value: Any) -> Any:
    match value:
        case str() if key == "state" and row.states:
            return row.state_label(value)
        case str() if key == "noun":
            return label_of_table(value)
        case datetime() | date() | time():
            return value.isoformat()
        case None | bool() | int() | float() | str() | dict() | list():
            return value
    return str(value)


# --- forgetting -------------------------------------------------------------------------------------------------------


def reasons_to_keep(ids: Sequence[int]) -> list[str]:
    """Why these people cannot be forgotten yet: each row that still needs to know whom it is about says so."""
    asked = {
        noun: theirs for noun in nouns() if hasattr(noun, "still_needs") and (theirs := _theirs(noun, ids)) is not None
    }
    return [words for noun, theirs in asked.items() for row in _rows(noun, theirs) if (words := row.still_needs())]


def forget(ids: Sequence[int]) -> None:
    """Blank what is personal, in the rows and in the history of them. Part of a change: called inside its transaction.

    Not row by row as everywhere else: the history would write down once more what it is to forget.
    """
    session.flush()
    for noun, rows in rows_of_people(ids):
        blanks, mine = _blanks(noun, rows), [each.id for each in rows]
        if retention_reason(noun):
            continue
        if blanks:
            session.execute(
                update(noun).where(noun.id.in_(mine)).values(blanks),
                execution_options={"unaudited": "forgetting", "synchronize_session": False},
            )
        for each in rows:
            session.expire(each)
        if hasattr(noun, "on_forget"):
            for each in rows:
                each.on_forget()
        if noun.audited:
            _redact(noun, mine, [*personal_columns(noun), _ADDED])


def _blanks(noun: type[Noun], rows: Sequence[Any]) -> dict[str, Any]:
    """And what stands in fields that an administrator added: nobody has said that it is not personal."""
    return personal_columns(noun) | ({_ADDED: None} if any(getattr(each, _ADDED, None) for each in rows) else {})


def _redact(noun: type[Noun], ids: Sequence[int], columns: Sequence[str]) -> None:
    """The history lets itself be blanked by one function of the database alone, which says in a line of its own that it was."""
    who = actor()
    session.execute(
        text("select redact_history(:noun, cast(:ids as int[]), cast(:columns as text[]), :name, :door)"),
        {"noun": noun.__tablename__, "ids": [*ids], "columns": [*columns], "name": who.name, "door": who.door},
    )


def retention_reason(noun: type[Noun]) -> str:
    """Why a noun's rows stay as they are."""
    return str(getattr(noun, "kept_by_law", ""))


def describe_kept(ids: Sequence[int]) -> list[str]:
    """What stays after somebody was forgotten, and why, in a sentence each."""
    return [
        f"{say(spaced(stable_name(noun)))}: {len(rows)}. {say(retention_reason(noun))}"
        for noun, rows in rows_of_people(ids)
        if retention_reason(noun)
    ]
