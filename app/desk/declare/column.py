"""Column: how a column of a noun is parsed, displayed, entered in forms, exported and sent as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any, BinaryIO, ClassVar, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Boolean, Date, DateTime, Integer, Time, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Composite, RelationshipProperty
from werkzeug.datastructures import FileStorage

from app.kernel import access, clock
from app.kernel.audit import MASK
from app.kernel.db import Noun, label_of_table, session, spaced, within_a_sentence
from app.kernel.errors import Invalid, Missing
from app.kernel.files import Picture
from app.money.sums.amount import Money

EMPTY = "–"
_NOT_SUMMABLE = ("_id", "_rate", "_percent", "_cap", "percent")


@dataclass(frozen=True)
class StaffLocale:
    """The time zone and the currency in which staff read and enter values."""

    timezone: str = "Asia/Kolkata"
    currency: str = "INR"


staff_locale = StaffLocale()


def configure(timezone: str, currency: str) -> None:
    global staff_locale
    staff_locale = StaffLocale(timezone, currency)


# Default labels of columns that many nouns have.
_USUAL_LABELS = {
    "noun": "Record",
    "row_id": "ID",
    "timezone": "Time zone",
    "state": "Status",
    "created_at": "Created",
    "changed_at": "Updated",
    "why": "Reason",
    "trouble": "Error",
    "tries": "Attempts",
    "attempts": "Attempts",
    "locale": "Language",
}


def usual_label(name: str) -> str:
    """The default label of a column with this name."""
    return _USUAL_LABELS.get(name) or spaced(name)


@dataclass(frozen=True)
class Column:
    """One column of a noun, or of a related noun along a path: "slot.starts_at" of a booking."""

    noun: type[Noun]
    path: str
    given_label: str = ""
    steps: tuple[str, ...] = field(init=False)
    masked: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.path.split(".")))
        if self.kind not in KINDS:
            raise TypeError(f"{self.noun.__name__}.{self.path} cannot be shown: no kind for it.")

    @cached_property
    def owner(self) -> type[Noun]:
        """The noun that the last step of the path belongs to."""
        here = self.noun
        for step in self.steps[:-1]:
            here = inspect(here).relationships[step].mapper.class_
        return here

    @property
    def name(self) -> str:
        return self.steps[-1]

    @cached_property
    def attribute(self) -> Any:
        return inspect(self.owner).attrs[self.name]

    @cached_property
    def info(self) -> Mapping[str, Any]:
        columns = getattr(self.attribute, "columns", None)
        return columns[0].info if columns else self._key_info

    @property
    def _key_info(self) -> Mapping[str, Any]:
        """The help of a relation, which is declared on its foreign key."""
        if not isinstance(self.attribute, RelationshipProperty) or self.attribute.uselist:
            return {}
        return {name: said for name, said in next(iter(self.attribute.local_columns)).info.items() if name == "help"}

    @cached_property
    def label(self) -> str:
        return str(self.given_label or self.info.get("label") or self._label_of_target or usual_label(self.name))

    @property
    def _label_of_target(self) -> str:
        """The label of the target, if the relation is named after it: “Customer” for person."""
        if self.kind != "relation" or self.name != getattr(self.target, "__tablename__", ""):
            return ""
        return label_of_table(self.name)

    @property
    def path_in_words(self) -> str:
        """The relations along the path: “slot, practitioner”."""
        return ", ".join(Column(noun, step).label_in_sentence for noun, step in self._path_with_nouns[:-1])

    @property
    def label_in_sentence(self) -> str:
        return within_a_sentence(self.label)

    @property
    def asked_only_if(self) -> tuple[str, Sequence[str]]:
        """The column and its values that this column depends on: info={"only": ("rhythm", ["weekly"])}."""
        name, among = self.info.get("only", ("", ()))
        return name, among

    def applies_to(self, row: Any) -> bool:
        name, among = self.asked_only_if
        return not name or len(self.steps) > 1 or getattr(row, name) in among

    @cached_property
    def kind(self) -> str:
        prop = self.attribute
        if isinstance(prop, RelationshipProperty):
            return "picture" if prop.mapper.class_ is Picture else "relation"
        if isinstance(prop, Composite):
            return "money"
        if self.name == "state" and self.owner.states:
            return "state"
        if self.info.get("choices"):
            return "choice"
        if self.info.get("rate"):
            return "rate"
        of = prop.columns[0].type
        kinds = {Boolean: "yesno", DateTime: "moment", Date: "day", Time: "time", Integer: "number", JSONB: "facts"}
        return next(
            (kind for each, kind in kinds.items() if isinstance(of, each)), "long" if self.info.get("long") else "text"
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """The declared choices. Choices that depend on data are evaluated at each call."""
        declared = self.info.get("choices", ())  # names, or a mapping of names to labels
        return self.owner.states if self.kind == "state" else tuple(declared() if callable(declared) else declared)

    def option_label(self, choice: str) -> str:
        if self.kind == "state":
            return self.owner.state_label(choice)
        declared = self.info.get("choices", ())
        declared = declared() if callable(declared) else declared
        return str(declared.get(choice, spaced(choice)) if isinstance(declared, Mapping) else spaced(choice))

    @cached_property
    def target(self) -> type[Noun]:
        """The noun on the other side of a relation."""
        target: type[Noun] = self.attribute.mapper.class_
        return target

    @property
    def relations_to_load(self) -> frozenset[tuple[str, ...]]:
        """The paths of relations to load together with the row."""
        return frozenset({self.steps[:-1], *([self.steps] if self.kind in ("relation", "picture") else [])} - {()})

    @cached_property
    def required(self) -> bool:
        if self.kind in ("relation", "picture"):
            return not next(iter(self.attribute.local_columns)).nullable
        if self.kind == "yesno":
            return False
        column = self.attribute.columns[0]
        return not column.nullable and column.default is None

    @property
    def must_be_filled(self) -> bool:
        """Whether the current user has to enter it: also if it is the relation that puts a row in their scope."""
        return self.required or (self.kind == "relation" and access.sole_owner_relation(self.noun) == self.path)

    @cached_property
    def secret(self) -> bool:
        return bool(self.info.get("secret"))

    @cached_property
    def may_be_empty(self) -> bool:
        """Whether the column itself is nullable; relations along its path may be missing as well."""
        own = self.attribute.local_columns if self.kind == "relation" else self.attribute.columns
        return any(each.nullable for each in own)

    @cached_property
    def _path_with_nouns(self) -> list[tuple[type[Noun], str]]:
        """Each step of the path with the noun that it belongs to."""
        found, here = [], self.noun
        for step in self.steps:
            found.append((here, step))
            if (relation := inspect(here).relationships.get(step)) is not None:
                here = relation.mapper.class_
        return found

    @property
    def level(self) -> str:
        """The current user's access level: the lowest along the path."""
        return min((access.column_level(*each) for each in self._path_with_nouns), key=access.LEVELS.index)

    @property
    def is_guarded(self) -> bool:
        """Whether any role sees less than the full value."""
        return any(name in access.column_guards(noun) for noun, name in self._path_with_nouns)

    @cached_property
    def is_summable(self) -> bool:
        """Whether a total makes sense: of a price or a number of seats, but not of a year or a rate."""
        told = self.name.endswith(_NOT_SUMMABLE) or self.name in ("year", "number", "edition", "weight")
        return self.kind == "money" or (self.kind == "number" and not told)

    def expression(self, owner: Any) -> Any:
        """Return the SQL expression to compare and sort by: the id of a relation, the amount of money."""
        if self.kind in ("relation", "picture"):
            return self._key(owner, next(iter(self.attribute.local_columns)))
        return self._key(owner, self.attribute.columns[0]) if self.kind == "money" else getattr(owner, self.name)

    def currency(self, owner: Any) -> Any:
        return self._key(owner, self.attribute.columns[1])

    def _key(self, owner: Any, column: Any) -> Any:
        return getattr(owner, self.owner.__mapper__.get_property_by_column(column).key)

    def is_empty(self, expression: Any) -> Any:
        """Return the SQL condition that the value is missing."""
        return (
            expression.is_(None) | (expression == "")
            if self.kind in ("text", "long", "choice")
            else expression.is_(None)
        )

    def sort_value(self, row: Any) -> Any:
        """The value by which the database sorts the row."""
        value = self.value(row)
        if self.kind in ("relation", "picture"):
            return value and value.id
        return value.amount if isinstance(value, Money) else value

    def assign(self, row: Any, value: Any) -> None:
        setattr(row, self.name, value)

    def value(self, row: Any) -> Any:
        return self._getter(row)

    @cached_property
    def _getter(self) -> Callable[[Any], Any]:
        return attrgetter(self.path) if len(self.steps) == 1 else self._follow_path

    def _follow_path(self, row: Any) -> Any:
        for step in self.steps:
            row = getattr(row, step) if row is not None else None
        return row

    def display(self, row: Any) -> str:
        """Return the text shown on a screen."""
        value = self.value(row)
        if value is None or value == "":
            return EMPTY
        return self._labelled(row, value) or KINDS[self.kind].display(value)

    def _labelled(self, row: Any, value: Any) -> str:
        """Return the label of a state, a choice or a noun, or the text made by info={"says": row -> text}."""
        if self.kind in ("choice", "state"):
            return self.option_label(value)
        if self.masked or self.kind != "text":
            return ""
        if says := self.info.get("says"):
            return str(says(attrgetter(".".join(self.steps[:-1]))(row) if self.steps[1:] else row))
        return label_of_table(value) if self.name == "noun" else ""

    def csv_text(self, row: Any) -> str:
        return formula_safe(self.sheet_text(row))

    def sheet_text(self, row: Any) -> str:
        """Return the text for a spreadsheet cell, with the same labels as on the screen."""
        value = self.value(row)
        if value is None or value == "":
            return ""
        return self._labelled(row, value) or KINDS[self.kind].plain_text(value)

    def json(self, row: Any) -> Any:
        value = self.value(row)
        return None if value is None else KINDS[self.kind].json(value)

    def form_value(self, row: Any) -> str:
        """Return the initial text of the form field."""
        value = self.value(row)
        return "" if value is None else KINDS[self.kind].form_value(value)

    def parse(self, given: Any) -> Any:
        """Convert typed or sent input to the value to store; a ValueError says what is wrong."""
        empty = given is None or given == "" or (isinstance(given, FileStorage) and not given.filename)
        if empty and self.kind != "yesno":
            if self.must_be_filled:
                raise ValueError("This field is required.")
            return "" if self.kind in ("text", "long") and not self.attribute.columns[0].nullable else self._default()
        return KINDS[self.kind].parse(self, given)

    def _default(self) -> Any:
        default = getattr(self.attribute, "columns", [None])[0]
        scalar = getattr(default, "default", None)
        return scalar.arg if scalar is not None and scalar.is_scalar else None

    @property
    def schema(self) -> dict[str, Any]:
        known: dict[str, Any] = dict(self.info.get("schema", KINDS[self.kind].schema))
        return known | ({"enum": list(self.choices)} if self.choices else {}) | {"title": self.label}


@dataclass(frozen=True)
class MaskedColumn(Column):
    """A masked column: whether there is a value is visible, the value is not (•••)."""

    _: KW_ONLY
    real: Column
    masked = True
    kind = "text"  # whatever the kind of the real column
    is_summable = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", self.real.steps)

    @cached_property
    def owner(self) -> type[Noun]:
        return self.real.owner

    @cached_property
    def attribute(self) -> Any:
        return self.real.attribute

    @property
    def relations_to_load(self) -> frozenset[tuple[str, ...]]:
        return self.real.relations_to_load

    def value(self, row: Any) -> str | None:
        return None if self.real.value(row) in (None, "") else MASK


class PerReaderColumn(Column):
    """A column whose value depends on the reader: info={"seen": (row, value) -> value}."""

    def value(self, row: Any) -> Any:
        return self.info["seen"](row, super().value(row))


def visible_columns(columns: Iterable[Column]) -> list[Column]:
    """Return the columns as the current user may see them: without hidden ones, and some of them masked."""
    levels = [(each, each.level) for each in columns]
    return [
        MaskedColumn(each.noun, each.path, each.given_label, real=each) if level == "masked" else each
        for each, level in levels
        if level != "hidden"
    ]


def columns_open_to(level: str, columns: Iterable[Column]) -> list[Column]:
    """Return the columns for which the current user has at least this access level."""
    return [each for each in columns if access.LEVELS.index(each.level) >= access.LEVELS.index(level)]


def formula_safe(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula."""
    return (
        f"'{text}"
        if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not text.lstrip("-").replace(".", "").isdigit()
        else text
    )


# --- the kinds --------------------------------------------------------------------------------------------------------


def _parse_text(column: Column, given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("Enter text.")
    limit = getattr(column.attribute.columns[0].type, "length", None) or (20_000 if column.kind == "long" else 500)
    if "\x00" in given:
        raise ValueError("This contains a character that can’t be saved.")
    if len(given) > limit:
        raise ValueError(f"Use at most {limit} characters.")
    return given.strip()


def _parse_number(column: Column, given: Any) -> int:
    try:
        number = int(given) if not isinstance(given, (bool, float)) else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise ValueError("Enter a whole number.")
    if abs(number) >= 2**31:
        raise ValueError("Enter a smaller number.")
    return number


def _parse_rate(column: Column, given: Any) -> int:
    """Parse a percentage into basis points."""
    try:
        hundredths = Decimal(str(given).strip().removesuffix("%").strip()) * 100
        whole = int(hundredths)
    except (ArithmeticError, ValueError):
        raise ValueError("Enter a percentage, such as 18 or 2.5.") from None
    if whole != hundredths:
        raise ValueError("Use at most two decimal places.")
    if abs(whole) >= 2**31:
        raise ValueError("Enter a smaller percentage.")
    return whole


def _parse_money(column: Column, given: Any) -> Money:
    if isinstance(given, Mapping):  # from the API: whole minor units and a currency
        if (
            set(given) != {"amount", "currency"}
            or not isinstance(given["amount"], int)
            or not isinstance(given["currency"], str)
        ):
            raise ValueError('Send an amount such as {"amount": 99900, "currency": "INR"}.')
        money = Money(given["amount"], given["currency"])
    else:
        money = Money.parse(str(given), staff_locale.currency)
    if money.currency != staff_locale.currency:
        raise ValueError(f"Enter the amount in {staff_locale.currency}.")
    if abs(money.amount) >= 10**12:
        raise ValueError("Enter a smaller amount.")
    return money


def _parse_choice(column: Column, given: Any) -> str:
    if given not in column.choices:
        raise ValueError(f"Choose one of: {', '.join(_option_names(column))}.")
    return str(given)


def _option_names(column: Column) -> Iterable[str]:
    """The names of the options for a program, and their labels for a person."""
    return column.choices if access.actor().door == "api" else map(column.option_label, column.choices)


def _parse_moment(column: Column, given: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise ValueError("Enter a date and time, such as 2026-11-24T09:00.") from None
    if not 1900 <= moment.year <= 2200:
        raise ValueError("Enter a date from 1900 to 2200.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(staff_locale.timezone))).astimezone(UTC)


def _iso_parser(kind: type[date] | type[time], wrong: str) -> Callable[[Column, Any], Any]:
    def parse(column: Column, given: Any) -> Any:
        try:
            return kind.fromisoformat(given)
        except (TypeError, ValueError):
            raise ValueError(wrong) from None

    return parse


def _parse_relation(column: Column, given: Any) -> Any:
    """Parse "12" or "12 · Asha Rao" into a row that the current user may see."""
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise ValueError("Enter the ID of a record.")
    head = str(given).split("·")[0].strip()
    if not head.isdecimal():
        raise ValueError("Choose one from the list.")
    try:
        return access.find_visible(column.target, int(head))
    except Missing:
        raise ValueError("This record doesn’t exist, or you don’t have access to it.") from None


def _parse_picture(column: Column, given: Any) -> Picture:
    if not isinstance(given, FileStorage):
        raise ValueError("Upload the image as a file.")
    try:
        picture = Picture.store(cast(BinaryIO, given.stream), given.filename or "picture")
    except Invalid as error:
        raise ValueError(next(iter(error.fields.values()))) from None
    session.flush()
    return picture


def _facts_text(facts: Any) -> str:
    """Return JSON in one line: a thing by its label, money as an amount, anything else as “name: value”."""
    match facts:
        case {"amount": int(amount), "currency": str(currency), **rest} if not rest:
            return str(Money(amount, currency))
        case {"label": str(label)}:
            return label
        case Mapping():
            return ", ".join(f"{spaced(str(name))}: {_facts_text(value)}" for name, value in facts.items()) or EMPTY
        case list():
            return ", ".join(_facts_text(each) for each in facts) or EMPTY
    return EMPTY if facts in (None, "") else str(facts)


def _unwritable(column: Column, given: Any) -> Any:
    raise ValueError("This field can’t be edited.")


def _parse_facts(column: Column, given: Any) -> Any:
    """Parse input for a JSON column with the function that the noun declares: info={"reads": input -> JSON}."""
    return column.info.get("reads", lambda given: _unwritable(column, given))(given)


def _parse_yes(column: Column, given: Any) -> bool:
    return given in (True, "on", "true", "1", "yes")


@dataclass(frozen=True)
class Kind:
    """How values of one kind are displayed, exported, sent, entered and parsed."""

    display: Callable[[Any], str] = str
    plain_text: Callable[[Any], str] = str
    json: Callable[[Any], Any] = lambda value: value
    form_value: Callable[[Any], str] = str
    parse: Callable[[Column, Any], Any] = _unwritable
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


def _in_staff_zone(moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(staff_locale.timezone))


def _iso_text(value: Any) -> str:
    return str(value.isoformat())


MONEY_SCHEMA = {"type": "object", "properties": {"amount": {"type": "integer"}, "currency": {"type": "string"}}}

KINDS: dict[str, Kind] = {
    "text": Kind(parse=_parse_text),
    "long": Kind(parse=_parse_text),
    "number": Kind(parse=_parse_number, schema={"type": "integer"}),
    "rate": Kind(
        display=lambda v: f"{v / 100:g}%",
        plain_text=lambda v: f"{v / 100:g}",
        json=lambda v: v / 100,
        form_value=lambda v: f"{v / 100:g}",
        parse=_parse_rate,
        schema={"type": "number", "description": "In percent."},
    ),
    "yesno": Kind(
        display=lambda v: "Yes" if v else "No",
        form_value=lambda v: "on" if v else "",
        parse=_parse_yes,
        schema={"type": "boolean"},
    ),
    "day": Kind(
        display=lambda v: f"{v.day} {v:%b %Y}",
        json=_iso_text,
        parse=_iso_parser(date, "Enter a valid date."),
        schema={"type": "string", "format": "date"},
    ),
    "time": Kind(
        display=lambda v: f"{v:%H:%M}",
        json=_iso_text,
        parse=_iso_parser(time, "Enter a time, such as 14:30."),
        schema={"type": "string", "format": "time"},
    ),
    "moment": Kind(
        display=lambda v: clock.format_moment(v, staff_locale.timezone),
        plain_text=lambda v: _in_staff_zone(v).isoformat(timespec="minutes"),
        json=lambda v: v.astimezone(UTC).isoformat(),
        form_value=lambda v: f"{_in_staff_zone(v):%Y-%m-%dT%H:%M}",
        parse=_parse_moment,
        schema={"type": "string", "format": "date-time"},
    ),
    "money": Kind(
        plain_text=lambda v: v.plain,
        json=lambda v: v.as_json(),
        form_value=lambda v: v.plain,
        parse=_parse_money,
        schema=MONEY_SCHEMA,
    ),
    "state": Kind(display=spaced, parse=_unwritable),
    "choice": Kind(display=spaced, parse=_parse_choice),
    "facts": Kind(display=_facts_text, plain_text=_facts_text, parse=_parse_facts, schema={"type": "object"}),
    "relation": Kind(
        json=lambda v: {"id": v.id, "name": str(v)},
        form_value=lambda v: f"{v.id} · {v}",
        parse=_parse_relation,
        schema={"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}},
    ),
    "picture": Kind(
        display=lambda v: v.name,
        json=lambda v: {"id": v.id, "name": v.name},
        form_value=lambda v: "",
        parse=_parse_picture,
        schema={"type": "object"},
    ),
}


def columns_of(noun: type[Noun], names: str, labels: Mapping[str, str]) -> list[Column]:
    found = (Column(noun, name, labels.get(name, "")) for name in names.split())
    return [PerReaderColumn(each.noun, each.path, each.given_label) if "seen" in each.info else each for each in found]


def column_groups(noun: type[Noun], names: str, labels: Mapping[str, str]) -> list[tuple[str, list[Column]]]:
    """Parse "number state | Money: price deposit" into columns below their headings; the first group may have none."""
    parts = [each.rpartition(":") for each in names.split("|")]
    return [(heading.strip(), columns_of(noun, its, labels)) for heading, _, its in parts]
