"""Related: the rows that belong to a row, within what the reader may see, in one query whatever their number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, inspect, select

from app.desk.column import Column
from app.desk.listing import with_neighbours
from app.desk.resource import Resource, resource_of
from app.kernel.access import Actor, within
from app.kernel.db import Noun, noun_called, session

AT_ONCE = 20
COLUMNS = 6


class Related:
    """Along relations ("payments.refunds"), or, where a noun says `noun` and `row_id`, by being about the row ("bill")."""

    def __init__(self, noun: type[Noun], path: str) -> None:
        self.noun, self.path = noun, path
        first, *rest = path.split(".")
        self.about = first not in inspect(noun).relationships
        here = noun_called(first) if self.about else noun
        self.chain = [here]
        for step in rest if self.about else [first, *rest]:
            self.chain.append(inspect(self.chain[-1]).relationships[step].mapper.class_)
        self.steps = rest if self.about else [first, *rest]

    @property
    def target(self) -> type[Noun]:
        return self.chain[-1]

    @property
    def resource(self) -> Resource | None:
        return resource_of(self.target)

    def is_for(self, who: Actor) -> bool:
        return self.resource is not None and who.may(self.target, "read")

    @property
    def columns(self) -> list[Column]:
        """What its list shows, but for what leads back to where the reader is."""
        shown = self.resource.list if self.resource else []
        return [each for each in shown if not any(self._leads_back(each, depth) for depth in range(len(each.steps)))][:COLUMNS]

    def _leads_back(self, column: Column, depth: int) -> bool:
        here: type[Noun] = column.noun
        for step in column.steps[: depth + 1]:
            relation = inspect(here).relationships.get(step)
            if relation is None:
                return False
            here = relation.mapper.class_
        return here is self.noun

    def rows(self, row: Noun) -> tuple[list[Any], bool]:
        """The latest ones, and whether there are more."""
        statement = with_neighbours(self.target, self._belonging(row), self.columns).order_by(self.target.id.desc()).limit(AT_ONCE + 1)
        found = [*session.scalars(statement).unique()]
        return found[:AT_ONCE], len(found) > AT_ONCE

    def _belonging(self, row: Noun) -> Select[Any]:
        first: Any = self.chain[0]
        statement = select(self.target).select_from(first)
        for here, step in zip(self.chain, self.steps, strict=False):
            statement = statement.join(getattr(here, step))
        mine = [first.noun == row.__tablename__, first.row_id == row.id] if self.about else [first.id == row.id]
        return statement.where(*mine, *(within(each) for each in self.chain))
