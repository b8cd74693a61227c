"""JSON columns as a person reads them: prices, amounts, links and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect

from app.desk.records.history import record_url
from app.kernel.db import spaced
from app.money.sums.amount import Money
from app.money.sums.price import Price

_LINK_KEYS = {"what", "noun", "row_id"}
_PRICE_KEYS = {"label", "listed", "off", "net", "quantity", "code", "taxes", "rates", "total"}


@dataclass(frozen=True)
class FactTable:
    """A list of objects with the same keys, shown as a table."""

    names: dict[str, str]  # key -> label
    things: list[Mapping[str, Any]]


@dataclass(frozen=True)
class FactLink:
    """A step that was taken, with a link to the row that it created."""

    what: str
    url: str | None


def readable_facts(row: Any, value: Any) -> Any:
    """Return the same JSON with a Price, Money, FactTable or FactLink in place of the objects that represent one."""
    if isinstance(value, Mapping):
        if value.keys() == {"amount", "currency"}:
            return Money(value["amount"], value["currency"])
        return {name: readable_facts(row, each) for name, each in value.items()}
    if isinstance(value, list):
        return _readable_list(row, value)
    return value


def _readable_list(row: Any, value: list[Any]) -> Any:
    if not value or not all(isinstance(each, Mapping) for each in value):
        return [readable_facts(row, each) for each in value]
    names = value[0].keys()
    if names == _LINK_KEYS:
        return [
            FactLink(each["what"], record_url(each["noun"], each["row_id"]) if each["noun"] else None) for each in value
        ]
    if any(each.keys() != names for each in value):
        return [readable_facts(row, each) for each in value]
    if names == _PRICE_KEYS and (currency := _currency(row)):
        return Price.from_json(value, currency)
    return FactTable(
        {name: type(row).fact_labels.get(name) or spaced(name) for name in names},
        [{name: readable_facts(row, each) for name, each in thing.items()} for thing in value],
    )


def _currency(row: Any) -> str:
    """Return the currency of the row: lines of a price do not repeat it."""
    amounts = (getattr(row, each.key) for each in inspect(type(row)).composites)
    return next((each.currency for each in amounts if isinstance(each, Money)), "")
