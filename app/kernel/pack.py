"""Pack: the plug-in contract of a line of business: its nouns, screens, reports, pages, messages and features."""

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
    """One entry in a customer's account: title, number, state, time with its zone, and link."""

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
    """One step of the setup checklist for a new business."""

    label: str
    why: str
    is_done: Callable[[], bool]
    endpoint: str = ""
    address: str = ""


@dataclass(frozen=True)
class Pack:
    """What a pack contributes to the app; nothing else in the app knows a pack."""

    name: str
    label: str
    nouns: Sequence[type[Noun]]
    resources: Sequence[Any] = ()
    reports: Sequence[Any] = ()
    pages: Sequence[Any] = ()
    blueprints: Sequence[Any] = ()
    # Message templates: names of template files, or template texts by name.
    messages: Sequence[str] | Mapping[str, str] = ()
    # Titles of messages whose name does not say it: {"soon": "1-hour reminder"}.
    message_titles: Mapping[str, str] = field(default_factory=dict)
    first_steps: Sequence[Step] = ()
    features: Sequence[Feature] = ()
    # The entries of these people in the customer account.
    mine: Callable[[Sequence[Person]], Sequence[Card]] | None = None
    # Demo data; and data as large as a busy year, yielding its progress.
    demo: Callable[[], None] | None = None
    large: Callable[[int], Iterator[int]] | None = None
