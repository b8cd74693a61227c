"""A list of rows: searched, filtered, ordered and paged in the database, within what the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as midnight
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import aliased, contains_eager, joinedload
from sqlalchemy.orm.util import AliasedClass
from werkzeug.datastructures import MultiDict

from app.desk import column as kinds
from app.desk.column import Column
from app.desk.resource import Resource
from app.kernel.access import visible
from app.kernel.db import Noun, aside, session
from app.kernel.errors import Unreadable

PAGE = 25
LARGEST = 100


@dataclass(frozen=True)
class Asked:
    """What the reader wants to see. Only declared columns can be named: an undeclared one cannot be asked about."""

    words: str = ""
    filters: tuple[tuple[str, str, str], ...] = ()  # path, how, value
    order: str = ""
    page: int = 0
    size: int = PAGE

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Asked:
        """From a page's address: ?q=meera&f.state=held&f.slot.starts_at.from=2026-11-24&order=-id&page=2."""
        found = []
        for name in args:
            value = _every(args, name)
            if name.startswith("f.") and value:
                path, _, how = name[2:].rpartition(".")
                found.append((path, how, value) if how in ("from", "to") else (name[2:], "is", value))
        page, size = whole(args, "page", 1), whole(args, "size", PAGE)
        return cls(args.get("q", "").strip()[:200], tuple(found), args.get("order", ""), page - 1, min(size, LARGEST))

    def args(self, **changes: str | None) -> dict[str, str]:
        """The same list as an address, with these things changed; None takes one away. A new question begins at page one."""
        same = {"q": self.words, "order": self.order, "size": str(self.size) if self.size != PAGE else ""}
        same |= {f"f.{path}" + ("" if how == "is" else f".{how}"): value for path, how, value in self.filters}
        return {name: value for name, value in (same | changes).items() if value}

    def value(self, path: str, how: str = "is") -> str:
        return next((value for *what, value in self.filters if what == [path, how]), "")


def _every(args: Mapping[str, str], name: str) -> str:
    """Three ticked boxes of one name are one value with commas."""
    each: list[str] = args.getlist(name) if isinstance(args, MultiDict) else [args[name]]
    return ",".join(filter(None, each))


def whole(args: Mapping[str, Any], name: str, default: int) -> int:
    """A page number or a size: a whole number above zero, or a clear no."""
    given = args.get(name, default)
    text = str(given)
    if not text.isdecimal() or len(text) > 7 or int(text) == 0:
        raise Unreadable(f"“{name}” is a whole number above zero, not {text[:40]!r}.")
    return int(text)


@dataclass
class Page:
    """What came of it."""

    rows: list[Any]
    count: int
    asked: Asked
    order: str

    @property
    def last(self) -> int:
        return max(1, -(-self.count // self.asked.size))

    @property
    def number(self) -> int:
        return self.asked.page + 1

    @property
    def first_row(self) -> int:
        return self.asked.page * self.asked.size + 1 if self.count else 0

    @property
    def last_row(self) -> int:
        return min(self.count, (self.asked.page + 1) * self.asked.size)


@dataclass
class _Query:
    """One SELECT whose neighbours are joined once, whoever names them."""

    noun: type[Noun]
    statement: Select[Any]
    joined: dict[tuple[str, ...], AliasedClass[Any]] = field(default_factory=dict)

    def at(self, steps: tuple[str, ...]) -> Any:
        """The (aliased) noun at the end of these relations."""
        if not steps:
            return self.noun
        if steps not in self.joined:
            before = self.at(steps[:-1])
            relation = getattr(before, steps[-1])
            self.joined[steps] = aliased(relation.property.mapper.class_)
            self.statement = self.statement.outerjoin(relation.of_type(self.joined[steps]))
        return self.joined[steps]

    def expression(self, column: Column) -> Any:
        """What to compare or to order by: a relation by its id, money by its amount."""
        owner = self.at(column.steps[:-1])
        if column.kind in ("relation", "picture"):
            (local,) = column.attribute.local_columns
            return getattr(owner, column.owner.__mapper__.get_property_by_column(local).key)
        if column.kind == "money":
            return getattr(owner, column.owner.__mapper__.get_property_by_column(column.attribute.columns[0]).key)
        return getattr(owner, column.name)


def listed(resource: Resource, asked: Asked) -> Page:
    query = _narrowed(resource, asked)
    count = session.scalar(select(func.count()).select_from(query.statement.with_only_columns(resource.noun.id).order_by(None).subquery())) or 0
    order = asked.order or resource.order
    _order(query, resource, order)
    statement = _with_neighbours(query, resource.list).limit(asked.size).offset(asked.page * asked.size)
    return Page(list(session.scalars(statement).unique()), count, asked, order)


def every_row(resource: Resource, asked: Asked) -> Iterator[Any]:
    """For an export: the same rows without pages, a thousand at a time. They are asked for now, as whoever asks now."""
    query = _narrowed(resource, asked)
    _order(query, resource, asked.order or resource.order)
    return _one_by_one(_with_neighbours(query, resource.list).execution_options(yield_per=1000))


def within_days(resource: Resource, starts: Column, ends: Column, since: datetime, until: datetime, *, shown: Iterable[Column]) -> list[Any]:
    """For a calendar: every row that touches this stretch of time, in the order in which they begin."""
    query = _Query(resource.noun, visible(resource.noun))
    begins, over = query.expression(starts), query.expression(ends)
    query.statement = query.statement.where(begins < until, over > since).order_by(begins, resource.noun.id)
    return [*session.scalars(_with_neighbours(query, shown)).unique()]


def _one_by_one(statement: Select[Any]) -> Iterator[Any]:
    with aside() as own:  # the answer is still being sent when the request and its session are over
        yield from own.scalars(statement)


def _narrowed(resource: Resource, asked: Asked) -> _Query:
    query = _Query(resource.noun, visible(resource.noun))
    conditions = [_filtered(query, resource, *each) for each in asked.filters]
    if asked.words:
        if not resource.search:
            raise Unreadable(f"{resource.label} cannot be searched.")
        conditions.append(or_(*[query.expression(each).ilike(containing(asked.words)) for each in resource.search]))
    query.statement = query.statement.where(*conditions)  # last: naming a neighbour joins it to the statement
    return query


def containing(words: str) -> str:
    """A pattern for LIKE in which a percent sign is a percent sign."""
    return "%" + words.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"


def _filtered(query: _Query, resource: Resource, path: str, how: str, value: str) -> ColumnElement[bool]:
    column = resource.column(path, resource.filters)
    if column is None:
        raise Unreadable(f"{resource.label} cannot be filtered by {path[:40]!r}.")
    return _condition(query.expression(column), column, how, value)


def _condition(expression: Any, column: Column, how: str, value: str) -> ColumnElement[bool]:
    try:
        if column.kind == "moment":
            return _between(expression, how, _day(value))
        if column.kind == "state":
            wanted = [each for each in value.split(",") if each]
            if set(wanted) - set(column.choices):
                raise ValueError(f"One of: {', '.join(column.choices)}.")
            return expression.in_(wanted)  # type: ignore[no-any-return]
        given: Any = _number(value) if column.kind in ("relation", "number") else column.read(value)
        if how in ("from", "to"):
            return expression >= given if how == "from" else expression <= given  # type: ignore[no-any-return]
        return expression == given  # type: ignore[no-any-return]
    except ValueError as error:
        raise Unreadable(f"{column.label}: {error}") from None


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError("This is not a date. Write it like 2026-11-24.") from None
    if not 1900 <= day.year <= 2200:
        raise ValueError("This is too far away.")
    return day


def _number(text: str) -> int:
    head = text.split("·", maxsplit=1)[0].strip()
    if not head.removeprefix("-").isdecimal() or len(head) > 11 or abs(int(head)) >= 2**31:
        raise ValueError("Choose one from the list, or give its number.")
    return int(head)


def _between(expression: Any, how: str, day: date) -> ColumnElement[bool]:
    """A day of the house's zone, from its first instant to its last."""
    start = datetime.combine(day, midnight(), ZoneInfo(kinds.house.timezone))
    if how == "from":
        return expression >= start  # type: ignore[no-any-return]
    if how == "to":
        return expression < start + timedelta(days=1)  # type: ignore[no-any-return]
    return (expression >= start) & (expression < start + timedelta(days=1))  # type: ignore[no-any-return]


def _order(query: _Query, resource: Resource, order: str) -> None:
    path = order.removeprefix("-")
    column = resource.column(path, resource.list)
    if column is None and path != "id":
        raise Unreadable(f"{resource.label} cannot be ordered by {path[:40]!r}.")
    expression = query.expression(column) if column else resource.noun.id
    # The id breaks ties, so that no row is shown twice or never while paging.
    ends = (expression.desc(), resource.noun.id.desc()) if order.startswith("-") else (expression, resource.noun.id)
    query.statement = query.statement.order_by(*ends)


def with_neighbours(noun: type[Noun], statement: Select[Any], shown: Iterable[Column]) -> Select[Any]:
    return _with_neighbours(_Query(noun, statement), shown)


def _with_neighbours(query: _Query, shown: Iterable[Column]) -> Select[Any]:
    """Load what the columns show together with the rows: the number of queries never depends on the number of rows."""
    paths = {column.steps[:-1] for column in shown} | {column.steps for column in shown if column.kind in ("relation", "picture")}
    for path in sorted(paths - {()}):
        option: Any = None
        here: Any = query.noun
        for depth, step in enumerate(path, 1):
            relation = getattr(here, step)
            if joined := query.joined.get(path[:depth]):
                here = joined
                option = (option.contains_eager if option else contains_eager)(relation.of_type(joined))
            else:
                here = relation.property.mapper.class_
                option = (option.joinedload if option else joinedload)(relation)
        query.statement = query.statement.options(option)
    return query.statement
