"""Working hours of the business: parses text such as “Mon–Fri 10:00–18:00”, one entry per line."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from itertools import pairwise

LONGEST = 400
_DAYS = tuple(calendar.day_name)
_LINE = re.compile(r"(?P<days>[a-z ,-]+?) *:? +(?P<times>\d[\d:, -]*)")
_SPAN = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
_HOW = "Write one entry per line, such as Mon–Fri 10:00–18:00."

_configured = ""


@dataclass(frozen=True, order=True)
class OpeningSpan:
    """One span on one weekday (Monday is 0); closing at 00:00 is the end of the day."""

    weekday: int
    opens: time
    closes: time

    @property
    def day(self) -> str:
        return _DAYS[self.weekday]


def configure(text: str) -> None:
    """Set the working hours of the business."""
    global _configured
    _configured = text


def configured_hours() -> list[OpeningSpan]:
    return parse_hours(_configured)


def split_lines(text: str) -> list[str]:
    """Return the lines as written, without empty ones."""
    return [line for each in re.split(r"[\n;]", text) if (line := " ".join(each.split()))]


def parse_hours(text: str) -> list[OpeningSpan]:
    """Parse the text, sorted by day; ValueError says which line is invalid."""
    if len(text) > LONGEST:
        raise ValueError(f"Use at most {LONGEST} characters.")
    found = sorted({each for line in split_lines(text) for each in _parse_line(line)})
    for before, after in pairwise(found):
        if before.weekday == after.weekday and (before.closes == time() or after.opens < before.closes):
            raise ValueError(f"The hours on {after.day} overlap.")
    return found


def _parse_line(line: str) -> Iterator[OpeningSpan]:
    plain = re.sub(r" *(?:-|–|—|\bto\b) *", "-", line.lower().replace(".", ":"))
    parts = _LINE.fullmatch(plain)
    if parts is None:
        raise ValueError(f"“{line}” isn’t valid. {_HOW}")
    for span in re.split(r" *, *", parts["times"].strip()):
        opens, closes = _parse_span(span, line)
        yield from (OpeningSpan(day, opens, closes) for day in _parse_days(parts["days"], line))


def _parse_span(text: str, line: str) -> tuple[time, time]:
    found = _SPAN.fullmatch(text)
    numbers = [int(each) for each in found.groups()] if found else []
    if not numbers or max(numbers[1::2]) > 59 or numbers[0] > 23 or numbers[2] > 24:
        raise ValueError(f"“{line}” isn’t valid. {_HOW}")
    opens, closes = time(numbers[0], numbers[1]), time(numbers[2] % 24, numbers[3])
    if closes != time() and closes <= opens:
        raise ValueError(f"“{line}”: the closing time must be after the opening time.")
    return opens, closes


def _parse_days(text: str, line: str) -> Iterator[int]:
    for part in re.split(r" *, *| +", text.strip(" :")):
        first, _, last = part.partition("-")
        since, until = _parse_day(first, line), _parse_day(last or first, line)
        yield from (each % 7 for each in range(since, until + 1 if until >= since else until + 8))


def _parse_day(text: str, line: str) -> int:
    fits = [at for at, name in enumerate(_DAYS) if len(text) > 1 and name.lower().startswith(text)]
    if len(fits) != 1:
        raise ValueError(f"“{line}” isn’t valid. {_HOW}")
    return fits[0]
