"""Who is here, whose rows are whose (read and write), and signed links for the public."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

from sqlalchemy import ColumnElement, Select, String, false, or_, select, true
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Noun, session, stable_name
from app.kernel.errors import Missing

ADMIN = "Admin"
# Through which a change comes in, and what a person calls each.
DOORS = {
    "desk": "Desk",
    "api": "REST API",
    "console": "Operations console",
    "import": "Import",
    "site": "Website",
    "public api": "Website API",
    "webhook": "Webhook",
    "worker": "Background job",
    "clock": "Scheduler",
    "command": "Command line",
}
SEES = "Rows.can_be_those_of_"  # and the name of a role


@dataclass(frozen=True)
class Actor:
    """Whoever is acting, and through which door they came in."""

    name: str
    door: str
    user_id: int | None = None
    roles: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()  # "Booking.can_confirm", as the roles in the database grant them
    token_scopes: frozenset[str] | None = None  # of these rights alone, when a token stands in for somebody
    on_behalf_of: str = ""  # who really sits there, when an administrator looks with somebody else's eyes

    @property
    def is_system(self) -> bool:
        """The worker, the webhook and the command line act for the house itself; rights are for people."""
        return self.door in ("worker", "webhook", "command", "clock")

    @property
    def may_all(self) -> bool:
        return self.is_system or ADMIN in self.roles

    def may(self, noun: type[Any], verb: str) -> bool:
        return self.has(f"{stable_name(noun)}.can_{verb}")

    def has(self, right: str) -> bool:
        """The one answer that every door gives."""
        return (self.may_all or right in self.rights) and (self.token_scopes is None or right in self.token_scopes)

    def inherited_roles(self, noun: type[Any]) -> frozenset[str]:
        """A role that an administrator made sees the rows that a declared one sees, of what it may read."""
        marked = _roles_seen_like(self.rights)
        return marked if marked and self.may(noun, "read") else frozenset()

    @property
    def effective_roles(self) -> frozenset[str]:
        """Their roles, and the declared ones that a role of an administrator's making sees like."""
        return self.roles | _roles_seen_like(self.rights)


@lru_cache(256)
def _roles_seen_like(rights: frozenset[str]) -> frozenset[str]:
    return frozenset(right.removeprefix(SEES) for right in rights if right.startswith(SEES))


_actor_source: ContextVar[Callable[[], Actor] | None] = ContextVar("actor", default=None)
_COMMAND = Actor("Command line", "command")


def actor() -> Actor:
    told = _actor_source.get()
    return told() if told else _COMMAND


@contextmanager
def acting(who: Actor) -> Iterator[None]:
    token = _actor_source.set(lambda: who)
    try:
        yield
    finally:
        _actor_source.reset(token)


def set_actor_source(told: Callable[[], Actor] | None) -> None:
    """A request begins, and asks later who it is: a token is only checked further inside."""
    _actor_source.set(told)


# --- whose rows are whose ---------------------------------------------------------------------------------------------

Policy = Callable[[type[Any]], ColumnElement[bool]]


@dataclass(frozen=True)
class Scope:
    """Which roles may read a noun, and for some of them which rows; a role without a policy sees every row."""

    readers: frozenset[str]
    policies: Mapping[str, Policy]


_scopes: dict[type[Any], Scope] = {}


def everything(noun: type[Any]) -> ColumnElement[bool]:
    return true()


@dataclass(frozen=True)
class _Own:
    path: str

    def __call__(self, noun: type[Any]) -> ColumnElement[bool]:
        *steps, last = self.path.split(".")
        chain, here = [], noun
        for step in steps:
            relation = getattr(here, step)
            chain.append(relation)
            here = relation.property.mapper.class_
        (column,) = getattr(here, last).property.local_columns
        condition: ColumnElement[bool] = (
            getattr(here, here.__mapper__.get_property_by_column(column).key) == actor().user_id
        )
        for relation in reversed(chain):
            condition = relation.has(condition)
        return condition


@dataclass(frozen=True)
class _Either:
    policies: tuple[Policy, ...]

    def __call__(self, noun: type[Any]) -> ColumnElement[bool]:
        return or_(*(policy(noun) for policy in self.policies))


def own(path: str) -> Policy:
    """Rows that lead, along these relations, to the user who is here: own("slot.practitioner.user")."""
    return _Own(path)


def either(*policies: Policy) -> Policy:
    """Rows that are somebody's one way or the other."""
    return _Either(policies)


def owner_paths(noun: type[Any]) -> list[str]:
    """The relations along which a row of this noun belongs to somebody, as its declaration says whose rows are whose."""
    scope = _scopes.get(noun)
    return [*dict.fromkeys(path for policy in scope.policies.values() for path in _paths(policy))] if scope else []


def sole_owner_relation(noun: type[Any]) -> str:
    """The one relation by which a row is theirs, for whoever does not see every row: left empty, it would be nobody's."""
    who = actor()
    if sees_all(who, noun):
        return ""
    ways = [_paths(policy) for policy in _policies(who, noun)]
    first = {path.partition(".")[0] for paths in ways for path in paths}
    return first.pop() if len(first) == 1 and all(ways) else ""


def _paths(policy: Policy) -> list[str]:
    match policy:
        case _Own(path):
            return [path]
        case _Either(policies):
            return [path for each in policies for path in _paths(each)]
    return []


def declare_scope(noun: type[Any], readers: frozenset[str], policies: Mapping[str, Policy]) -> None:
    _scopes[noun] = Scope(readers, policies)


def sees_all(who: Actor, noun: type[Any]) -> bool:
    """Are all rows of this noun for them?"""
    return who.may_all or everything in _policies(who, noun)


def has_scope(noun: type[Any]) -> bool:
    return noun in _scopes


def scope_condition(noun: type[Any]) -> ColumnElement[bool]:
    """The condition under which a row of this noun is for whoever is here; undeclared nouns are for nobody."""
    who = actor()
    if sees_all(who, noun):
        return true()
    return or_(false(), *(policy(noun) for policy in _policies(who, noun)))


def _policies(who: Actor, noun: type[Any]) -> list[Policy]:
    """That of each role with which they read it; none for a noun that nobody declared."""
    if (scope := _scopes.get(noun)) is None:
        return []
    roles = scope.readers & (who.roles | who.inherited_roles(noun))
    return [scope.policies.get(role, everything) for role in sorted(roles)]


# --- which of its columns ---------------------------------------------------------------------------------------------

LEVELS = (
    "hidden",
    "masked",
    "read",
    "write",
)  # each holds the one before; "write" is whatever the role may do with the row

Guard = Mapping[str, Mapping[str, str]]  # by column, what a role may at most

_guards: dict[type[Any], Guard] = {}


def set_column_guards(noun: type[Any], columns: Guard) -> None:
    _guards[noun] = columns


def column_guards(noun: type[Any]) -> Guard:
    """What of it not everybody may do everything with."""
    return _guards.get(noun, {})


def column_level(noun: type[Any], column: str) -> str:
    """What whoever is here may do with this column, wherever it is shown: the most that one of their roles allows."""
    who, roles = actor(), column_guards(noun).get(column)
    if roles is None or who.may_all:
        return "write"
    readers = _scopes[noun].readers if noun in _scopes else frozenset()
    found = [LEVELS.index(roles.get(role, "write")) for role in who.effective_roles if role in roles or role in readers]
    return LEVELS[max(found)] if found else "write"  # a neighbour's column, shown by a noun that is theirs to read


def visible_rows(noun: type[Any]) -> Select[Any]:
    return select(noun).where(scope_condition(noun))


def find_visible(noun: type[Any], id: int) -> Any:
    """The row, if it is there and for whoever asks; otherwise the same 404 for both."""
    if not -(2**31) < id < 2**31:
        raise Missing
    row = session.scalar(visible_rows(noun).where(noun.id == id))
    if row is None:
        raise Missing
    return row


def require_in_scope(row: Noun) -> None:
    """After a change: what was written must still be for the one who wrote it. Called inside the transaction."""
    session.flush()
    if session.scalar(select(type(row).id).where(type(row).id == row.id, scope_condition(type(row)))) is None:
        raise Missing


# --- signed links -----------------------------------------------------------------------------------------------------

_keys: tuple[bytes, ...] = ()


def configure(*keys: str) -> None:
    """The first key signs; older ones are still believed, so that a key can be changed without breaking links."""
    global _keys
    _keys = tuple(key.encode() for key in keys if key)


def signature(text: str, key: bytes | None = None) -> str:
    digest = hmac.new(key or _keys[0], text.encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest[:18]).decode()


def signatures(text: str) -> list[str]:
    """The one of today's key first, and after it those of keys that are still believed."""
    return [signature(text, key) for key in _keys]


class Linked:
    """A noun that the public reaches by a link nobody can guess: 128 random bits, and a signature that a stolen database lacks."""

    link_kind: ClassVar[str]
    handle: Mapped[str] = mapped_column(String(22), unique=True, default=lambda: secrets.token_urlsafe(16))

    @property
    def token(self) -> str:
        return self.handle + signature(f"{self.link_kind}:{self.handle}")

    @classmethod
    def by_token(cls, token: str) -> Self:
        handle, given = token[:22], token[22:]
        expected = signatures(f"{cls.link_kind}:{handle}")
        if not any(hmac.compare_digest(given.encode(), each.encode()) for each in expected):
            raise Missing
        found = session.scalar(select(cls).where(cls.handle == handle))
        if found is None:
            raise Missing
        return found
