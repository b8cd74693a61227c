"""A list as a spreadsheet: line by line, and safe to open."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

from app.desk.column import Column


def csv_of(lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """The mark in front tells a spreadsheet that this is UTF-8."""
    text = StringIO("\ufeff")
    text.seek(1)
    writer = csv.writer(text)
    for line in lines:
        writer.writerow(line)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def lines(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[list[str]]:
    yield [each.label for each in columns]
    for row in rows:
        yield [each.plain(row) for each in columns]
