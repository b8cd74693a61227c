"""Filter builder: the form for conditions of a list, combined by “and” in groups and by “or” between groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.desk.lists.filters import OPERATORS, Condition, Groups, filterable_columns
from app.kernel.errors import Unreadable

_FIELD = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.column")
_COUNTED_IN_DAYS = ("last", "next", "older", "later")


@dataclass
class Line:
    """One condition while it is being typed; `wrong` is its error message."""

    group: int
    nth: int
    column: Column
    how: str
    value: str = ""
    wrong: str = ""

    @property
    def name(self) -> str:
        return f"{self.group}.{self.nth}"

    @property
    def operators(self) -> Sequence[str]:
        return OPERATORS[self.column.kind]

    @property
    def first(self) -> str:
        return self.value.partition(",")[0] if self.how == "between" else self.value

    @property
    def until(self) -> str:
        return self.value.partition(",")[2] if self.how == "between" else ""

    @property
    def control(self) -> str:
        """The input control for the value."""
        if self.how in ("empty", "filled"):
            return "nothing"
        if self.how in _COUNTED_IN_DAYS:
            return "days"
        return "relative" if self.how == "within" else self.column.kind

    @property
    def condition(self) -> Condition:
        return Condition(self.column.path, self.how, self.value)


def form_lines(
    resource: Resource, groups: Groups, typed: Mapping[str, str], *, always: bool = True
) -> list[list[Line]]:
    """Return the typed lines, or on the first visit those of the address. With `always`, there is at least one line."""
    made = _typed_lines(resource, groups, typed)
    return made or ([[_new_line(resource, 1, 1)]] if always else [])


def _typed_lines(resource: Resource, groups: Groups, typed: Mapping[str, str]) -> list[list[Line]]:
    named = sorted({(int(found[1]), int(found[2])) for name in typed if (found := _FIELD.fullmatch(name))})
    if not named:
        made = [[_line_of(resource, g, n, it) for n, it in enumerate(group, 1)] for g, group in enumerate(groups, 1)]
        return _apply_button(made, resource, typed.get("do", ""))
    together: dict[int, list[Line]] = {}
    for group, nth in named:
        at = f"{group}.{nth}"
        value = ",".join(filter(None, [*_values_of(typed, f"{at}.value"), typed.get(f"{at}.until", "")]))
        asked = Condition(typed[f"{at}.column"], typed.get(f"{at}.how", ""), value)
        together.setdefault(group, []).append(_line_of(resource, group, nth, asked))
    return _apply_button([*together.values()], resource, typed.get("do", ""))


def _apply_button(groups: list[list[Line]], resource: Resource, do: str) -> list[list[Line]]:
    """Add a line or a group, or remove a line, according to the button that was pressed."""
    verb, _, at = do.partition(":")
    if verb == "and":
        for group in (each for each in groups if str(each[0].group) == at):
            group.append(_new_line(resource, group[0].group, group[-1].nth + 1))
    if verb == "or":
        groups.append([_new_line(resource, groups[-1][0].group + 1 if groups else 1, 1)])
    if verb == "drop":
        groups = [left for group in groups if (left := [line for line in group if line.name != at])]
    return groups


def _new_line(resource: Resource, group: int, nth: int) -> Line:
    first = filterable_columns(resource)[0]
    return Line(group, nth, first, OPERATORS[first.kind][0])


def _line_of(resource: Resource, group: int, nth: int, it: Condition) -> Line:
    column = resource.column(it.path, filterable_columns(resource))
    if column is None:
        raise Unreadable(f"{resource.label} can’t be filtered by {it.path[:40]!r}.")
    return Line(group, nth, column, it.how if it.how in OPERATORS[column.kind] else OPERATORS[column.kind][0], it.value)


def _values_of(typed: Mapping[str, str], name: str) -> Sequence[str]:
    given: Sequence[str] = typed.getlist(name) if hasattr(typed, "getlist") else [typed.get(name, "")]
    return given
