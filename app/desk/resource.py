"""Resource: one declaration of a noun, from which the desk makes every screen, endpoint, right and menu entry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from app.desk.column import Column, columns
from app.kernel import access
from app.kernel.access import Policy
from app.kernel.db import Noun, spaced
from app.kernel.workflow import Move, moves

# What one word of a role's rights allows; "moves" stands for every move whose `by` names the role.
_RIGHTS = {"read": {"read"}, "write": {"add", "edit"}, "add": {"add"}, "edit": {"edit"}, "delete": {"delete"}, "moves": set()}

_registered: dict[type[Noun], Resource] = {}


class Resource:
    """What staff may see and do of one noun. Roles, and whose rows are whose, have no default on purpose.

    `list`, `show`, `add`, `edit`, `search` and `filters` are column names with spaces between; a dot leads to a
    neighbour ("slot.starts_at"). `scope` is `everything`, or the policy of each role that does not see every row.
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
        filters: str = "",
        order: str = "-id",
        icon: str = "square",
        label: str = "",
        roles: Mapping[str, str],
        scope: Policy | Mapping[str, Policy],
    ) -> None:
        self.noun, self.icon, self.roles = noun, icon, dict(roles)
        self.name = noun.__tablename__
        self.one = spaced(noun.__name__)
        self.label = label or f"{self.one}s"
        self.list = columns(noun, list)
        self.show = columns(noun, show or list)
        self.add = columns(noun, add)
        self.edit = columns(noun, add if edit is None else edit)
        self.search = columns(noun, search)
        self.filters = columns(noun, filters)
        self.order = order
        self.moves: dict[str, Move] = moves(noun) if noun.states else {}
        self.policies = dict(scope) if isinstance(scope, Mapping) else dict.fromkeys(roles, scope)
        self._check()
        self.pack = ""

    def _check(self) -> None:
        unknown = {word for words in self.roles.values() for word in words.split()} - _RIGHTS.keys()
        if unknown:
            raise TypeError(f"{self.noun.__name__}: rights are {', '.join(_RIGHTS)}, not {', '.join(sorted(unknown))}.")
        if stray := self.policies.keys() - self.roles.keys():
            raise TypeError(f"{self.noun.__name__}: a scope for {', '.join(sorted(stray))}, who has no right to read it.")
        for each in [*self.add, *self.edit]:
            if each.kind == "state" or len(each.steps) > 1 or each.secret:
                raise TypeError(f"{self.noun.__name__}.{each.path} is not written by hand.")
        for each in [*self.list, *self.search, *self.filters]:
            if each.secret:
                raise TypeError(f"{self.noun.__name__}.{each.path} is secret: not in a list, a search or a filter.")

    def register(self, pack: str) -> None:
        if self.noun in _registered:
            raise TypeError(f"{self.noun.__name__} is declared twice.")
        self.pack = pack
        _registered[self.noun] = self
        readers = frozenset(role for role, words in self.roles.items() if "read" in words.split())
        access.declare(self.noun, readers, self.policies)

    @property
    def front(self) -> str:
        """The endpoint of its list."""
        return f"{self.noun.__name__}Screens.list"

    def rights(self, role: str) -> set[str]:
        """The verbs of a role: read, add, edit, delete, and the name of each move that is theirs."""
        words = self.roles.get(role, "").split()
        verbs = {verb for word in words for verb in _RIGHTS[word]}
        return verbs | ({name for name, move in self.moves.items() if role in move.by} if "moves" in words else set())

    @cached_property
    def verbs(self) -> list[str]:
        """Everything that can be a right here, for the permission table."""
        given = {verb for role in self.roles for verb in self.rights(role)}
        verbs = {"read"} | ({"add"} if self.add else set()) | ({"edit"} if self.edit else set()) | (given & {"delete"})
        return sorted(verbs | {name for name, move in self.moves.items() if move.by})

    def column(self, path: str, among: list[Column]) -> Column | None:
        return next((each for each in among if each.path == path), None)


def resources() -> list[Resource]:
    return [*_registered.values()]


def resource_of(noun: type[Noun]) -> Resource | None:
    return _registered.get(noun)


def forget_all() -> None:
    """Two apps in one process, as in tests, declare the same nouns anew."""
    _registered.clear()
