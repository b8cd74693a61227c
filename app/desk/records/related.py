"""Related: the rows that belong to a row, or that lead to it, within what the reader may see, in one query whatever their number."""

from __future__ import annotations

from typing import Any

from flask import url_for
from sqlalchemy import Select, inspect, select

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource, listed_below, resource_of
from app.desk.lists.filters import Condition
from app.desk.lists.query import ListQuery, load_related, newest_rows
from app.kernel.access import LEVELS, Actor, actor, scope_condition
from app.kernel.db import Noun, noun_of_table, session, stable_name
from app.kernel.feature import is_on

LATEST = 20
FEW = 8  # of those that lead to a row: all of them are a click away
COLUMNS = 6


class RelatedList:
    """Along relations ("payments.refunds"), or, where a noun says `noun` and `row_id`, by being about the row ("bill")."""

    def __init__(self, noun: type[Noun], path: str) -> None:
        self.noun, self.path = noun, path
        first, *rest = path.split(".")
        self.about = first not in inspect(noun).relationships
        here = noun_of_table(first) if self.about else noun
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
        return [each for each in shown if not any(self._leads_back(each, depth) for depth in range(len(each.steps)))][
            :COLUMNS
        ]

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
        statement = (
            load_related(self.target, self._belonging(row), self.columns)
            .order_by(self.target.id.desc())
            .limit(LATEST + 1)
        )
        found = [*session.scalars(statement).unique()]
        return found[:LATEST], len(found) > LATEST

    def _belonging(self, row: Noun) -> Select[Any]:
        first: Any = self.chain[0]
        statement = select(self.target).select_from(first)
        for here, step in zip(self.chain, self.steps, strict=False):
            statement = statement.join(getattr(here, step))
        mine = [first.noun == row.__tablename__, first.row_id == row.id] if self.about else [first.id == row.id]
        return statement.where(*mine, *(scope_condition(each) for each in self.chain))

    def list_url(self, row: Noun) -> str:
        """Where all of them are listed, if they are."""
        return ""

    def add_url(self, row: Noun) -> str:
        """The form for one more, for whoever may add one."""
        return ""


class ListedBelow(RelatedList):
    """Rows of a noun whose declaration says that they stand below what one of their relations leads to."""

    def __init__(self, resource: Resource, column: Column) -> None:
        self.noun, self.path, self.column = column.target, column.path, column
        self.chain = [resource.noun]
        self.its = resource

    def is_for(self, who: Actor) -> bool:
        """Whoever may not know where the relation leads is not told it here."""
        return super().is_for(who) and LEVELS.index(self.column.level) >= LEVELS.index("read")

    def rows(self, row: Noun) -> tuple[list[Any], bool]:
        found = newest_rows(self.its, self._asked(row), self.columns, FEW + 1)
        return found[:FEW], len(found) > FEW

    def list_url(self, row: Noun) -> str:
        asked: dict[str, Any] = {**self._asked(row).address_args()}
        return url_for(self.its.page_endpoint, **asked)

    def add_url(self, row: Noun) -> str:
        if not (self.its.column(self.path, self.its.add) and is_on(self.its.part) and actor().may(self.target, "add")):
            return ""
        filled_in: dict[str, Any] = {self.path: row.id}
        return url_for(f"{stable_name(self.target)}Screens.add", **filled_in)

    def _asked(self, row: Noun) -> ListQuery:
        return ListQuery(groups=((Condition(self.path, "is", str(row.id)),),))


def related_lists(
    resource: Resource, row: Noun, who: Actor
) -> tuple[list[tuple[RelatedList, list[Any], bool]], list[str]]:
    """What its own declaration names first, then what names it; and what could lead to it, and does not yet."""
    every = [
        *(RelatedList(resource.noun, path) for path in resource.related),
        *(ListedBelow(*each) for each in listed_below(resource.noun)),
    ]
    found = [(each, *each.rows(row)) for each in every if each.is_for(who)]
    lacking = [each for each, rows, _ in found if isinstance(each, ListedBelow) and not rows and not each.add_url(row)]
    return [each for each in found if each[0] not in lacking], [
        each.its.label for each in lacking if is_on(each.its.part)
    ]
