"""PDF pages (A4): places, wraps, flows and truncates text within the margins, with headers and footers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import cast

import uharfbuzz as hb
from fpdf import FPDF
from fpdf.fonts import HarfBuzzFont, TTFFont

from app.money.paper.fonts import FACES, JOINERS, printable, subset_font, supported_characters

LEFT, TOP, WIDTH, BOTTOM = 20.0, 20.0, 170.0, 272.0
RIGHT = LEFT + WIDTH
INK, MUTED, HAIR, ACCENT = (27, 31, 36), (96, 105, 115), (208, 213, 218), (24, 92, 88)
_PAGES = "\uf8ff"  # placeholder for the number of pages; printable() leaves private-use characters out of all texts
_ALWAYS = {*map(chr, range(32, 127)), *"₹$€£¥·–—’…"}


class Face(TTFFont):
    """A font that was subset in memory, without a file."""

    def __init__(self, sheet: FPDF, key: str, style: str, cut_face: bytes) -> None:
        super().__init__(sheet, cast(Path, BytesIO(cut_face)), key, style)
        self._hbfont = HarfBuzzFont(hb.Face(hb.Blob(cut_face)))
        self.ttfont.recalcBBoxes = False
        # HarfBuzz has read these tables; parsing them again would take longer than the document.
        for table in {"GSUB", "GPOS", "GDEF"} & set(self.ttfont.keys()):
            del self.ttfont[table]


class Sheet(FPDF):
    """A PDF document that keeps the position of the next line."""

    def __init__(
        self, title: str, author: str, day: date, texts: Iterable[str], *, across: bool = False, long: bool = False
    ) -> None:
        """`across` is landscape; `long` renders three times as fast, without kerning of Latin text."""
        super().__init__(orientation="landscape" if across else "portrait")
        self.width, self.bottom = (WIDTH + 87, BOTTOM - 87) if across else (WIDTH, BOTTOM)
        self._long, self._pages = long, _PAGES * 4 if long else _PAGES
        self._title, self._author = printable(title), printable(author)
        self._wide: dict[tuple[str, bool], float] = {}
        self.set_margin(0)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.set_title(self._title)
        self.set_author(self._author)
        self.set_lang("en")
        self.set_creation_date(datetime.combine(day, time(), UTC))
        self.alias_nb_pages(self._pages)
        self._embed_fonts({letter for text in texts for letter in printable(text)} | _ALWAYS)
        self.add_page()

    def _embed_fonts(self, letters: set[str]) -> None:
        """Embed subset fonts, the second script only if it is needed."""
        codes = {ord(each) for each in letters}
        latin = codes & supported_characters("latin") - set(map(ord, JOINERS))
        for script, wanted in (("latin", latin), ("indian", codes - latin)):
            for style, file in FACES[script].items() if wanted else ():
                self.fonts[script + style] = Face(self, script + style, style, subset_font(file, wanted))
        if codes - latin:
            self.set_fallback_fonts(["indian"])
        self.set_text_shaping(use_shaping_engine=True, features={"liga": False})

    def header(self) -> None:
        """Repeat author and title from the second page on."""
        self.y = TOP
        if self.page_no() > 1:
            half = self.width / 2
            self.put_line(self._author, LEFT, half, size=8, colour=MUTED, y=TOP - 6)
            self.put_line(self._title, LEFT + half, half, size=8, colour=MUTED, y=TOP - 6, right=True)
            self.draw_rule(TOP, width=self.width)
            self.y = TOP + 4

    def footer(self) -> None:
        at = self.y
        self.put_line(
            f"Page {self.page_no()} of {self._pages}",
            LEFT,
            self.width,
            size=7.5,
            colour=MUTED,
            y=self.bottom + 10,
            ready=True,
        )
        self.y = at

    def ensure_room(self, height: float) -> bool:
        """Start a new page if this height doesn't fit, and return whether it did."""
        if self.y + height <= self.bottom:
            return False
        self.add_page()
        return True

    def set_pen(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        self.set_font("latin", "B" if bold else "", size)
        self.set_text_color(*colour)

    def put_line(
        self,
        text: str,
        x: float,
        width: float,
        *,
        size: float = 9,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        y: float | None = None,
        right: bool = False,
        link: str = "",
        ready: bool = False,
    ) -> None:
        """Put one line, truncated to its width."""
        line = text if ready else self._truncate(printable(text), width, size, bold=bold)
        self.set_pen(size, bold=bold, colour=colour)
        self.set_xy(x, self.y if y is None else y)
        with self._shaping_for(line):
            self.cell(width, line_height(size), line, align="R" if right else "L", link=link)

    def flow_text(
        self,
        text: str,
        x: float,
        width: float,
        *,
        size: float = 9,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        link: str = "",
    ) -> None:
        """Put wrapped lines below each other, across pages if needed."""
        for line in self.wrap_text(text, width, size, bold=bold):
            self.ensure_room(line_height(size))
            self.put_line(line, x, width, size=size, bold=bold, colour=colour, link=link)
            self.y += line_height(size)

    def wrap_text(self, text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
        text = printable(text)
        if not text or self.text_width(text, size, bold=bold) <= width:
            return [text] if text else []
        self.set_pen(size, bold=bold)
        with self._shaping_for(text):
            lines = self.multi_cell(width, line_height(size), text, align="L", dry_run=True, output="LINES")
        return [line.strip() for line in cast(list[str], lines)]

    def text_width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Measure a text, cached at one size and scaled."""
        if (text, bold) not in self._wide:
            self.set_pen(10, bold=bold)
            with self._shaping_for(line := printable(text)):
                self._wide[text, bold] = self.get_string_width(line) / 10
        return self._wide[text, bold] * size

    def draw_rule(
        self,
        y: float,
        *,
        x: float = LEFT,
        width: float = WIDTH,
        colour: tuple[int, int, int] = HAIR,
        thick: float = 0.2,
    ) -> None:
        """Draw a rule as a bar, because the ends of a stroke would stick out."""
        self.set_fill_color(*colour)
        self.rect(x, y, width, thick, style="F")

    @contextmanager
    def _shaping_for(self, text: str) -> Iterator[None]:
        """Turn shaping off for Latin text in long documents; Devanagari needs it."""
        shaping = self.text_shaping
        if self._long and supported_characters("latin").issuperset(map(ord, text)):
            self.text_shaping = None
        yield
        self.text_shaping = shaping

    def _truncate(self, text: str, width: float, size: float, *, bold: bool) -> str:
        if self.text_width(text, size, bold=bold) <= width + 0.1:
            return text
        short, long = 0, len(text)
        while short < long:
            middle = (short + long + 1) // 2
            fits = self.text_width(text[:middle] + "…", size, bold=bold) <= width
            short, long = (middle, long) if fits else (short, middle - 1)
        return text[:short].rstrip() + "…"


def line_height(size: float) -> float:
    """Return the distance between lines in millimetres, for a font size."""
    return size * 0.48
