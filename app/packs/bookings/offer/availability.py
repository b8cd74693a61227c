"""Opening: from the hours of a week, single days, holidays and absences to the instants at which something can begin. Reads nothing, writes nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]

_HOP = timedelta(hours=6)  # no zone has ever changed its clocks twice within so little
_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rule:
    """Open every week on this day, between two times on the wall; midnight as the end is the end of the day."""

    weekday: int  # Monday is 0
    opens: time
    closes: time
    first_day: date | None = None
    last_day: date | None = None

    def holds(self, day: date) -> bool:
        return day.weekday() == self.weekday and (self.first_day or day) <= day <= (self.last_day or day)


@dataclass(frozen=True)
class Day:
    """One day that is unlike the others: with times it is open between them as well, without it is closed but for those."""

    day: date
    opens: time | None = None
    closes: time | None = None


@dataclass(frozen=True)
class Lasting:
    """How long one takes, the quiet around it, and how far apart two of them begin."""

    takes: timedelta
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    step: timedelta = timedelta(0)

    @property
    def apart(self) -> timedelta:
        return self.step or self.before + self.takes + self.after


@dataclass(frozen=True)
class Timetable:
    """When somebody can be met, in the zone in which their days run."""

    zone: str
    rules: Sequence[Rule] = ()
    days: Sequence[Day] = ()
    holidays: Collection[date] = ()
    away: Sequence[Span] = ()

    def starts(self, lasting: Lasting, first: date, last: date) -> list[datetime]:
        """Whenever something that lasts so long can begin, between two days of that zone."""
        return starts(self.spans(first, last), self.away, lasting)

    def spans(self, first: date, last: date) -> list[Span]:
        """When it is open, in instants: whenever a clock on the wall shows a time that the hours of that day hold.

        So a day without its third hour is shorter, one that has it twice is longer, and nine o'clock is always nine o'clock.
        """
        offsets, days = (
            _offsets(ZoneInfo(self.zone), first, last),
            (first + timedelta(n) for n in range((last - first).days + 1)),
        )
        return [
            piece
            for day in days
            for opens, closes in self._on_the_wall(day)
            for piece in _pieces(opens, closes, offsets)
        ]

    def _on_the_wall(self, day: date) -> list[Span]:
        """The hours of one day as a clock without a zone shows them. Each day begins anew, so that what is offered on it does not hang on the day before."""
        special = [each for each in self.days if each.day == day]
        closed = day in self.holidays or any(each.opens is None for each in special)
        usual = [(each.opens, each.closes) for each in self.rules if not closed and each.holds(day)]
        extra = [(each.opens, each.closes) for each in special if each.opens is not None and each.closes is not None]
        return merged((datetime.combine(day, opens), _end(day, closes)) for opens, closes in [*usual, *extra])


def starts(spans: Iterable[Span], away: Iterable[Span], lasting: Lasting) -> list[datetime]:
    """One after the other from the beginning of each span; what would touch an absence, with its quiet, is left out, and the others stay where they are."""
    absent = merged(away)
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


def shared(ones: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """When both are open."""
    both = ((max(a, c), min(b, d)) for a, b in ones for c, d in others if a < d and c < b)
    return sorted(both)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time, without two that overlap or touch."""
    whole: list[Span] = []
    for since, until in sorted(spans):
        if whole and since <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], until)
        else:
            whole.append((since, until))
    return whole


def _end(day: date, closes: time) -> datetime:
    return datetime.combine(day, closes) if closes != time(0) else datetime.combine(day, closes) + _A_DAY


def _pieces(opens: datetime, closes: datetime, offsets: list[tuple[datetime, datetime, timedelta]]) -> list[Span]:
    pieces = (
        (max(since, (opens - offset).replace(tzinfo=UTC)), min(until, (closes - offset).replace(tzinfo=UTC)))
        for since, until, offset in offsets
    )
    return merged(piece for piece in pieces if piece[0] < piece[1])


def _offsets(zone: ZoneInfo, first: date, last: date) -> list[tuple[datetime, datetime, timedelta]]:
    """From when to when the clocks of these days are how far from UTC."""
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
    """To the second, by halves."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
        before, after = (middle, after) if _offset(middle, zone) == old else (before, middle)
    return after


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
