"""Access control: the acting user, row scopes (who may read and write which rows), column guards, signed links."""

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
# The source of a change, and its label.
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
SEES = "Rows.can_be_those_of_"  # prefix of the right by which a custom role inherits the row scope of a declared role


@dataclass(frozen=True)
class Actor:
    """The user, program or system that acts, and where the request came in."""

    name: str
    door: str
    user_id: int | None = None
    roles: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()  # "Booking.can_confirm", as the roles in the database grant them
    token_scopes: frozenset[str] | None = None  # limits the rights to these, when an API token acts for its owner
    on_behalf_of: str = ""  # impersonation: the administrator who views as this user

    @property
    def is_system(self) -> bool:
        """True for the worker, webhooks, the scheduler and the command line, which need no rights."""
        return self.door in ("worker", "webhook", "command", "clock")

    @property
    def may_all(self) -> bool:
        return self.is_system or ADMIN in self.roles

    def may(self, noun: type[Any], verb: str) -> bool:
        return self.has(f"{stable_name(noun)}.can_{verb}")

    def has(self, right: str) -> bool:
        """Decide whether this right is held; screens, REST API and console all ask here."""
        return (self.may_all or right in self.rights) and (self.token_scopes is None or right in self.token_scopes)

    def inherited_roles(self, noun: type[Any]) -> frozenset[str]:
        """Declared roles whose row scope a custom role inherits for a noun that it may read."""
        marked = _roles_seen_like(self.rights)
        return marked if marked and self.may(noun, "read") else frozenset()

    @property
    def effective_roles(self) -> frozenset[str]:
        """Own roles, and the declared roles whose row scope a custom role inherits."""
        return self.roles | _roles_seen_like(self.rights)


@lru_cache(256)
def _roles_seen_like(rights: frozenset[str]) -> frozenset[str]:
    return frozenset(right.removeprefix(SEES) for right in rights if right.startswith(SEES))


_actor_source: ContextVar[Callable[[], Actor] | None] = ContextVar("actor", default=None)
_COMMAND = Actor("Command line", "command")


def actor() -> Actor:
    source = _actor_source.get()
    return source() if source else _COMMAND


@contextmanager
def acting(who: Actor) -> Iterator[None]:
    token = _actor_source.set(lambda: who)
    try:
        yield
    finally:
        _actor_source.reset(token)


def set_actor_source(source: Callable[[], Actor] | None) -> None:
    """Set how this request finds its actor; it is asked late, because a token is checked inside the view."""
    _actor_source.set(source)


# --- row scopes: whose rows are whose ---------------------------------------------------------------------------------

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
    """Rows that lead, along these relations, to the signed-in user: own("slot.practitioner.user")."""
    return _Own(path)


def either(*policies: Policy) -> Policy:
    """Rows that satisfy at least one of these policies."""
    return _Either(policies)


def owner_paths(noun: type[Any]) -> list[str]:
    """The relation paths along which a row of this noun belongs to a user, from its declared scope."""
    scope = _scopes.get(noun)
    return [*dict.fromkeys(path for policy in scope.policies.values() for path in _paths(policy))] if scope else []


def sole_owner_relation(noun: type[Any]) -> str:
    """The only relation by which a row can be the actor's own, if there is one: it must not be left empty."""
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
    return who.may_all or everything in _policies(who, noun)


def has_scope(noun: type[Any]) -> bool:
    return noun in _scopes


def scope_condition(noun: type[Any]) -> ColumnElement[bool]:
    """The WHERE condition for the rows that the actor may see; no rows of an undeclared noun."""
    who = actor()
    if sees_all(who, noun):
        return true()
    return or_(false(), *(policy(noun) for policy in _policies(who, noun)))


def _policies(who: Actor, noun: type[Any]) -> list[Policy]:
    """The policy of each role with which this actor reads the noun; none for an undeclared noun."""
    if (scope := _scopes.get(noun)) is None:
        return []
    roles = scope.readers & (who.roles | who.inherited_roles(noun))
    return [scope.policies.get(role, everything) for role in sorted(roles)]


# --- column guards: which columns -------------------------------------------------------------------------------------

# Each level includes the one before; "write" is no limit: what the role may do with the row.
LEVELS = "hidden", "masked", "read", "write"

Guard = Mapping[str, Mapping[str, str]]  # column -> role -> highest level

_guards: dict[type[Any], Guard] = {}


def set_column_guards(noun: type[Any], columns: Guard) -> None:
    _guards[noun] = columns


def column_guards(noun: type[Any]) -> Guard:
    return _guards.get(noun, {})


def column_level(noun: type[Any], column: str) -> str:
    """The level at which the actor may use this column: the highest that one of their roles allows."""
    who, roles = actor(), column_guards(noun).get(column)
    if roles is None or who.may_all:
        return "write"
    readers = _scopes[noun].readers if noun in _scopes else frozenset()
    found = [LEVELS.index(roles.get(role, "write")) for role in who.effective_roles if role in roles or role in readers]
    return LEVELS[max(found)] if found else "write"  # a column of a related noun, shown by a noun that they may read


def visible_rows(noun: type[Any]) -> Select[Any]:
    return select(noun).where(scope_condition(noun))


def find_visible(noun: type[Any], id: int) -> Any:
    """Load a row that the actor may see; a missing row and a forbidden one give the same 404."""
    if not -(2**31) < id < 2**31:
        raise Missing
    row = session.scalar(visible_rows(noun).where(noun.id == id))
    if row is None:
        raise Missing
    return row


def require_in_scope(row: Noun) -> None:
    """Check inside the transaction that the actor may still see the row after changing it; else 404."""
    session.flush()
    if session.scalar(select(type(row).id).where(type(row).id == row.id, scope_condition(type(row)))) is None:
        raise Missing


# --- signed links -----------------------------------------------------------------------------------------------------

_keys: tuple[bytes, ...] = ()


def configure(*keys: str) -> None:
    """Set the signing keys: the first signs, older ones still verify, so that a key can be rotated."""
    global _keys
    _keys = tuple(key.encode() for key in keys if key)


def signature(text: str, key: bytes | None = None) -> str:
    digest = hmac.new(key or _keys[0], text.encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest[:18]).decode()


def signatures(text: str) -> list[str]:
    """Sign with every key, the current one first."""
    return [signature(text, key) for key in _keys]


class Linked:
    """A noun with a public link that cannot be guessed: 128 random bits, and a signature by a key of the server."""

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
