"""About: what is said of any record (`noun`, `row_id`) is for whoever may read that record, and for nobody else."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.desk.resource import resource_of, resources
from app.kernel import access
from app.kernel.db import Noun, noun_called
from app.kernel.errors import Missing

# Rows about records can be about rows about records: which nouns are being asked for, so that the question does not come back to itself.
_asking: ContextVar[frozenset[type[Any]]] = ContextVar("asking", default=frozenset())


def belonging(noun: Any, row: Noun) -> tuple[ColumnElement[bool], ...]:
    return noun.noun == row.__tablename__, noun.row_id == row.id


def readable(noun: type[Any]) -> ColumnElement[bool]:
    """A policy: rows about records that whoever is here may read. One line for all the nouns that are read without limits."""
    who, asking = access.actor(), _asking.get() | {noun}
    here = [each.noun for each in resources() if each.noun not in asking and who.may(each.noun, "read")]
    whole = [each.__tablename__ for each in here if access.sees_all(who, each)]
    token = _asking.set(asking)
    try:
        parts = [
            and_(noun.noun == each.__tablename__, noun.row_id.in_(select(each.id).where(access.within(each))))
            for each in here
            if each.__tablename__ not in whole
        ]
    finally:
        _asking.reset(token)
    # One list, where IN has a question mark for each name: however many nouns there are, it is the same statement.
    return or_(noun.noun == any_(literal(whole, ARRAY(Text))), *parts)


def found(name: str, id: int) -> Any:
    """The record, for whoever is here; a noun without a page has none."""
    try:
        noun = noun_called(name)
    except KeyError:
        raise Missing from None
    if resource_of(noun) is None or not access.actor().may(noun, "read"):
        raise Missing
    return access.find(noun, id)
