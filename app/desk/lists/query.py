"""Query of a list: search, filter, sort, paginate, count and sum rows in SQL, within the rows that the user can see."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, not_, or_, select, true, tuple_
from sqlalchemy.orm import MANYTOONE, aliased, contains_eager, joinedload
from sqlalchemy.orm.util import AliasedClass
from werkzeug.datastructures import MultiDict

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.desk.lists import filters
from app.desk.lists.archive import is_archived
from app.desk.lists.filters import Groups, like_pattern
from app.kernel.access import actor, scope_condition, sees_all, visible_rows
from app.kernel.db import Noun, noun_of_table, separate_session, session
from app.kernel.errors import Missing, Unreadable
from app.money.sums.amount import Money

PAGE_SIZE = 25
LARGEST_PAGE = 100
SHORTEST_INDEXED = 3
COUNT_LIMIT = 10_000  # rows are counted and added up to this limit, unless the user asks for all
PUT_AWAY = "put_away"  # ?f.put_away=on shows the archived rows
NO_ORDER = ("facts", "picture")

Path = tuple[str, ...]  # relations that lead to a related noun


@dataclass(frozen=True)
class ListQuery:
    """The question to a list. It can name declared columns only."""

    words: str = ""
    filters: tuple[tuple[str, str, str], ...] = ()  # path, operator, value
    order: str = ""
    page: int = 0
    size: int = PAGE_SIZE
    columns: tuple[str, ...] = ()
    groups: Groups = ()
    view: str = ""
    after: str = ""  # the last row of the previous page, so that new rows do not shift pages
    before: str = ""
    all: bool = False  # count and add up without a limit

    @classmethod
    def parse(cls, args: Mapping[str, str]) -> ListQuery:
        """Parse the query of an address:

        ?q=meera&f.state=held&f.slot.starts_at.from=2026-11-24&w=price:from:500&cols=number,price&order=-id&page=2
        """
        found = []
        for name in args:
            value = _joined_values(args, name)
            if name.startswith("f.") and value:
                path, _, how = name[2:].rpartition(".")
                found.append((path, how, value) if how in ("from", "to") else (name[2:], "is", value))
        page, size = positive_number(args, "page", 1), positive_number(args, "size", PAGE_SIZE)
        columns = _move_up(_joined_values(args, "cols").split(",") if args.get("cols") else [], args.get("up", ""))
        rest = {name: args.get(name, "") for name in ("view", "after", "before")}
        groups, all = filters.parse_filter(args.get("w", "")), bool(args.get("all"))
        return cls(
            args.get("q", "").strip()[:200],
            tuple(found),
            args.get("order", ""),
            page - 1,
            min(size, LARGEST_PAGE),
            columns=columns,
            groups=groups,
            all=all,
            **rest,
        )

    def address_args(self, **changes: str | None) -> dict[str, str]:
        """Return the query as arguments of an address, with changes; None removes one. It starts at the first page."""
        same = {
            "view": self.view,
            "q": self.words,
            "w": filters.filter_text(self.groups),
            "cols": ",".join(self.columns),
            "order": self.order,
        }
        same |= {"size": str(self.size) if self.size != PAGE_SIZE else ""}
        same |= {f"f.{path}" + ("" if how == "is" else f".{how}"): value for path, how, value in self.filters}
        return {name: value for name, value in (same | changes).items() if value}

    def value(self, path: str, how: str = "is") -> str:
        return next((value for *what, value in self.filters if what == [path, how]), "")


def _joined_values(args: Mapping[str, str], name: str) -> str:
    """Join the values of repeated parameters, such as ticked boxes, with commas."""
    each: list[str] = args.getlist(name) if isinstance(args, MultiDict) else [args[name]]
    return ",".join(filter(None, each))


def _move_up(columns: Sequence[str], up: str) -> tuple[str, ...]:
    """Return each column once, with the one whose button was pressed moved one place to the front."""
    each = [*dict.fromkeys(filter(None, columns))]
    if up in each[1:]:
        at = each.index(up)
        each[at - 1 : at + 1] = [up, each[at - 1]]
    return tuple(each)


def positive_number(args: Mapping[str, Any], name: str, default: int) -> int:
    """Parse a page number or a page size."""
    given = args.get(name, default)
    text = str(given)
    if not text.isdecimal() or len(text) > 7 or int(text) == 0:
        raise Unreadable(f"“{name}” must be a whole number of 1 or more, not {text[:40]!r}.")
    return int(text)


@dataclass
class ListPage:
    """One page of a list."""

    rows: list[Any]
    count: int
    asked: ListQuery
    order: str
    columns: Sequence[Column]
    more: bool = False  # more rows than were counted
    totals: dict[str, list[str]] = field(default_factory=dict)  # by column, one text for each currency
    next: dict[str, str] | None = None  # arguments of the address of the next page
    previous: dict[str, str] | None = None

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
        return self.asked.page * self.asked.size + len(self.rows)

    @property
    def count_text(self) -> str:
        return f"more than {COUNT_LIMIT:,}" if self.more else f"{self.count:,}"

    @property
    def has_sums(self) -> bool:
        return any(each.is_summable for each in self.columns)


@dataclass
class _Select:
    """A SELECT that joins each related noun once, however many columns need it."""

    noun: type[Noun]
    statement: Select[Any]
    joined: dict[tuple[str, ...], AliasedClass[Any]] = field(default_factory=dict)

    def at(self, steps: tuple[str, ...]) -> Any:
        """Return the alias of the noun at the end of these relations, joining it if necessary."""
        if not steps:
            return self.noun
        if steps not in self.joined:
            before = self.at(steps[:-1])
            relation = getattr(before, steps[-1])
            self.joined[steps] = aliased(relation.property.mapper.class_)
            # With an inner join, PostgreSQL can start at the related table and use its index for sorting.
            self.statement = self.statement.join(
                relation.of_type(self.joined[steps]), isouter=may_be_missing(self.noun, steps)
            )
        return self.joined[steps]

    def expression(self, column: Column) -> Any:
        return column.expression(self.at(column.steps[:-1]))

    def currency(self, column: Column) -> Any:
        return column.currency(self.at(column.steps[:-1]))


def may_be_missing(noun: type[Noun], steps: Sequence[str]) -> bool:
    """Whether a row can lack the row at the end of these relations."""
    here: Any = noun
    for step in steps:
        relation = getattr(here, step).property
        if relation.direction is not MANYTOONE or any(each.nullable for each in relation.local_columns):
            return True
        here = relation.mapper.class_
    return False


def list_page(resource: Resource, asked: ListQuery, *, exactly: bool = False) -> ListPage:
    """Return one page of a list. The API asks `exactly`: it gets the exact count, and no totals."""
    columns, order = chosen_columns(resource, asked), asked.order or resource.order
    query = _select_rows(resource, asked)
    counting, joined = query.statement, {**query.joined}
    _apply_order(query, resource, order, backwards=bool(asked.before))
    _begin_after(query, resource, order, asked)
    statement = _load_related(query, columns).limit(asked.size + 1)
    if not (asked.after or asked.before):
        statement = statement.offset(asked.page * asked.size)
    rows = [*session.scalars(statement).unique()]
    page = ListPage(rows[: asked.size], len(rows), asked, order, columns)
    if asked.page or len(rows) > asked.size:
        query.statement, query.joined = counting, joined
        if exactly:
            page.count = session.scalar(counting.with_only_columns(func.count(resource.noun.id)).order_by(None)) or 0
            return _with_page_links(page, resource, over=len(rows) > asked.size)
        most = None if asked.all else COUNT_LIMIT
        page.count, page.totals = _count_and_sum(query, resource, columns, most)
        if most is not None and page.count > most:
            page.count, page.totals, page.more = most, {}, True
    else:
        page.totals = _sums_in_words(columns, [_sum_loaded(rows, each) for each in columns if each.is_summable])
    return _with_page_links(page, resource, over=len(rows) > asked.size)


def chosen_columns(resource: Resource, asked: ListQuery) -> Sequence[Column]:
    """Return the columns that the user chose, or the declared ones."""
    found = [(path, resource.column(path, resource.choosable)) for path in asked.columns]
    if stray := [path for path, column in found if column is None]:
        raise Unreadable(f"{resource.label} have no column {stray[0][:40]!r}.")
    return [column for _, column in found if column] or resource.list


def list_problem(resource: Resource, asked: ListQuery) -> str:
    """Return why the query is not valid, for example because a column is gone; "" if it is valid."""
    try:
        chosen_columns(resource, asked)
        _apply_order(_select_rows(resource, asked), resource, asked.order or resource.order)
    except Unreadable as no:
        return no.words
    return ""


def ids_matching(resource: Resource, groups: Groups, ids: Iterable[int]) -> set[int]:
    """Return which of these rows match the conditions, whether or not the current user can see them."""
    query = _Select(resource.noun, select(resource.noun.id).where(resource.noun.id.in_(ids)))
    condition = filters.filter_condition(resource, groups, query.expression, query.currency) if groups else true()
    return {*session.scalars(query.statement.where(condition))}


def related_name(column: Column, id: int) -> str:
    """Return the name of a related row if the user can see it, otherwise its id."""
    row = session.scalar(visible_rows(column.target).where(column.target.id == id))
    return str(row) if row else f"ID {id}"


def newest_rows(resource: Resource, asked: ListQuery, shown: Iterable[Column], most: int) -> list[Any]:
    """Return the newest rows that match."""
    query = _select_rows(resource, asked)
    query.statement = query.statement.order_by(resource.noun.id.desc()).limit(most)
    return [*session.scalars(_load_related(query, shown)).unique()]


def rows_for_export(resource: Resource, asked: ListQuery) -> Generator[Any]:
    """Yield all rows that match, fetched in batches, within what the current user can see."""
    query = _select_rows(resource, asked)
    _apply_order(query, resource, asked.order or resource.order)
    return _stream_rows(_load_related(query, chosen_columns(resource, asked)).execution_options(yield_per=1000))


def previous_and_next(resource: Resource, asked: ListQuery, row: Any) -> tuple[int | None, int | None]:
    """Return the ids of the rows before and after this one in a list; None at its ends. It reads only the index."""
    here = _position_of(row, _order_column(resource, asked.order or resource.order))
    return _adjacent_id(resource, replace(asked, before=here, after="")), _adjacent_id(
        resource, replace(asked, after=here, before="")
    )


def _adjacent_id(resource: Resource, asked: ListQuery) -> int | None:
    query, order = _select_rows(resource, asked), asked.order or resource.order
    _apply_order(query, resource, order, backwards=bool(asked.before))
    _begin_after(query, resource, order, asked)
    found: int | None = session.scalar(query.statement.with_only_columns(resource.noun.id).limit(1))
    return found


def rows_between(
    resource: Resource, starts: Column, ends: Column, since: datetime, until: datetime, *, shown: Iterable[Column]
) -> list[Any]:
    """Return the rows that overlap this period, in the order in which they start."""
    query = _Select(resource.noun, visible_rows(resource.noun))
    begins, over = query.expression(starts), query.expression(ends)
    query.statement = query.statement.where(begins < until, over > since).order_by(begins, resource.noun.id)
    return [*session.scalars(_load_related(query, shown)).unique()]


def _stream_rows(statement: Select[Any]) -> Generator[Any]:
    # The response is streamed after the request and its session have ended.
    with separate_session() as own, own.scalars(statement) as rows:
        yield from rows


def _select_rows(resource: Resource, asked: ListQuery) -> _Select:
    query = _Select(resource.noun, visible_rows(resource.noun))
    conditions = [_filter_condition(query, resource, *each) for each in asked.filters if each[0] != PUT_AWAY]
    if resource.archive:
        conditions.append(is_archived(resource.noun) if asked.value(PUT_AWAY) else not_(is_archived(resource.noun)))
    if asked.groups:
        conditions.append(filters.filter_condition(resource, asked.groups, query.expression, query.currency))
    if asked.words:
        if not resource.search:
            raise Unreadable(f"{resource.label} can’t be searched.")
        conditions.append(_search_condition(query, resource, asked.words))
    query.statement = query.statement.where(
        *conditions
    )  # after building the conditions, which add joins to the statement
    return query


def _search_condition(query: _Select, resource: Resource, words: str) -> ColumnElement[bool]:
    """Return the condition for a search. From three letters on, it uses the index of the search over everything."""
    if resource.is_indexed and len(words) >= SHORTEST_INDEXED and resource.searches_all:
        finding: Any = noun_of_table("finding")
        there = select(finding.row_id).where(
            finding.noun == resource.name, finding.letters.like(func.lower(like_pattern(words)))
        )
        return resource.noun.id.in_(there)
    return or_(*[query.expression(each).ilike(like_pattern(words)) for each in resource.search])


def ids_containing(resource: Resource, words: str) -> Select[Any]:
    """Return a query for the ids of rows that contain the words in columns that the user may search."""
    query = _Select(resource.noun, select(resource.noun.id))
    held = or_(*[query.expression(each).ilike(like_pattern(words)) for each in resource.search])
    return query.statement.where(held)


def _filter_condition(query: _Select, resource: Resource, path: str, how: str, value: str) -> ColumnElement[bool]:
    column = resource.column(path, resource.filters)
    if column is None:
        raise Unreadable(f"{resource.label} can’t be filtered by {path[:40]!r}.")
    return filters.condition(query.expression(column), column, how, value)


def _count_and_sum(
    query: _Select, resource: Resource, columns: Sequence[Column], most: int | None
) -> tuple[int, dict[str, list[str]]]:
    """Count the rows and add up their columns in one query, with one line for each combination of currencies."""
    adding = [each for each in columns if each.is_summable]
    amounts = [query.expression(each).label(f"amount_{at}") for at, each in enumerate(adding)]
    currencies = {
        at: query.currency(each).label(f"currency_{at}") for at, each in enumerate(adding) if each.kind == "money"
    }
    statement = query.statement.with_only_columns(resource.noun.id, *amounts, *currencies.values()).order_by(None)
    within = (statement.limit(most + 1) if most else statement).subquery().c
    by = [within[each.name] for each in currencies.values()]
    lines = session.execute(
        select(func.count(within.id), *(func.sum(within[each.name]) for each in amounts), *by).group_by(*by)
    ).all()
    sums: list[dict[str, int]] = [{} for _ in adding]
    for _, *rest in lines:
        called = dict(zip(currencies, rest[len(adding) :], strict=True))
        for at, amount in enumerate(rest[: len(adding)]):
            if amount is not None:
                sums[at][called.get(at, "")] = sums[at].get(called.get(at, ""), 0) + int(amount)
    return sum(line[0] for line in lines), _sums_in_words(columns, sums)


def _sum_loaded(rows: Iterable[Any], column: Column) -> dict[str, int]:
    """Add up a column of rows that are already loaded."""
    found: dict[str, int] = {}
    for value in (column.value(row) for row in rows):
        amount, currency = (value.amount, value.currency) if isinstance(value, Money) else (value, "")
        if amount is not None:
            found[currency] = found.get(currency, 0) + amount
    return found


def _sums_in_words(columns: Iterable[Column], sums: Iterable[Mapping[str, int]]) -> dict[str, list[str]]:
    adding = [each for each in columns if each.is_summable]
    return {
        column.path: [str(Money(amount, name)) if name else f"{amount:,}" for name, amount in sorted(sum_.items())]
        for column, sum_ in zip(adding, sums, strict=True)
    }


def _apply_order(query: _Select, resource: Resource, order: str, *, backwards: bool = False) -> None:
    column = _order_column(resource, order)
    expression = query.expression(column) if column else resource.noun.id
    # The id breaks ties, so that no row is repeated or skipped between pages.
    ends = (
        (expression.desc(), resource.noun.id.desc())
        if order.startswith("-") != backwards
        else (expression, resource.noun.id)
    )
    query.statement = query.statement.order_by(*ends)


def _order_column(resource: Resource, order: str) -> Column | None:
    path = order.removeprefix("-")
    column = resource.column(path, resource.choosable)
    if (column is None and path != "id") or (column and (column.masked or column.kind in NO_ORDER)):
        raise Unreadable(f"{resource.label} can’t be sorted by {path[:40]!r}.")
    return column


# --- pagination by position -------------------------------------------------------------------------------------------


def _with_page_links(page: ListPage, resource: Resource, *, over: bool) -> ListPage:
    """Set the links to the next and the previous page.

    They start after a row, not at a number, so that new rows neither repeat nor skip others.
    """
    asked, column = page.asked, _order_column(resource, page.order)
    if asked.before:
        page.rows.reverse()
    if page.rows and (over or asked.before):
        page.next = {"page": str(page.number + 1), "after": _position_of(page.rows[-1], column)}
    if page.number == 2:
        page.previous = {}
    elif page.number > 2:
        page.previous = {"page": str(page.number - 1)} | (
            {"before": _position_of(page.rows[0], column)} if page.rows else {}
        )
    return page


def _position_of(row: Any, column: Column | None) -> str:
    """Return the row's id and sort value as text: 17, or 17:2026-11-24T03:30:00+00:00."""
    value = column.sort_value(row) if column else None
    if value is None:
        return f"{row.id}"
    return f"{row.id}:{value.isoformat() if isinstance(value, date | time) else value}"


_POSITION_PARSERS: dict[str, Callable[[str], Any]] = {
    "moment": datetime.fromisoformat,
    "day": date.fromisoformat,
    "time": time.fromisoformat,
    "number": int,
    "rate": int,
    "money": int,
    "relation": int,
    "yesno": lambda text: text == "True",
}


def _begin_after(query: _Select, resource: Resource, order: str, asked: ListQuery) -> None:
    """Restrict the query to rows after a position. PostgreSQL sorts NULL last when ascending, first when descending."""
    text, falls = asked.after or asked.before, order.startswith("-") != bool(asked.before)
    if not text:
        return
    column, id_ = _order_column(resource, order), resource.noun.id
    id, value = _parse_position(text, column)
    beyond: ColumnElement[bool] = id_ < id if falls else id_ > id
    if column is not None:
        expression = query.expression(column)
        nothing, here = expression.is_(None), tuple_(expression, id_)
        if value is None:
            beyond = (nothing & beyond) | (expression.is_not(None) if falls else nothing & beyond)
        else:
            beyond = here < tuple_(value, id) if falls else here > tuple_(value, id)
            if not falls and _may_be_empty(resource, column):
                beyond |= nothing
    query.statement = query.statement.where(beyond)


def _parse_position(text: str, column: Column | None) -> tuple[int, Any]:
    head, told, value = text.partition(":")
    try:
        if not head.isdecimal() or len(head) > 10 or int(head) >= 2**31:
            raise ValueError
        found: Any = _POSITION_PARSERS.get(column.kind, str)(value) if told and column else None
        if (
            (isinstance(found, datetime) and found.tzinfo is None)
            or (type(found) is int and abs(found) >= 2**63)
            or "\x00" in text
        ):
            raise ValueError
    except ValueError:
        raise Unreadable("This page of the list isn’t valid. Start again from the first page.") from None
    return int(head), found


def _may_be_empty(resource: Resource, column: Column) -> bool:
    return may_be_missing(resource.noun, column.steps[:-1]) or column.may_be_empty


# --- related rows -----------------------------------------------------------------------------------------------------


def load_row(resource: Resource, id: int) -> Any:
    """Return one row that the user can see, with the related rows of its columns, in one query."""
    if not -(2**31) < id < 2**31:
        raise Missing
    noun: Any = resource.noun
    statement = _select_by_id(noun, _related_paths([*resource.list, *resource.show]))
    if not sees_all(actor(), noun):
        statement = statement.where(scope_condition(noun))
    row = session.scalars(statement, {"id": id}).unique().one_or_none()
    if row is None:
        raise Missing
    return row


@lru_cache(1024)
def _select_by_id(noun: Any, paths: frozenset[Path]) -> Select[Any]:
    """Build the statement once: reusing the object also speeds up the lookup of the compiled statement."""
    return select(noun).where(noun.id == bindparam("id")).options(*(_load_path(noun, path) for path in sorted(paths)))


def load_related(noun: type[Noun], statement: Select[Any], shown: Iterable[Column]) -> Select[Any]:
    return _load_related(_Select(noun, statement), shown)


def _load_related(query: _Select, shown: Iterable[Column]) -> Select[Any]:
    """Load related rows together with the rows, so that the number of queries does not depend on the number of rows."""
    noun: Any = query.noun
    for path in sorted(_related_paths(shown)):
        query.statement = query.statement.options(
            _load_joined_path(query, path) if path[:1] in query.joined else _load_path(noun, path)
        )
    return query.statement


def _related_paths(shown: Iterable[Column]) -> frozenset[Path]:
    return frozenset(path for column in shown for path in column.relations_to_load)


@lru_cache(1024)
def _load_path(noun: Any, path: Path) -> Any:
    option: Any = None
    for step in path:
        relation = getattr(noun, step)
        option = (option.joinedload if option else joinedload)(relation)
        noun = relation.property.mapper.class_
    return option


def _load_joined_path(query: _Select, path: Path) -> Any:
    """Like `_load_path`, for relations that a filter or the order has joined already."""
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
    return option
