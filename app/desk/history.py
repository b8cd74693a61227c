"""History on a screen: what a change changed, as a person says it, and where the row behind a name is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import url_for

from app.desk import column
from app.desk.column import KINDS, NO
from app.desk.field import board
from app.desk.resource import resources
from app.kernel import access, db
from app.kernel.audit import Change, as_seen
from app.kernel.db import noun_called, session, spaced
from app.money.amount import Money

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)")
_UNSAID = {"handle", "request_key", "request_hash", "more"}  # for programs, or told apart: they tell a person nothing


def told(change: Change) -> list[tuple[str, str, str]]:
    """Each column that changed, before and after: instants in the house's zone, amounts with their currency."""
    before, after = (as_seen(change, side) for side in (change.before, change.after))
    names = [*dict.fromkeys([*before, *after])]
    said = [name for name in names if name not in _UNSAID and not (name.endswith("_currency") and f"{name[:-9]}_amount" in names)]
    lines = [(spaced(name.removesuffix("_amount").removesuffix("_id")), _said(name, before), _said(name, after)) for name in said]
    return [*lines, *_added(change.noun, *(_fields(side.get("more")) for side in (before, after)))]


def _fields(more: Any) -> Mapping[str, Any]:
    """One by one, or that there was something: to whoever may know no more, and after somebody was forgotten."""
    return more if isinstance(more, Mapping) else {"more": more} if more else {}


def _added(noun: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The fields that an administrator added, each by itself; another record by its number, as a neighbour is."""
    leading = {each.key for each in board.known.get(noun, ()) if each.kind == "relation"}
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            old, new = (f"No. {side[key]}" if key in leading and key in side else _facts(side.get(key)) for side in (before, after))
            yield spaced(key), old, new


def _facts(value: Any) -> str:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return KINDS["moment"].said(datetime.fromisoformat(value))
    return KINDS["yesno" if isinstance(value, bool) else "facts"].said(value)


def _said(name: str, side: Mapping[str, Any]) -> str:
    value = side.get(name)
    match value:
        case None | "" | {} | []:
            return NO
        case bool() | dict() | list():
            return KINDS["yesno" if isinstance(value, bool) else "facts"].said(value)
        case int() if name.endswith("_amount"):
            return str(Money(value, side.get(f"{name.removesuffix('_amount')}_currency") or column.house.currency))
        case int() if name.endswith("_id"):
            return f"No. {value}"
        case str() if _INSTANT.fullmatch(value):
            return KINDS["moment"].said(datetime.fromisoformat(value))
    return spaced(str(value)) if name == "state" else str(value)


def called(noun: str | None, id: int | None, *, by_name: object) -> str:
    """What a row is about: by its name to whoever may open it, and by its number to everybody else."""
    if noun is None or id is None:
        return "–"
    row = session.get(noun_called(noun), id) if by_name else None
    return str(row) if row is not None else f"{db.called(noun)} {id}"


def door_to(noun: type[Any] | str, id: int | None) -> str | None:
    """Where a row of another noun is shown, if there is such a page and the reader may open it."""
    named = [each for each in resources() if noun in (each.noun, each.name)]
    if not named or id is None or not access.actor().may(named[0].noun, "read"):
        return None
    return url_for(f"{named[0].noun.__name__}Screens.show", pk=id)
