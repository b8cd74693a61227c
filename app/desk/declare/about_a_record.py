"""Scope of rows about a record, such as notes and tasks: who can read the record (`noun`, `row_id`) can read them."""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.desk.declare.resource import Resource, registered_resources, resource_of
from app.kernel import access
from app.kernel.db import Noun, noun_of_table
from app.kernel.errors import Missing

# The nouns whose policy is being built: rows about records can themselves be about such rows, which would recurse.
_asking: ContextVar[frozenset[type[Any]]] = ContextVar("asking", default=frozenset())


def about_row(noun: Any, row: Noun) -> tuple[ColumnElement[bool], ...]:
    return noun.noun == row.__tablename__, noun.row_id == row.id


def about_readable(noun: type[Any]) -> ColumnElement[bool]:
    """Return the policy for rows about records that the current user may read.

    All nouns that the user reads without limits share one condition.
    """
    asking = _asking.get() | {noun}
    whole, limited = _readable_nouns(access.actor(), tuple(registered_resources()))
    token = _asking.set(asking)
    try:
        parts = [
            and_(noun.noun == each.__tablename__, noun.row_id.in_(select(each.id).where(access.scope_condition(each))))
            for each in limited
            if each not in asking
        ]
    finally:
        _asking.reset(token)
    # ANY over one array: the statement is the same, and cached, however many nouns there are.
    return or_(
        noun.noun == any_(literal([each.__tablename__ for each in whole if each not in asking], ARRAY(Text))), *parts
    )


@lru_cache(64)
def _readable_nouns(who: access.Actor, declared: tuple[Resource, ...]) -> tuple[list[type[Noun]], list[type[Noun]]]:
    """Split the nouns that this user may read: those read without limits, and those of which some rows are hidden."""
    here = [each.noun for each in declared if who.may(each.noun, "read")]
    return [each for each in here if access.sees_all(who, each)], [
        each for each in here if not access.sees_all(who, each)
    ]


def record_about(name: str, id: int) -> Any:
    """Return the record if the current user may read it. A noun without a page has no records here."""
    try:
        noun = noun_of_table(name)
    except KeyError:
        raise Missing from None
    if resource_of(noun) is None or not access.actor().may(noun, "read"):
        raise Missing
    return access.find_visible(noun, id)
