"""Availability: start times from opening hours, special days, holidays and absences, across clock changes (DST).

Pure functions: nothing here reads or writes the database.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]

_HOP = timedelta(hours=6)  # no time zone has ever changed its offset twice within six hours
_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rule:
    """Opening hours on a weekday, in local time. Midnight as the closing time is the end of the day."""

    weekday: int  # Monday is 0
    opens: time
    closes: time
    first_day: date | None = None
    last_day: date | None = None

    def applies_on(self, day: date) -> bool:
        return day.weekday() == self.weekday and (self.first_day or day) <= day <= (self.last_day or day)


@dataclass(frozen=True)
class Day:
    """A special day: with times, these are added to the usual hours; without, the usual hours are replaced by none."""

    day: date
    opens: time | None = None
    closes: time | None = None


@dataclass(frozen=True)
class Lasting:
    """Duration of an appointment, the buffers around it, and the interval between starts."""

    takes: timedelta
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    step: timedelta = timedelta(0)

    @property
    def apart(self) -> timedelta:
        return self.step or self.before + self.takes + self.after


@dataclass(frozen=True)
class Timetable:
    """Opening hours, special days, holidays and absences of a practitioner, in their time zone."""

    zone: str
    rules: Sequence[Rule] = ()
    days: Sequence[Day] = ()
    holidays: Collection[date] = ()
    away: Sequence[Span] = ()

    def start_times(self, lasting: Lasting, first: date, last: date) -> list[datetime]:
        """Possible starts of an appointment, from the first to the last local day."""
        return start_times(self.spans(first, last), self.away, lasting)

    def spans(self, first: date, last: date) -> list[Span]:
        """Open periods as instants: whenever the local clock shows a time within the hours of its day.

        When the clocks change, that day is an hour shorter or longer, and nine o'clock stays nine o'clock.
        """
        offsets, days = (
            _offsets(ZoneInfo(self.zone), first, last),
            (first + timedelta(n) for n in range((last - first).days + 1)),
        )
        return [
            span
            for day in days
            for opens, closes in self._local_hours(day)
            for span in _to_instants(opens, closes, offsets)
        ]

    def _local_hours(self, day: date) -> list[Span]:
        """Open periods of one day in local time without a zone, calculated from that day alone."""
        special = [each for each in self.days if each.day == day]
        closed = day in self.holidays or any(each.opens is None for each in special)
        usual = [(each.opens, each.closes) for each in self.rules if not closed and each.applies_on(day)]
        extra = [(each.opens, each.closes) for each in special if each.opens is not None and each.closes is not None]
        return merge_spans((datetime.combine(day, opens), _end(day, closes)) for opens, closes in [*usual, *extra])


def start_times(spans: Iterable[Span], away: Iterable[Span], lasting: Lasting) -> list[datetime]:
    """Possible starts, one interval apart from the beginning of each open period.

    One that would touch an absence, buffers included, is left out, and the others keep their times.
    """
    absent = merge_spans(away)
    ends = [end for _, end in absent]
    found = []
    for opens, closes in spans:
        start = opens
        while start + lasting.takes <= closes:
            since, until = start - lasting.before, start + lasting.takes + lasting.after
            next_ = bisect_right(ends, since)
            if next_ == len(absent) or absent[next_][0] >= until:
                found.append(start)
            start += lasting.apart
    return sorted({*found})


def common_spans(ones: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Intersect two lists of open periods."""
    both = ((max(a, c), min(b, d)) for a, b in ones for c, d in others if a < d and c < b)
    return sorted(both)


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Join periods that overlap or touch."""
    whole: list[Span] = []
    for since, until in sorted(spans):
        if whole and since <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], until)
        else:
            whole.append((since, until))
    return whole


def _end(day: date, closes: time) -> datetime:
    return datetime.combine(day, closes) if closes != time(0) else datetime.combine(day, closes) + _A_DAY


def _to_instants(opens: datetime, closes: datetime, offsets: list[tuple[datetime, datetime, timedelta]]) -> list[Span]:
    """Convert a local period to instants: more than one, if the clock shows a time of it twice."""
    pieces = (
        (max(since, (opens - offset).replace(tzinfo=UTC)), min(until, (closes - offset).replace(tzinfo=UTC)))
        for since, until, offset in offsets
    )
    return merge_spans(piece for piece in pieces if piece[0] < piece[1])


def _offsets(zone: ZoneInfo, first: date, last: date) -> list[tuple[datetime, datetime, timedelta]]:
    """UTC offsets of a time zone in these days, each with the period in which it is in force."""
    since = datetime.combine(first, time(0), UTC) - _A_DAY
    until = datetime.combine(last, time(0), UTC) + 2 * _A_DAY
    turns = [since, *_turns(zone, since, until), until]
    return [(begin, end, _offset(begin, zone)) for begin, end in pairwise(turns)]


def _turns(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    while since < until:
        after = min(since + _HOP, until)
        if _offset(since, zone) != _offset(after, zone):
            yield _turn(zone, since, after)
        since = after


def _turn(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Find the moment of an offset change to the second, by bisection."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
        before, after = (middle, after) if _offset(middle, zone) == old else (before, middle)
    return after


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
