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
    """A span of free or blocked time, of one group or, without a group, of all of them."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    label: str
    group: int | None = None
    drops: Mapping[int, int] = field(default_factory=dict)  # kin of a row -> id of the row onto which it can be moved
    url: str = ""


@dataclass(frozen=True)
class Shuts:
    """A noun whose rows block time, and the names of its columns."""

    noun: type[Noun]
    whose: str
    starts: str
    ends: str
    why: str


class Calendar:
    """Declares how the rows of a noun appear on a calendar.

    - `starts` and `ends` are moments; `group` names the relations to the people or rooms whose time a row takes.
    - `title` and `notes` are the columns shown on a row; rows in the states of `hides` are not shown.
    - `around` returns the free and blocked spans of a period.
    - `drop` is the move that dragging a row makes, and the name of the place that it asks for ("reschedule slot").
      A row can be dropped on a free span that accepts its `kin`.
    - `shuts` declares how time is blocked.
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
        self.hides, self.drop, self.around, self.shuts = hides.split(), drop.split(), around, shuts
        self.label, self.also, self.icon = label, also, "calendar"
        self.noun: type[Noun] = Noun
        self.pack = ""

    def bind_to(self, noun: type[Noun]) -> Calendar:
        """Set the noun, and check that the named columns exist and have the right kinds."""
        self.noun = noun
        self.starts_column, self.ends_column = columns_of(noun, f"{self.starts} {self.ends}", {})
        self.group_columns, self.title_columns, self.notes_columns, self.kin_columns = (
            columns_of(noun, names, {}) for names in (self.group, self.title, self.notes, self.kin)
        )
        moments = {self.starts_column.kind, self.ends_column.kind}
        relations = {each.kind for each in [*self.group_columns, *self.kin_columns]}
        if moments != {"moment"} or relations != {"relation"}:
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
