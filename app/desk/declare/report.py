"""Report: one declaration that becomes a page, CSV, Excel and PDF exports, an endpoint and a permission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from app.desk.declare.chart import Chart, Figure, Sums
from app.desk.declare.column import EMPTY, KINDS, MONEY_SCHEMA, Kind, formula_safe, usual_label
from app.kernel.access import Actor, find_visible
from app.kernel.db import Noun, session, spaced
from app.kernel.errors import Invalid, Missing
from app.kernel.workflow import MoveQuestion, move_questions, parse_asked
from app.money.sums.amount import Money

Row = Mapping[str, Any]

# Rows on a page. Exports and the endpoint have all rows, and totals are always of all rows.
ROWS_ON_PAGE = 200


@dataclass(frozen=True)
class NoParameters:
    """The parameters of a report that has none."""


@dataclass(frozen=True)
class RowLink:
    """A cell that links to the page of a row."""

    noun: str
    id: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Verdict:
    """The result of a report in a sentence: whether all is well, and what is wrong."""

    good: bool
    words: str


def _debit_or_credit(money: Money) -> str:
    """Return a balance as accountants write it: positive is Dr, negative is Cr."""
    return f"{money if money.amount >= 0 else -money} {'Dr' if money.amount > 0 else 'Cr'}" if money else str(money)


CELLS = KINDS | {
    "balance": Kind(
        display=_debit_or_credit, plain_text=lambda v: v.plain, json=lambda v: v.as_json(), schema=MONEY_SCHEMA
    ),
}
SUMS = "money", "balance"


@dataclass(frozen=True)
class Heading:
    """One column of a report: the key of its values in the rows, their kind, and its heading."""

    name: str
    kind: str
    label: str
    noun: type[Noun] | None = None  # whose state it is
    choices: Mapping[str, str] = field(default_factory=dict)

    def value(self, row: Row) -> Any:
        return row.get(self.name)

    def display(self, row: Row) -> str:
        value = row.get(self.name)
        return EMPTY if value is None or value == "" else self._in_words(value, CELLS[self.kind].display)

    def csv_text(self, row: Row) -> str:
        return formula_safe(self.sheet_text(row))

    def sheet_text(self, row: Row) -> str:
        value = row.get(self.name)
        return "" if value is None else self._in_words(value, CELLS[self.kind].plain_text)

    def _in_words(self, value: Any, otherwise: Callable[[Any], str]) -> str:
        """Return the label of a state or a choice."""
        if self.noun:
            return self.noun.state_label(value)
        return self.choices[value] if self.choices and value in self.choices else otherwise(value)

    def json(self, row: Row) -> Any:
        value = row.get(self.name)
        if self.kind == "relation" and isinstance(value, str):
            return {"id": None, "name": value}
        return None if value is None else CELLS[self.kind].json(value)

    @property
    def is_figure(self) -> bool:
        return self.kind in (*SUMS, "number", "rate")

    @property
    def schema(self) -> dict[str, Any]:
        return {**CELLS[self.kind].schema, "title": self.label}


@dataclass(frozen=True)
class Table:
    """The result of a report: the first rows, the number of rows, and totals of all rows by currency."""

    rows: list[Row]
    count: int
    totals: dict[str, dict[str, Money]]
    sums: Sums = field(default_factory=dict)  # by the value along the chart


class Report:
    """Declares a report. `roles` has no default on purpose.

    - `asks` is a dataclass of `asked()` parameters, each with a default; `points` maps those that name a row to a noun.
    - `columns` maps names to kinds; `rows` returns mappings from these names to values.
      The "mark" of a row ("bad", "sum") highlights it.
    - `states` maps a column with states to the noun that they belong to, `choices` a column to labels of its values.
    - `total` are the columns that are totalled, by currency and never across currencies.
    - `groups` are columns whose values are muted where they repeat the row above.
    - `verdict` judges the result; a bad verdict of a `watched` report appears on the start page.
    - `chart` is drawn above the table; `figure` is one number for the start page, compared with the four weeks before.
    - `also` are synonyms for the search over everything.
    - `part` is the feature that it belongs to: while that is turned off, it is not in the menu.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str = "",
        icon: str = "chart",
        also: str = "",
        asks: type[Any] = NoParameters,
        points: Mapping[str, type[Noun]] | None = None,
        columns: Mapping[str, str],
        labels: Mapping[str, str] | None = None,
        states: Mapping[str, type[Noun]] | None = None,
        choices: Mapping[str, Mapping[str, str]] | None = None,
        rows: Callable[[Any], Iterable[Row]],
        total: str = "",
        groups: str = "",
        roles: str,
        note: str,
        empty: str = "There is nothing to show for this period.",
        verdict: Callable[[Any], Verdict] | None = None,
        watched: bool = False,
        chart: Chart | None = None,
        figure: Figure | None = None,
        part: str = "",
    ) -> None:
        self.name, self.icon, self.asks, self.points = name, icon, asks, dict(points or {})
        self.label, self.also = label or spaced(name), f"report {also}".strip()
        self.columns = [
            Heading(
                each,
                kind,
                (labels or {}).get(each) or usual_label(each),
                (states or {}).get(each),
                (choices or {}).get(each, {}),
            )
            for each, kind in columns.items()
        ]
        self.rows, self.total, self.groups = rows, total.split(), groups.split()
        self.roles, self.note, self.empty = frozenset(roles.split()), note, empty
        self.verdict, self.watched, self.pack = verdict, watched, ""
        self.chart, self.figure, self.part = chart, figure, part
        self._check()

    def _check(self) -> None:
        kinds = {each.name: each.kind for each in self.columns}
        if strange := set(kinds.values()) - CELLS.keys():
            raise TypeError(f"{self.name}: no kind {', '.join(sorted(strange))}.")
        if stray := {*self.total, *self.groups} - kinds.keys():
            raise TypeError(f"{self.name}: no column {', '.join(sorted(stray))}.")
        drawn = {self.chart.along, self.chart.of} if self.chart else set()
        counted = {name for names in (self.figure.names if self.figure else ()) for name in names}
        if stray := (drawn | counted) - kinds.keys():
            raise TypeError(f"{self.name}: no column {', '.join(sorted(stray))} to draw or to count.")
        if self.figure and not {"since", "until"} <= {each.name for each in self.questions}:
            raise TypeError(f"{self.name}: a figure is of some days, so it asks for since and until.")
        if unsummed := [each for each in self.total if kinds[each] not in SUMS]:
            raise TypeError(f"{self.name}: {', '.join(unsummed)} cannot be summed.")
        if needed := [each.name for each in self.questions if each.required]:
            raise TypeError(f"{self.name}: {', '.join(needed)} needs a default: the menu opens it without parameters.")

    def register(self, pack: str) -> None:
        if self.name in _registered:
            raise TypeError(f"{self.name} is declared twice.")
        self.pack = pack
        _registered[self.name] = self

    @property
    def permission_name(self) -> str:
        return "".join(each.capitalize() for each in self.name.split("_")) + "Report"

    @property
    def page_endpoint(self) -> str:
        return f"{self.permission_name}Page.show"

    def is_for(self, who: Actor) -> bool:
        return who.has(f"{self.permission_name}.can_read")

    @cached_property
    def questions(self) -> list[MoveQuestion]:
        return move_questions(self.asks)

    # --- asking ---

    def parse(self, typed: Mapping[str, str]) -> Any:
        """Parse the parameters; empty ones take their defaults. Raises Invalid with the message for each wrong one."""
        given, wrong = {}, {}
        for name, text in typed.items():
            try:
                given[name] = self._row_reference(name, text)
            except ValueError as error:
                wrong[name] = str(error)
        try:
            asked = parse_asked(self.asks, given)
        except Invalid as error:
            raise Invalid.for_fields(error.fields | wrong) from None
        if wrong:
            raise Invalid.for_fields(wrong)
        return asked

    def _row_reference(self, name: str, text: str) -> str:
        """Return the id of "12 · Asha Rao", if the current user may see row 12."""
        if name not in self.points or not text:
            return text
        head = text.split("·", maxsplit=1)[0].strip()
        try:
            found: Noun | None = (
                find_visible(self.points[name], int(head)) if head.isdecimal() and len(head) < 11 else None
            )
        except Missing:
            found = None
        if found is None:
            raise ValueError("This record doesn’t exist, or you don’t have access to it.")
        return str(found.id)

    def form_values(self, asked: Any) -> dict[str, str]:
        """Return the parameters as form values, defaults included; as an address they ask for the same again."""
        values = {each.name: getattr(asked, each.name) for each in self.questions}
        return {name: _form_text(value) for name, value in values.items() if value not in (None, "")}

    def parameters_in_words(self, asked: Any, *, without_days: bool = False) -> list[tuple[str, str]]:
        """Return the label and the value of each parameter that is set."""
        values = [
            (each, getattr(asked, each.name)) for each in self.questions if not (without_days and each.kind is date)
        ]
        return [(each.label, self._parameter_text(each, value)) for each, value in values if value not in (None, "")]

    def _parameter_text(self, question: MoveQuestion, value: Any) -> str:
        if question.name in self.points:
            return str(session.get(self.points[question.name], value) or value)
        if question.among:
            return question.among().get(value, str(value))
        return KINDS["yesno" if isinstance(value, bool) else "day" if isinstance(value, date) else "text"].display(
            value
        )

    # --- answering ---

    def table(self, asked: Any, at_once: int | None = ROWS_ON_PAGE) -> Table:
        shown: list[Row] = []
        totals: dict[str, dict[str, Money]] = {}
        sums: Sums = {}
        count = 0
        for count, row in enumerate(self.rows(asked), 1):
            self._add_up(row, totals)
            if self.chart:
                self.chart.add_row(row, sums)
            if at_once is None or count <= at_once:
                shown.append(row)
        return Table(shown, count, dict(sorted(totals.items())), sums)

    def _add_up(self, row: Row, totals: dict[str, dict[str, Money]]) -> None:
        for name in self.total:
            money: Money | None = row.get(name)
            if money is not None:
                sums = totals.setdefault(money.currency, {})
                sums[name] = sums[name] + money if name in sums else money

    def lines(self, asked: Any) -> Iterator[list[str]]:
        """Yield the lines of the CSV export, with an extra column for the currency of a row's amounts."""
        sums = [each.name for each in self.columns if each.kind in SUMS]
        yield [each.label for each in self.columns] + (["Currency"] if sums else [])
        for row in self.rows(asked):
            currencies = sorted({row[name].currency for name in sums if row.get(name) is not None})
            yield [each.csv_text(row) for each in self.columns] + ([", ".join(currencies)] if sums else [])


def _form_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return value.isoformat() if isinstance(value, date) else str(value)


_registered: dict[str, Report] = {}


def registered_reports() -> list[Report]:
    return [*_registered.values()]


def report_named(name: str) -> Report | None:
    return _registered.get(name)


def forget_reports() -> None:
    """Clear the registry, so that a process can create two apps, as the tests do."""
    _registered.clear()
