"""Price calculation: lines with discount, net and tax (GST), as a pure function of items, discount and place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.kernel.errors import Invalid
from app.money.sums.amount import Money
from app.money.sums.tax import Place, split_tax


@dataclass(frozen=True)
class Item:
    """One thing on the price list, and how it is taxed."""

    label: str
    price: Money
    quantity: int = 1
    rate: int = 0  # tax, in basis points
    included: bool = True
    code: str = ""  # HSN or SAC

    @property
    def listed(self) -> Money:
        return self.price * self.quantity


@dataclass(frozen=True)
class Line:
    """One line of a quote, a bill or an invoice: net + taxes = total."""

    label: str
    listed: Money
    off: Money
    net: Money
    quantity: int = 1
    code: str = ""
    taxes: dict[str, Money] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Money:
        return Money.total([self.net, *self.taxes.values()], self.net.currency)

    def cut(self, share: Money) -> tuple[Line, Line]:
        """Cut the line into this share of its total and the rest; net and taxes in proportion, without loss."""
        cut, whole = share.amount, self.total.amount or 1
        taxes = {name: tax.fraction(cut, whole) for name, tax in self.taxes.items()}
        net = share - Money.total(taxes.values(), share.currency)
        listed, off = self.listed.fraction(cut, whole), self.off.fraction(cut, whole)
        left = {name: tax - taxes[name] for name, tax in self.taxes.items()}
        part = replace(self, listed=listed, off=off, net=net, taxes=taxes)
        rest = replace(self, listed=self.listed - listed, off=self.off - off, net=self.net - net, taxes=left)
        return part, rest

    def as_json(self) -> dict[str, Any]:
        taxes = {name: tax.amount for name, tax in self.taxes.items()}
        sums = {
            "listed": self.listed.amount,
            "off": self.off.amount,
            "net": self.net.amount,
            "total": self.total.amount,
        }
        return {
            "label": self.label,
            "code": self.code,
            "quantity": self.quantity,
            **sums,
            "taxes": taxes,
            "rates": dict(self.rates),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any], currency: str) -> Line:
        def money(amount: int) -> Money:
            return Money(amount, currency)

        taxes = {name: money(tax) for name, tax in told["taxes"].items()}
        listed, off, net = (money(told[name]) for name in ("listed", "off", "net"))
        return cls(told["label"], listed, off, net, told["quantity"], told["code"], taxes, dict(told["rates"]))


@dataclass(frozen=True)
class Price:
    """The lines of a price, and their totals."""

    lines: tuple[Line, ...]
    currency: str

    @property
    def total(self) -> Money:
        return self._sum(each.total for each in self.lines)

    @property
    def net(self) -> Money:
        return self._sum(each.net for each in self.lines)

    @property
    def off(self) -> Money:
        return self._sum(each.off for each in self.lines)

    @property
    def listed(self) -> Money:
        return self._sum(each.listed for each in self.lines)

    @property
    def tax(self) -> Money:
        return self.total - self.net

    @property
    def taxes(self) -> dict[str, Money]:
        """The total of each tax, by name."""
        names = dict.fromkeys(name for each in self.lines for name in each.taxes)
        return {name: self._sum(each.taxes[name] for each in self.lines if name in each.taxes) for name in names}

    def cut(self, share: Money) -> tuple[Price, Price]:
        """Cut the price into this share and the rest, such as deposit and balance; each line in proportion."""
        if not Money(0, self.currency) <= share <= self.total:
            raise Invalid.for_fields({"amount": f"Enter an amount from {Money(0, self.currency)} to {self.total}."})
        if not share:
            return Price((), self.currency), self
        shares = share.split([each.total.amount for each in self.lines])
        pairs = [line.cut(each) for line, each in zip(self.lines, shares, strict=True)]
        parts, rests = (tuple(line for line in lines if line.total) for lines in zip(*pairs, strict=True))
        return Price(parts, self.currency), Price(rests, self.currency)

    def as_json(self) -> list[Any]:
        return [each.as_json() for each in self.lines]

    @classmethod
    def from_json(cls, told: Sequence[dict[str, Any]], currency: str) -> Price:
        return cls(tuple(Line.from_json(each, currency) for each in told), currency)

    @classmethod
    def untaxed(cls, label: str, money: Money) -> Price:
        """Return a price of one line, without tax."""
        return cls((Line(label, money, Money(0, money.currency), money),), money.currency)

    def _sum(self, amounts: Iterable[Money]) -> Money:
        return Money.total(amounts, self.currency)


def price_of_items(items: Sequence[Item], *, off: Money | None = None, place: Place | None = None) -> Price:
    """Calculate the price. The discount is split among the lines before tax, and is at most the price."""
    currency = items[0].price.currency
    zero = Money(0, currency)
    listed = [each.listed for each in items]
    most = Money.total(listed, currency)
    given = min(off, most) if off else zero
    shares = given.split([each.amount for each in listed]) if given else [zero] * len(items)
    return Price(
        tuple(_line(item, share, place or Place()) for item, share in zip(items, shares, strict=True)), currency
    )


def _line(item: Item, off: Money, place: Place) -> Line:
    parts = split_tax(item.listed - off, item.rate, included=item.included, place=place)
    return Line(item.label, item.listed, off, parts.net, item.quantity, item.code, dict(parts.taxes), dict(parts.rates))
