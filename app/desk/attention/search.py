"""Full-text search over all records, for the search page and the palette; the index changes with each commit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from flask import render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from sqlalchemy import (
    ColumnElement,
    Executable,
    Index,
    Select,
    String,
    UniqueConstraint,
    and_,
    bindparam,
    case,
    cast,
    delete,
    event,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy import inspect as looked_at
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, insert
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, UOWTransaction, aliased, mapped_column
from sqlalchemy.types import Integer

from app.desk.declare.column import EMPTY, Column
from app.desk.declare.field import Field
from app.desk.declare.resource import Resource, resource_of
from app.desk.lists.filters import like_pattern
from app.desk.lists.query import ids_containing, load_related
from app.kernel import access
from app.kernel.db import (
    NOW,
    Noun,
    changed_in_bulk,
    engine,
    noun_of_table,
    session,
    stable_name,
    transaction,
)
from app.kernel.jobs import job, later

SHORTEST = 2  # characters of a query
MIN_SIMILARITY = 0.45  # of trigrams, for misspelt words
HITS_PER_KIND = 5, 12  # in the palette, and on the page
BATCH = 10_000  # rows reindexed in one transaction
NEIGHBOUR_MARK = "\t\n"  # separates a row's own text from that of related rows
MAX_CANDIDATES = 400  # matches that are ranked


class Finding(Noun):
    """Index entry of a row: all searched values in lower case, one a line, its own before those of related rows."""

    audited = False
    __table_args__ = (
        UniqueConstraint("noun", "row_id"),
        Index("finding_words", "words", postgresql_using="gin"),
        Index("finding_letters", "letters", postgresql_using="gin", postgresql_ops={"letters": "gin_trgm_ops"}),
    )

    noun: Mapped[str]
    row_id: Mapped[int]
    letters: Mapped[str]
    words: Mapped[Any] = mapped_column(TSVECTOR)


# --- the index --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """What has to be indexed again when a row changes, or one of a related noun, along the path that leads to it."""

    resource: Resource
    by_neighbour: Sequence[tuple[type[Noun], frozenset[str], tuple[str, ...]]]
    watched: frozenset[str]

    @property
    def by_row(self) -> Executable:
        return _upsert(self.resource, ())


_entries: dict[type[Noun], Entry] = {}
_by_neighbour: dict[type[Noun], list[tuple[Entry, frozenset[str], tuple[str, ...]]]] = {}


def configure(resources: Iterable[Resource]) -> None:
    """Read from the declared resources what is indexed. A statement is built when it is needed for the first time."""
    _entries.clear()
    _by_neighbour.clear()
    _upsert.cache_clear()
    for resource in resources:
        if resource.is_indexed:
            entry = _entries[resource.noun] = _entry(resource)
            for neighbour, watched, path in entry.by_neighbour:
                _by_neighbour.setdefault(neighbour, []).append((entry, watched, path))


def _entry(resource: Resource) -> Entry:
    steps = {each.steps[:depth] for each in resource.declared.search for depth in range(1, len(each.steps))}
    near = []
    for path in sorted(steps):
        watched = {each.steps[len(path)] for each in resource.declared.search if each.steps[: len(path)] == path}
        owner = _noun_along(resource.noun, path)
        near.append((owner, _watched_columns(owner, watched), path))
    own = {each.steps[0] for each in resource.declared.search} | ({"more"} if hasattr(resource.noun, "more") else set())
    return Entry(resource, near, _watched_columns(resource.noun, own))


def _noun_along(noun: type[Noun], path: Sequence[str]) -> type[Noun]:
    for step in path:
        noun = looked_at(noun).relationships[step].mapper.class_
    return noun


def _watched_columns(noun: type[Noun], names: Iterable[str]) -> frozenset[str]:
    """Return the columns behind these names: the column itself, or the foreign keys of a relation."""
    mapper, found = looked_at(noun), set()
    for name in names:
        relation = mapper.relationships.get(name)
        found |= (
            {mapper.get_property_by_column(each).key for each in relation.local_columns}
            if relation is not None
            else {name}
        )
    return frozenset(found)


@cache
def _upsert(resource: Resource, path: tuple[str, ...]) -> Executable:
    """Build the statement that reindexes the rows with these ids, or whose related row along the path has them."""
    there, statement = _with_neighbours(resource)
    lines_by_owner = [
        [line for each in its for line in _index_lines(getattr(there[each.steps[:-1]], each.name), each)]
        for its in _own_and_neighbours(resource)
    ]
    if hasattr(resource.noun, "more"):
        lines_by_owner[0].append(_custom_field_text(resource.noun))
    own, theirs = (func.lower(func.concat_ws("\n", *lines)) if lines else literal("") for lines in lines_by_owner)
    letters: Any = func.concat(
        "\n", own, "\n", func.nullif(func.concat(NEIGHBOUR_MARK, theirs, "\n"), f"{NEIGHBOUR_MARK}\n")
    )
    words = func.setweight(_to_tsvector(own), text("'A'")).concat(_to_tsvector(theirs))
    wanted = there[path].id == func.any(bindparam("ids", type_=ARRAY(Integer)))
    kept = literal(resource.name), resource.noun.id, letters, words, literal(1), NOW, NOW
    rows = statement.with_only_columns(*kept).where(wanted).order_by(resource.noun.id)
    named = ["noun", "row_id", "letters", "words", "version", "created_at", "changed_at"]
    written = insert(Finding.__table__).from_select(named, rows)
    same = written.excluded
    return written.on_conflict_do_update(
        index_elements=["noun", "row_id"],
        set_={"letters": same.letters, "words": same.words, "changed_at": same.changed_at},
        where=Finding.__table__.c.letters != same.letters,
    )


def _with_neighbours(resource: Resource) -> tuple[dict[tuple[str, ...], Any], Select[Any]]:
    """Join the noun with the related nouns that it is searched by, each once."""
    there: dict[tuple[str, ...], Any] = {(): resource.noun}
    statement = select(resource.noun.id)
    for path in sorted(
        {each.steps[:depth] for each in resource.declared.search for depth in range(1, len(each.steps))}
    ):
        relation = getattr(there[path[:-1]], path[-1])
        there[path] = aliased(relation.property.mapper.class_)
        statement = statement.outerjoin(relation.of_type(there[path]))
    return there, statement


def _own_and_neighbours(resource: Resource) -> tuple[list[Column], list[Column]]:
    """Split the columns into the row's own and those of related rows; own matches rank first."""
    return [each for each in resource.declared.search if len(each.steps) == 1], [
        each for each in resource.declared.search if len(each.steps) > 1
    ]


def _to_tsvector(letters: Any) -> Any:
    return func.to_tsvector(text("'simple'"), func.regexp_replace(letters, "[^[:alnum:]]+", " ", "g"))


def _index_lines(expression: Any, column: Column) -> Iterator[ColumnElement[Any]]:
    """Yield the value and, for a number such as BK-2026-000123, also its short form: 123."""
    written = func.nullif(cast(expression, String), "")
    yield func.left(written, 2000)
    if column.name == "number":
        yield func.nullif(func.ltrim(func.substring(written, "[0-9]+$"), "0"), "")


def _custom_field_text(noun: type[Noun]) -> Any:
    """Select the values of searchable custom fields; the database knows at any moment which these are."""
    values, field = func.jsonb_each_text(noun.more).table_valued("key", "value"), aliased(Field)
    known = and_(field.noun == noun.__tablename__, field.key == values.c.key, field.found, field.state == "used")
    return (
        select(func.string_agg(func.left(values.c.value, 2000), "\n"))
        .select_from(values)
        .join(field, known)
        .scalar_subquery()
    )


@event.listens_for(Session, "after_flush")
def _collect_changes(here: Session, context: UOWTransaction) -> None:
    here.info.setdefault("found_fields", set()).update(
        each for each in (*here.new, *here.dirty) if isinstance(each, Field) and _changes_index(each)
    )
    for row in here.new:
        if type(row) in _entries:
            _mark_stale(here, type(row), row.id)
    for row in here.dirty:
        changed = _changed_columns(row) if type(row) in _entries or type(row) in _by_neighbour else frozenset()
        if changed and type(row) in _entries and changed & _entries[type(row)].watched:
            _mark_stale(here, type(row), row.id)
        if any(changed & watched for _, watched, _ in _by_neighbour.get(type(row), ())):
            here.info.setdefault("found_around", {}).setdefault(type(row), set()).add(row.id)
    for row in here.deleted:
        if type(row) in _entries:
            here.info.setdefault("found_no_more", {}).setdefault(row.__tablename__, set()).add(row.id)


def _changed_columns(row: Any) -> frozenset[str]:
    attributes = looked_at(row).attrs
    watched = {*(_entries[type(row)].watched if type(row) in _entries else ())}.union(
        *(its for _, its, _ in _by_neighbour.get(type(row), ()))
    )
    return frozenset(each for each in watched if attributes[each].history.has_changes())


def _changes_index(field: Any) -> bool:
    ticked, moved = (looked_at(field).attrs[name].history.has_changes() for name in ("found", "state"))
    return bool(ticked or (field.found and moved))


def _mark_stale(here: Session, noun: type[Noun], *ids: int) -> None:
    here.info.setdefault("found", {}).setdefault(noun, set()).update(ids)


@event.listens_for(Session, "do_orm_execute")
def _collect_bulk_change(state: ORMExecuteState) -> None:
    """A bulk update loads no rows, so the ids of the rows that it will change are selected first."""
    noun = changed_in_bulk(state)
    if noun is None or not state.is_update or (noun not in _entries and noun not in _by_neighbour):
        return
    where = getattr(state.statement, "whereclause", None)
    ids = [*state.session.execute(select(noun.id).where(where) if where is not None else select(noun.id)).scalars()]
    if noun in _entries:
        _mark_stale(state.session, noun, *ids)
    if noun in _by_neighbour:
        state.session.info.setdefault("found_around", {}).setdefault(noun, set()).update(ids)


@event.listens_for(Session, "before_commit")
def _update_index(here: Session) -> None:
    here.flush()
    for field in here.info.pop("found_fields", ()):
        later(reindex_field, field)
    gone, owed, around = (here.info.pop(name, {}) for name in _PENDING)
    if not (gone or owed or around):
        return
    connection = here.connection()
    for noun, entry in _entries.items():  # always in the same order, to avoid deadlocks
        if ids := owed.get(noun):
            connection.execute(entry.by_row, {"ids": sorted(ids)})
        for neighbour, _, path in entry.by_neighbour:
            if ids := around.get(neighbour):
                connection.execute(_upsert(entry.resource, path), {"ids": sorted(ids)})
        if ids := gone.get(noun.__tablename__):
            connection.execute(
                delete(Finding.__table__).where(Finding.noun == noun.__tablename__, Finding.row_id.in_(ids))
            )


_PENDING = "found_no_more", "found", "found_around"


@event.listens_for(Session, "after_rollback")
def _forget_changes(here: Session) -> None:
    for name in (*_PENDING, "found_fields"):
        here.info.pop(name, None)


@job("Update search index", was="desk.search.write_anew")
def reindex_field(field: Field) -> None:
    """Reindex the rows with a value in a custom field whose search setting or state has changed."""
    entry = _entries.get(noun_of_table(field.noun))
    if entry is not None:
        _reindex(entry, field.key)


def _reindex(entry: Entry, key: str = "") -> None:
    noun: Any = entry.resource.noun
    ids = [*session.scalars(select(noun.id).where(*([noun.more.has_key(key)] if key else [])).order_by(noun.id))]
    for begins in range(0, len(ids), BATCH):
        with transaction():
            session.execute(entry.by_row, {"ids": ids[begins : begins + BATCH]})


def rebuild_index() -> int:
    """Rebuild the whole index, after a declaration has changed or rows were written outside the program."""
    with transaction():
        session.execute(delete(Finding.__table__).where(Finding.noun.not_in([noun.__tablename__ for noun in _entries])))
    there = {*looked_at(engine()).get_table_names()}
    for noun, entry in _entries.items():
        if noun.__tablename__ not in there:
            continue  # declared, but not migrated yet
        with transaction():
            session.execute(
                delete(Finding.__table__).where(
                    Finding.noun == noun.__tablename__, Finding.row_id.not_in(select(noun.id))
                )
            )
        _reindex(entry)
    return session.scalar(select(func.count()).select_from(Finding)) or 0


# --- the query --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hit:
    """One matching row: its title, further details, state and address."""

    row: Any
    title: str
    more: str
    state: str
    url: str


@dataclass(frozen=True)
class Group:
    """The matching rows of one resource, best first, and whether there are more."""

    resource: Resource
    hits: list[Hit]
    more: bool


def search_records(words: str, at_once: int) -> list[Group]:
    """Search the rows that the current user may read. Similar words (trigrams) count only if nothing else matches."""
    query = " ".join(words.replace("\x00", "").lower().split())[:100]
    if len(query) < SHORTEST:
        return []
    ranked = _ranked_rows(query, at_once, _match_condition(query), _rank(query))
    if not ranked and re.search(r"[^\W\d_]{3}", query):
        session.execute(
            text("select set_config('pg_trgm.word_similarity_threshold', :near, true)"), {"near": str(MIN_SIMILARITY)}
        )
        near, own = literal(query), func.split_part(Finding.letters, NEIGHBOUR_MARK, 1)
        how_near = func.greatest(func.word_similarity(near, own), 0.9 * func.word_similarity(near, Finding.letters))
        ranked = _ranked_rows(query, at_once, near.op("<%", is_comparison=True)(Finding.letters), 1 - how_near)
    return _groups(ranked, at_once)


def _ranked_rows(query: str, at_once: int, fits: ColumnElement[bool], rank: Any) -> list[tuple[str, int]]:
    """Return the best matches of each noun, and one more to know whether there are more, in the order of their rank."""
    readable = [entry.resource for noun, entry in _entries.items() if access.actor().may(noun, "read")]
    mine = [each for each in readable if each.search]
    theirs = or_(*(and_(Finding.noun == each.name, _is_readable(each, query)) for each in mine)) if mine else None
    if theirs is None:
        return []
    fitting = (
        select(Finding.noun, Finding.row_id, rank.label("rank"))
        .where(fits, theirs)
        .order_by(rank, Finding.row_id.desc())
        .limit(MAX_CANDIDATES)
        .subquery()
    )
    place = func.row_number().over(partition_by=fitting.c.noun, order_by=(fitting.c.rank, fitting.c.row_id.desc()))
    placed = select(fitting, place.label("place")).subquery()
    best = (
        select(placed.c.noun, placed.c.row_id)
        .where(placed.c.place <= at_once + 1)
        .order_by(placed.c.rank, placed.c.row_id.desc())
    )
    return [(noun, row_id) for noun, row_id in session.execute(best)]


def _is_readable(resource: Resource, query: str) -> ColumnElement[bool]:
    """Restrict to readable rows and, with column guards, to readable columns, so that hidden values stay hidden."""
    there = (
        select(1)
        .where(resource.noun.id == Finding.row_id, access.scope_condition(resource.noun))
        .correlate(Finding)
        .exists()
    )
    if resource.searches_all:
        return there
    return and_(there, Finding.row_id.in_(ids_containing(resource, query)))


def _match_condition(query: str) -> ColumnElement[bool]:
    """Match all words as prefixes, or the text as typed, or the digits of a phone number in any notation."""
    ways: list[ColumnElement[bool]] = []
    if question := _prefix_query(query):
        ways.append(_matches_query(question))
    if len(query) > 2:
        ways.append(Finding.letters.like(like_pattern(query)))
    if digits := _phone_digits(query):
        ways.append(Finding.letters.like(like_pattern(digits)))
    return or_(*ways) if ways else Finding.letters.like(like_pattern(query))


def _matches_query(question: str) -> ColumnElement[bool]:
    return Finding.words.op("@@", is_comparison=True)(func.to_tsquery(text("'simple'"), question))


def _prefix_query(query: str) -> str:
    return " & ".join(f"{each}:*" for each in re.findall(r"[^\W_]+", query))


def _phone_digits(query: str) -> str:
    """Return the digits of a phone number without leading zeros."""
    digits = re.sub(r"\D", "", query)
    return digits.lstrip("0") if len(digits) >= 5 and re.fullmatch(r"[\d\s+()./-]+", query) else ""


def _rank(query: str) -> Any:
    """Rank exact values first, then values that begin like this, then all words, then any match."""
    plain, own = like_pattern(query)[1:-1], func.split_part(Finding.letters, NEIGHBOUR_MARK, 1)
    steps: list[tuple[Any, Any]] = [(own.like(f"%\n{plain}\n%"), 0), (own.like(f"%\n{plain}%"), 1)]
    if number := re.search(r"[1-9]\d*$", query):
        steps.append((own.like(f"%\n{number[0]}\n%"), 1))
    if digits := _phone_digits(query):
        steps.append((own.like(f"%{digits}\n%"), 1))
    if question := _prefix_query(query):
        steps += [(_matches_query(question.replace(":*", ":*A")), 2), (_matches_query(question), 3)]
    return case(*steps, else_=4)


def _groups(ranked: Sequence[tuple[str, int]], at_once: int) -> list[Group]:
    """Group the matches by noun, in the order of their best match, with one query for each noun."""
    ids: dict[str, list[int]] = {}
    for noun, row_id in ranked:
        ids.setdefault(noun, []).append(row_id)
    by_name = {entry.resource.name: entry.resource for entry in _entries.values()}
    return [_group(by_name[noun], its, at_once) for noun, its in ids.items()]


def _group(resource: Resource, ids: Sequence[int], at_once: int) -> Group:
    hits = hits_of(resource, ids[:at_once])
    return Group(resource, hits, len(ids) > at_once)


def hits_of(resource: Resource, ids: Sequence[int]) -> list[Hit]:
    """Return these rows as hits, in this order, if the current user may read them."""
    statement = load_related(
        resource.noun, access.visible_rows(resource.noun).where(resource.noun.id.in_(ids)), resource.list
    )
    rows = {row.id: row for row in session.scalars(statement).unique()}
    return [_hit(resource, rows[id]) for id in ids if id in rows]


def _hit(resource: Resource, row: Any) -> Hit:
    title = str(row)
    texts = [each.display(row) for each in resource.list if each.kind not in ("state", "picture", "yesno", "facts")]
    more = [each for each in dict.fromkeys(texts) if each not in (EMPTY, title)][:3]
    return Hit(
        row,
        title,
        " · ".join(more),
        row.state if row.states else "",
        url_for(f"{stable_name(resource.noun)}Screens.show", pk=row.id),
    )


# --- the page ---------------------------------------------------------------------------------------------------------


class Search(BaseView):
    """Search page, and the same as JSON for the palette."""

    route_base = "/desk/search"
    class_permission_name = "Search"
    base_permissions = ["can_read"]
    method_permission_name: ClassVar[dict[str, str]] = {"show": "read", "seen": "read"}

    @expose("/")
    @has_access
    def show(self) -> Any:
        words = request.args.get("q", "").strip()[:200]
        as_json = request.accept_mimetypes.best == "application/json"
        groups = search_records(words, HITS_PER_KIND[0 if as_json else 1])
        if as_json:
            return {"groups": [_group_json(each, words) for each in groups]}
        return render_template("desk/search.html", words=words, groups=groups, shortest=SHORTEST)

    @expose("/seen")
    @has_access
    def seen(self) -> Any:
        """Return recently viewed rows, kept in the browser as booking-12,person-3, with their present names."""
        wanted = [
            (noun, int(id))
            for noun, _, id in (each.partition("-") for each in request.args.get("rows", "").split(",")[:12])
            if id.isdecimal() and len(id) < 10
        ]
        kinds = [
            each for each in (searchable_resource(noun) for noun in dict.fromkeys(noun for noun, _ in wanted)) if each
        ]
        hits = {
            (kind.name, hit.row.id): (kind, hit)
            for kind in kinds
            for hit in hits_of(kind, [id for noun, id in wanted if noun == kind.name])
        }
        return {"hits": [_hit_json(*hits[each]) for each in wanted if each in hits]}


def searchable_resource(name: str) -> Resource | None:
    """Return the indexed resource with this name if the current user may read it."""
    found = next((noun for noun in _entries if noun.__tablename__ == name), None)
    return resource_of(found) if found and access.actor().may(found, "read") else None


def _group_json(group: Group, words: str) -> dict[str, Any]:
    all_of_it = url_for(group.resource.page_endpoint, q=words) if group.more else ""
    return {
        "label": group.resource.label,
        "hits": [_hit_json(group.resource, each) for each in group.hits],
        "all": all_of_it,
    }


def _hit_json(resource: Resource, hit: Hit) -> dict[str, str]:
    state = resource.noun.state_label(hit.state) if hit.state else ""
    return {
        "title": hit.title,
        "more": hit.more,
        "state": state,
        "icon": resource.icon,
        "kind": resource.one,
        "url": hit.url,
    }
