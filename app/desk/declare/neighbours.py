"""Pointed: the rows that added fields lead to. Whoever asks for one of them reads those of all rows at hand, in one question."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import object_session

from app.kernel.db import Noun, session

Known = dict[tuple[type[Noun], int], Any]


def pointed_at(row: Noun, key: str, target: type[Noun]) -> Any:
    """None where nothing stands there, and where what stood there was deleted since."""
    id = (row.more or {}).get(key)
    if id is None:
        return None
    known = _known(row)
    if (target, id) not in known:
        _read(row, key, target)
    return known[target, id]


def _read(row: Noun, key: str, target: Any) -> None:
    """For every row of its kind that the session holds: the page of a list, or the portion of an export that is being written."""
    here = object_session(row) or session()
    lacking: dict[int, list[Known]] = {}
    for each in {row, *(it for it in here.identity_map.values() if type(it) is type(row))}:
        if (id := _kept(each, key)) is not None and (target, id) not in _known(each):
            lacking.setdefault(id, []).append(_known(each))
    with here.no_autoflush:
        found = {each.id: each for each in here.scalars(select(target).where(target.id.in_(lacking))).unique()}
    for id, those in lacking.items():
        for known in those:
            known[target, id] = found.get(id)


def _kept(row: Noun, key: str) -> int | None:
    # Past the attribute: what is out of date in another row is not read again for this one.
    return (row.__dict__.get("more") or {}).get(key)


def _known(row: Noun) -> Known:
    """With the row itself: they go when it goes."""
    known: Known = row.__dict__.setdefault("pointed_at", {})
    return known
