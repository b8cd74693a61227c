"""Card: one thing that a page of the console tells, as facts or as a table, with the buttons that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.desk.declare import column
from app.kernel import clock

NONE = "–"


@dataclass(frozen=True)
class Press:
    """A button: always a POST, with the token of whoever presses it."""

    label: str
    url: str
    careful: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in one place: words, and where they lead, how they are meant, and what can be done there."""

    words: object = NONE
    url: str = ""
    tone: str = ""
    long: bool = False
    figure: bool = False
    presses: Sequence[Press] = ()


@dataclass(frozen=True)
class Card:
    """`facts` are label and value; `heads` and `rows` a table. `note` says what a figure cannot."""

    title: str
    icon: str = "square"
    facts: Sequence[tuple[str, Cell]] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    empty: str = "Nothing to show."
    note: str = ""
    presses: Sequence[Press] = ()


@dataclass(frozen=True)
class Tile:
    """One thing on the first page: how it stands, in a word or a figure, and where there is more."""

    label: str
    value: str
    page: str
    more: str = ""
    tone: str = field(default="good")


def number(value: int | None) -> Cell:
    return Cell(f"{value:,}" if value is not None else NONE, figure=True)


def size(count: float | None) -> Cell:
    return Cell(told_size(count), figure=True)


def told_size(count: float | None) -> str:
    if count is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def told_span(seconds: float | None) -> str:
    """As somebody would say it: the largest unit that fits."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for most, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def ago(moment: datetime | None) -> str:
    return f"{told_span(max(0.0, (clock.now() - moment).total_seconds()))} ago" if moment else NONE


def at(moment: datetime | None) -> str:
    return clock.format_moment(moment, column.staff_locale.timezone) if moment else NONE
