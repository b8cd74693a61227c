"""Page: a staff page of a pack that belongs to no single noun, with a permission and a menu entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.kernel.access import Actor
from app.kernel.db import Noun, spaced


@dataclass(frozen=True)
class Glance:
    """One line of a page's card on the start page: when, what, and a link."""

    at: str
    title: str
    more: str
    state: str
    url: str
    of: type[Noun] | None = None  # whose state it is


class Page:
    """Declares a page beside lists and reports. `roles` has no default on purpose.

    - `answers` handles the request. It is called only for users with the permission, and acts as the current user:
      it reads through `access` and changes rows by moves.
    - `glance` returns the lines of the page's card on the start page.
    - `also` are synonyms for the search over everything.
    - A page with `adds` comes first under “Add” on every page.
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
        self.roles, self.answers, self.glance = frozenset(roles.split()), answers, glance
        self.adds, self.pack = adds, ""

    def register(self, pack: str) -> None:
        if self.name in _registered:
            raise TypeError(f"{self.name} is declared twice.")
        self.pack = pack
        _registered[self.name] = self

    @property
    def permission_name(self) -> str:
        return "".join(each.capitalize() for each in self.name.split("_")) + "Page"

    @property
    def page_endpoint(self) -> str:
        return f"{self.permission_name}.show"

    @property
    def add_link(self) -> tuple[str, str]:
        """The endpoint and the label of the page in the “Add” menu."""
        return self.page_endpoint, self.label

    def is_for(self, who: Actor) -> bool:
        return who.has(f"{self.permission_name}.can_read")


_registered: dict[str, Page] = {}


def registered_pages() -> list[Page]:
    return [*_registered.values()]


def forget_pages() -> None:
    """Clear the registry, so that a process can create two apps, as the tests do."""
    _registered.clear()
