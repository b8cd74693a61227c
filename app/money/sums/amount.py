"""Money amounts: whole minor units with a currency, rounding, splitting, parsing and formatting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, Overflow
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Composite, composite, mapped_column

_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}
# 1,250,000 and 12,50,000
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+|(?:,[0-9]{2})+,[0-9]{3})(?:\.[0-9]*)?")
_SIGNS = {"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


@dataclass(frozen=True, order=False)
class Money:
    """An amount in the minor unit of its currency: Money(99900, "INR") is ₹999.00."""

    amount: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._amount_in_same_currency(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._amount_in_same_currency(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._amount_in_same_currency(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._amount_in_same_currency(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._amount_in_same_currency(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._amount_in_same_currency(other)

    def __mul__(self, count: int) -> Money:
        return Money(self.amount * count, self.currency)

    def __bool__(self) -> bool:
        return self.amount != 0

    def fraction(self, part: int, whole: int) -> Money:
        """Return `part` of `whole`, rounded: price.fraction(18, 118) is the tax included in it."""
        return Money(round_half_away(self.amount * part, whole), self.currency)

    def percent(self, basis_points: int) -> Money:
        """Apply a rate in basis points: percent(1800) is 18 %."""
        return self.fraction(basis_points, 10_000)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Split in these proportions without losing a minor unit (largest remainder method)."""
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("Money is split by weights of zero and above, and not all of them zero.")
        shares = [divmod(abs(self.amount) * each, whole) for each in weights]
        left = abs(self.amount) - sum(share for share, _ in shares)
        first = sorted(range(len(shares)), key=lambda at: (-shares[at][1], at))[:left]
        sign = -1 if self.amount < 0 else 1
        return [Money(sign * (share + (at in first)), self.currency) for at, (share, _) in enumerate(shares)]

    @classmethod
    def total(cls, amounts: Iterable[Money], currency: str) -> Money:
        """Return the sum; the currency makes the sum of nothing zero."""
        result = cls(0, currency)
        for money in amounts:
            result += money
        return result

    def __str__(self) -> str:
        digits = _decimals(self.currency)
        whole, coins = divmod(abs(self.amount), 10**digits)
        minus, sign = "-" if self.amount < 0 else "", _SIGNS.get(self.currency, f"{self.currency} ")
        return f"{minus}{sign}{_group_digits(whole, self.currency)}" + (f".{coins:0{digits}d}" if digits else "")

    @property
    def plain(self) -> str:
        """The amount as typed into a form: 999.00."""
        return f"{Decimal(self.amount).scaleb(-_decimals(self.currency)):f}"

    @classmethod
    def parse(cls, typed: str, currency: str) -> Money:
        """Parse typed text. Fractions of the minor unit are refused, and a comma is never a decimal point."""
        text = str(typed).strip()
        if "," in text and not _GROUPED.fullmatch(text):
            raise ValueError("Enter an amount, such as 1,250.50.")
        try:
            coins = Decimal(text.replace(",", "")).scaleb(_decimals(currency))
        except (InvalidOperation, Overflow):
            raise ValueError("Enter an amount, such as 999.00.") from None
        if not coins.is_finite() or coins != coins.to_integral_value():
            raise ValueError(_too_many_decimals(currency))
        return cls(int(coins), currency)

    def as_json(self) -> dict[str, int | str]:
        return {"amount": self.amount, "currency": self.currency}

    def _amount_in_same_currency(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self} and {other} are not the same currency.")
        return other.amount


def round_half_away(amount: int, whole: int) -> int:
    """Divide, rounded to the nearest integer, and a half away from zero: the only rounding rule for money."""
    sign = -1 if (amount < 0) != (whole < 0) else 1
    return sign * ((2 * abs(amount) + abs(whole)) // (2 * abs(whole)))


def _too_many_decimals(currency: str) -> str:
    digits = _decimals(currency)
    return (
        f"Enter an amount with at most {digits} decimal places."
        if digits
        else f"Enter an amount in {currency} without decimals."
    )


def _decimals(currency: str) -> int:
    return _DIGITS.get(currency, 2)


def _group_digits(whole: int, currency: str) -> str:
    """Group the digits: 12,34,567 in rupees, 1,234,567 elsewhere."""
    if currency != "INR" or whole < 1000:
        return f"{whole:,}"
    head, tail = divmod(whole, 1000)
    pairs = []
    while head:
        head, pair = divmod(head, 100)
        pairs.append(f"{pair:02d}" if head else str(pair))
    return ",".join([*reversed(pairs), f"{tail:03d}"])


def money_column(name: str, **options: Any) -> Composite[Money]:
    """Map a Money to two columns, `<name>_amount` and `<name>_currency`."""
    amount = mapped_column(f"{name}_amount", BigInteger, **options)
    currency = mapped_column(f"{name}_currency", String(3), **options)
    return composite(Money, amount, currency, return_none_on=lambda *both: None in both)
