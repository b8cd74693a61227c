"""Pack: what a line of business brings; the app is put together from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.kernel.db import Noun
from app.kernel.feature import Feature
from app.kernel.people import Person


@dataclass(frozen=True)
class Card:
    """One thing of somebody's, as their account shows it: what, how it stands, when and in which zone, and where to read on."""

    title: str
    number: str
    state: str
    tone: str
    at: datetime
    timezone: str
    link: str
    is_over: bool
    name: str = ""


@dataclass(frozen=True)
class Step:
    """One thing that a new owner does first: what, why, whether it is done, and where."""

    label: str
    why: str
    is_done: Callable[[], bool]
    endpoint: str = ""
    address: str = ""


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
    messages: (
        Sequence[str] | Mapping[str, str]
    ) = ()  # their names, whose words are files; or the words themselves, by name
    message_titles: Mapping[str, str] = field(
        default_factory=dict
    )  # what staff call a message whose name does not say it: {"soon": "1-hour reminder"}
    first_steps: Sequence[Step] = ()
    features: Sequence[Feature] = ()  # what of it can be turned off
    demo: Callable[[], None] | None = None
    mine: Callable[[Sequence[Person]], Sequence[Card]] | None = (
        None  # what of it is theirs, for the account of these people
    )
    large: Callable[[int], Iterator[int]] | None = None  # a world as large as a busy year, told as it grows
