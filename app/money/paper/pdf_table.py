"""PDF tables: column widths, wrapped cells, and a heading repeated on each page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.money.paper.pdf_page import INK, LEFT, MUTED, WIDTH, Sheet, line_height

GUTTER = 5.0
_APART = 1.0
_ENOUGH, _LEAST = 50.0, 20.0
_SIZES = ((8.5, False), *((size, True) for size in (8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0)))


@dataclass(frozen=True)
class PdfColumn:
    """A heading, and for each row a text and a small text below. Columns with `gives` shrink for the others."""

    head: str
    cells: Sequence[tuple[str, str]]
    figures: bool = True
    gives: bool = False


class PdfTable:
    """A table that wraps its headings, and then reduces the font size, until the texts have room."""

    def __init__(
        self, sheet: Sheet, columns: Sequence[PdfColumn], width: float = WIDTH, *, strong: Collection[int] = ()
    ) -> None:
        self.sheet, self.columns, self.width, self.strong = sheet, columns, width, strong
        giving = [at for at, each in enumerate(columns) if each.gives]
        for self.size, broken in _SIZES:
            self.widths = [
                self._wanted_width(each, broken=broken) + self._gap_after(at) for at, each in enumerate(columns)
            ]
            wanted = [self.widths[at] for at in giving]
            room = width - sum(self.widths) + sum(wanted)
            if room >= sum(min(_ENOUGH, each) for each in wanted):
                break
        for at, share in zip(giving, _share_width(room, wanted), strict=True):
            self.widths[at] = share
        self.places = [LEFT + sum(self.widths[:at]) for at in range(len(columns))]

    def draw(self) -> None:
        self._draw_heads()
        for row in range(len(self.columns[0].cells)):
            bold = row in self.strong
            self._draw_row(
                [self._cell_lines(at, *column.cells[row], bold=bold) for at, column in enumerate(self.columns)],
                bold=bold,
            )
        self.sheet.draw_rule(self.sheet.y + 1, width=self.width)
        self.sheet.y += 3.5

    def _wanted_width(self, column: PdfColumn, *, broken: bool) -> float:
        heads = column.head.split() if broken else [column.head]
        widths = [
            self.sheet.text_width(text, self.size, bold=row in self.strong)
            for row, (text, _) in enumerate(column.cells)
        ]
        small = [self.sheet.text_width(text, self.size - 1) for text in [*heads, *(below for _, below in column.cells)]]
        return max(widths + small) + GUTTER

    def _draw_heads(self) -> None:
        small = line_height(self.size - 1)
        heads = [
            self.sheet.wrap_text(
                column.head, self._text_width(at) + (-_APART if column.figures else 0.1), self.size - 1
            )
            for at, column in enumerate(self.columns)
        ]
        tall = max(map(len, heads))
        self.sheet.ensure_room(tall * small + 3 * line_height(self.size))
        top = self.sheet.y
        for at, lines in enumerate(heads):
            self.sheet.y = top + (tall - len(lines)) * small
            for line in lines:
                self._put_line(at, line, small=True)
                self.sheet.y += small
        self.sheet.y = top + tall * small + 1
        self.sheet.draw_rule(self.sheet.y, width=self.width, colour=INK)
        self.sheet.y += 1.5

    def _draw_row(self, cells: Sequence[Sequence[tuple[str, bool]]], *, bold: bool) -> None:
        """Draw a row on one page, unless it is longer than a page."""
        tall, lead = max(map(len, cells)), line_height(self.size)
        self._turn_page(min(tall, 20) * lead)
        for line in range(tall):
            self._turn_page(lead)
            for at, lines in enumerate(cells):
                if line < len(lines):
                    text, small = lines[line]
                    self._put_line(at, text, small=small, bold=bold)
            self.sheet.y += lead
        self.sheet.y += 1.5

    def _turn_page(self, height: float) -> None:
        if self.sheet.ensure_room(height):
            self._draw_heads()

    def _cell_lines(self, at: int, text: str, below: str, *, bold: bool) -> list[tuple[str, bool]]:
        wrapped = self.sheet.wrap_text
        return [
            *((line, False) for line in wrapped(text, self._text_width(at), self.size, bold=bold)),
            *((line, True) for line in wrapped(below, self._text_width(at), self.size - 1)),
        ]

    def _text_width(self, at: int) -> float:
        """Return the width for text: figures may use the gutter before them, texts keep the gutter after them."""
        return self.widths[at] - (self._gap_after(at) if self.columns[at].figures else GUTTER)

    def _gap_after(self, at: int) -> float:
        """Return the gap after a column of figures that is followed by text."""
        return (
            GUTTER
            if self.columns[at].figures and at + 1 < len(self.columns) and not self.columns[at + 1].figures
            else 0
        )

    def _put_line(self, at: int, line: str, *, small: bool, bold: bool = False) -> None:
        size, colour = (self.size - 1, MUTED) if small else (self.size, INK)
        bold = bold and not small
        self.sheet.put_line(
            line,
            self.places[at],
            self._text_width(at),
            size=size,
            bold=bold,
            colour=colour,
            right=self.columns[at].figures,
        )


def _share_width(room: float, wanted: Sequence[float]) -> list[float]:
    """Share the remaining width among the shrinking columns, in proportion to their need and at least a word each."""
    least = [min(_LEAST, each) for each in wanted]
    left, lacking = room - sum(least), sum(wanted) - sum(least)
    if left <= 0:
        return least
    return [
        each + left * ((want - each) / lacking if lacking else 1 / len(wanted))
        for each, want in zip(least, wanted, strict=True)
    ]
