"""Custom field: a column that an administrator adds to a noun at run time. Its values are in the JSON column `more`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import date, datetime, time
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, validates

from app.desk.declare.column import Column
from app.desk.declare.neighbours import related_row
from app.kernel import access
from app.kernel.db import Noun, label_of_table, noun_of_table, nouns, session
from app.kernel.errors import Invalid
from app.kernel.process_cache import ProcessCache
from app.kernel.workflow import move
from app.money.sums.amount import Money

MOST = 40  # of one noun, so that forms stay short
LONGEST = 60
WORDS = "text", "long", "choice"  # kinds that can be searchable
_FROM_TO = ("from", "to")  # suffixes of filters in an address, so no key may be one of them


@dataclass(frozen=True)
class Storage:
    """How a kind of field is stored as JSON, converted back, and cast in SQL."""

    label: str
    type: Any
    inward: Callable[[Any], Any] = lambda value: value
    outward: Callable[[Any], Any] = lambda kept: kept


STORAGE: Mapping[str, Storage] = {
    "text": Storage("Single-line text", sa.Text()),
    "long": Storage("Multi-line text", sa.Text()),
    "number": Storage("Whole number", sa.Integer()),
    "money": Storage("Amount", sa.BigInteger(), Money.as_json, lambda kept: Money(kept["amount"], kept["currency"])),
    "yesno": Storage("Yes or no", sa.Boolean()),
    "day": Storage("Date", sa.Date(), date.isoformat, date.fromisoformat),
    "time": Storage("Time", sa.Time(), time.isoformat, time.fromisoformat),
    "moment": Storage("Date and time", sa.DateTime(timezone=True), datetime.isoformat, datetime.fromisoformat),
    "choice": Storage("Single choice", sa.Text()),
    "relation": Storage("Linked record", sa.Integer(), lambda row: row.id),
}

_link_targets: set[type[Noun]] = set()


def allow_as_link_target(noun: type[Noun]) -> None:
    """Allow fields to link to rows of this noun. Its resource calls this if rows can be found by name."""
    _link_targets.add(noun)


def _open_nouns() -> dict[str, str]:
    """The nouns that can have fields: those on the desk whose rows can be edited."""
    return _sorted_labels(each for each in nouns() if access.has_scope(each) and not each.final and each is not Field)


def _targets() -> dict[str, str]:
    """The nouns that fields can link to."""
    return _sorted_labels(each for each in _link_targets if access.has_scope(each) and each is not Field)


def _sorted_labels(those: Iterable[type[Noun]]) -> dict[str, str]:
    found = {each.__tablename__: label_of_table(each.__tablename__) for each in those}
    return dict(sorted(found.items(), key=lambda item: item[1]))


class Field(Noun):
    """A custom field. Its noun, kind, target and key never change, because rows store values under the key.

    It is archived, never deleted, so its values come back when it is restored.
    """

    states = "used", "put_away"
    state_labels: ClassVar[dict[str, str]] = {"used": "Active", "put_away": "Archived"}
    __table_args__ = (UniqueConstraint("noun", "key"),)
    refusals: ClassVar[dict[str, str]] = {
        "field_noun_key_key": "This record type already has a field with this name. It may be archived."
    }

    noun: Mapped[str] = mapped_column(
        info={"label": "Record type", "choices": _open_nouns, "help": "The records that get this field."}
    )
    label: Mapped[str] = mapped_column(sa.String(LONGEST), info={"help": "Shown next to the field."})
    key: Mapped[str] = mapped_column(sa.String(LONGEST), default="", info={"label": "API name"})
    kind: Mapped[str] = mapped_column(
        info={"label": "Type", "choices": {name: it.label for name, it in STORAGE.items()}}
    )
    target: Mapped[str] = mapped_column(
        default="", info={"label": "Linked record type", "choices": _targets, "only": ("kind", ["relation"])}
    )
    options: Mapped[str] = mapped_column(
        default="", info={"long": True, "label": "Options", "help": "One per line.", "only": ("kind", ["choice"])}
    )
    help: Mapped[str] = mapped_column(
        sa.String(200), default="", info={"label": "Help text", "help": "Shown below the field in forms."}
    )
    required: Mapped[bool] = mapped_column(default=False, info={"label": "Required"})
    listed: Mapped[bool] = mapped_column(
        default=False, info={"label": "Show in list", "help": "Always available under Columns."}
    )
    found: Mapped[bool] = mapped_column(default=False, info={"label": "Searchable", "only": ("kind", WORDS)})
    place: Mapped[int] = mapped_column(default=10, info={"label": "Order", "help": "Lower numbers come first."})

    @validates("label")
    def _printable(self, name: str, label: str) -> str:
        label = " ".join(label.split())
        if not label or not label.isprintable() or not re.search(r"[^\W_]", label):
            raise Invalid.for_fields({"label": "Enter a label that contains letters or digits."})
        return label

    def tidy(self) -> None:
        """Check and complete the field before it is saved."""
        self.options = "\n".join(self.choices)
        wrong = {}
        if (self.kind == "choice") != bool(self.options):
            wrong["options"] = (
                "Enter the options, one per line."
                if self.kind == "choice"
                else "Only single-choice fields have options."
            )
        if (self.kind == "relation") != bool(self.target):
            wrong["target"] = (
                "Choose a record type."
                if self.kind == "relation"
                else "Only linked-record fields have a linked record type."
            )
        if self.found and self.kind not in WORDS:
            wrong["found"] = "Only text and single-choice fields can be searchable."
        if wrong:
            raise Invalid.for_fields(wrong)
        if not self.key:
            self.key = _key(self.label)
            self._not_too_many()
        field_cache.invalidate()

    def _not_too_many(self) -> None:
        if (session.scalar(select(sa.func.count(Field.id)).where(Field.noun == self.noun)) or 0) >= MOST:
            full = f"This record type already has {MOST} custom fields, including archived ones. That is the maximum."
            raise Invalid.for_fields({"noun": full})

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.strip() for each in (self.options or "").splitlines() if each.strip()))

    @move(
        "used",
        to="put_away",
        by="Admin",
        label="Archive",
        confirm="The field disappears from every screen. Its values are kept and come back when you restore it.",
    )
    def put_away(self) -> None:
        """Hide the field and keep its values."""
        field_cache.invalidate()

    @move("put_away", to="used", by="Admin", label="Restore")
    def bring_back(self) -> None:
        """Show the field and its values again."""
        field_cache.invalidate()

    def __str__(self) -> str:
        return f"{self.label} ({label_of_table(self.noun).lower()})"


def _key(label: str) -> str:
    key = re.sub(r"[^\w]+", "_", label.lower()).strip("_")[:LONGEST]
    return f"{key}_" if key in _FROM_TO else key


# --- as a column ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddedColumn(Column):
    """A custom field as a column, with the path more.shoe_size."""

    _: KW_ONLY
    kept_as: str
    leads_to: str = ""
    help: str = ""
    options: tuple[str, ...] = ()
    must: bool = False
    listed: bool = False
    found: bool = False

    @classmethod
    def from_field(cls, field: Field) -> AddedColumn:
        return cls(
            noun_of_table(field.noun),
            f"more.{field.key}",
            field.label,
            kept_as=field.kind,
            leads_to=field.target,
            help=field.help,
            options=field.choices,
            must=field.required,
            listed=field.listed,
            found=field.found,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", (self.path,))

    @property
    def key(self) -> str:
        return self.path.removeprefix("more.")

    @cached_property
    def owner(self) -> type[Noun]:
        return self.noun

    @cached_property
    def attribute(self) -> Any:
        """Stand in for the attribute of a mapped column."""
        info = {"help": self.help, "choices": self.options, "long": self.kept_as == "long"}
        return SimpleNamespace(
            columns=[sa.Column(self.key, STORAGE[self.kept_as].type, nullable=not self.must, info=info)]
        )

    @cached_property
    def kind(self) -> str:
        return self.kept_as

    @cached_property
    def target(self) -> type[Noun]:
        return noun_of_table(self.leads_to)

    @property
    def relations_to_load(self) -> frozenset[tuple[str, ...]]:
        return frozenset()  # linked rows are loaded on demand, for all rows at once

    @cached_property
    def required(self) -> bool:
        return self.must and self.kind != "yesno"

    @cached_property
    def may_be_empty(self) -> bool:
        return True  # rows older than the field have no value

    @cached_property
    def is_summable(self) -> bool:
        return self.kind in ("money", "number")

    @cached_property
    def _path_with_nouns(self) -> list[tuple[type[Noun], str]]:
        return [(self.noun, "more")]

    def expression(self, owner: Any) -> Any:
        there = owner.more[self.key]
        found = (there["amount"] if self.kind == "money" else there).astext.cast(STORAGE[self.kind].type)
        return sa.func.coalesce(found, sa.false()) if self.kind == "yesno" else found

    def currency(self, owner: Any) -> Any:
        return owner.more[self.key]["currency"].astext

    def is_empty(self, expression: Any) -> Any:
        """Return the SQL condition that the value is missing. A link to a deleted row counts as missing."""
        if self.kind == "relation":
            there = aliased(self.target)
            return ~sa.exists().where(there.id == expression)
        return super().is_empty(expression)

    def sort_value(self, row: Any) -> Any:
        return (row.more or {}).get(self.key) if self.kind == "relation" else super().sort_value(row)

    def value(self, row: Any) -> Any:
        if self.kind == "relation":
            return related_row(row, self.key, self.target)
        kept = (row.more or {}).get(self.key)
        return (False if self.kind == "yesno" else None) if kept is None else STORAGE[self.kind].outward(kept)

    def assign(self, row: Any, value: Any) -> None:
        # A new dictionary, because the session does not detect changes within the old one.
        others = {key: kept for key, kept in (row.more or {}).items() if key != self.key}
        row.more = others | ({} if value in (None, "", False) else {self.key: STORAGE[self.kind].inward(value)}) or None

    def option_label(self, choice: str) -> str:
        return choice


def _read_fields(own: Session) -> dict[str, list[AddedColumn]]:
    found: dict[str, list[AddedColumn]] = {}
    for field in own.scalars(select(Field).where(Field.state == "used").order_by(Field.place, Field.id)):
        found.setdefault(field.noun, []).append(AddedColumn.from_field(field))
    return found


field_cache = ProcessCache("fields", _read_fields)


def added_columns(noun: type[Noun]) -> Sequence[AddedColumn]:
    return field_cache.value.get(noun.__tablename__, ())


def added_columns_leading_to(noun: type[Noun]) -> list[AddedColumn]:
    return [each for its in field_cache.value.values() for each in its if each.leads_to == noun.__tablename__]
