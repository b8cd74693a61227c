"""A sheet of A4: text that is put, wrapped and laid in columns, and never leaves its margins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import cast

from fpdf import FPDF

from app.money.letters import INDIAN, JOINERS, LATIN, printable, shapes

LEFT, TOP, WIDTH, BOTTOM = 20.0, 20.0, 170.0, 272.0
RIGHT = LEFT + WIDTH
INK, MUTED, HAIR, ACCENT = (27, 31, 36), (96, 105, 115), (208, 213, 218), (24, 92, 88)
GUTTER = 4.0
_PAGES = "\uf8ff"  # stands for the number of pages; no text can hold it, since printable() leaves private characters out
_ALWAYS = {*map(chr, range(32, 127)), *"₹$€£¥·–—’…"}


@dataclass(frozen=True)
class Column:
    """One column: what stands above it, and for each row its figure and what stands small beneath."""

    head: str
    cells: Sequence[tuple[str, str]]
    figures: bool = True


class Sheet(FPDF):
    """Pages that know where the next line goes."""

    def __init__(self, title: str, author: str, day: date, texts: Iterable[str]) -> None:
        super().__init__()
        self._title, self._author = printable(title), printable(author)
        self.set_margin(0)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.set_title(self._title)
        self.set_author(self._author)
        self.set_lang("en")
        self.set_creation_date(datetime.combine(day, time(), UTC))
        self.alias_nb_pages(_PAGES)
        self._carry({letter for text in texts for letter in printable(text)} | _ALWAYS)
        self.add_page()

    def _carry(self, letters: set[str]) -> None:
        """Only what is said is looked up, which halves the time; and the second face comes along only when it is needed."""
        latin = {ord(each) for each in letters} & shapes(indian=False) - set(map(ord, JOINERS))
        rest = {ord(each) for each in letters} - latin
        for style in LATIN:
            self.add_font("latin", style, LATIN[style], unicode_range=sorted(latin))
        if rest:
            for style in INDIAN:
                self.add_font("indian", style, INDIAN[style])
            self.set_fallback_fonts(["indian"])
        self.set_text_shaping(use_shaping_engine=True)

    def header(self) -> None:
        """From the second page on: whose paper this is, and which."""
        self.y = TOP
        if self.page_no() > 1:
            self.put(self._author, LEFT, WIDTH / 2, size=8, colour=MUTED, y=TOP - 6)
            self.put(self._title, LEFT + WIDTH / 2, WIDTH / 2, size=8, colour=MUTED, y=TOP - 6, right=True)
            self.rule(TOP)
            self.y = TOP + 4

    def footer(self) -> None:
        at = self.y
        self.put(f"Page {self.page_no()} of {_PAGES}", LEFT, WIDTH, size=7.5, colour=MUTED, y=282, ready=True)
        self.y = at

    def need(self, height: float) -> bool:
        """Turn the page when this much does not fit any more, and tell whether it was turned."""
        if self.y + height <= BOTTOM:
            return False
        self.add_page()
        return True

    def pen(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        self.set_font("latin", "B" if bold else "", size)
        self.set_text_color(*colour)

    def put(
        self, text: str, x: float, width: float, *, size: float = 9, bold: bool = False, colour: tuple[int, int, int] = INK,
        y: float | None = None, right: bool = False, link: str = "", ready: bool = False,
    ) -> None:  # fmt: skip
        """One line, cut to its width."""
        self.pen(size, bold=bold, colour=colour)
        said = text if ready else self._cut(printable(text), width)
        self.set_xy(x, self.y if y is None else y)
        self.cell(width, leading(size), said, align="R" if right else "L", link=link)

    def flow(self, text: str, x: float, width: float, *, size: float = 9, bold: bool = False, colour: tuple[int, int, int] = INK, link: str = "") -> None:
        """Lines one below the other, over the page's end if need be."""
        for line in self.wrapped(text, width, size, bold=bold):
            self.need(leading(size))
            self.put(line, x, width, size=size, bold=bold, colour=colour, link=link)
            self.y += leading(size)

    def wrapped(self, text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
        self.pen(size, bold=bold)
        said = printable(text)
        if not said or self.get_string_width(said) <= width:
            return [said] if said else []
        lines = cast(list[str], self.multi_cell(width, leading(size), said, align="L", dry_run=True, output="LINES"))
        return [line.strip() for line in lines]

    def wide(self, text: str, size: float, *, bold: bool = False) -> float:
        self.pen(size, bold=bold)
        return self.get_string_width(printable(text))

    def rule(self, y: float, *, x: float = LEFT, width: float = WIDTH, colour: tuple[int, int, int] = HAIR, thick: float = 0.2) -> None:
        self.set_draw_color(*colour)
        self.set_line_width(thick)
        self.line(x, y, x + width, y)

    def columns(self, columns: Sequence[Column], *, size: float = 8.5, x: float = LEFT, width: float = WIDTH) -> None:
        """Rows under a head that comes again on each page; the widest column of words gives way, then the letters get smaller."""
        size, widths = self._widths(columns, size, width)
        places = [x + sum(widths[:at]) for at in range(len(widths))]
        self._heads(columns, places, widths, size)
        for row in range(len(columns[0].cells)):
            self._row(columns, row, places, widths, size)
        self.rule(self.y + 1)
        self.y += 2.5

    def _widths(self, columns: Sequence[Column], size: float, width: float) -> tuple[float, list[float]]:
        flexible = next(at for at, each in enumerate(columns) if not each.figures)
        while True:
            widths = [self._wanted(each, size) for each in columns]
            left = width - sum(widths) + widths[flexible]
            if left >= min(50, widths[flexible]) or size <= 5:
                widths[flexible] = max(left, 20)
                return size, widths
            size -= 0.5

    def _wanted(self, column: Column, size: float) -> float:
        below = max((self.wide(small, size - 1) for small in {small for _, small in column.cells}), default=0)
        figures = max((self.wide(said, size) for said in {said for said, _ in column.cells}), default=0)
        head = max((self.wide(word, size - 1) for word in column.head.split()), default=0)
        return max(head, figures, below if column.figures else 0) + GUTTER

    def _heads(self, columns: Sequence[Column], places: Sequence[float], widths: Sequence[float], size: float) -> None:
        heads = [self.wrapped(each.head, width - GUTTER + 0.2, size - 1) for each, width in zip(columns, widths, strict=True)]
        tall = max(map(len, heads)) * leading(size - 1)
        self.need(tall + 3 * leading(size))
        bottom = self.y + tall
        for column, lines, x, width in zip(columns, heads, places, widths, strict=True):
            for at, line in enumerate(lines):
                self._in_column(column, line, x, width, size - 1, bottom - (len(lines) - at) * leading(size - 1), MUTED)
        self.y = bottom + 1
        self.rule(self.y, colour=INK, x=places[0], width=sum(widths))
        self.y += 1.5

    def _row(self, columns: Sequence[Column], row: int, places: Sequence[float], widths: Sequence[float], size: float) -> None:
        cells = [self._cell(each, row, width, size) for each, width in zip(columns, widths, strict=True)]
        tall = max(len(each) for each in cells)
        lead = leading(size)
        if self.need(min(tall, 20) * lead + 1.5):
            self._heads(columns, places, widths, size)
        for at in range(tall):
            if self.need(lead):
                self._heads(columns, places, widths, size)
            for column, lines, x, width in zip(columns, cells, places, widths, strict=True):
                if at < len(lines):
                    line, small = lines[at]
                    self._in_column(column, line, x, width, size - small, self.y, MUTED if small else INK)
            self.y += lead
        self.y += 1.5

    def _cell(self, column: Column, row: int, width: float, size: float) -> list[tuple[str, int]]:
        said, small = column.cells[row]
        room = width - (0 if column.figures else GUTTER)
        return [*((each, 0) for each in self.wrapped(said, room, size)), *((each, 1) for each in self.wrapped(small, room, size - 1))]

    def _in_column(self, column: Column, line: str, x: float, width: float, size: float, y: float, colour: tuple[int, int, int]) -> None:
        self.put(line, x, width if column.figures else width - GUTTER, size=size, colour=colour, y=y, right=column.figures)

    def _cut(self, said: str, width: float) -> str:
        if self.get_string_width(said) <= width + 0.1:
            return said
        short, long = 0, len(said)
        while short < long:
            middle = (short + long + 1) // 2
            short, long = (middle, long) if self.get_string_width(said[:middle] + "…") <= width else (short, middle - 1)
        return said[:short].rstrip() + "…"


def leading(size: float) -> float:
    """From line to line, in millimetres."""
    return size * 0.48


