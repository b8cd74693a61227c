"""Money: whole minor units and a currency, which never mix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, Overflow
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Composite, composite, mapped_column

_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}
_GROUPED = re.compile(
    r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+|(?:,[0-9]{2})+,[0-9]{3})(?:\.[0-9]*)?"
)  # 1,250,000 and 12,50,000
_SIGNS = {"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


@dataclass(frozen=True, order=False)
class Money:
    """An amount in the currency's smallest coin: Money(99900, "INR") is ₹999.00."""

    amount: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def __mul__(self, count: int) -> Money:
        return Money(self.amount * count, self.currency)

    def __bool__(self) -> bool:
        return self.amount != 0

    def fraction(self, of: int, whole: int) -> Money:
        """`of` parts in `whole`: Money.fraction(18, 118) is the tax within. The one place where money is rounded."""
        return Money(round_half_away(self.amount * of, whole), self.currency)

    def percent(self, hundredths: int) -> Money:
        """A rate in hundredths of a per cent: percent(1800) is 18 %."""
        return self.fraction(hundredths, 10_000)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """In these proportions, to the last coin: who is cut off most gets the next coin (largest remainder)."""
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("Money is split by weights of zero and above, and not all of them zero.")
        shares = [divmod(abs(self.amount) * each, whole) for each in weights]
        left = abs(self.amount) - sum(share for share, _ in shares)
        first = sorted(range(len(shares)), key=lambda at: (-shares[at][1], at))[:left]
        sign = -1 if self.amount < 0 else 1
        return [Money(sign * (share + (at in first)), self.currency) for at, (share, _) in enumerate(shares)]

    @classmethod
    def total(cls, each: Iterable[Money], currency: str) -> Money:
        """The sum, which has a currency even when there is nothing to add."""
        found = cls(0, currency)
        for money in each:
            found += money
        return found

    def __str__(self) -> str:
        digits = _digits(self.currency)
        whole, coins = divmod(abs(self.amount), 10**digits)
        minus, sign = "-" if self.amount < 0 else "", _SIGNS.get(self.currency, f"{self.currency} ")
        return f"{minus}{sign}{_grouped(whole, self.currency)}" + (f".{coins:0{digits}d}" if digits else "")

    @property
    def plain(self) -> str:
        """999.00, as a person types it into a form."""
        return f"{Decimal(self.amount).scaleb(-_digits(self.currency)):f}"

    @classmethod
    def parse(cls, typed: str, currency: str) -> Money:
        """Read what a person typed. A fraction of the smallest coin is refused, not rounded away, and a comma is never a point."""
        text = str(typed).strip()
        if "," in text and not _GROUPED.fullmatch(text):
            raise ValueError("Enter an amount, such as 1,250.50.")
        try:
            coins = Decimal(text.replace(",", "")).scaleb(_digits(currency))
        except (InvalidOperation, Overflow):
            raise ValueError("Enter an amount, such as 999.00.") from None
        if not coins.is_finite() or coins != coins.to_integral_value():
            raise ValueError(_too_fine(currency))
        return cls(int(coins), currency)

    def as_json(self) -> dict[str, int | str]:
        return {"amount": self.amount, "currency": self.currency}

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self} and {other} are not the same currency.")
        return other.amount


def round_half_away(amount: int, whole: int) -> int:
    """The one rounding rule: to the nearest coin, and a half goes away from zero."""
    sign = -1 if (amount < 0) != (whole < 0) else 1
    return sign * ((2 * abs(amount) + abs(whole)) // (2 * abs(whole)))


def _too_fine(currency: str) -> str:
    digits = _digits(currency)
    return (
        f"Enter an amount with at most {digits} decimal places."
        if digits
        else f"Enter an amount in {currency} without decimals."
    )


def _digits(currency: str) -> int:
    return _DIGITS.get(currency, 2)


def _grouped(whole: int, currency: str) -> str:
    """12,34,567 in rupees, 1,234,567 elsewhere."""
    if currency != "INR" or whole < 1000:
        return f"{whole:,}"
    head, tail = divmod(whole, 1000)
    pairs = []
    while head:
        head, pair = divmod(head, 100)
        pairs.append(f"{pair:02d}" if head else str(pair))
    return ",".join([*reversed(pairs), f"{tail:03d}"])


def money_column(name: str, **options: Any) -> Composite[Money]:
    """Two columns, `<name>_amount` and `<name>_currency`, that are one Money to whoever reads the noun."""
    amount = mapped_column(f"{name}_amount", BigInteger, **options)
    currency = mapped_column(f"{name}_currency", String(3), **options)
    return composite(Money, amount, currency, return_none_on=lambda *both: None in both)
