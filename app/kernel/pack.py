"""Pack: what a line of business brings; the app is put together from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.kernel.db import Noun


@dataclass(frozen=True)
class Pack:
    """A contents page: nouns, screens, public pages, messages, and a small believable world to show it with."""

    name: str
    label: str
    nouns: Sequence[type[Noun]]
    resources: Sequence[Any] = ()
    reports: Sequence[Any] = ()
    pages: Sequence[Any] = ()
    blueprints: Sequence[Any] = ()
    messages: Sequence[str] = ()
    demo: Callable[[], None] | None = None
    large: Callable[[int], Iterator[int]] | None = None  # a world as large as a busy year, told as it grows
