"""Related rows on the record page, in one query for each list."""

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
FEW = 8  # rows listed below a record, with a link to all of them
COLUMNS = 6


class RelatedList:
    """Rows along relations ("payments.refunds"), or rows about the record by `noun` and `row_id` ("bill")."""

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
        """The columns of the target's list, without those that lead back to the record."""
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
        """Return the newest rows, and whether there are more."""
        statement = (
            load_related(self.target, self._select_related(row), self.columns)
            .order_by(self.target.id.desc())
            .limit(LATEST + 1)
        )
        found = [*session.scalars(statement).unique()]
        return found[:LATEST], len(found) > LATEST

    def _select_related(self, row: Noun) -> Select[Any]:
        first: Any = self.chain[0]
        statement = select(self.target).select_from(first)
        for here, step in zip(self.chain, self.steps, strict=False):
            statement = statement.join(getattr(here, step))
        mine = [first.noun == row.__tablename__, first.row_id == row.id] if self.about else [first.id == row.id]
        return statement.where(*mine, *(scope_condition(each) for each in self.chain))

    def list_url(self, row: Noun) -> str:
        """Return the address of the list of all of them, or ""."""
        return ""

    def add_url(self, row: Noun) -> str:
        """Return the address of the form that adds one, or "" if the user cannot add one."""
        return ""


class ListedBelow(RelatedList):
    """Rows whose resource declares that they are listed below the target of one of their relations."""

    def __init__(self, resource: Resource, column: Column) -> None:
        self.noun, self.path, self.column = column.target, column.path, column
        self.chain = [resource.noun]
        self.its = resource

    def is_for(self, who: Actor) -> bool:
        """Whether the user may see the rows and the relation: without the relation the list would reveal it."""
        return super().is_for(who) and LEVELS.index(self.column.level) >= LEVELS.index("read")

    def rows(self, row: Noun) -> tuple[list[Any], bool]:
        found = newest_rows(self.its, self._list_query(row), self.columns, FEW + 1)
        return found[:FEW], len(found) > FEW

    def list_url(self, row: Noun) -> str:
        asked: dict[str, Any] = {**self._list_query(row).address_args()}
        return url_for(self.its.page_endpoint, **asked)

    def add_url(self, row: Noun) -> str:
        if not (self.its.column(self.path, self.its.add) and is_on(self.its.part) and actor().may(self.target, "add")):
            return ""
        filled_in: dict[str, Any] = {self.path: row.id}
        return url_for(f"{stable_name(self.target)}Screens.add", **filled_in)

    def _list_query(self, row: Noun) -> ListQuery:
        return ListQuery(groups=((Condition(self.path, "is", str(row.id)),),))


def related_lists(
    resource: Resource, row: Noun, who: Actor
) -> tuple[list[tuple[RelatedList, list[Any], bool]], list[str]]:
    """Return the lists with rows to show, and the labels of lists that are empty and cannot be added to."""
    every = [
        *(RelatedList(resource.noun, path) for path in resource.related),
        *(ListedBelow(*each) for each in listed_below(resource.noun)),
    ]
    found = [(each, *each.rows(row)) for each in every if each.is_for(who)]
    lacking = [each for each, rows, _ in found if isinstance(each, ListedBelow) and not rows and not each.add_url(row)]
    return [each for each in found if each[0] not in lacking], [
        each.its.label for each in lacking if is_on(each.its.part)
    ]
