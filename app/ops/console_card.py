"""Console cards and tiles: facts, tables and buttons, and how sizes, durations and times are formatted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.desk.declare import column
from app.kernel import clock

NONE = "–"


@dataclass(frozen=True)
class Button:
    """A button: always a POST, with a CSRF token."""

    label: str
    url: str
    careful: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell: text, an optional link, a tone and buttons."""

    words: object = NONE
    url: str = ""
    tone: str = ""
    long: bool = False
    figure: bool = False
    buttons: Sequence[Button] = ()


@dataclass(frozen=True)
class Card:
    """A box on a page: `facts` as label and value, or a table of `heads` and `rows`, and a `note` below."""

    title: str
    icon: str = "square"
    facts: Sequence[tuple[str, Cell]] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    empty: str = "Nothing to show."
    note: str = ""
    buttons: Sequence[Button] = ()


@dataclass(frozen=True)
class Tile:
    """One figure or word on the overview, with a link to its page."""

    label: str
    value: str
    page: str
    more: str = ""
    tone: str = field(default="good")


def number_cell(value: int | None) -> Cell:
    return Cell(f"{value:,}" if value is not None else NONE, figure=True)


def size_cell(count: float | None) -> Cell:
    return Cell(format_size(count), figure=True)


def format_size(count: float | None) -> str:
    if count is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def format_duration(seconds: float | None) -> str:
    """Return the duration in the largest unit that fits."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for most, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def format_age(moment: datetime | None) -> str:
    return f"{format_duration(max(0.0, (clock.now() - moment).total_seconds()))} ago" if moment else NONE


def format_time(moment: datetime | None) -> str:
    return clock.format_moment(moment, column.staff_locale.timezone) if moment else NONE
