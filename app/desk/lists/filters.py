"""Filters of a list: conditions like (A and B) or (C and D), parsed from an address and compiled to SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, or_

from app.desk.declare import column as kinds
from app.desk.declare.column import KINDS, Column
from app.desk.declare.relative_days import days_named
from app.desk.declare.resource import Resource
from app.kernel import clock
from app.kernel.errors import Unreadable
from app.money.sums.amount import Money

MOST = 30  # conditions in one address
OR = "(or)"

_WHOLE = ("is", "from", "to", "between")
_DATED = (*_WHOLE, "within", "last", "next", "older", "later")
_MAYBE = ("empty", "filled")
OPERATORS: dict[str, tuple[str, ...]] = {
    "text": ("has", "is", "is-not", "begins", "among", *_MAYBE),
    "long": ("has", "begins", *_MAYBE),
    "number": (*_WHOLE, "is-not", "among", *_MAYBE),
    "rate": (*_WHOLE, "is-not", *_MAYBE),
    "money": (*_WHOLE, *_MAYBE),
    "yesno": ("is",),
    "day": (*_DATED, *_MAYBE),
    "moment": (*_DATED, *_MAYBE),
    "time": (*_WHOLE, *_MAYBE),
    "state": ("is", "is-not", "among"),
    "choice": ("is", "is-not", "among", *_MAYBE),
    "relation": ("is", "is-not", "among", *_MAYBE),
}
_OPERATOR_LABELS = {
    "is": "is",
    "is-not": "is not",
    "has": "contains",
    "begins": "starts with",
    "among": "is one of",
    "empty": "is empty",
    "filled": "is not empty",
    "from": "is at least",
    "to": "is at most",
    "between": "is between",
    "within": "is",
    "last": "is in the last … days",
    "next": "is in the next … days",
    "older": "is more than … days ago",
    "later": "is more than … days from now",
}
_DATE_LABELS = _OPERATOR_LABELS | {"from": "is on or after", "to": "is on or before"}
_TIME_LABELS = _OPERATOR_LABELS | {"from": "is at or after", "to": "is at or before"}
RELATIVE_PERIODS = (
    "today",
    "yesterday",
    "tomorrow",
    "this-week",
    "last-week",
    "next-week",
    "this-month",
    "last-month",
    "next-month",
    "this-year",
    "last-year",
)


@dataclass(frozen=True)
class Condition:
    """A column, an operator and a value."""

    path: str
    how: str
    value: str = ""

    def __str__(self) -> str:
        kept = self.value.replace("%", "%25").replace(";", "%3B").replace("(", "%28")
        return f"{self.path}:{self.how}" + (f":{kept}" if kept else "")


Groups = tuple[tuple[Condition, ...], ...]


def parse_filter(text: str) -> Groups:
    """Parse state:is:held;price:from:500(or)slot.starts_at:last:7, as it is in an address."""
    groups = tuple(tuple(_parse_condition(each) for each in group.split(";") if each) for group in text.split(OR))
    if sum(map(len, groups)) > MOST:
        raise Unreadable(f"Use at most {MOST} conditions in a filter.")
    return tuple(group for group in groups if group)


def _parse_condition(text: str) -> Condition:
    path, _, rest = text.partition(":")
    how, _, value = rest.partition(":")
    return Condition(path, how, unquote(value))


def filter_text(groups: Sequence[Sequence[Condition]]) -> str:
    return OR.join(";".join(map(str, group)) for group in groups if group)


def filterable_columns(resource: Resource) -> list[Column]:
    """Return the declared filters first, and then the other columns that a list can have."""
    return [
        *{
            each.path: each
            for each in [*resource.filters, *resource.choosable]
            if each.kind in OPERATORS and not each.masked
        }.values()
    ]


def filter_condition(
    resource: Resource, groups: Groups, expression: Callable[[Column], Any], currency: Callable[[Column], Any]
) -> ColumnElement[bool]:
    return or_(
        false(),
        *(and_(*(_checked_condition(resource, each, expression, currency) for each in group)) for group in groups),
    )


def column_of(resource: Resource, it: Condition) -> Column:
    column = resource.column(it.path, filterable_columns(resource))
    if column is None:
        raise Unreadable(f"{resource.label} can’t be filtered by {it.path[:40]!r}.")
    return column


def _checked_condition(
    resource: Resource, it: Condition, expression: Callable[[Column], Any], currency: Callable[[Column], Any]
) -> ColumnElement[bool]:
    column = column_of(resource, it)
    if it.how not in OPERATORS[column.kind]:
        raise Unreadable(
            f"{column.label} can be filtered with {', '.join(OPERATORS[column.kind])}, not with {it.how[:20]!r}."
        )
    found = condition(expression(column), column, it.how, it.value)
    if column.kind == "money" and it.how not in _MAYBE:
        found &= currency(column) == kinds.staff_locale.currency  # amounts can only be compared within one currency
    return found


def condition(expression: Any, column: Column, how: str, value: str) -> ColumnElement[bool]:
    try:
        found: ColumnElement[bool] = _OPERATORS[how](expression, column, value)
    except ValueError as error:
        raise Unreadable(f"{column.label}: {error}") from None
    return found


# --- operators --------------------------------------------------------------------------------------------------------


def _is(expression: Any, column: Column, value: str) -> Any:
    if column.kind in ("moment", "day"):
        return _between_days(expression, column, _parse_day(value), _parse_day(value))
    return (
        _is_one_of(expression, column, value) if column.kind == "state" else expression == _parse_value(column, value)
    )


def _is_not(expression: Any, column: Column, value: str) -> Any:
    return expression.is_distinct_from(_parse_value(column, value))


def _is_one_of(expression: Any, column: Column, value: str) -> Any:
    return expression.in_([_parse_value(column, each) for each in value.split(",") if each.strip()])


def _from(expression: Any, column: Column, value: str) -> Any:
    if column.kind in ("moment", "day"):
        return _between_days(expression, column, _parse_day(value), None)
    return expression >= _parse_value(column, value)


def _to(expression: Any, column: Column, value: str) -> Any:
    if column.kind in ("moment", "day"):
        return _between_days(expression, column, None, _parse_day(value))
    return expression <= _parse_value(column, value)


def _between(expression: Any, column: Column, value: str) -> Any:
    first, comma, last = value.partition(",")
    if not comma:
        raise ValueError("Enter two values, separated by a comma.")
    return _from(expression, column, first) & _to(expression, column, last)


def _contains(expression: Any, column: Column, value: str) -> Any:
    return expression.ilike(like_pattern(_required_text(column, value)))


def _starts_with(expression: Any, column: Column, value: str) -> Any:
    return expression.ilike(like_pattern(_required_text(column, value))[1:])


def _is_empty(expression: Any, column: Column, value: str) -> Any:
    return column.is_empty(expression)


def _is_not_empty(expression: Any, column: Column, value: str) -> Any:
    return ~_is_empty(expression, column, value)


def _within(expression: Any, column: Column, value: str) -> Any:
    if value not in RELATIVE_PERIODS:
        raise ValueError(f"Choose one of: {', '.join(RELATIVE_PERIODS)}.")
    return _between_days(expression, column, *days_named(value, clock.today()))


def _last(expression: Any, column: Column, value: str) -> Any:
    return _between_days(expression, column, clock.today() - timedelta(days=_number_of_days(value) - 1), clock.today())


def _next(expression: Any, column: Column, value: str) -> Any:
    return _between_days(expression, column, clock.today(), clock.today() + timedelta(days=_number_of_days(value) - 1))


def _older(expression: Any, column: Column, value: str) -> Any:
    return _between_days(expression, column, None, clock.today() - timedelta(days=_number_of_days(value) + 1))


def _later(expression: Any, column: Column, value: str) -> Any:
    return _between_days(expression, column, clock.today() + timedelta(days=_number_of_days(value) + 1), None)


_OPERATORS: dict[str, Callable[[Any, Column, str], Any]] = {
    "is": _is,
    "is-not": _is_not,
    "among": _is_one_of,
    "has": _contains,
    "begins": _starts_with,
    "empty": _is_empty,
    "filled": _is_not_empty,
    "from": _from,
    "to": _to,
    "between": _between,
    "within": _within,
    "last": _last,
    "next": _next,
    "older": _older,
    "later": _later,
}


# --- values -----------------------------------------------------------------------------------------------------------


def like_pattern(words: str) -> str:
    """Return a LIKE pattern that contains the words, with special characters escaped."""
    return "%" + words.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"


def _required_text(column: Column, text: str) -> str:
    if not text.strip():
        raise ValueError("Enter a value to look for.")
    return str(KINDS["text"].parse(column, text))


def _parse_value(column: Column, text: str) -> Any:
    """Return the value as stored: the id of a relation, the amount of money, the name of a state."""
    match column.kind:
        case "relation" | "number":
            return _record_id(text)
        case "state":
            return _known_state(column, text.strip())
        case "yesno" if text not in ("on", "off", "true", "false", "yes", "no", "1", "0"):
            raise ValueError("Choose yes or no.")
        case "text" | "choice" if not text.strip():
            raise ValueError("Enter a value to look for.")
    value = column.parse(text)
    if isinstance(value, Money):
        return value.amount
    if value is None:
        raise ValueError("Enter a value.")
    return value


def _known_state(column: Column, state: str) -> str:
    if state not in column.choices:
        raise ValueError(f"Choose one of: {', '.join(column.choices)}.")
    return state


def _record_id(text: str) -> int:
    head = text.split("·", maxsplit=1)[0].strip()
    if not head.removeprefix("-").isdecimal() or len(head) > 11 or abs(int(head)) >= 2**31:
        raise ValueError("Choose one from the list, or enter its ID.")
    return int(head)


def _number_of_days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text.strip()) or int(text) == 0:
        raise ValueError("Enter the number of days: 1 or more.")
    return int(text)


def _parse_day(text: str) -> date:
    try:
        day = date.fromisoformat(text.strip()[:10])
    except ValueError:
        raise ValueError("Enter a valid date, such as 2026-11-24.") from None
    if not 1900 <= day.year <= 2200:
        raise ValueError("Enter a date from 1900 to 2200.")
    return day


def _between_days(expression: Any, column: Column, first: date | None, last: date | None) -> Any:
    """Compare with days in the time zone of the staff, from the start of the first to the end of the last."""
    from_, until = first, last and last + timedelta(days=1)
    if column.kind == "moment":
        from_, until = _start_of_day(from_), _start_of_day(until)
    return and_(*([expression >= from_] if from_ else []), *([expression < until] if until else []))


def _start_of_day(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), ZoneInfo(kinds.staff_locale.timezone)) if day else None


# --- in words ---------------------------------------------------------------------------------------------------------


def condition_in_words(resource: Resource, it: Condition, named: Callable[[Column, int], str]) -> str:
    """Return one condition as a sentence: “Price is from 500”."""
    column = column_of(resource, it)
    words = operator_label(column, it.how)
    value = _value_in_words(column, it, named)
    return f"{column.label} " + (words.replace("…", value) if "…" in words else f"{words} {value}".strip())


def operator_label(column: Column, how: str) -> str:
    """Return the label of an operator: “is at least” for an amount, “is on or after” for a date."""
    words = {"day": _DATE_LABELS, "moment": _DATE_LABELS, "time": _TIME_LABELS}.get(column.kind, _OPERATOR_LABELS)
    return words.get(how, how)


def _value_in_words(column: Column, it: Condition, named: Callable[[Column, int], str]) -> str:
    several = it.how in ("between", "among") or column.kind in (
        "state",
        "choice",
    )  # otherwise a comma is part of the value, as in “1,000”
    parts = [each.strip() for each in it.value.split(",") if each.strip()] if several else [it.value.strip()]
    if column.kind == "relation":
        parts = [named(column, _record_id(each)) for each in parts if each]
    elif column.kind in ("state", "choice"):
        parts = [column.option_label(each) for each in parts]
    elif column.kind == "yesno":
        parts = ["yes" if column.parse(it.value) else "no"]
    elif it.how == "within":
        parts = [it.value.replace("-", " ")]
    return (" and " if it.how == "between" else ", ").join(parts)
