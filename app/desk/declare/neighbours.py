"""Pointed: the rows that added fields lead to. Whoever asks for one of them reads those of all rows at hand, in one question."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import object_session

from app.kernel.db import Noun, session

RelatedRows = dict[tuple[type[Noun], int], Any]


def related_row(row: Noun, key: str, target: type[Noun]) -> Any:
    """None where nothing stands there, and where what stood there was deleted since."""
    id = (row.more or {}).get(key)
    if id is None:
        return None
    known = _rows_known_to(row)
    if (target, id) not in known:
        _load_for_all(row, key, target)
    return known[target, id]


def _load_for_all(row: Noun, key: str, target: Any) -> None:
    """For every row of its kind that the session holds: the page of a list, or the portion of an export that is being written."""
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
    # Past the attribute: what is out of date in another row is not read again for this one.
    return (row.__dict__.get("more") or {}).get(key)


def _rows_known_to(row: Noun) -> RelatedRows:
    """With the row itself: they go when it goes."""
    known: RelatedRows = row.__dict__.setdefault("related_rows", {})
    return known
