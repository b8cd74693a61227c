"""History (audit log) in words: what a change changed, with labels and formatted values, and links to records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import url_for
from sqlalchemy import inspect

from app.desk.declare import column
from app.desk.declare.column import EMPTY, KINDS, usual_label
from app.desk.declare.field import field_cache
from app.desk.declare.resource import registered_resources, resource_of
from app.kernel import access, db
from app.kernel.audit import Change, visible_side
from app.kernel.db import Noun, noun_of_table, session, spaced, stable_name
from app.money.sums.amount import Money

_CODE = re.compile(r"[a-z]+(_[a-z]+)+")  # reasons given by payment gateways
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)")
_TECHNICAL = {
    "handle",
    "request_key",
    "request_hash",
    "more",
}  # for programs, or shown in another way


def changes_in_words(change: Change) -> list[tuple[str, str, str]]:
    """Return label, old value and new value of each changed column."""
    before, after = (visible_side(change, side) for side in (change.before, change.after))
    names = [*dict.fromkeys([*before, *after])]
    said = [
        name
        for name in names
        if name not in _TECHNICAL and not (name.endswith("_currency") and f"{name[:-9]}_amount" in names)
    ]
    lines = [
        (
            _label(change.noun, name),
            _value_in_words(change.noun, name, before),
            _value_in_words(change.noun, name, after),
        )
        for name in said
    ]
    return [*lines, *_field_changes(change.noun, *(_fields(side.get("more")) for side in (before, after)))]


def _label(noun: str, name: str) -> str:
    """Return the label of the column on the record page."""
    plain, found = name.removesuffix("_amount").removesuffix("_id"), _column(noun, name)
    known = {
        each.path: each.label
        for resource in registered_resources()
        if resource.name == noun
        for each in resource.declared.all_columns
    }
    return (
        known.get(name)
        or known.get(plain)
        or (str(found.info.get("label", "")) if found is not None else "")
        or usual_label(plain)
    )


def known_noun(name: str) -> type[Noun] | None:
    """Return the noun of a table; None if the pack with it is no longer installed."""
    try:
        return noun_of_table(name)
    except KeyError:
        return None


def _column(noun: str, name: str) -> Any:
    known = known_noun(noun)
    return inspect(known).columns.get(name) if known else None


def _fields(more: Any) -> Mapping[str, Any]:
    """Return the values of custom fields by key, or the whole, if it is masked or was erased."""
    return more if isinstance(more, Mapping) else {"more": more} if more else {}


def _field_changes(noun: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Changed custom fields, one line each; a linked record is shown by its ID."""
    known = field_cache.value.get(noun, ())
    leading, labels = {each.key for each in known if each.kind == "relation"}, {each.key: each.label for each in known}
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            old, new = (
                f"ID {side[key]}" if key in leading and key in side else _field_in_words(side.get(key))
                for side in (before, after)
            )
            yield labels.get(key) or spaced(key), old, new


def _field_in_words(value: Any) -> str:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return KINDS["moment"].display(datetime.fromisoformat(value))
    return KINDS["yesno" if isinstance(value, bool) else "facts"].display(value)


def _value_in_words(noun: str, name: str, side: Mapping[str, Any]) -> str:
    value = side.get(name)
    match value:
        case None | "" | {} | []:
            return EMPTY
        case bool() | dict() | list():
            return KINDS["yesno" if isinstance(value, bool) else "facts"].display(value)
        case int() if name.endswith("_amount"):
            return str(
                Money(value, side.get(f"{name.removesuffix('_amount')}_currency") or column.staff_locale.currency)
            )
        case int() if name.endswith("_id"):
            return f"ID {value}"
        case str() if _INSTANT.fullmatch(value):
            return KINDS["moment"].display(datetime.fromisoformat(value))
    return _label_of_code(noun, name, value) if isinstance(value, str) else str(value)


def _label_of_code(noun: str, name: str, value: str) -> str:
    """Return the label of a state or a choice, or a gateway's code as words."""
    found = _column(noun, name)
    if found is None or not (name == "state" or found.info.get("choices")):
        return spaced(value) if found is not None and "says" in found.info and _CODE.fullmatch(value) else value
    it = column.Column(noun_of_table(noun), name)
    return it.option_label(value) if value in it.choices else value


def record_label(noun: str | None, id: int | None, *, by_name: object) -> str:
    """Return the name of a record if the user may open it, otherwise its type and id."""
    if noun is None or id is None:
        return "–"
    row = session.get(noun_of_table(noun), id) if by_name else None
    return str(row) if row is not None else f"{db.label_of_table(noun)} {id}"


def record_names(changes: Iterable[Change]) -> dict[tuple[str, int], str]:
    """The names of the records behind these changes, if the reader can open them: one query per noun."""
    ids: dict[str, set[int]] = {}
    for each in changes:
        ids.setdefault(each.noun, set()).add(each.row_id)
    names: dict[tuple[str, int], str] = {}
    for name, its in ids.items():
        noun: Any = known_noun(name)
        if noun and resource_of(noun) and access.actor().may(noun, "read"):
            rows = session.scalars(access.visible_rows(noun).where(noun.id.in_(its))).unique()
            names |= {(name, row.id): str(row) for row in rows}
    return names


def record_url(noun: type[Any] | str, id: int | None) -> str | None:
    """Return the address of a record's page, if there is one and the user may open it."""
    named = [each for each in registered_resources() if noun in (each.noun, each.name)]
    if not named or id is None or not access.actor().may(named[0].noun, "read"):
        return None
    return url_for(f"{stable_name(named[0].noun)}Screens.show", pk=id)
