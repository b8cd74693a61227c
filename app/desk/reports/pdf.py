"""Report as PDF: parameters, result, chart and table, in the layout of the invoices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.desk.declare.chart import Point
from app.desk.declare.report import Heading, Report, Row, Table, Verdict
from app.kernel import clock
from app.money.paper.pdf_page import ACCENT, HAIR, INK, LEFT, MUTED, Sheet, line_height
from app.money.paper.pdf_table import PdfColumn, PdfTable
from app.money.sums.amount import Money

MAX_ROWS = 2_000  # about sixty pages and five seconds
_MAX_BARS = 12
_CHART_HEIGHT = 30.0
_PORTRAIT_LETTERS = 105  # letters in a line, beyond which the page is landscape
_TEXT_KINDS = "text", "relation", "long", "facts"
_GOOD, _BAD = (26, 112, 70), (176, 42, 42)


@dataclass(frozen=True)
class ReportPdf:
    """The contents of the PDF, and its layout."""

    report: Report
    house: str
    asked: Sequence[tuple[str, str]]
    table: Table
    verdict: Verdict | None
    made: str
    rows: Sequence[Row] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.table.rows[:MAX_ROWS])

    def render(self) -> bytes:
        columns = self._columns()
        sheet = Sheet(
            self.report.label,
            self.house,
            clock.today(),
            self._texts(columns),
            across=_needs_landscape(columns),
            long=True,
        )
        self._head(sheet)
        if self.table.count:
            self._chart(sheet)
            PdfTable(sheet, columns, sheet.width, strong=self._strong()).draw()
            self._end(sheet)
        else:
            sheet.flow_text(self.report.empty, LEFT, sheet.width, size=10)
        return bytes(sheet.output())

    # --- contents ---

    def _columns(self) -> list[PdfColumn]:
        heads = self.report.columns
        cells = {
            each.name: [(each.display(row), "") for row in self.rows] + self._sums(each, first=each is heads[0])
            for each in heads
        }
        longest = {each.name: max((len(text) for text, _ in cells[each.name]), default=0) for each in heads}
        wordy = [each.name for each in heads if each.kind in _TEXT_KINDS and longest[each.name] > 12] or [
            max(heads, key=lambda each: longest[each.name]).name
        ]
        return [
            PdfColumn(each.label, cells[each.name], figures=each.is_figure, gives=each.name in wordy) for each in heads
        ]

    def _sums(self, head: Heading, *, first: bool) -> list[tuple[str, str]]:
        return [
            (f"Total {currency}" if first else head.display(sums) if head.name in sums else "", "")
            for currency, sums in self._totals.items()
        ]

    @property
    def _totals(self) -> Mapping[str, Mapping[str, Money]]:
        return self.table.totals

    def _strong(self) -> set[int]:
        return {at for at, row in enumerate(self.rows) if row.get("mark")} | {
            len(self.rows) + at for at in range(len(self._totals))
        }

    def _texts(self, columns: Sequence[PdfColumn]) -> Iterator[str]:
        """Yield all texts: only the letters that they use are embedded from the fonts."""
        report = self.report
        yield from (
            report.label,
            report.note,
            report.empty,
            self.house,
            self.made,
            self.verdict.words if self.verdict else "",
        )
        yield from (text for pair in self.asked for text in pair)
        for column in columns:
            yield column.head
            yield from (text for text, _ in column.cells)
        yield from (text for point in self._points() for text in (point.label, point.display))

    def _points(self) -> list[Point]:
        return self.report.chart.points(self.report, self.table.sums) if self.report.chart else []

    # --- layout ---

    def _head(self, sheet: Sheet) -> None:
        half = sheet.width / 2
        sheet.put_line(self.house, LEFT + half, half, size=9, bold=True, right=True, y=sheet.y + 2)
        for line in sheet.wrap_text(self.report.label, half - 5, 18):
            sheet.put_line(line, LEFT, half, size=18)
            sheet.y += line_height(18)
        sheet.y += 2
        sheet.draw_rule(sheet.y, width=sheet.width, colour=ACCENT, thick=0.9)
        sheet.y += 4
        sheet.flow_text(self.report.note, LEFT, sheet.width, colour=MUTED)
        sheet.y += 2
        for name, text in self.asked:
            sheet.put_line(name, LEFT, 38, size=9, colour=MUTED)
            sheet.put_line(text, LEFT + 40, sheet.width - 40, size=9, bold=True)
            sheet.y += line_height(9) + 0.4
        sheet.put_line(self.made, LEFT, sheet.width, size=7.5, colour=MUTED)
        sheet.y += line_height(7.5) + 3
        if self.verdict:
            sheet.flow_text(
                self.verdict.words, LEFT, sheet.width, size=10, bold=True, colour=_GOOD if self.verdict.good else _BAD
            )
            sheet.y += 3

    def _chart(self, sheet: Sheet) -> None:
        points, chart = self._points(), self.report.chart
        if chart is None or len(points) < (2 if chart.shape == "columns" else 1):
            return
        of = next(each for each in self.report.columns if each.name == chart.of)
        sheet.ensure_room(_CHART_HEIGHT + 14 if chart.shape == "columns" else min(len(points), _MAX_BARS) * 5.2 + 12)
        sheet.put_line(f"{of.label} by {chart.along.replace('_', ' ')}", LEFT, sheet.width, size=9, bold=True)
        sheet.y += line_height(9) + 1.5
        _draw_columns(sheet, points) if chart.shape == "columns" else _draw_bars(sheet, points)
        sheet.y += 4

    def _end(self, sheet: Sheet) -> None:
        if self.table.count > len(self.rows):
            sheet.flow_text(
                f"Showing the first {len(self.rows):,} of {self.table.count:,} rows. "
                "Totals include all rows, and the CSV file contains them all.",
                LEFT,
                sheet.width,
                colour=MUTED,
            )


def _needs_landscape(columns: Sequence[PdfColumn]) -> bool:
    return (
        sum(
            max(len(each) for each in (*column.head.split(), *(text for text, _ in column.cells))) + 3
            for column in columns
        )
        > _PORTRAIT_LETTERS
    )


def _draw_columns(sheet: Sheet, points: Sequence[Point]) -> None:
    """Draw a column chart over time, with the highest value above and the first and last label below."""
    sheet.put_line(max(points, key=lambda it: it.part).display, LEFT, sheet.width, size=7.5, colour=MUTED)
    top, step = sheet.y + line_height(7.5) + 0.5, sheet.width / len(points)
    for at, it in enumerate(points):
        _draw_bar(
            sheet,
            LEFT + step * (at + 0.12),
            top + _CHART_HEIGHT * (1 - it.part),
            step * 0.76,
            max(_CHART_HEIGHT * it.part, 0.2),
            below=it.below,
        )
    sheet.draw_rule(top + _CHART_HEIGHT, width=sheet.width, colour=HAIR)
    sheet.y = top + _CHART_HEIGHT + 0.8
    sheet.put_line(points[0].label, LEFT, sheet.width / 2, size=7.5, colour=MUTED)
    sheet.put_line(points[-1].label, LEFT + sheet.width / 2, sheet.width / 2, size=7.5, colour=MUTED, right=True)
    sheet.y += line_height(7.5)


def _draw_bars(sheet: Sheet, points: Sequence[Point]) -> None:
    """Draw a bar chart, the largest bar first, with its label on the left and its value on the right."""
    shown = points[:_MAX_BARS]
    named, figures = sheet.width * 0.3, max(sheet.text_width(it.display, 8.5) for it in shown) + 4
    room = sheet.width - named - figures - 3
    for it in shown:
        sheet.put_line(it.label, LEFT, named - 3, size=8.5)
        _draw_bar(sheet, LEFT + named, sheet.y + 0.8, room, 2.6, colour=(236, 239, 241))
        _draw_bar(sheet, LEFT + named, sheet.y + 0.8, max(room * it.part, 0.2), 2.6, below=it.below)
        sheet.put_line(it.display, LEFT + named + room + 3, figures, size=8.5, right=True, colour=INK)
        sheet.y += 5.2
    if len(points) > _MAX_BARS:
        sheet.put_line(
            f"Showing the first {_MAX_BARS} of {len(points)}. The table below lists them all.",
            LEFT,
            sheet.width,
            size=7.5,
            colour=MUTED,
        )
        sheet.y += line_height(7.5)


def _draw_bar(
    sheet: Sheet,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    below: bool = False,
    colour: tuple[int, int, int] = ACCENT,
) -> None:
    sheet.set_fill_color(*(_BAD if below else colour))
    sheet.rect(x, y, width, height, style="F")
