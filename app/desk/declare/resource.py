"""Resource: one declaration of a noun, from which its screens, REST endpoints, permissions and menu entry are built."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement

from app.desk.declare.calendar import Calendar
from app.desk.declare.column import Column, column_groups, columns_of, columns_open_to, visible_columns
from app.desk.declare.field import AddedColumn, added_columns, allow_as_link_target
from app.kernel import access, db
from app.kernel.access import LEVELS, Policy
from app.kernel.db import Noun, stable_name, within_a_sentence
from app.kernel.people import Person
from app.kernel.workflow import Move, moves

# The verbs that a word of `roles` grants; "moves" grants every move whose `by` names the role.
_RIGHTS = {
    "read": {"read"},
    "write": {"add", "edit"},
    "add": {"add"},
    "edit": {"edit"},
    "delete": {"delete"},
    "moves": set(),
}

CARD = 4  # columns of the list that identify a row outside it

_registered: dict[type[Noun], Resource] = {}
_listed_below: dict[type[Noun], list[tuple[Resource, Column]]] = {}  # by the noun that the relation leads to


@dataclass(frozen=True)
class Link:
    """A public page of a row, opened by its signed link."""

    label: str
    endpoint: str
    when: Callable[[Any], bool] = lambda row: True
    copied: bool = False  # show the address for copying instead of opening the page


@dataclass(frozen=True)
class Waits:
    """Rows that wait for people of these roles: counted on the start page and listed in the inbox."""

    label: str
    by: str
    where: Callable[[], ColumnElement[bool]]  # evaluated at each call, for the current user
    filters: Mapping[str, str] = field(default_factory=dict)
    until: str = ""  # the column with the deadline
    tone: str = "warn"

    def is_for(self, roles: frozenset[str]) -> bool:
        return bool(roles & {*self.by.split(), access.ADMIN})


@dataclass(frozen=True)
class Shape:
    """The columns of each screen of a resource."""

    list: Sequence[Column]
    groups: Sequence[tuple[str, Sequence[Column]]]
    add: Sequence[Column]
    edit: Sequence[Column]
    search: Sequence[Column]
    filters: Sequence[Column]

    @cached_property
    def show(self) -> Sequence[Column]:
        return [each for _, its in self.groups for each in its]

    @cached_property
    def choosable(self) -> Sequence[Column]:
        """The columns that a list can have: all that are shown anywhere, except secret ones and collections."""
        every = {each.path: each for each in [*self.list, *self.show]}
        return [each for each in every.values() if not each.secret and not getattr(each.attribute, "uselist", False)]

    @cached_property
    def at_stake(self) -> Sequence[Column]:
        """The customer and the amounts, shown wherever a decision about a row is made."""
        return [
            each for each in self.list if each.kind == "money" or (each.kind == "relation" and each.target is Person)
        ]

    @property
    def all_columns(self) -> Iterator[Column]:
        for its in (self.list, self.show, self.add, self.edit, self.search, self.filters):
            yield from its

    def grouped(self, columns: Sequence[Column]) -> Sequence[tuple[str, Sequence[Column]]]:
        """Group the columns of a form by their headings on the record page."""
        heading = {each.path: said for said, its in self.groups for each in its}
        below = [
            (said, [each for each in columns if heading.get(each.path, "") == said])
            for said in dict.fromkeys(["", *heading.values()])
        ]
        return [(said, its) for said, its in below if its]

    def with_fields(self, added: Sequence[AddedColumn]) -> Shape:
        """Return the shape with custom fields after the declared columns."""
        return Shape(
            list=[*self.list, *(each for each in added if each.listed)],
            groups=[*self.groups, ("Custom fields", added)],
            add=[*self.add, *added] if self.add else self.add,
            edit=[*self.edit, *added],
            search=[*self.search, *(each for each in added if each.found)],
            filters=[*self.filters, *added],
        )

    @cached_property
    def is_guarded(self) -> bool:
        return any(each.is_guarded for each in self.all_columns)

    @cached_property
    def _by_roles(self) -> dict[frozenset[str], Shape]:
        return {}

    def for_reader(self) -> Shape:
        """Return the shape as the current user may see and edit it, cached by roles."""
        who = access.actor()
        if who.may_all or not self.is_guarded:
            return self
        if who.effective_roles not in self._by_roles:
            self._by_roles[who.effective_roles] = self._narrowed()
        return self._by_roles[who.effective_roles]

    def _narrowed(self) -> Shape:
        plain = {
            name: columns_open_to(level, getattr(self, name))
            for name, level in (("add", "write"), ("edit", "write"), ("search", "read"), ("filters", "read"))
        }
        groups = [(heading, visible_columns(its)) for heading, its in self.groups]
        return Shape(
            list=visible_columns(self.list), groups=[(heading, its) for heading, its in groups if its], **plain
        )


class Resource:
    """Declares what staff can see and do with one noun. `roles` and `scope` have no default on purpose.

    Columns:
    - `list`, `show`, `add`, `edit`, `search` and `filters` are names with spaces between; a dot leads to a related noun
      ("slot.starts_at"). `show` can have groups, which forms have as well: "number state | Money: price deposit".
    - `labels` overrides labels of columns; `order` is the column that sorts the list, with "-" for descending.
    - `guards` limits columns for roles to `read`, `masked` or `hidden`, wherever the columns appear:
      {"phone email": {"Auditor": "masked"}}.

    Names:
    - `one` is the label of one row ("customer"), `label` that of all rows in the menu, and `many` the plural within a
      sentence, each where it cannot be derived (label="Time off & closures", many="closures").
    - `also` are synonyms for the search over everything: also="holiday vacation leave".
    - `tones` overrides the colours of states: good, info, warn, bad, quiet.
    - `empty` is shown in place of a list without rows.

    Related rows:
    - `related` are the relations, or nouns about it, that are listed below a record: "payments payments.refunds bill".
    - `below` are its own relations below whose targets its newest rows are listed: "person", "bill.person".
    - `links` are its public pages.

    Behaviour:
    - `roles` gives the verbs of each role; `scope` is `everything`, or a policy for each role that sees only some rows.
    - `waits` declares which rows wait for which roles; `calendar` shows rows by day.
    - `found=False` keeps its rows out of the search over everything.
    - `strands` returns, by number, what a change of a row that is flushed but not committed would leave inconsistent.
    - `archive` lets everyone who may edit a row archive it.
    - `part` is the feature it belongs to: while that is turned off, it has no menu entry and no rows can be added.
    - `screens` is a subclass of `NounView` with pages of its own.
    """

    def __init__(
        self,
        noun: type[Noun],
        *,
        list: str,
        show: str = "",
        add: str = "",
        edit: str | None = None,
        search: str = "",
        found: bool = True,
        filters: str = "",
        order: str = "-id",
        icon: str = "square",
        one: str = "",
        label: str = "",
        many: str = "",
        also: str = "",
        labels: Mapping[str, str] | None = None,
        related: str = "",
        below: str = "",
        links: Sequence[Link] = (),
        waits: Sequence[Waits] = (),
        tones: Mapping[str, str] | None = None,
        calendar: Calendar | None = None,
        strands: Callable[[Any], Mapping[str, str]] | None = None,
        archive: bool = False,
        part: str = "",
        screens: Any = None,
        empty: str = "",
        guards: Mapping[str, Mapping[str, str]] | None = None,
        roles: Mapping[str, str],
        scope: Policy | Mapping[str, Policy],
    ) -> None:
        self.noun, self.icon, self.roles = noun, icon, dict(roles)
        self.name = noun.__tablename__
        self.one = one[:1].upper() + one[1:] or db.label_of_table(self.name)
        self.label, self.also = label or f"{self.one}s", also
        self.singular, self.plural = within_a_sentence(self.one), many or within_a_sentence(self.label)
        called = labels or {}
        self.declared = Shape(
            list=columns_of(noun, list, called),
            groups=column_groups(noun, show or list, called),
            add=columns_of(noun, add, called),
            edit=columns_of(noun, add if edit is None else edit, called),
            search=columns_of(noun, search, called),
            filters=columns_of(noun, filters, called),
        )
        self.found, self.order = found, order
        self.guards = {name: dict(most) for names, most in (guards or {}).items() for name in names.split()}
        self.related, self.links, self.waits, self.tones = related.split(), [*links], [*waits], dict(tones or {})
        self.below = columns_of(noun, below, called)
        self.calendar = calendar.bind_to(noun) if calendar else None
        self.strands, self.archive, self.part = strands, archive, part
        self.screens, self.empty = screens, empty
        self.moves: Mapping[str, Move] = moves(noun) if noun.states else {}
        self.policies = dict(scope) if isinstance(scope, Mapping) else dict.fromkeys(roles, scope)
        self._added: Sequence[AddedColumn] = ()
        self._whole = self.declared
        self._check()
        self.pack = ""

    def _check(self) -> None:
        unknown = {word for words in self.roles.values() for word in words.split()} - _RIGHTS.keys()
        if unknown:
            raise TypeError(f"{self.noun.__name__}: rights are {', '.join(_RIGHTS)}, not {', '.join(sorted(unknown))}.")
        if self.archive and not self.declared.edit:
            raise TypeError(f"{self.noun.__name__}: a resource without edit columns cannot be archived.")
        if stray := self.policies.keys() - self.roles.keys():
            raise TypeError(
                f"{self.noun.__name__}: a scope for {', '.join(sorted(stray))}, who has no right to read it."
            )
        if stray := self.tones.keys() - set(self.noun.states):
            raise TypeError(f"{self.noun.__name__}: a tone for {', '.join(sorted(stray))}, which is no state of it.")
        if self.links and not issubclass(self.noun, access.Linked):
            raise TypeError(f"{self.noun.__name__} has no signed link.")
        if stray := {
            name for each in self.waits for name in each.filters if not name.startswith("f.") and name not in ("w", "q")
        }:
            raise TypeError(
                f"{self.noun.__name__}: what waits leads to its list by f.{min(stray)}, not by {min(stray)}."
            )
        self._check_columns()

    def _check_columns(self) -> None:
        for each in [*self.declared.add, *self.declared.edit]:
            if each.kind == "state" or len(each.steps) > 1 or each.secret:
                raise TypeError(f"{self.noun.__name__}.{each.path} is not written by hand.")
        for each in [*self.declared.list, *self.declared.search, *self.declared.filters]:
            if each.secret:
                raise TypeError(f"{self.noun.__name__}.{each.path} is secret: not in a list, a search or a filter.")
        known = {each.path for each in [*self.declared.choosable, *self.declared.filters]}
        for each in self.below:
            if each.kind != "relation" or each.path not in known:
                raise TypeError(
                    f"{self.noun.__name__} is below what a relation leads to that it shows or is filtered by, "
                    f"not below {each.path}."
                )
        for name, most in self.guards.items():
            levels = LEVELS[1:3] if Column(self.noun, name).kind not in ("relation", "picture") else ("read",)
            if stray := {*most.values()} - {*levels, "hidden"}:
                allowed, given = ", ".join(levels), ", ".join(sorted(stray))
                raise TypeError(f"{self.noun.__name__}.{name} is {allowed} or hidden for a role, not {given}.")
            if name == self.order.removeprefix("-"):
                raise TypeError(f"{self.noun.__name__} is ordered by {name}, which not everybody may know.")

    def register(self, pack: str) -> None:
        if self.noun in _registered:
            raise TypeError(f"{self.noun.__name__} is declared twice.")
        self.pack = pack
        if self.calendar:
            self.calendar.pack = pack
        _registered[self.noun] = self
        db.set_label(self.noun, self.one)
        readers = frozenset(role for role, words in self.roles.items() if "read" in words.split())
        access.declare_scope(self.noun, readers, self.policies)
        access.set_column_guards(self.noun, self.guards)
        for column in self.below:
            there = _listed_below.setdefault(column.target, [])
            there.insert(
                sum(each.pack == pack for each, _ in there), (self, column)
            )  # the built-in resources are registered first and listed last
        if self.is_indexed and any(len(each.steps) == 1 for each in self.declared.search):
            allow_as_link_target(self.noun)

    @property
    def is_indexed(self) -> bool:
        """Whether its rows are in the index of the search over everything."""
        return self.found and bool(self.declared.search)

    @property
    def searches_all(self) -> bool:
        """Whether the current user may read every column that rows are found by."""
        return len(self.search) == len(self.full_shape.search)

    @property
    def endpoint(self) -> str:
        """The Flask endpoint of its view, without the method: "BookingScreens"."""
        return f"{stable_name(self.noun)}Screens"

    @property
    def page_endpoint(self) -> str:
        return f"{self.endpoint}.list"

    @property
    def add_link(self) -> tuple[str, str]:
        """The endpoint and the label of the form that adds one."""
        return f"{self.endpoint}.add", f"Add {self.singular}"

    def count_text(self, many: int) -> str:
        """Return “1 booking” or “1,500 bookings”."""
        return f"{many:,} {self.singular if many == 1 else self.plural}"

    def file_name(self, ending: str) -> str:
        """Return the name of an exported file: payment-requests.csv, payment-requests-problems.csv."""
        name = re.sub(r"[^a-z0-9]+", "-", self.plural.lower()).strip("-") or self.name
        return f"{name}{'-' if '.' in ending else '.'}{ending}"

    def rights(self, role: str) -> set[str]:
        """Return the verbs of a role: read, add, edit, delete, and the names of its moves.

        Where no declared column can be edited, a role with moves may edit custom fields.
        """
        words = self.roles.get(role, "").split()
        verbs = {verb for word in words for verb in _RIGHTS[word]}
        if "moves" in words:
            verbs |= {name for name, move in self.moves.items() if role in move.by}
            verbs |= set() if self.declared.edit or self.noun.final else {"edit"}
        return verbs

    @cached_property
    def verbs(self) -> Sequence[str]:
        """All verbs that can be granted, for the table of permissions."""
        given = {verb for role in self.roles for verb in self.rights(role)}
        verbs = (
            {"read"}
            | ({"add"} if self.declared.add else set())
            | (set() if self.noun.final else {"edit"})
            | (given & {"delete"})
        )
        return sorted(verbs | {name for name, move in self.moves.items() if move.by})

    # --- columns, as the current user may see them ---------

    @property
    def full_shape(self) -> Shape:
        """The declared columns and the custom fields."""
        added = added_columns(self.noun)
        if added is not self._added:
            self._added, self._whole = added, self.declared.with_fields(added) if added else self.declared
        return self._whole

    @property
    def visible_shape(self) -> Shape:
        return self.full_shape.for_reader()

    @property
    def list(self) -> Sequence[Column]:
        return self.visible_shape.list

    @property
    def groups(self) -> Sequence[tuple[str, Sequence[Column]]]:
        return self.visible_shape.groups

    @property
    def show(self) -> Sequence[Column]:
        return self.visible_shape.show

    @property
    def add(self) -> Sequence[Column]:
        return self.visible_shape.add

    @property
    def edit(self) -> Sequence[Column]:
        return self.visible_shape.edit

    @property
    def search(self) -> Sequence[Column]:
        return self.visible_shape.search

    @property
    def filters(self) -> Sequence[Column]:
        return self.visible_shape.filters

    @property
    def choosable(self) -> Sequence[Column]:
        return self.visible_shape.choosable

    @property
    def card(self) -> Sequence[Column]:
        """The columns that tell rows in one state apart: the first of the list, and what is at stake."""
        first = [each for each in self.list if each.kind != "state"][:CARD]
        return [*first, *(each for each in self.visible_shape.at_stake if each not in first)]

    def stakes_text(self, row: Any) -> str:
        """Return what is at stake in one line, without what the name of the row already says."""
        said = [(each.label, each.display(row)) for each in self.visible_shape.at_stake if each.value(row)]
        return " · ".join(f"{label}: {words}" for label, words in said if words not in str(row))

    def column(self, path: str, among: Sequence[Column]) -> Column | None:
        return next((each for each in among if each.path == path), None)


def registered_resources() -> list[Resource]:
    return [*_registered.values()]


def resource_of(noun: type[Noun]) -> Resource | None:
    return _registered.get(noun)


def listed_below(noun: type[Noun]) -> Sequence[tuple[Resource, Column]]:
    """Return the resources listed below each record of this noun, with the relation that leads there."""
    return _listed_below.get(noun, ())


def forget_resources() -> None:
    """Clear the registry, so that a process can create two apps, as the tests do."""
    _registered.clear()
    _listed_below.clear()
