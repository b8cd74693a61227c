"""Chart and figure of a report: an SVG chart, and one number with its trend for the start page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from app.desk.declare import column
from app.kernel import clock
from app.money.sums.amount import Money

if TYPE_CHECKING:  # a cycle for the type checker only
    from app.desk.declare.report import Report, Row

SPAN = 28  # days that a figure covers: whole weeks, so that two spans can be compared
MOST = 60  # points that can still be told apart side by side

Sums = dict[Any, int]


@dataclass(frozen=True)
class Point:
    """One column or bar: its label, its value as text, and its share of the largest value."""

    label: str
    display: str
    part: float
    below: bool


@dataclass(frozen=True)
class Chart:
    """One column of a report drawn along another: `columns` in order of time, or `bars` with the largest first."""

    along: str
    of: str
    shape: str = "columns"

    def add_row(self, row: Row, sums: Sums) -> None:
        """Add a row to the sums. Only the staff's currency is drawn: two currencies have no common scale."""
        value = _plain_number(row.get(self.of))
        if value is not None and row.get(self.along) is not None:
            sums[row[self.along]] = sums.get(row[self.along], 0) + value

    def points(self, report: Report, sums: Mapping[Any, int]) -> list[Point]:
        along, of = (next(each for each in report.columns if each.name == name) for name in (self.along, self.of))
        ordered = _without_gaps(sums) if self.shape == "columns" else sorted(sums.items(), key=lambda item: -item[1])
        largest = max((abs(value) for _, value in ordered), default=0) or 1
        said = [
            (along.display({along.name: key}), value)
            for key, value in ordered[-MOST:]
            if self.shape == "columns" or value
        ][:MOST]
        return [
            Point(label, of.display({of.name: _with_currency(of.kind, value)}), abs(value) / largest, value < 0)
            for label, value in said
        ]


def _plain_number(value: Any) -> int | None:
    if isinstance(value, Money):
        return value.amount if value.currency == column.staff_locale.currency else None
    return value if isinstance(value, int) else None


def _with_currency(kind: str, value: int) -> Any:
    return Money(value, column.staff_locale.currency) if kind in ("money", "balance") else value


def _without_gaps(sums: Mapping[Any, int]) -> list[tuple[Any, int]]:
    """Fill periods without rows with zero."""
    keys = sorted(sums)
    if len(keys) < 2 or not isinstance(keys[0], date):
        return [(key, sums[key]) for key in keys]
    step = min(after - before for before, after in pairwise(keys))
    every = [keys[0] + step * nth for nth in range((keys[-1] - keys[0]) // step + 1)]
    return [(key, sums.get(key, 0)) for key in every]


@dataclass(frozen=True)
class Figure:
    """One number of a report: the total of columns ("total"), or a ratio of columns ("missed / came missed")."""

    of: str
    label: str
    better: str = "up"

    @property
    def names(self) -> tuple[list[str], list[str]]:
        over, _, under = self.of.partition("/")
        return over.split(), under.split()

    def of_rows(self, rows: Iterable[Row]) -> int | None:
        """Return whole units, or a ratio in basis points; None when the denominator is zero."""
        over, under = self.names
        above = below = 0
        for row in rows:
            above += sum(_plain_number(row.get(name)) or 0 for name in over)
            below += sum(_plain_number(row.get(name)) or 0 for name in under)
        return above if not under else round(10_000 * above / below) if below else None


@dataclass(frozen=True)
class MeasuredFigure:
    """A figure for the latest weeks, compared with the weeks before."""

    report: Report
    display: str
    trend: str
    tone: str
    arrow: str
    points: list[Point]

    @property
    def figure(self) -> Figure:
        assert self.report.figure
        return self.report.figure


def measure_figure(report: Report) -> MeasuredFigure:
    assert report.figure
    figure, today = report.figure, clock.today()
    spans = [(today - timedelta(SPAN * nth - 1), today - timedelta(SPAN * (nth - 1))) for nth in (1, 2)]
    rows, before = ([*report.rows(report.asks(since=since, until=until))] for since, until in spans)
    value, was = figure.of_rows(rows), figure.of_rows(before)
    trend, rises = _trend(figure, value, was)
    tone = "" if not rises else "is-good" if (rises > 0) == (figure.better == "up") else "is-bad"
    arrow = "arrow-up" if rises > 0 else "arrow-down" if rises < 0 else ""
    return MeasuredFigure(
        report, _figure_text(report, figure, value), trend, tone, arrow, _sparkline(report, [*before, *rows])
    )


def _figure_text(report: Report, figure: Figure, value: int | None) -> str:
    over, under = figure.names
    if value is None:
        return column.EMPTY
    if under:
        return f"{value / 100:.0f}%"
    kind = next(each.kind for each in report.columns if each.name == over[0])
    return str(_with_currency(kind, value)) if kind in ("money", "balance") else f"{value:,}"


def _trend(figure: Figure, value: int | None, was: int | None) -> tuple[str, int]:
    """Return the change against the weeks before in words (in per cent, or in points of a ratio), and its direction."""
    if value is None or was is None or (was == 0 and not figure.names[1]):
        return ("No earlier data to compare", 0)
    difference = value - was
    if difference == 0:
        return (f"Same as previous {SPAN} days", 0)
    by = f"{abs(difference) / 100:.0f} pts" if figure.names[1] else f"{100 * abs(difference) / abs(was):,.0f}%"
    return (f"{'+' if difference > 0 else '−'}{by} vs previous {SPAN} days", 1 if difference > 0 else -1)


def _sparkline(report: Report, rows: Iterable[Row]) -> list[Point]:
    if report.chart is None or report.chart.shape != "columns":
        return []
    sums: Sums = {}
    for row in rows:
        report.chart.add_row(row, sums)
    return report.chart.points(report, sums)
