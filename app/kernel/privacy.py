"""Privacy (GDPR, DPDP): find all personal data of a person, to export it or to erase it.

A column is personal by `info={"personal": True}`, or by the text that replaces it after erasure; custom fields always
are. A noun says whose its rows are: by a relation called `person`, by a path to one (`whose = "payment.bill.person"`),
or by a condition (`of_people`). Rows that are about such a row (`noun`, `row_id`) belong to the person as well.
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
}  # of columns without a label
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
    """The personal columns of a noun, and the value that replaces each after erasure."""
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
    """Every row that belongs to these people, and every row that is about such a row."""
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


# --- export -----------------------------------------------------------------------------------------------------------


def export_people(ids: Sequence[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Export all data of these people, with readable names."""
    everything = rows_of_people(ids)
    for noun, rows in everything:
        yield label_of_table(noun.__tablename__), [_export_row(row) for row in rows]
    lines = _rows(Change, _about(Change, everything)) if everything else []
    yield "History", [_export_change(each) for each in lines]


def _export_change(change: Change) -> dict[str, Any]:
    noun = noun_of_table(change.noun)
    before, after = (
        {column_label(noun, key): value for key, value in side.items() if key not in _OURS}
        for side in (change.before, change.after)
    )
    move = moves(noun).get(change.verb)
    what = f"{label_of_table(change.noun)} {change.row_id}: {move.label if move else spaced(change.verb)}"
    return {"What": what, "When": change.created_at.isoformat(), "Before": before, "After": after}


def column_label(noun: type[Noun], key: str) -> str:
    """The label of a column in the export."""
    attr = inspect(noun).column_attrs.get(key)
    return str((attr.columns[0].info.get("label") if attr is not None else "") or _LABELS.get(key) or spaced(key))


def _export_row(row: Noun) -> dict[str, Any]:
    """The readable columns of a row, and what export_extras() adds, such as encrypted answers."""
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


# --- erasure ----------------------------------------------------------------------------------------------------------


def reasons_to_keep(ids: Sequence[int]) -> list[str]:
    """Why these people cannot be erased yet: the reasons of all rows that still need them."""
    asked = {
        noun: theirs for noun in nouns() if hasattr(noun, "still_needs") and (theirs := _theirs(noun, ids)) is not None
    }
    return [words for noun, theirs in asked.items() for row in _rows(noun, theirs) if (words := row.still_needs())]


def forget(ids: Sequence[int]) -> None:
    """Erase personal data in rows and in their history, inside the open transaction.

    Rows are updated in bulk: row by row, the history would record what it is to forget.
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
    """The replacement values of a noun; custom fields are erased too, since any of them may be personal."""
    return personal_columns(noun) | ({_ADDED: None} if any(getattr(each, _ADDED, None) for each in rows) else {})


def _redact(noun: type[Noun], ids: Sequence[int], columns: Sequence[str]) -> None:
    """Erase values in the history, by the only database function that may; it adds a line that says so."""
    who = actor()
    session.execute(
        text("select redact_history(:noun, cast(:ids as int[]), cast(:columns as text[]), :name, :door)"),
        {"noun": noun.__tablename__, "ids": [*ids], "columns": [*columns], "name": who.name, "door": who.door},
    )


def retention_reason(noun: type[Noun]) -> str:
    """Why the law requires to keep the rows of a noun; empty if it does not."""
    return str(getattr(noun, "kept_by_law", ""))


def describe_kept(ids: Sequence[int]) -> list[str]:
    """A sentence for each noun whose rows are kept after erasure, with the reason."""
    return [
        f"{say(spaced(stable_name(noun)))}: {len(rows)}. {say(retention_reason(noun))}"
        for noun, rows in rows_of_people(ids)
        if retention_reason(noun)
    ]
