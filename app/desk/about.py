"""About: what is said of any record (`noun`, `row_id`) is for whoever may read that record, and for nobody else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.sql.elements import True_

from app.desk.resource import resource_of, resources
from app.kernel import access
from app.kernel.db import Noun, noun_called
from app.kernel.errors import Missing


def belonging(noun: Any, row: Noun) -> tuple[ColumnElement[bool], ...]:
    return noun.noun == row.__tablename__, noun.row_id == row.id


def readable(noun: type[Any]) -> ColumnElement[bool]:
    """A policy: rows about records that whoever is here may read. One line for all the nouns that are read without limits."""
    who = access.actor()
    here = [each.noun for each in resources() if each.noun is not noun and who.may(each.noun, "read")]
    limits = {each: access.within(each) for each in here}
    whole = [each.__tablename__ for each, limit in limits.items() if isinstance(limit, True_)]
    parts = [
        and_(noun.noun == each.__tablename__, noun.row_id.in_(select(each.id).where(limit))) for each, limit in limits.items() if not isinstance(limit, True_)
    ]
    return or_(false(), noun.noun.in_(whole), *parts)


def found(name: str, id: int) -> Any:
    """The record, for whoever is here; a noun without a page has none."""
    try:
        noun = noun_called(name)
    except KeyError:
        raise Missing from None
    if resource_of(noun) is None or not access.actor().may(noun, "read"):
        raise Missing
    return access.find(noun, id)
