"""Calendar view of a noun by day, week or month: its rows, free time and blocked time, in lanes and columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import g, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access

from app.desk.declare import column as kinds
from app.desk.declare.calendar import Calendar, Span
from app.desk.declare.column import visible_columns
from app.desk.declare.resource import Resource, resource_of
from app.desk.lists.query import rows_between
from app.kernel import access, clock
from app.kernel.db import Noun, session, stable_name
from app.kernel.errors import Unreadable
from app.kernel.workflow import Move

VIEWS = "day", "week", "month"
SIDE_BY_SIDE = 3  # groups with a column each in the week view; more of them share one
IN_A_CELL = 3  # rows shown on a day in the month view; the others are only counted
STEP = 5  # minutes: the resolution of static/desk/calendar.css


# --- boxes and columns ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A row, or a free or blocked span, on one day."""

    kind: str
    starts_at: datetime  # in the time zone of the page, cut to the day
    ends_at: datetime
    title: str
    notes: str = ""
    state: str = ""
    url: str = ""
    row: Any = None
    kin: int | None = None
    drops: Mapping[int, int] = field(default_factory=dict)
    lane: int = 0
    lanes: int = 1

    @property
    def from_minute(self) -> int:
        """The minute of the day at which it starts, in local time."""
        return self.starts_at.hour * 60 + self.starts_at.minute // STEP * STEP

    @property
    def to_minute(self) -> int:
        return self.from_minute + max(STEP, round((self.ends_at - self.starts_at) / timedelta(minutes=STEP)) * STEP)

    def css_classes(self, hours: tuple[int, int]) -> str:
        """Return its position as CSS classes, because the Content-Security-Policy forbids style attributes."""
        first, last = max(self.from_minute, hours[0] * 60), min(self.to_minute, hours[1] * 60)
        at, how_long = divmod(first, 60), divmod(max(last - first, 0), 60)
        lane, lanes = min(self.lane, 5), min(self.lanes, 6)
        return f"at-{at[0]} past-{at[1]} for-{how_long[0]} and-{how_long[1]} lane-{lane} lanes-{lanes}"

    @property
    def end_time(self) -> str:
        """The end as HH:MM; midnight is 24:00, not 00:00 of the next day."""
        return "24:00" if self.ends_at.date() > self.starts_at.date() else f"{self.ends_at:%H:%M}"


@dataclass(frozen=True)
class Stripe:
    """One column of one day, for one group or all groups."""

    group: Any
    boxes: Sequence[Box]

    def of_kind(self, *kinds_: str) -> list[Box]:
        return [each for each in self.boxes if each.kind in kinds_]


@dataclass(frozen=True)
class Day:
    date: date
    stripes: Sequence[Stripe]

    @property
    def rows(self) -> list[Box]:
        return sorted((box for stripe in self.stripes for box in stripe.of_kind("row")), key=lambda it: it.starts_at)

    @property
    def free(self) -> int:
        return sum(len(stripe.of_kind("free")) for stripe in self.stripes)

    @property
    def shut(self) -> list[Box]:
        return [box for stripe in self.stripes for box in stripe.of_kind("shut")]


# --- period -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Period:
    """The days shown, the chosen group, and the time zone."""

    view: str
    day: date
    of: int | None
    zone: str

    @classmethod
    def parse(cls, args: Mapping[str, str]) -> Period:
        """Parse an address: ?view=week&day=2026-11-24&of=2."""
        view, of = args.get("view", "week"), args.get("of", "")
        if view not in VIEWS:
            raise Unreadable(f"“view” must be {', '.join(VIEWS[:-1])} or {VIEWS[-1]}.")
        if of and not (of.isdecimal() and len(of) < 10):
            raise Unreadable("“of” must be the ID of a record.")
        try:
            day = date.fromisoformat(args["day"]) if args.get("day") else clock.today()
        except ValueError:
            raise Unreadable("“day” must be a date, such as 2026-11-24.") from None
        if not 1901 <= day.year <= 2199:
            raise Unreadable("Choose a date from 1901 to 2199.")
        return cls(view, day, int(of) if of else None, kinds.staff_locale.timezone)

    @cached_property
    def days(self) -> list[date]:
        first = self.first
        return [first + timedelta(n) for n in range({"day": 1, "week": 7}.get(self.view) or self._in_month(first))]

    @property
    def first(self) -> date:
        """The first day shown. Weeks start on Monday; a month starts with the week of its first day."""
        if self.view == "day":
            return self.day
        start = self.day if self.view == "week" else self.day.replace(day=1)
        return start - timedelta(start.weekday())

    def _in_month(self, first: date) -> int:
        return -(-(self.after_month - first).days // 7) * 7

    @property
    def after_month(self) -> date:
        return (self.day.replace(day=1) + timedelta(32)).replace(day=1)

    @property
    def instants(self) -> tuple[datetime, datetime]:
        return self.start_of(self.days[0]), self.start_of(self.days[-1] + timedelta(1))

    def start_of(self, day: date) -> datetime:
        return datetime.combine(day, midnight(), ZoneInfo(self.zone))

    @property
    def title(self) -> str:
        first, last = self.days[0], self.days[-1]
        if self.view == "day":
            return f"{first:%A}, {first.day} {first:%B %Y}"
        if self.view == "month":
            return f"{self.day:%B %Y}"
        month = f"{first: %b}" if first.month != last.month else ""
        year = f"{first: %Y}" if first.year != last.year else ""
        return f"{first.day}{month}{year} – {last.day} {last:%b %Y}"

    def offset(self, day: date) -> str:
        """Return the UTC offset at noon: "+05:30"."""
        return self.start_of(day).replace(hour=12).isoformat()[-6:]

    def address_args(self, **changes: Any) -> dict[str, str]:
        """Return the same calendar as arguments of an address, with changes."""
        same: dict[str, Any] = {"view": self.view, "day": self.day, "of": self.of} | changes
        return {name: str(value) for name, value in same.items() if value is not None}

    def neighbour(self, way: int) -> date:
        if self.view == "month":
            return self.after_month if way > 0 else (self.day.replace(day=1) - timedelta(1)).replace(day=1)
        return self.day + timedelta(way * len(self.days))


# --- layout -----------------------------------------------------------------------------------------------------------


def _boxes_by_day(period: Period, boxes: Iterable[Box]) -> Mapping[date, list[Box]]:
    """Return the part of each box that is on each day, in the time zone of the page."""
    zone = ZoneInfo(period.zone)
    found: dict[date, list[Box]] = {day: [] for day in period.days}
    begins = {day: period.start_of(day).astimezone(UTC) for day in [*period.days, period.days[-1] + timedelta(1)]}
    for box in boxes:
        day, last = (
            max(box.starts_at.astimezone(zone).date(), period.days[0]),
            min(box.ends_at.astimezone(zone).date(), period.days[-1]),
        )
        while day <= last:
            first, after = begins[day], begins[day + timedelta(1)]
            if box.ends_at > first and box.starts_at < after:
                found[day].append(
                    replace(
                        box,
                        starts_at=max(box.starts_at, first).astimezone(zone),
                        ends_at=min(box.ends_at, after).astimezone(zone),
                    )
                )
            day += timedelta(1)
    return found


def _assign_lanes(boxes: Sequence[Box]) -> Iterator[Box]:
    """Put overlapping boxes side by side: each in the first free lane, with equal widths in a cluster."""
    knot: list[Box] = []
    for box in sorted(boxes, key=lambda it: (it.starts_at, it.ends_at)):
        if knot and all(each.ends_at <= box.starts_at for each in knot):
            yield from _with_lane_count(knot)
            knot = []
        busy = {each.lane for each in knot if each.ends_at > box.starts_at}
        knot.append(replace(box, lane=next(lane for lane in range(len(busy) + 1) if lane not in busy)))
    yield from _with_lane_count(knot)


def _with_lane_count(knot: Sequence[Box]) -> Iterator[Box]:
    lanes = max((each.lane for each in knot), default=0) + 1
    yield from (replace(each, lanes=lanes) for each in knot)


def _stripe_of(group: Any, here: Sequence[Box]) -> Stripe:
    placed = [
        *(each for each in here if each.kind != "row"),
        *_assign_lanes([each for each in here if each.kind == "row"]),
    ]
    order = {"shut": 0, "row": 1, "free": 2}
    return Stripe(group, sorted(placed, key=lambda it: (it.starts_at, order[it.kind], it.ends_at)))


class CalendarView(BaseView):
    """Read-only: changes are made by moves."""

    resource: ClassVar[Resource]
    calendar: ClassVar[Calendar]
    base_permissions = ["can_read"]
    method_permission_name: ClassVar[dict[str, str]] = {"show": "read"}

    @expose("/")
    @has_access
    def show(self) -> Any:
        asked = Period.parse(request.args)
        groups = self._groups()
        chosen = next((each for each in groups if each.id == asked.of), None)
        if asked.of is not None and chosen is None:
            raise Unreadable("This calendar doesn’t exist, or you don’t have access to it.")
        period = replace(
            asked, zone=getattr(chosen or (groups[0] if len(groups) == 1 else None), "timezone", asked.zone)
        )
        days = self._days(period, [chosen] if chosen else groups)
        g.resource, theirs = self.calendar, resource_of(self.calendar.group_columns[0].target)
        return render_template(
            "desk/calendar.html",
            resource=self.resource,
            calendar=self.calendar,
            period=period,
            groups=groups,
            chosen=chosen,
            days=days,
            hours=_visible_hours(days),
            today=clock.now().astimezone(ZoneInfo(period.zone)),
            drop=self._drop(),
            shut_url=self._shut_url(),
            in_a_cell=IN_A_CELL,
            their_url=url_for(theirs.page_endpoint) if theirs and access.actor().may(theirs.noun, "read") else "",
            their_label=theirs.plural if theirs else "",
            here=f"{url_for(f'{self.endpoint}.show')}?{urlencode(period.address_args())}",
        )

    def _groups(self) -> list[Any]:
        """Return the groups that the user can see and that are active."""
        target = self.calendar.group_columns[0].target
        seen = access.visible_rows(target)
        return [
            *session.scalars(
                (seen.where(target.state == target.states[0]) if target.states else seen).order_by(target.id).limit(50)
            ).unique()
        ]

    def _days(self, period: Period, groups: Sequence[Any]) -> list[Day]:
        rows = self._rows(period)
        if period.of is None:
            groups = [*groups, *{each.id: each for each, _ in rows if each.id not in {it.id for it in groups}}.values()]
        spans = [*self._spans(period, groups)]
        if period.view == "week" and len(groups) > SIDE_BY_SIDE:
            columns_ = [(None, _boxes_by_day(period, {box.row.id: box for _, box in rows}.values()))]
        else:
            its = {
                it.id: [
                    *(box for each, box in rows if each.id == it.id),
                    *(box for of, box in spans if of in (None, it.id)),
                ]
                for it in groups
            }
            columns_ = [(it, _boxes_by_day(period, its[it.id])) for it in groups]
        return [Day(day, [_stripe_of(group, by_day[day]) for group, by_day in columns_]) for day in period.days]

    def _rows(self, period: Period) -> list[tuple[Any, Box]]:
        """Return each row once for each group whose time it takes."""
        it, found = (
            self.calendar,
            rows_between(
                self.resource,
                self.calendar.starts_column,
                self.calendar.ends_column,
                *period.instants,
                shown=self.calendar.all_columns,
            ),
        )
        drop = self._drop() if period.view != "month" else None  # no dragging in the month view
        at, named, said = (
            url_for(f"{stable_name(it.noun)}Screens.list"),
            visible_columns(it.title_columns),
            visible_columns(it.notes_columns),
        )
        boxes = (
            (row, self._box(row, f"{at}{row.id}", named, said, drop)) for row in found if row.state not in it.hides
        )
        return [
            (owner, box)
            for row, box in boxes
            for owner in filter(None, (each.value(row) for each in it.group_columns))
            if period.of in (None, owner.id)
        ]

    def _box(
        self, row: Noun, url: str, named: Sequence[kinds.Column], said: Sequence[kinds.Column], drop: Move | None
    ) -> Box:
        it = self.calendar
        title, notes = (", ".join(each.display(row) for each in columns) for columns in (named, said))
        kin = it.kin_columns[0].value(row).id if it.kin_columns and drop and not drop.refuses(row) else None
        return Box(
            "row",
            it.starts_column.value(row),
            it.ends_column.value(row),
            title or str(row),
            notes,
            row.state,
            url,
            row,
            kin,
        )

    def _spans(self, period: Period, groups: Sequence[Any]) -> Iterator[tuple[int | None, Box]]:
        known = {None, *(each.id for each in groups)}
        for each in self.calendar.around(*period.instants) if self.calendar.around else ():
            if each.group in known:
                yield (
                    each.group,
                    Box(each.kind, each.starts_at, each.ends_at, each.label, url=each.url, drops=each.drops),
                )

    def _drop(self) -> Move | None:
        move = self.resource.moves[self.calendar.drop[0]] if self.calendar.drop else None
        return move if move and move.allowed_for(access.actor(), self.resource.noun) else None

    def _shut_url(self) -> str:
        shuts = self.calendar.shuts
        if shuts is None or resource_of(shuts.noun) is None or not access.actor().may(shuts.noun, "add"):
            return ""
        return url_for(f"{stable_name(shuts.noun)}Screens.add")


def _visible_hours(days: Sequence[Day]) -> tuple[int, int]:
    """Return the hours to show: 9 to 18, extended to hold every box."""
    boxes = [box for day in days for stripe in day.stripes for box in stripe.of_kind("row", "free")]
    return min([9, *(box.from_minute // 60 for box in boxes)]), max(
        [18, *(min(24, -(-box.to_minute // 60)) for box in boxes)]
    )


def calendar_view(resource: Resource, calendar: Calendar) -> type[CalendarView]:
    noun = resource.noun
    body = {
        "resource": resource,
        "calendar": calendar,
        "route_base": f"/desk/{resource.name}/calendar",
        "class_permission_name": stable_name(noun),
    }
    return type(f"{stable_name(noun)}Calendar", (CalendarView,), body)


def merge_spans(spans: Iterable[Span]) -> Iterator[Span]:
    """Merge spans that are free for several kins at the same time."""

    def when(it: Span) -> tuple[Any, ...]:
        return it.group or 0, it.starts_at, it.ends_at

    for _, same in groupby(sorted(spans, key=when), key=when):
        first, *more = same
        drops = {kin: place for each in (first, *more) for kin, place in each.drops.items()}
        yield replace(first, label=", ".join(dict.fromkeys(each.label for each in (first, *more))), drops=drops)
