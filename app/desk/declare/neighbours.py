"""Rows that custom fields link to, loaded in one query for all rows that are in the session."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import object_session

from app.kernel.db import Noun, session

RelatedRows = dict[tuple[type[Noun], int], Any]


def related_row(row: Noun, key: str, target: type[Noun]) -> Any:
    """Return the linked row; None if there is no link or the row has been deleted."""
    id = (row.more or {}).get(key)
    if id is None:
        return None
    known = _rows_known_to(row)
    if (target, id) not in known:
        _load_for_all(row, key, target)
    return known[target, id]


def _load_for_all(row: Noun, key: str, target: Any) -> None:
    """Load the linked rows for every row of this noun in the session: one page of a list, or one batch of an export."""
    here = object_session(row) or session()
    lacking: dict[int, list[RelatedRows]] = {}
    for each in {row, *(it for it in here.identity_map.values() if type(it) is type(row))}:
        if (id := _related_id(each, key)) is not None and (target, id) not in _rows_known_to(each):
            lacking.setdefault(id, []).append(_rows_known_to(each))
    with here.no_autoflush:
        found = {each.id: each for each in here.scalars(select(target).where(target.id.in_(lacking))).unique()}
    for id, those in lacking.items():
        for known in those:
            known[target, id] = found.get(id)


def _related_id(row: Noun, key: str) -> int | None:
    # Through __dict__, because the attribute would reload rows that have expired.
    return (row.__dict__.get("more") or {}).get(key)


def _rows_known_to(row: Noun) -> RelatedRows:
    """The cache of linked rows, stored on the row so that it is freed with it."""
    known: RelatedRows = row.__dict__.setdefault("related_rows", {})
    return known
