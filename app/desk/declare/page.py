"""Page: one page of a line of business on the staff's side that belongs to no single noun: its right, its menu entry, its door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.kernel.access import Actor
from app.kernel.db import Noun, spaced


@dataclass(frozen=True)
class Glance:
    """One line of a page, as the desk's first page shows it: when, what, and where to read on."""

    at: str
    title: str
    more: str
    state: str
    url: str
    of: type[Noun] | None = None  # whose state it is


class Page:
    """What staff open beside lists and reports. Who may has no default on purpose.

    `answers` reads the request and answers it, as any page does; it is called only for somebody who may. It acts for whoever
    is here, so what it reads it reads through `access`, and what it changes it changes by a move. `glance` answers with the first lines of it, for the first page.
    `also` are other words under which the search over everything finds it. One that `adds` something comes first under “Add” on every page.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str = "",
        icon: str = "square",
        also: str = "",
        roles: str,
        answers: Callable[[], Any],
        glance: Callable[[], list[Glance]] | None = None,
        adds: bool = False,
    ) -> None:
        self.name, self.label, self.icon, self.also = name, label or spaced(name), icon, also
        self.roles, self.answers, self.glance, self.adds, self.pack = (
            frozenset(roles.split()),
            answers,
            glance,
            adds,
            "",
        )

    def register(self, pack: str) -> None:
        if self.name in _registered:
            raise TypeError(f"{self.name} is declared twice.")
        self.pack = pack
        _registered[self.name] = self

    @property
    def permission_name(self) -> str:
        """What its permission is about."""
        return "".join(each.capitalize() for each in self.name.split("_")) + "Page"

    @property
    def page_endpoint(self) -> str:
        return f"{self.permission_name}.show"

    @property
    def add_link(self) -> tuple[str, str]:
        """Where something is added, and what that is called."""
        return self.page_endpoint, self.label

    def is_for(self, who: Actor) -> bool:
        return who.has(f"{self.permission_name}.can_read")


_registered: dict[str, Page] = {}


def registered_pages() -> list[Page]:
    return [*_registered.values()]


def forget_pages() -> None:
    """Two apps in one process, as in tests, declare the same pages anew."""
    _registered.clear()
