"""Calendar declaration: which columns of a noun say when a row begins and ends and whose time it takes.

`app/desk/pages/calendar.py` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.desk.declare.column import Column, columns_of
from app.kernel.db import Noun, stable_name


@dataclass(frozen=True)
class Span:
    """A stretch of somebody's time that is free, or shut; of everybody's, where no group is said."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    label: str
    group: int | None = None
    drops: Mapping[int, int] = field(default_factory=dict)  # of which kin a row can be moved here, and onto which row
    url: str = ""


@dataclass(frozen=True)
class Shuts:
    """A noun whose rows shut a stretch of time, and what its columns are called."""

    noun: type[Noun]
    whose: str
    starts: str
    ends: str
    why: str


class Calendar:
    """How the rows of a noun stand on a calendar.

    `starts` and `ends` are moments, `group` names the relations to those whose time it is, and `notes` is said below a row's `title`. Rows
    in the states of `hides` are not drawn. `around` answers with the spans of a stretch of time. A row is dragged by the move `drop`,
    which asks for a place by that name ("reschedule slot"), onto a free span that takes its `kin`. `shuts` is how time is blocked.
    """

    def __init__(
        self,
        *,
        starts: str,
        ends: str,
        group: str,
        title: str = "",
        notes: str = "",
        hides: str = "",
        kin: str = "",
        drop: str = "",
        around: Callable[[datetime, datetime], Iterable[Span]] | None = None,
        shuts: Shuts | None = None,
        label: str = "Calendar",
        also: str = "",
    ) -> None:
        self.starts, self.ends, self.group, self.title, self.notes, self.kin = starts, ends, group, title, notes, kin
        self.also = also
        self.hides, self.drop, self.around, self.shuts, self.label, self.icon = (
            hides.split(),
            drop.split(),
            around,
            shuts,
            label,
            "calendar",
        )
        self.noun: type[Noun] = Noun
        self.pack = ""

    def bind_to(self, noun: type[Noun]) -> Calendar:
        """Which noun's it is; what it names has to be there."""
        self.noun = noun
        self.starts_column, self.ends_column = columns_of(noun, f"{self.starts} {self.ends}", {})
        self.group_columns, self.title_columns, self.notes_columns, self.kin_columns = (
            columns_of(noun, names, {}) for names in (self.group, self.title, self.notes, self.kin)
        )
        if {self.starts_column.kind, self.ends_column.kind} != {"moment"} or {
            each.kind for each in [*self.group_columns, *self.kin_columns]
        } != {"relation"}:
            raise TypeError(f"{noun.__name__}: a calendar goes from a moment to a moment, grouped by relations.")
        return self

    @property
    def page_endpoint(self) -> str:
        return f"{stable_name(self.noun)}Calendar.show"

    @property
    def all_columns(self) -> list[Column]:
        return [
            self.starts_column,
            self.ends_column,
            *self.group_columns,
            *self.title_columns,
            *self.notes_columns,
            *self.kin_columns,
        ]
